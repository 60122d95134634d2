//! Records and a database of places, for the lookups of addresses.

use std::net::Ipv4Addr;
use std::sync::Arc;

use analysis::places::{Atlas, Atlases, Database, PlaceStage};
use flow::{Batch, FlowKey, FlowRecord, KeyFields};
use serde_json::json;

use super::records;
use crate::support::mmdb;

/// A stage whose database has a city and an AS for each /16 of IPv4.
pub fn stage() -> PlaceStage {
    let networks: Vec<_> = (0..0xff00_u32).map(|n| (network(n), record(n))).collect();
    let database = Database::new(mmdb::database("Bench-City", 28, &networks)).expect("it is sound");
    let atlas = Atlas { databases: vec![Arc::new(database)], ..Atlas::default() };
    PlaceStage::new(Atlases::new(atlas), KeyFields::SEVEN)
}

fn network(n: u32) -> String {
    format!("{}/16", Ipv4Addr::from_bits(n << 16))
}

fn record(n: u32) -> serde_json::Value {
    json!({
        "autonomous_system_number": n + 1,
        "autonomous_system_organization": format!("Organization {}", n % 1000),
        "city": {"geoname_id": n, "names": {"de": "Stadt", "en": format!("City {}", n % 1000)}},
        "country": {"iso_code": "DE", "names": {"de": "Deutschland", "en": "Germany"}},
        "location": {"latitude": 50.1, "longitude": 8.6, "time_zone": "Europe/Berlin"},
    })
}

/// Batches of records whose addresses are in so many blocks, one after the other.
pub fn batches(count: usize, size: usize, blocks: u32) -> Vec<Batch> {
    let records: Vec<_> = (0..).take(count * size).map(records::record).collect();
    let records: Vec<_> =
        (0..).zip(records).map(|(n, record)| with_addresses(record, n, blocks)).collect();
    records.chunks(size).map(Batch::from).collect()
}

fn with_addresses(record: FlowRecord, n: u32, blocks: u32) -> FlowRecord {
    let address = |n: u32| {
        // Odd numbers are spread over 16.0.0.0/4 and above, block by block.
        let block = (n % blocks).wrapping_mul(0x9e37_79b1) >> 8 & 0x3f_ffff;
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&(0x1000_0000 + (block << 8) + (n & 0xff)).to_be_bytes());
        octets
    };
    let key = FlowKey { source: address(2 * n), destination: address(2 * n + 1), ..record.key };
    FlowRecord { key, ..record }
}
