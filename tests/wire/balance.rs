//! A group of collectors: which of them gets what, and what becomes of the share of one that dies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use exporter::{CollectorCounts, Context, Exporter, Patience};
use flow::{Batch, RecordTally, Timestamp};

use crate::collector::{assert_accounted, context, open};
use crate::record::{T0, key, record};
use crate::support::ipfix::{Record, number, session};

/// Information elements of the five-tuple.
const SOURCE: u16 = 8;
const SOURCE_PORT: u16 = 7;
const DESTINATION: u16 = 12;
const DESTINATION_PORT: u16 = 11;

/// Conversations of a round; each has two records.
const ROUND: u16 = 200;

/// A collector on the loopback interface.
struct Collector {
    at: SocketAddr,
    /// `None` while it is dead.
    socket: Option<UdpSocket>,
    octets: Vec<u8>,
}

impl Collector {
    fn new() -> Self {
        let mut collector = Self {
            at: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            socket: None,
            octets: Vec::new(),
        };
        collector.start();
        collector
    }

    /// Listens, at the port of before if there was one. What came before is forgotten.
    fn start(&mut self) {
        let socket = UdpSocket::bind(self.at).expect("a port on the loopback interface");
        socket.set_nonblocking(true).unwrap();
        self.at = socket.local_addr().unwrap();
        self.octets.clear();
        self.socket = Some(socket);
    }

    fn receive(&mut self) {
        let mut datagram = [0; 2000];
        while let Some(Ok(length)) = self.socket.as_ref().map(|it| it.recv(&mut datagram)) {
            self.octets.extend_from_slice(&datagram[..length]);
        }
    }

    /// The flows so far, behind templates.
    fn flows(&self) -> Vec<Record> {
        session(&self.octets).iter().flat_map(|it| it.flows().cloned()).collect()
    }

    /// The conversations so far, each with the number of its records.
    fn conversations(&self) -> BTreeMap<BTreeSet<(u64, u64)>, usize> {
        let mut found = BTreeMap::new();
        for flow in self.flows() {
            let side = |address, port| (number(&flow, address), number(&flow, port));
            let sides = [side(SOURCE, SOURCE_PORT), side(DESTINATION, DESTINATION_PORT)];
            *found.entry(BTreeSet::from(sides)).or_default() += 1;
        }
        found
    }
}

/// A group of three collectors, as a live run has it.
struct Group {
    exporter: Box<dyn Exporter>,
    collectors: Vec<Collector>,
    given: RecordTally,
    now: u64,
}

impl Group {
    fn new(scheme: &str) -> Self {
        let collectors: Vec<_> = (0..3).map(|_| Collector::new()).collect();
        let urls = collectors.iter().map(|it| format!("{scheme}://{}", it.at));
        let output = format!("balance:{}?takeover=1s&pps=0", urls.collect::<Vec<_>>().join(","));
        let context = Context { patience: Patience::GoOn, ..context() };
        let exporter = open(&output, &context);
        Self { exporter, collectors, given: RecordTally::default(), now: T0 }
    }

    /// Both directions of the same conversations each time, the answers in a batch of their own.
    fn round(&mut self) {
        let there = |port| key("10.0.0.1", 10_000 + port, "10.0.0.2", 53, 17);
        let back = |port| key("10.0.0.2", 53, "10.0.0.1", 10_000 + port, 17);
        for keys in [(0..ROUND).map(there).collect::<Vec<_>>(), (0..ROUND).map(back).collect()] {
            let records = keys.iter().map(|key| record(*key, self.now, self.now, self.now));
            let batch = Batch::from(records.collect::<Vec<_>>());
            batch.records.iter().for_each(|record| self.given.count(record));
            self.exporter.export(&batch).unwrap();
            self.collectors.iter_mut().for_each(Collector::receive);
        }
        self.tick();
    }

    fn tick(&mut self) {
        self.now += 50;
        self.exporter.tick(Timestamp::from_millis(self.now)).unwrap();
        self.collectors.iter_mut().for_each(Collector::receive);
    }

    fn counts(&self, collector: usize) -> CollectorCounts {
        self.exporter.collectors().swap_remove(collector)
    }

    fn wait_until(&mut self, what: &str, each: fn(&mut Self), is_so: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(begin.elapsed() < Duration::from_secs(20), "not in time: {what}");
            each(self);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the session. The counts of the group are the sum of those of its collectors.
    fn finish(mut self) -> Self {
        self.exporter.finish().unwrap();
        self.collectors.iter_mut().for_each(Collector::receive);
        let counts = self.exporter.counts();
        assert_accounted(self.given, &counts);
        let all = self.exporter.collectors();
        let sum = |of: fn(&CollectorCounts) -> u64| all.iter().map(of).sum::<u64>();
        assert_eq!(sum(|it| it.counts.sent.records), counts.sent.records);
        assert_eq!(sum(|it| it.counts.failed.octets), counts.failed.octets);
        self
    }
}

#[test]
fn both_directions_of_a_conversation_reach_one_collector() {
    let mut group = Group::new("ipfix");
    (0..3).for_each(|_| group.round());
    let group = group.finish();
    let mut all = BTreeSet::new();
    for (index, collector) in group.collectors.iter().enumerate() {
        let conversations = collector.conversations();
        let share = conversations.len();
        assert!((ROUND / 6..ROUND / 2).contains(&(share as u16)), "{share}");
        assert!(conversations.values().all(|&records| records == 6), "{conversations:?}");
        let CollectorCounts { counts, moved, is_away, .. } = group.counts(index);
        assert_eq!(counts.sent.records, 6 * share as u64);
        assert!(moved.records == 0 && !is_away);
        all.extend(conversations.into_keys());
    }
    assert_eq!(all.len(), usize::from(ROUND), "each is at one collector");
}

#[test]
fn others_get_the_share_of_a_collector_that_is_away_until_it_is_back() {
    let mut group = Group::new("ipfix");
    group.round();
    let share = group.collectors[1].flows().len() as u64;
    assert!(share > 0);
    group.collectors[1].socket = None;
    group.wait_until("it is away", Group::round, |group| group.counts(1).is_away);
    // What was refused is counted, and from now on nothing is.
    let before = group.counts(1);
    assert!(before.counts.failed.records > 0, "{before:?}");
    let there = |group: &Group| [0, 2].map(|index| group.collectors[index].flows().len());
    let had: usize = there(&group).iter().sum();
    group.round();
    let after = group.counts(1);
    assert_eq!(after.counts.failed, before.counts.failed);
    assert_eq!(after.moved.records, before.moved.records + share);
    let got = there(&group).iter().sum::<usize>() - had;
    assert_eq!(got, 2 * usize::from(ROUND), "nothing is lost");
    // It is back: it has templates before its first record, and its own share again.
    group.collectors[1].start();
    group.wait_until("it is back", Group::tick, |group| !group.counts(1).is_away);
    group.round();
    assert_eq!(group.collectors[1].flows().len() as u64, share);
    assert!(!group.counts(1).is_away);
    let lost = group.counts(1).counts.failed.records;
    let group = group.finish();
    assert_eq!(group.exporter.counts().failed.records, lost, "only one was away");
}

#[test]
fn netflow5_finds_a_collector_again_by_some_of_its_records() {
    let mut group = Group::new("netflow5");
    group.round();
    group.collectors[2].socket = None;
    group.wait_until("it is away", Group::round, |group| group.counts(2).is_away);
    group.collectors[2].start();
    group.wait_until("it is back", Group::round, |group| !group.counts(2).is_away);
    group.round();
    assert!(!group.collectors[2].octets.is_empty());
    group.finish();
}
