//! The table of the biggest flows, for a replay without outputs.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anstyle::{Reset, Style};
use exporter::{ExportCounts, ExportError, Exporter, MeterReport};
use flow::number::protocol;
use flow::{Batch, Conversation, FlowKey, FlowRecord, IpVersion, RecordTally, Timestamp};
use terminal_size::terminal_size;

use crate::report::units;
use crate::settings::args::Order;
use crate::settings::config::TopSettings;

/// So many flows are kept; when there are twice as many, the smaller half is forgotten.
const KEPT: usize = 65_536;

/// The name of this output in the totals.
pub(crate) const NAME: &str = "table";

/// Adds up the records of each flow and keeps the biggest flows.
#[derive(Debug)]
pub(crate) struct TopFlows {
    settings: TopSettings,
    flows: HashMap<FlowKey, Flow>,
    given: RecordTally,
    /// Events, for which the table has no place.
    events: u64,
    /// Flows that were forgotten: if one came again, its row is too small by what was before.
    forgotten: u64,
    /// Live, on a terminal.
    status: Option<Status>,
}

/// A line above the table, written by another thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status(Arc<Mutex<String>>);

impl Status {
    pub(crate) fn set(&self, line: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }

    fn line(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All records of a flow together.
#[derive(Clone, Copy, Debug)]
struct Flow {
    octets: u64,
    packets: u64,
    start: Timestamp,
    end: Timestamp,
    tcp_control_bits: u8,
}

impl TopFlows {
    pub(crate) fn new(settings: TopSettings) -> Self {
        let given = RecordTally::default();
        Self { settings, flows: HashMap::new(), given, events: 0, forgotten: 0, status: None }
    }

    /// The same, drawn again and again under a line that says how the run does.
    pub(crate) fn shown_on(self, status: Status) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Draws the table over what was there before.
    fn draw(&self, status: &Status) {
        const TO_THE_TOP: &str = "\x1b[H";
        const CLEAR_LINE: &str = "\x1b[K\n";
        const CLEAR_BELOW: &str = "\x1b[J";
        let columns = terminal_size().map(|(width, _)| width.0.into());
        let text = format!("{}\n\n{}", status.line(), self.table(columns));
        let text = text.replace('\n', CLEAR_LINE);
        // The terminal may have gone; then the run is about to end.
        drop(write!(anstream::stdout(), "{TO_THE_TOP}{text}{CLEAR_BELOW}"));
    }

    fn add(&mut self, record: &FlowRecord) {
        self.given.count(record);
        let flow = self.flows.entry(record.key).or_insert(Flow {
            octets: 0,
            packets: 0,
            start: record.start,
            end: record.end,
            tcp_control_bits: 0,
        });
        flow.octets += record.octets;
        flow.packets += record.packets;
        flow.start = flow.start.min(record.start);
        flow.end = flow.end.max(record.end);
        flow.tcp_control_bits |= record.tcp_control_bits;
        if self.flows.len() == 2 * KEPT {
            let mut order = self.in_order();
            self.forgotten += (order.len() - KEPT) as u64;
            order.truncate(KEPT);
            self.flows = order.into_iter().collect();
        }
    }

    /// The biggest first; where they are as big as each other, by key.
    fn in_order(&self) -> Vec<(FlowKey, Flow)> {
        let mut order: Vec<_> = self.flows.iter().map(|(key, flow)| (*key, *flow)).collect();
        order.sort_unstable_by_key(|(key, flow)| {
            Reverse(match self.settings.order {
                Order::Octets => (flow.octets, flow.packets, Reverse(*key)),
                Order::Packets => (flow.packets, flow.octets, Reverse(*key)),
            })
        });
        order
    }

    /// The table, or nothing if there are no flows. Styles are for a terminal, of so many columns:
    /// where it is too narrow, the fields that are missed least are left out.
    pub(crate) fn table(&self, columns: Option<usize>) -> String {
        let order = self.in_order();
        let shown = &order[..order.len().min(self.settings.flows)];
        if shown.is_empty() {
            return String::new();
        }
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        rows.extend(shown.iter().map(|(key, flow)| self.row(key, flow)));
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        });
        let shown_fields = fitting(&widths, columns.unwrap_or(usize::MAX));
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            let style = if index == 0 { Style::new().bold() } else { Style::new() };
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                .zip(RIGHT)
                .zip(shown_fields)
                .filter(|(_, shown)| *shown)
                .map(
                    |(((cell, width), right), _)| {
                        if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                    },
                )
                .collect();
            let line = cells.join(GAP);
            let reset = if index == 0 { Reset.render().to_string() } else { String::new() };
            writeln!(text, "{}{}{reset}", style.render(), line.trim_end())
                .expect("a string takes all");
        }
        let rest = order.len() - shown.len();
        if rest > 0 {
            let rest = units::grouped(rest as u64 + self.forgotten);
            let dim = Style::new().dimmed();
            writeln!(text, "{}and {rest} smaller flows{}", dim.render(), Reset.render())
                .expect("a string takes all");
        }
        text
    }

    fn row(&self, key: &FlowKey, flow: &Flow) -> [String; COLUMNS] {
        let duration = Duration::from_millis(flow.end.millis_since(flow.start));
        let (part, whole) = match self.settings.order {
            Order::Octets => (flow.octets, self.given.octets),
            Order::Packets => (flow.packets, self.given.packets),
        };
        [
            time_of_day(flow.start),
            units::time(duration),
            protocol_name(key),
            endpoint(key, Side::Source),
            endpoint(key, Side::Destination),
            control_bits(key, flow.tcp_control_bits),
            units::grouped(flow.packets),
            units::octets(flow.octets),
            percent(part, whole),
        ]
    }
}

