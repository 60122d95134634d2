//! Files that change while records come.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;

use analysis::places::{Atlas, Atlases, Database, PlaceStage};
use flow::{BATCH_RECORDS, Batch, FlowKey, FlowRecord, IpVersion, KeyFields, Stage, Timestamp};
use serde_json::{Value, json};

use crate::support::mmdb;
use crate::support::record::datagram;

/// A record of this flow.
pub fn record(key: FlowKey) -> FlowRecord {
    let time = Timestamp::from_millis(1_767_225_600_000);
    FlowRecord {
        key,
        octets: 100,
        start: time,
        end: time,
        exported: time.plus_millis(15_000),
        ..datagram()
    }
}

/// All addresses have this AS number.
pub fn one_system(number: u32) -> Vec<u8> {
    let record = json!({"autonomous_system_number": number});
    let networks: Vec<(String, Value)> =
        ["0.0.0.0/1", "128.0.0.0/1"].map(|cidr| (cidr.to_owned(), record.clone())).into();
    mmdb::database("GeoLite2-ASN", 24, &networks)
}

fn batch(n: u32) -> Batch {
    let records = (0..BATCH_RECORDS as u32).map(|index| {
        let mut source = [0; 16];
        source[..4].copy_from_slice(&Ipv4Addr::from_bits(0x0800_0000 + n * 256 + index).octets());
        record(FlowKey {
            ip_version: IpVersion::V4,
            source,
            destination: source,
            source_port: 1,
            destination_port: 2,
            protocol: 6,
            type_of_service: 0,
            interface: 0,
        })
    });
    Batch::from(records.collect::<Vec<_>>())
}

/// Each batch has the places of one atlas, and a later batch never those of an earlier one.
#[test]
fn an_atlas_is_exchanged_between_batches_of_records() {
    let atlas = |number| {
        let database = Arc::new(Database::new(one_system(number)).expect("it is sound"));
        Atlas { databases: vec![database], ..Atlas::default() }
    };
    let atlases = Atlases::new(atlas(1));
    let mut stage = PlaceStage::new(Arc::clone(&atlases), KeyFields::SEVEN);
    // This is dropped when the records end, or when an assertion fails.
    let goes_on = Arc::new(());
    let ended = Arc::downgrade(&goes_on);
    thread::scope(|scope| {
        let (_goes_on, atlases) = (goes_on, &atlases);
        scope.spawn(move || {
            let mut number = 1;
            while ended.strong_count() > 0 {
                number += 1;
                atlases.replace(atlas(number));
            }
        });
        let (mut last, mut changes) = (0, 0);
        for n in 0.. {
            let mut batch = batch(n % 1000);
            stage.batch(&mut batch);
            let numbers: Vec<_> = batch
                .records
                .iter()
                .flat_map(|record| {
                    let details = batch.details_of(record).expect("all is known");
                    [details.source.clone(), details.destination.clone()]
                })
                .map(|place| place.and_then(|place| place.as_number).expect("all is known"))
                .collect();
            assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
            assert!(numbers[0] >= last);
            changes += u32::from(numbers[0] > last);
            last = numbers[0];
            if changes > 20 {
                break;
            }
        }
    });
    let counts = atlases.counts();
    assert_eq!((counts.lookups, counts.errors), (counts.found, 0));
}

/// A file that is read is in memory: what happens to the file changes nothing.
#[test]
fn a_database_does_not_need_its_file() {
    let folder = crate::support::scratch();
    let path = crate::support::write(&folder, "as.mmdb", &one_system(7));
    let database = Database::new(fs::read(&path).unwrap()).unwrap();
    fs::write(&path, b"").unwrap();
    let atlas = Atlas { databases: vec![Arc::new(database)], ..Atlas::default() };
    let place = atlas.place("8.8.8.8".parse().unwrap()).unwrap();
    assert_eq!(place.as_number, Some(7));
}
