//! The table of the biggest flows, as text for a terminal.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anstyle::{Reset, Style};
use flow::number::protocol;
use flow::words::{counted, grouped};
use flow::{
    Details, FlowKey, FlowRecord, IpVersion, KeyField, KeyFields, RecordTally, Tag, Tags,
    Timestamp, TunnelKind,
};

use crate::report::units;
use crate::settings::args::Order;

/// Content of a table.
#[derive(Debug)]
pub(super) struct Table<'a> {
    /// The flows to show, in order.
    pub(super) flows: &'a [(Subject, Flow)],
    /// The count for the order and the shares.
    pub(super) order: Order,
    /// The fields of the flow key. Others are not shown.
    pub(super) key: KeyFields,
    /// The sum over all flows.
    pub(super) whole: RecordTally,
    /// Number of known flows that are not shown.
    pub(super) smaller_flows: u64,
    /// Number of forgotten flows.
    pub(super) forgotten: u64,
}

/// A flow, and the tunnel of its packets: its kind, and its ID if that is a network identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Subject {
    key: FlowKey,
    tunnel: Option<(TunnelKind, Option<u32>)>,
}

impl Subject {
    pub(super) fn of(record: &FlowRecord, details: Option<&Details>) -> Self {
        let tunnel = details
            .and_then(|details| details.tunnel)
            .map(|tunnel| (tunnel.kind, tunnel.kind.id_is_network().then_some(tunnel.id)));
        Self { key: record.key, tunnel }
    }
}

/// The sum of all records of a flow.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) octets: u64,
    pub(super) packets: u64,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) tcp_control_bits: u8,
    pub(super) tags: Tags,
    /// The first name that was found in the payload.
    pub(super) name: Option<Arc<str>>,
}

impl Table<'_> {
    /// The table. Empty if there are no flows. Styles are for a terminal with this number of
    /// columns. A terminal that is too narrow gets fewer fields.
    pub(super) fn text(&self, columns: Option<usize>) -> String {
        let Some((_, first)) = self.flows.first() else { return String::new() };
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        let is_one_day = self.flows.iter().all(|(_, flow)| day(flow.start) == day(first.start));
        rows.extend(self.flows.iter().map(|(subject, flow)| self.row(subject, flow, is_one_day)));
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        });
        let mut shown = [true; COLUMNS];
        // TCP control bits are of no use where the protocol is not known.
        shown[PROTOCOL] = self.key.contains(KeyField::Protocol);
        shown[FLAGS] = shown[PROTOCOL];
        shown[SOURCE] = Side::Source.is_in(self.key);
        shown[DESTINATION] = Side::Destination.is_in(self.key);
        shown[TUNNEL] = self.flows.iter().any(|(subject, _)| subject.tunnel.is_some());
        shown[TAGS] = self.flows.iter().any(|(_, flow)| !flow.tags.is_empty());
        shown[NAME] = self.flows.iter().any(|(_, flow)| flow.name.is_some());
        let layout = Layout::fitting(widths, shown, columns.unwrap_or(usize::MAX));
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            let style = if index == 0 { Style::new().bold() } else { Style::new() };
            let reset = if index == 0 { Reset.render().to_string() } else { String::new() };
            for line in layout.lines(row) {
                writeln!(text, "{}{line}{reset}", style.render()).expect("a string takes all");
            }
        }
        let number = self.smaller_flows + self.forgotten;
        if number > 0 {
            let rest = counted(number, "smaller flow", "smaller flows");
            let dim = Style::new().dimmed();
            writeln!(text, "{}and {rest}{}", dim.render(), Reset.render())
                .expect("a string takes all");
        }
        text
    }

    fn row(&self, subject: &Subject, flow: &Flow, is_one_day: bool) -> [String; COLUMNS] {
        let key = &subject.key;
        let duration = Duration::from_millis(flow.end.millis_since(flow.start));
        let (part, whole) = match self.order {
            Order::Octets => (flow.octets, self.whole.octets),
            Order::Packets => (flow.packets, self.whole.packets),
        };
        [
            if is_one_day {
                units::time_of_day(flow.start)
            } else {
                units::date_and_time(flow.start)
            },
            units::time(duration),
            protocol_name(key.protocol),
            endpoint(key, Side::Source, self.key),
            endpoint(key, Side::Destination, self.key),
            control_bits(key, flow.tcp_control_bits),
            grouped(flow.packets),
            units::octets(flow.octets),
            percent(part, whole),
            tunnel_name(subject.tunnel),
            tag_names(flow.tags),
            shortened(flow.name.as_deref().unwrap_or_default()),
        ]
    }
}