impl Exporter for TopFlows {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        batch.records.iter().for_each(|record| self.add(record));
        self.events += batch.events.len() as u64;
        Ok(())
    }

    fn observe(&mut self, _meter: &MeterReport) {}

    fn tick(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        if let Some(status) = &self.status {
            self.draw(status);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    fn counts(&self) -> ExportCounts {
        ExportCounts {
            sent: self.given,
            events_not_exportable: self.events,
            ..ExportCounts::default()
        }
    }

    fn conversations(&self) -> Vec<Conversation> {
        Vec::new()
    }
}

const COLUMNS: usize = 9;

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
];

/// Between two columns.
const GAP: &str = "  ";

/// What is left out of a narrow table, the first first: flags, start, duration, share, protocol.
const MISSED_LEAST: [usize; 5] = [5, 0, 1, 8, 2];

/// The columns that fit in so much room.
fn fitting(widths: &[usize; COLUMNS], room: usize) -> [bool; COLUMNS] {
    let mut shown = [true; COLUMNS];
    for column in MISSED_LEAST {
        let fields = widths.iter().zip(shown).filter(|(_, shown)| *shown);
        let width: usize = fields.map(|(width, _)| width + GAP.len()).sum();
        if width <= room.saturating_add(GAP.len()) {
            break;
        }
        shown[column] = false;
    }
    shown
}

/// Numbers stand on the right.
const RIGHT: [bool; COLUMNS] = [false, true, false, false, false, false, true, true, true];

fn time_of_day(time: Timestamp) -> String {
    let seconds = time.as_millis() / 1000;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{:03}", time.as_millis() % 1000)
}

fn protocol_name(key: &FlowKey) -> String {
    let name = match key.protocol {
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

/// Address and port; for ICMP the destination has type and code.
fn endpoint(key: &FlowKey, side: Side) -> String {
    let (address, port) = match side {
        Side::Source => (key.source_address(), key.source_port),
        Side::Destination => (key.destination_address(), key.destination_port),
    };
    match (key.protocol, side) {
        (number, _) if protocol::has_ports(number) => match key.ip_version {
            IpVersion::V4 => format!("{address}:{port}"),
            IpVersion::V6 => format!("[{address}]:{port}"),
        },
        (protocol::ICMP | protocol::ICMPV6, Side::Destination) => {
            let [kind, code] = port.to_be_bytes();
            format!("{address} {}", icmp(key.ip_version, kind, code))
        }
        _ => address.to_string(),
    }
}

fn icmp(version: IpVersion, kind: u8, code: u8) -> String {
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

/// `..AP.SF` and so on; nothing for other protocols.
fn control_bits(key: &FlowKey, bits: u8) -> String {
    if key.protocol != protocol::TCP {
        return String::new();
    }
    let letters = "CEUAPRSF".chars().enumerate();
    letters.map(|(place, letter)| if bits & 0x80 >> place == 0 { '.' } else { letter }).collect()
}

fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000).checked_div(u128::from(whole)).unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_tables_keep_what_tells_flows_apart() {
        let widths = [12, 10, 8, 22, 24, 8, 7, 6, 6];
        let kept = |room| fitting(&widths, room).iter().filter(|shown| **shown).count();
        // 103 columns and 8 gaps.
        assert_eq!(kept(usize::MAX), COLUMNS);
        assert_eq!(kept(119), COLUMNS);
        assert_eq!(kept(118), COLUMNS - 1);
        assert!(!fitting(&widths, 118)[5], "flags go first");
        assert_eq!(kept(80), COLUMNS - 4);
        assert_eq!(kept(1), COLUMNS - MISSED_LEAST.len());
    }
}
