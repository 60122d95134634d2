//! Traffic over time, from flow records: two rings of buckets, by class.
//!
//! A record has the times of the start and the end of its flow, but not of each packet. Its packets
//! and octets are spread evenly over the buckets between those, so that the sum over all buckets
//! equals the sum of the records.

use flow::number::{protocol, tcp_control};
use flow::{FlowRecord, IpVersion, Timestamp};
use serde_json::{Map, Value, json};

/// A class of traffic. The first four include all traffic. The others are subsets of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Tcp,
    Udp,
    Icmp,
    Other,
    SynOnly,
    Dns,
    Ntp,
    UdpOther,
    Unreachable,
}

/// The names of the classes, in their order.
const NAMES: [&str; 9] =
    ["tcp", "udp", "icmp", "other", "syn_only", "dns", "ntp", "udp_other", "unreachable"];

const DNS: u16 = 53;
const NTP: u16 = 123;

/// Type 3 of ICMP (RFC 792) and type 1 of ICMPv6 (RFC 4443).
const UNREACHABLE: [u16; 2] = [3, 1];

/// Maximum number of points in an answer.
const POINTS_MAX: u64 = 300;

/// Minimum number of points in an answer.
const POINTS_MIN: u64 = 30;

/// Name of a span of time, its length, and the width of its points, in seconds.
const SPANS: [(&str, u64, u64); 4] =
    [("5m", 300, 1), ("15m", 900, 3), ("1h", 3600, 12), ("24h", 86_400, 300)];

/// A span of time that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) seconds: u64,
    /// Width of a point, in seconds.
    step: u64,
}

impl Span {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, String> {
        let text = text.unwrap_or(SPANS[0].0);
        let (_, seconds, step) =
            *SPANS.iter().find(|(name, ..)| *name == text).ok_or("span is 5m, 15m, 1h or 24h")?;
        Ok(Self { seconds, step })
    }
}

/// Counts of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(crate) flows: u64,
}

type Cell = [Counts; NAMES.len()];

/// Buckets of the same width. A new one replaces the oldest.
#[derive(Debug)]
struct Ring {
    /// Width of a bucket, in seconds.
    width: u64,
    cells: Vec<Cell>,
    /// The number of the latest bucket since the epoch; `None` before the first record.
    latest: Option<u64>,
    /// The earliest bucket that was ever used.
    earliest: u64,
}

impl Ring {
    fn new(width: u64, cells: usize) -> Self {
        Self { width, cells: vec![Cell::default(); cells], latest: None, earliest: u64::MAX }
    }

    fn len(&self) -> u64 {
        self.cells.len() as u64
    }

    /// The place of a bucket; `None` if it is older than the ring.
    fn place(&self, bucket: u64) -> Option<usize> {
        let latest = self.latest?;
        if bucket > latest || latest - bucket >= self.len() {
            return None;
        }
        usize::try_from(bucket % self.len()).ok()
    }

    /// Makes this bucket the latest, if it is later. The buckets from the old latest one to this
    /// one are cleared.
    fn advance(&mut self, bucket: u64) {
        let begin = match self.latest {
            None => bucket,
            Some(latest) if bucket <= latest => return,
            Some(latest) => (latest + 1).max((bucket + 1).saturating_sub(self.len())),
        };
        self.latest = Some(bucket);
        for new in begin..=bucket {
            if let Some(place) = self.place(new) {
                self.cells[place] = Cell::default();
            }
        }
    }

    fn add(&mut self, record: &FlowRecord, classes: &Classes) {
        let bucket = |time: Timestamp| time.as_millis() / 1000 / self.width;
        let (first, last) = (bucket(record.start), bucket(record.end));
        self.advance(last);
        self.earliest = self.earliest.min(first);
        let parts = last - first + 1;
        let share = |count: u64, part: u64| {
            let upto = |part: u64| u128::from(count) * u128::from(part) / u128::from(parts);
            // A part of a 64-bit number fits in 64 bits.
            u64::try_from(upto(part + 1) - upto(part)).unwrap_or(u64::MAX)
        };
        // Of a flow that is longer than the ring, only the end has buckets.
        for part in parts.saturating_sub(self.len())..parts {
            let Some(place) = self.place(first + part) else { continue };
            let packets = share(record.packets, part);
            let octets = share(record.octets, part);
            for class in classes.list() {
                let cell = &mut self.cells[place][*class as usize];
                cell.packets += packets;
                cell.octets += octets;
                cell.flows += u64::from(part == 0);
            }
        }
    }

