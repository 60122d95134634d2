//! Traffic over time: rings of buckets, from flow records by class and by interface, and from the
//! packet counters for all traffic.
//!
//! A record has the times of the start and the end of its flow, but not of each packet. Its packets
//! and octets are spread evenly over the time between those, so that the sum over all buckets
//! equals the sum of the records, and two records of a flow that goes on overlap in no bucket.

use flow::number::{icmp, icmpv6, port, protocol, tcp_control};
use flow::{FlowRecord, IpVersion, Timestamp};
use serde_json::{Map, Value, json};

use crate::memory::Memory;
use crate::ring::{Points, Ring};
use crate::sum::Sum;

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

/// Buckets of a ring.
const SECONDS: usize = 3600;
const MINUTES: usize = 1440;

/// Name of a span of time, its length, and the width of its points, in seconds.
const SPANS: [(&str, u64, u64); 4] =
    [("5m", 300, 1), ("15m", 900, 3), ("1h", 3600, 12), ("24h", 86_400, 300)];

/// A span of time that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) seconds: u64,
    /// Width of a point, in seconds.
    pub(crate) step: u64,
}

impl Span {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, String> {
        let text = text.unwrap_or(SPANS[0].0);
        let (_, seconds, step) =
            *SPANS.iter().find(|(name, ..)| *name == text).ok_or("span is 5m, 15m, 1h or 24h")?;
        Ok(Self { seconds, step })
    }
}

/// The classes that include all traffic.
const WHOLE: usize = 4;

/// The classes of a record.
struct Classes {
    list: [usize; 3],
    count: usize,
}