const COLUMNS: usize = 12;

const HEADINGS: [&str; COLUMNS] = [
    "Start (UTC)",
    "Duration",
    "Protocol",
    "Source",
    "Destination",
    "Flags",
    "Packets",
    "Octets",
    "Share",
    "Tunnel",
    "Tags",
    "Name",
];

/// Between two columns.
const GAP: &str = "  ";

/// Columns by number.
const DURATION: usize = 1;
const PROTOCOL: usize = 2;
const SOURCE: usize = 3;
const DESTINATION: usize = 4;
const FLAGS: usize = 5;
const PACKETS: usize = 6;
const SHARE: usize = 8;
const TUNNEL: usize = 9;
const TAGS: usize = 10;
const NAME: usize = 11;

/// The columns that a narrow table omits, in this order.
const MISSED_LEAST: [usize; 8] = [FLAGS, 0, DURATION, TAGS, SHARE, PROTOCOL, NAME, TUNNEL];

/// Prefix of a destination below its source.
const TO: &str = "to ";

/// Layout of the columns in the available width.
struct Layout {
    widths: [usize; COLUMNS],
    shown: [bool; COLUMNS],
    /// The destination is below the source.
    stacked: bool,
}

impl Layout {
    fn fitting(widths: [usize; COLUMNS], shown: [bool; COLUMNS], room: usize) -> Self {
        let mut layout = Self { widths, shown, stacked: false };
        for column in MISSED_LEAST {
            if layout.width() <= room {
                return layout;
            }
            layout.shown[column] = false;
        }
        if layout.width() > room {
            if shown[SOURCE] && shown[DESTINATION] {
                layout.stacked = true;
                layout.shown[DESTINATION] = false;
                layout.widths[SOURCE] = widths[SOURCE].max(TO.len() + widths[DESTINATION]);
            }
            layout.shown[PACKETS] = layout.width() <= room;
        }
        layout
    }

    fn width(&self) -> usize {
        let fields = self.widths.iter().zip(self.shown).filter(|(_, shown)| *shown);
        let width: usize = fields.map(|(width, _)| width + GAP.len()).sum();
        width.saturating_sub(GAP.len())
    }