    fn value(&self, span: Span) -> Value {
        let Some(latest) = self.latest else { return json!({ "step": span.step, "classes": {} }) };
        let buckets = (span.step / self.width).max(1);
        let points = (span.seconds / span.step).min(POINTS_MAX);
        // Points begin at multiples of their width, so that they are the same in later requests.
        let end = latest / buckets + 1;
        // Points before the first record have no information, but a chart needs a minimum of
        // points.
        let begin = (self.earliest / buckets).min(end.saturating_sub(POINTS_MIN));
        let begin = begin.max(end.saturating_sub(points));
        let mut classes = Map::new();
        for (class, name) in NAMES.iter().enumerate() {
            let (mut packets, mut octets, mut flows) = (Vec::new(), Vec::new(), Vec::new());
            for point in begin..end {
                let cells = (point * buckets..(point + 1) * buckets)
                    .filter_map(|bucket| self.place(bucket))
                    .map(|place| self.cells[place][class]);
                let sum = cells.fold(Counts::default(), |sum, cell| Counts {
                    packets: sum.packets + cell.packets,
                    octets: sum.octets + cell.octets,
                    flows: sum.flows + cell.flows,
                });
                packets.push(sum.packets);
                octets.push(sum.octets);
                flows.push(sum.flows);
            }
            let counts = json!({ "packets": packets, "octets": octets, "flows": flows });
            classes.insert((*name).to_owned(), counts);
        }
        let start = begin * buckets * self.width * 1000;
        json!({ "start": start, "step": span.step, "classes": classes })
    }
}

/// The classes of a record.
struct Classes {
    list: [Class; 3],
    count: usize,
}

impl Classes {
    fn of(record: &FlowRecord) -> Self {
        let mut classes = Self { list: [Class::Other; 3], count: 0 };
        let key = &record.key;
        let has_port = |port| key.source_port == port || key.destination_port == port;
        if key.is_icmp() {
            classes.push(Class::Icmp);
            let is_unreachable = match key.ip_version {
                IpVersion::V4 => key.destination_port >> 8 == UNREACHABLE[0],
                IpVersion::V6 => key.destination_port >> 8 == UNREACHABLE[1],
            };
            if is_unreachable {
                classes.push(Class::Unreachable);
            }
            return classes;
        }
        match key.protocol {
            protocol::TCP => {
                classes.push(Class::Tcp);
                if record.tcp_control_bits == tcp_control::SYN {
                    classes.push(Class::SynOnly);
                }
                if has_port(DNS) {
                    classes.push(Class::Dns);
                }
            }
            protocol::UDP => {
                classes.push(Class::Udp);
                classes.push(if has_port(DNS) {
                    Class::Dns
                } else if has_port(NTP) {
                    Class::Ntp
                } else {
                    Class::UdpOther
                });
            }
            _ => classes.push(Class::Other),
        }
        classes
    }

    fn push(&mut self, class: Class) {
        self.list[self.count] = class;
        self.count += 1;
    }

    fn list(&self) -> &[Class] {
        &self.list[..self.count]
    }
}

/// The last hour in seconds, and the last day in minutes, by the time of packets.
#[derive(Debug)]
pub(crate) struct Series {
    seconds: Ring,
    minutes: Ring,
}

impl Series {
    pub(crate) fn new() -> Self {
        Self { seconds: Ring::new(1, 3600), minutes: Ring::new(60, 1440) }
    }

    pub(crate) fn add(&mut self, record: &FlowRecord) {
        let classes = Classes::of(record);
        self.seconds.add(record, &classes);
        self.minutes.add(record, &classes);
    }

    /// Counts by class, in points of equal width.
    pub(crate) fn value(&self, span: Span) -> Value {
        let ring = if span.step >= self.minutes.width { &self.minutes } else { &self.seconds };
        ring.value(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::record;

    /// Number of classes that include all traffic.
    const WHOLE: usize = 4;

    fn sum(value: &Value, count: &str) -> u64 {
        let classes = NAMES[..WHOLE].iter().map(|class| &value["classes"][*class][count]);
        let points = classes.flat_map(|points| points.as_array().into_iter().flatten());
        points.filter_map(Value::as_u64).sum()
    }

    #[test]
    fn what_is_spread_adds_up() {
        let mut series = Series::new();
        for (start, end, packets) in [(0, 0, 1), (1_000, 62_500, 7), (250_000, 250_999, 100)] {
            series.add(&record(start, end, packets));
        }
        for span in ["5m", "15m", "1h", "24h"] {
            let value = series.value(Span::parse(Some(span)).expect("a span"));
            assert_eq!(sum(&value, "packets"), 108, "{span}");
            assert_eq!(sum(&value, "octets"), 10_800, "{span}");
            assert_eq!(sum(&value, "flows"), 3, "{span}");
        }
    }

    #[test]
    fn a_bucket_is_forgotten_when_its_place_is_needed() {
        let mut series = Series::new();
        let hour = Span::parse(Some("1h")).expect("a span");
        series.add(&record(1_000, 1_000, 5));
        series.add(&record(3_599_000, 3_599_000, 1));
        assert_eq!(sum(&series.value(hour), "packets"), 6);
        series.add(&record(3_601_000, 3_601_000, 1));
        assert_eq!(sum(&series.value(hour), "packets"), 2);
        // A record from years later, and then one from before that.
        series.add(&record(1 << 50, 1 << 50, 3));
        series.add(&record(1_000, 1_000, 9));
        assert_eq!(sum(&series.value(hour), "packets"), 3);
    }

    #[test]
    fn a_flow_longer_than_the_ring_costs_no_more_than_the_ring() {
        let mut series = Series::new();
        series.add(&record(0, 1 << 52, u64::MAX));
        let hour = series.value(Span::parse(Some("1h")).expect("a span"));
        assert!(sum(&hour, "packets") < 1 << 45);
    }
}