impl Classes {
    fn of(record: &FlowRecord) -> Self {
        let mut classes = Self { list: [0; 3], count: 0 };
        let key = &record.key;
        let has_port = |port| key.source_port == port || key.destination_port == port;
        if key.is_icmp() {
            classes.push(Class::Icmp);
            let [kind, _] = key.destination_port.to_be_bytes();
            let unreachable = match key.ip_version {
                IpVersion::V4 => icmp::UNREACHABLE,
                IpVersion::V6 => icmpv6::UNREACHABLE,
            };
            if kind == unreachable {
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
                if has_port(port::DNS) {
                    classes.push(Class::Dns);
                }
            }
            protocol::UDP => {
                classes.push(Class::Udp);
                classes.push(if has_port(port::DNS) {
                    Class::Dns
                } else if has_port(port::NTP) {
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
        self.list[self.count] = class as usize;
        self.count += 1;
    }

    fn list(&self) -> &[usize] {
        &self.list[..self.count]
    }
}

/// Traffic of one kind: the last hour in seconds, and the last day in minutes, by the time of
/// packets.
#[derive(Debug)]
struct Traffic<const CLASSES: usize> {
    seconds: Ring<CLASSES>,
    minutes: Ring<CLASSES>,
}

impl<const CLASSES: usize> Traffic<CLASSES> {
    const OCTETS: usize = (SECONDS + MINUTES) * size_of::<[Sum; CLASSES]>();

    fn new() -> Self {
        Self { seconds: Ring::new(1, SECONDS), minutes: Ring::new(60, MINUTES) }
    }

    fn both(&mut self) -> [&mut Ring<CLASSES>; 2] {
        [&mut self.seconds, &mut self.minutes]
    }

    fn ring(&self, span: Span) -> &Ring<CLASSES> {
        if span.step >= self.minutes.width { &self.minutes } else { &self.seconds }
    }
}

/// Traffic over time.
#[derive(Debug)]
pub(crate) struct Series {
    all: Traffic<{ NAMES.len() }>,
    /// The first interfaces that had a record.
    interfaces: Vec<(u32, Traffic<{ NAMES.len() }>)>,
    /// Whether there are more interfaces than there is memory for.
    has_others: bool,
    /// By the packet counters.
    counted: Traffic<1>,
}

/// What is wanted of the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// The classes of all traffic.
    Classes,
    /// The classes of the traffic of this interface.
    OfInterface(u32),
    /// The interfaces.
    Interfaces,
}

impl View {
    /// # Errors
    ///
    /// A word is unknown; in one sentence.
    pub(crate) fn parse(by: Option<&str>, interface: Option<&str>) -> Result<Self, String> {
        match (by.unwrap_or("class"), interface.map(str::parse)) {
            ("class", None) => Ok(Self::Classes),
            ("class", Some(Ok(number))) => Ok(Self::OfInterface(number)),
            ("class", Some(Err(_not_a_number))) => Err("interface is a number".to_owned()),
            ("interface", None) => Ok(Self::Interfaces),
            ("interface", Some(_)) => Err("by=interface shows all interfaces".to_owned()),
            _ => Err("by is class or interface".to_owned()),
        }
    }
}

impl Series {
    /// Octets of memory for an interface.
    pub(crate) const OCTETS_EACH: usize = Traffic::<{ NAMES.len() }>::OCTETS;

    /// Octets of memory for so many interfaces.
    pub(crate) const fn octets(interfaces: usize) -> usize {
        (interfaces + 1) * Self::OCTETS_EACH + Traffic::<1>::OCTETS
    }

    pub(crate) fn new(memory: &Memory) -> Self {
        Self {
            all: Traffic::new(),
            interfaces: Vec::with_capacity(memory.interfaces),
            has_others: false,
            counted: Traffic::new(),
        }
    }

    /// Adds a record. No time is later than when it was exported or collected: an exporter whose
    /// clock is ahead would put all others out of the ring.
    pub(crate) fn add(&mut self, record: &FlowRecord) {
        let end = record.end.min(record.exported);
        let start = record.start.min(end);
        let classes = Classes::of(record);
        let counts = Sum::of(record);
        let number = record.key.interface;
        let known = self.interfaces.iter().position(|(known, _)| *known == number);
        let of_interface = match known {
            Some(at) => Some(at),
            None if self.interfaces.len() < self.interfaces.capacity() => {
                self.interfaces.push((number, Traffic::new()));
                Some(self.interfaces.len() - 1)
            }
            None => {
                self.has_others = true;
                None
            }
        };
        let of_interface = of_interface.map(|at| &mut self.interfaces[at].1);
        for traffic in [Some(&mut self.all), of_interface].into_iter().flatten() {
            for ring in traffic.both() {
                ring.add(start..end, counts, classes.list());
            }
        }
    }

    /// Adds what the packet counters say of the time between two looks at them.
    pub(crate) fn count(&mut self, from: Timestamp, to: Timestamp, counts: Sum) {
        self.counted.both().into_iter().for_each(|ring| ring.add(from..to, counts, &[0]));
    }

    /// Counts in points of equal width.
    pub(crate) fn value(&self, span: Span, view: View) -> Value {
        let (ring, counted) = (self.all.ring(span), self.counted.ring(span));
        let key = if view == View::Interfaces { "interfaces" } else { "classes" };
        let mut value = json!({ "step": span.step });
        let Some(points) = Points::of(span, ring, counted) else {
            value[key] = json!({});
            return value;
        };
        value["start"] = points.start().into();
        value[key] = match view {
            View::Classes => classes(&points, ring),
            View::OfInterface(number) => {
                let known = self.interfaces.iter().find(|(known, _)| *known == number);
                known.map_or_else(|| json!({}), |(_, traffic)| classes(&points, traffic.ring(span)))
            }
            View::Interfaces => self.by_interface(&points, span),
        };
        if counted.latest.is_some() && !matches!(view, View::OfInterface(_)) {
            let mut counted = Sum::lists(&points.sums(counted, 0..1));
            // Flows are not counted there.
            counted.as_object_mut().and_then(|counted| counted.remove("flows"));
            value["counted"] = counted;
        }
        value
    }

    fn by_interface(&self, points: &Points, span: Span) -> Value {
        let mut others = points.sums(self.all.ring(span), 0..WHOLE);
        let mut interfaces = Map::new();
        for (number, traffic) in &self.interfaces {
            let sums = points.sums(traffic.ring(span), 0..WHOLE);
            others.iter_mut().zip(&sums).for_each(|(others, sum)| *others -= *sum);
            interfaces.insert(number.to_string(), Sum::lists(&sums));
        }
        if self.has_others {
            interfaces.insert("others".to_owned(), Sum::lists(&others));
        }
        Value::Object(interfaces)
    }
}

fn classes(points: &Points, ring: &Ring<{ NAMES.len() }>) -> Value {
    let value = |class| Sum::lists(&points.sums(ring, class..class + 1));
    let classes = NAMES.iter().enumerate().map(|(class, name)| ((*name).to_owned(), value(class)));
    Value::Object(classes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::record;

    fn sum(value: &Value, count: &str) -> u64 {
        let classes = NAMES[..WHOLE].iter().map(|class| &value["classes"][*class][count]);
        let points = classes.flat_map(|points| points.as_array().into_iter().flatten());
        points.filter_map(Value::as_u64).sum()
    }

    #[test]
    fn what_is_spread_adds_up() {
        let mut series = Series::new(&Memory::default());
        for (start, end, packets) in [(0, 0, 1), (1_000, 62_500, 7), (250_000, 250_999, 100)] {
            series.add(&record(start, end, packets));
        }
        for span in ["5m", "15m", "1h", "24h"] {
            let value = series.value(Span::parse(Some(span)).expect("a span"), View::Classes);
            assert_eq!(sum(&value, "packets"), 108, "{span}");
            assert_eq!(sum(&value, "octets"), 10_800, "{span}");
            assert_eq!(sum(&value, "flows"), 3, "{span}");
        }
    }

    #[test]
    fn a_bucket_is_forgotten_when_its_place_is_needed() {
        let mut series = Series::new(&Memory::default());
        let hour = Span::parse(Some("1h")).expect("a span");
        series.add(&record(1_000, 1_000, 5));
        series.add(&record(3_599_000, 3_599_000, 1));
        assert_eq!(sum(&series.value(hour, View::Classes), "packets"), 6);
        series.add(&record(3_601_000, 3_601_000, 1));
        assert_eq!(sum(&series.value(hour, View::Classes), "packets"), 2);
        // A record from years later, and then one from before that.
        series.add(&record(1 << 50, 1 << 50, 3));
        series.add(&record(1_000, 1_000, 9));
        assert_eq!(sum(&series.value(hour, View::Classes), "packets"), 3);
    }

    #[test]
    fn a_clock_that_is_ahead_puts_nothing_out_of_the_ring() {
        let mut series = Series::new(&Memory::default());
        series.add(&record(1_000, 1_000, 5));
        let ahead = record(1 << 50, 1 << 51, 3);
        series.add(&FlowRecord { exported: Timestamp::from_millis(2_000), ..ahead });
        series.add(&record(3_000, 3_000, 1));
        let value = series.value(Span::parse(None).expect("a span"), View::Classes);
        assert_eq!(sum(&value, "packets"), 9);
        let packets = value["classes"]["tcp"]["packets"].as_array().expect("points");
        assert_eq!(packets[packets.len() - 3..], [json!(5), json!(3), json!(1)]);
    }

    #[test]
    fn a_flow_longer_than_the_ring_costs_no_more_than_the_ring() {
        let mut series = Series::new(&Memory::default());
        series.add(&record(0, 1 << 52, u64::MAX));
        let hour = series.value(Span::parse(Some("1h")).expect("a span"), View::Classes);
        assert!(sum(&hour, "packets") < 1 << 45);
    }

    #[test]
    fn records_of_a_flow_that_goes_on_are_level() {
        let mut series = Series::new(&Memory::default());
        series.add(&record(10_500, 15_500, 500));
        series.add(&record(15_500, 20_500, 500));
        let value = series.value(Span::parse(None).expect("a span"), View::Classes);
        let packets = value["classes"]["tcp"]["packets"].as_array().expect("points");
        let last = packets.iter().rev().filter_map(Value::as_u64).take(12).collect::<Vec<_>>();
        assert_eq!(last, [50, 100, 100, 100, 100, 100, 100, 100, 100, 100, 50, 0]);
    }

    #[test]
    fn interfaces_add_up_to_all() {
        let mut series = Series::new(&Memory { interfaces: 1, ..Memory::default() });
        for (interface, packets) in [(3, 7), (9, 2), (3, 1)] {
            let mut record = record(1_000, 4_500, packets);
            record.key.interface = interface;
            series.add(&record);
        }
        let span = Span::parse(None).expect("a span");
        let value = series.value(span, View::Interfaces);
        let packets = |points: &Value| {
            let points = points["packets"].as_array().into_iter().flatten();
            points.filter_map(Value::as_u64).sum::<u64>()
        };
        assert_eq!(packets(&value["interfaces"]["3"]), 8, "{value}");
        assert_eq!(packets(&value["interfaces"]["others"]), 2, "{value}");
        assert_eq!(sum(&series.value(span, View::OfInterface(3)), "octets"), 800);
        assert_eq!(series.value(span, View::OfInterface(9))["classes"], json!({}));
        assert_eq!(value.get("counted"), None);
    }

    #[test]
    fn packet_counters_are_ahead_of_records() {
        let mut series = Series::new(&Memory::default());
        series.add(&record(10_000, 12_000, 30));
        let at = Timestamp::from_millis;
        let counts = |packets| Sum { octets: packets * 100, packets, flows: 0 };
        series.count(at(14_500), at(15_500), counts(10));
        series.count(at(15_500), at(16_100), counts(6));
        let span = Span::parse(None).expect("a span");
        let value = series.value(span, View::Classes);
        let packets = value["counted"]["packets"].as_array().expect("points");
        // The second that is not over is left out.
        assert_eq!(
            packets.iter().rev().take(3).collect::<Vec<_>>(),
            [&json!(10), &5.into(), &0.into()]
        );
        assert_eq!(
            value["classes"]["tcp"]["packets"].as_array().map(Vec::len),
            Some(packets.len())
        );
        assert_eq!(sum(&value, "packets"), 30);
        let end = value["start"].as_u64().expect("a time") + packets.len() as u64 * 1000;
        assert_eq!(end, 16_000);
    }

    #[test]
    fn a_view_is_of_classes_or_interfaces() {
        assert_eq!(View::parse(None, Some("7")), Ok(View::OfInterface(7)));
        assert_eq!(View::parse(Some("interface"), None), Ok(View::Interfaces));
        for (by, interface) in
            [(Some("x"), None), (None, Some("x")), (Some("interface"), Some("1"))]
        {
            assert!(View::parse(by, interface).is_err(), "{by:?} {interface:?}");
        }
    }
}