    fn lines(&self, row: &[String; COLUMNS]) -> Vec<String> {
        let cells = (0..COLUMNS).filter(|&column| self.shown[column]).map(|column| {
            let (cell, width) = (&row[column], self.widths[column]);
            if RIGHT[column] { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        let first = cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned();
        let second = self.stacked.then(|| format!("{TO}{}", row[DESTINATION]));
        std::iter::once(first).chain(second).collect()
    }
}

/// Numbers are aligned to the right.
const RIGHT: [bool; COLUMNS] =
    [false, true, false, false, false, false, true, true, true, false, false, false];

/// Characters of a name in a row.
const NAME_CHARACTERS: usize = 40;

/// The end of a name, which says more than its beginning.
fn shortened(name: &str) -> String {
    let count = name.chars().count();
    if count <= NAME_CHARACTERS {
        return name.to_owned();
    }
    let end = name.chars().skip(count + 3 - NAME_CHARACTERS);
    "...".chars().chain(end).collect()
}

/// Days since the epoch.
fn day(time: Timestamp) -> u64 {
    time.as_millis() / (24 * 60 * 60 * 1000)
}

pub(crate) fn protocol_name(number: u8) -> String {
    let name = match number {
        protocol::ICMP => "ICMP",
        protocol::IGMP => "IGMP",
        protocol::IPV4 => "IPIP",
        protocol::TCP => "TCP",
        protocol::UDP => "UDP",
        protocol::DCCP => "DCCP",
        protocol::IPV6 => "IPv6",
        protocol::GRE => "GRE",
        protocol::ESP => "ESP",
        protocol::AUTHENTICATION => "AH",
        protocol::ICMPV6 => "ICMPv6",
        protocol::EIGRP => "EIGRP",
        protocol::OSPF => "OSPF",
        protocol::PIM => "PIM",
        protocol::VRRP => "VRRP",
        protocol::SCTP => "SCTP",
        protocol::UDP_LITE => "UDPLite",
        other => return other.to_string(),
    };
    name.to_owned()
}

#[derive(Clone, Copy)]
enum Side {
    Source,
    Destination,
}

impl Side {
    /// The fields of the flow key with its address and its port.
    fn fields(self) -> [KeyField; 2] {
        match self {
            Self::Source => [KeyField::Source, KeyField::SourcePort],
            Self::Destination => [KeyField::Destination, KeyField::DestinationPort],
        }
    }

    /// Whether something of this side is in the flow key.
    fn is_in(self, fields: KeyFields) -> bool {
        self.fields().into_iter().any(|field| fields.contains(field))
    }
}

/// Address and port, as far as they are in the flow key: `*` is any address. For ICMP the
/// destination has type and code.
fn endpoint(key: &FlowKey, side: Side, fields: KeyFields) -> String {
    let (address, port) = match side {
        Side::Source => (key.source_address(), key.source_port),
        Side::Destination => (key.destination_address(), key.destination_port),
    };
    let [has_address, has_port] = side.fields().map(|field| fields.contains(field));
    let address = if has_address { address.to_string() } else { "*".to_owned() };
    // Ports of flows of several protocols together.
    let of_any = !fields.contains(KeyField::Protocol);
    match (key.protocol, side) {
        _ if !has_port => address,
        (number, _) if of_any || protocol::has_ports(number) => match key.ip_version {
            IpVersion::V6 if has_address => format!("[{address}]:{port}"),
            IpVersion::V4 | IpVersion::V6 => format!("{address}:{port}"),
        },
        (protocol::ICMP | protocol::ICMPV6, Side::Destination) => {
            let [kind, code] = port.to_be_bytes();
            format!("{address} {}", icmp(key.ip_version, kind, code))
        }
        _ => address,
    }
}

pub(super) fn icmp(version: IpVersion, kind: u8, code: u8) -> String {
    let name = match (version, kind) {
        (IpVersion::V4, 0) | (IpVersion::V6, 129) => "echo reply",
        (IpVersion::V4, 3) | (IpVersion::V6, 1) => "unreachable",
        (IpVersion::V4, 5) | (IpVersion::V6, 137) => "redirect",
        (IpVersion::V4, 8) | (IpVersion::V6, 128) => "echo request",
        (IpVersion::V4, 11) | (IpVersion::V6, 3) => "time exceeded",
        (IpVersion::V6, 2) => "packet too big",
        (IpVersion::V6, 133) => "router solicitation",
        (IpVersion::V6, 134) => "router advertisement",
        (IpVersion::V6, 135) => "neighbour solicitation",
        (IpVersion::V6, 136) => "neighbour advertisement",
        (IpVersion::V6, 143) => "multicast report",
        _ => return format!("type {kind} code {code}"),
    };
    name.to_owned()
}

/// `..AP.SF` and so on. Empty for other protocols.
fn control_bits(key: &FlowKey, bits: u8) -> String {
    if key.protocol != protocol::TCP {
        return String::new();
    }
    let letters = "CEUAPRSF".chars().enumerate();
    letters.map(|(place, letter)| if bits & 0x80 >> place == 0 { '.' } else { letter }).collect()
}

/// `VXLAN 7`, `GRE`. Empty without a tunnel.
fn tunnel_name(tunnel: Option<(TunnelKind, Option<u32>)>) -> String {
    match tunnel {
        Some((kind, Some(id))) => format!("{} {id}", kind.title()),
        Some((kind, None)) => kind.title().to_owned(),
        None => String::new(),
    }
}

fn tag_names(tags: Tags) -> String {
    tags.iter().map(Tag::name).collect::<Vec<_>>().join(" ")
}

pub(super) fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000).checked_div(u128::from(whole)).unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_in_utc() {
        let time = Timestamp::from_millis(1_709_164_801_007);
        assert_eq!(units::date_and_time(time), "2024-02-29 00:00:01.007");
        assert_eq!(units::time_of_day(time), "00:00:01.007");
    }

    #[test]
    fn fields_that_are_not_in_the_key_are_not_shown() {
        let key = FlowKey {
            ip_version: IpVersion::V4,
            source: [10; 16],
            destination: [11; 16],
            source_port: 1,
            destination_port: 2,
            protocol: protocol::TCP,
            type_of_service: 0,
            interface: 0,
        };
        let flow = Flow {
            octets: 40,
            packets: 1,
            start: Timestamp::default(),
            end: Timestamp::default(),
            tcp_control_bits: 2,
            tags: Tags::NONE,
            name: None,
        };
        let flows = [(Subject { key, tunnel: None }, flow)];
        for (fields, expected) in [
            ("src,dst,proto", "Protocol Source Destination Flags"),
            ("src,dst", "Source Destination"),
            ("dport,proto", "Protocol Destination Flags"),
            ("iface", ""),
        ] {
            let named = |field: &KeyField| fields.split(',').any(|name| name == field.name());
            let table = Table {
                flows: &flows,
                order: Order::Octets,
                key: KeyFields::new(KeyField::ALL.into_iter().filter(named)),
                whole: RecordTally { records: 1, packets: 1, octets: 40 },
                smaller_flows: 0,
                forgotten: 0,
            };
            let text = table.text(None);
            let headings = text.lines().next().unwrap_or_default();
            let (_, after) = headings.split_once("Duration").unwrap();
            let (shown, _) = after.split_once("Packets").unwrap();
            assert_eq!(shown.split_whitespace().collect::<Vec<_>>().join(" "), expected);
            assert_eq!(text.contains("10.10.10.10"), fields.contains("src"), "{text}");
            assert!(!text.contains("10.10.10.10:"), "{text}");
            assert_eq!(text.contains("*:2"), fields.contains("dport"), "{text}");
        }
    }

    #[test]
    fn narrow_tables_keep_what_tells_flows_apart() {
        let widths = [12, 10, 8, 22, 24, 8, 7, 6, 6, 0, 20, 0];
        let shown = |has_tags| {
            let mut shown = [true; COLUMNS];
            (shown[TUNNEL], shown[TAGS], shown[NAME]) = (false, has_tags, false);
            shown
        };
        let kept_of = |has_tags, room| {
            let layout = Layout::fitting(widths, shown(has_tags), room);
            (layout.shown.iter().filter(|shown| **shown).count(), layout.stacked)
        };
        // 123 columns and 9 gaps.
        assert_eq!(kept_of(true, 141), (10, false));
        assert_eq!(kept_of(true, 140), (9, false));
        assert!(
            Layout::fitting(widths, shown(true), 119).shown[TAGS],
            "tags say more than the start"
        );
        assert_eq!(kept_of(true, 80), (5, false));
        // 103 columns and 8 gaps, if no flow has tags.
        let kept = |room| kept_of(false, room);
        assert_eq!(kept(usize::MAX), (9, false));
        assert_eq!(kept(119), (9, false));
        assert_eq!(kept(118), (8, false));
        assert!(!Layout::fitting(widths, shown(false), 118).shown[FLAGS], "flags go first");
        assert_eq!(kept(80), (5, false));
        assert_eq!(kept(65), (4, false));
        assert_eq!(kept(64), (3, true));
        assert_eq!(kept(1), (2, true));
    }

    #[test]
    fn sixty_columns_have_room_for_the_longest_addresses() {
        let mut row = HEADINGS.map(str::to_owned);
        row[SOURCE] = format!("[{}]:65535", ["ffff"; 8].join(":"));
        row[DESTINATION] = row[SOURCE].clone();
        let widths = std::array::from_fn(|column| row[column].len());
        let lines = Layout::fitting(widths, [true; COLUMNS], 60).lines(&row);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with(&row[SOURCE]) && lines[0].ends_with("Octets"), "{lines:?}");
        assert_eq!(lines[1], format!("to {}", row[DESTINATION]));
        assert!(lines.iter().all(|line| line.len() <= 60), "{lines:?}");
    }
}
