//! Each document is in exactly one count at each moment, whatever the cluster and the disk do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use exporter::Exporter;
use flow::{Batch, Timestamp};
use serde_json::Value;

use crate::replay::{BULK, open_live};
use crate::scripted::{Refusal, Server, Step};
use crate::spool::spooled_ids;
use crate::support;
use crate::support::random::Random;
use crate::support::record::datagram;

const RECORDS: u64 = 12_000;

/// Octets of documents in the spool: less than what comes.
const SPOOL_MAX: &str = "2M";

fn open(server: &Server, folder: &Path) -> Box<dyn Exporter> {
    let url = format!(
        "elastic+http://{}?batch=20k&memory=200k&gzip=0&connections=4&spool={}&spool-max={SPOOL_MAX}\
         &dead-letter={}",
        server.address(),
        folder.join("spool").display(),
        folder.join("dead").display()
    );
    open_live(&url)
}

/// Documents by what became of them: at the cluster, kept in the file, lost, in the spool, in
/// memory.
fn fates(exporter: &dyn Exporter) -> [u64; 5] {
    let counts = exporter.counts();
    let delivery = counts.delivery.expect("documents go to a cluster");
    let spool = delivery.spool.expect("there is a spool");
    let lost = delivery.refused + delivery.dropped + delivery.unsent;
    assert_eq!(counts.sent.records, delivery.accepted + delivery.duplicate, "{counts:?}");
    [
        delivery.accepted + delivery.duplicate,
        delivery.dead_lettered,
        lost + spool.dropped + spool.damaged,
        counts.spooled.records,
        delivery.in_memory,
    ]
}

/// What the cluster does for a while.
fn change(server: &Server, random: &mut Random) {
    server.always("/", Step::emulate());
    server.refuse(|_| None);
    let slow = Step::emulate().after(Duration::from_millis(30));
    match random.below(6) {
        0 => server.always(BULK, Step::emulate()),
        1 => server.always(BULK, slow),
        2 => {
            server.always("/", Step::status(503));
            server.always(BULK, Step::status(503));
        }
        3 => server.always(BULK, Step::status(413)),
        4 => {
            server.always(BULK, slow);
            let mut number = 0;
            server.refuse(move |_| {
                number += 1;
                (number % 3 == 0).then_some(Refusal::TOO_MANY)
            });
        }
        _ => {
            server.always(BULK, Step::emulate());
            let mut number = 0;
            server.refuse(move |_| {
                number += 1;
                (number % 50 == 0).then_some(Refusal::MAPPING)
            });
        }
    }
}

#[test]
fn each_document_is_in_one_count_at_any_moment() {
    let server = Server::start();
    let folder = support::scratch();
    let mut exporter = open(&server, folder.path());
    let mut random = Random::new(16);
    let mut was_so = [false; 5];
    for number in 1..=RECORDS {
        if number.is_multiple_of(400) {
            change(&server, &mut random);
            exporter.tick(Timestamp::from_millis(number)).unwrap();
            thread::sleep(Duration::from_millis(random.below(400)));
        }
        let mut record = datagram();
        record.key.source[..8].copy_from_slice(&number.to_be_bytes());
        exporter.export(&Batch::from(&[record][..])).unwrap();
        for _ in 0..3 {
            let fates = fates(&*exporter);
            assert_eq!(fates.iter().sum::<u64>(), number, "{fates:?} {:?}", exporter.counts());
            was_so.iter_mut().zip(fates).for_each(|(was_so, count)| *was_so |= count > 0);
        }
    }
    assert_eq!(was_so, [true; 5], "each of them was seen");
    server.always("/", Step::status(503));
    server.always(BULK, Step::status(503));
    exporter.finish().unwrap();
    let [delivered, dead, _lost, spooled, in_memory] = fates(&*exporter);
    assert_eq!(fates(&*exporter).iter().sum::<u64>(), RECORDS, "{:?}", exporter.counts());
    assert_eq!(in_memory, 0);
    drop(exporter);

    // The documents are where the counts say.
    let at_cluster: BTreeSet<_> = server.documents().into_iter().map(|item| item.id).collect();
    assert_eq!(at_cluster.len() as u64, delivered);
    let in_spool = spooled_ids(&folder.path().join("spool"));
    assert_eq!(in_spool.len() as u64, spooled);
    assert!(in_spool.is_disjoint(&at_cluster));
    let lines = fs::read_to_string(folder.path().join("dead")).unwrap();
    let ids = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["action"]["create"]["_id"].as_str().unwrap().to_owned()
    });
    let in_file: BTreeSet<String> = ids.collect();
    assert_eq!(in_file.len() as u64, dead);
    assert!(in_file.is_disjoint(&at_cluster) && in_file.is_disjoint(&in_spool));
}
