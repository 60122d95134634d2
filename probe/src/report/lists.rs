//! Top lists, as text for a terminal.

use std::fmt::Write as _;

use analysis::top::{Counted, Measure, Subject, Subjects, TopList};
use anstyle::{Reset, Style};
use exporter::wrapped;
use flow::IpVersion;
use flow::number::protocol;
use flow::words::grouped;

use crate::report::table::{icmp, percent, protocol_name};
use crate::report::units;

/// All lists, one below the other, for a terminal with this number of columns.
pub(super) fn text(lists: &[TopList], rows: usize, columns: Option<usize>) -> String {
    let lists: Vec<_> = lists.iter().map(|list| list_text(list, rows, columns)).collect();
    lists.join("\n")
}

/// A list. Empty if it has no entries.
fn list_text(list: &TopList, rows: usize, columns: Option<usize>) -> String {
    let (largest, measure) = (list.largest(rows), list.by().measure);
    if largest.is_empty() {
        return String::new();
    }
    let mut cells = vec![headings(list)];
    cells.extend(largest.iter().map(|(subject, counted)| {
        let share = list.whole().map(|whole| percent(counted.most, whole)).unwrap_or_default();
        [subject_words(*subject), range(measure, *counted), share]
    }));
    let widths: [usize; 3] = std::array::from_fn(|column| {
        cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let width = widths.iter().sum::<usize>() + 2 * GAP.len();
    let is_stacked = columns.is_some_and(|columns| width > columns);
    let mut text = String::new();
    for (index, [subject, count, share]) in cells.iter().enumerate() {
        let style = if index == 0 { Style::new().bold() } else { Style::new() };
        let reset = if index == 0 { Reset.render().to_string() } else { String::new() };
        let [a, b, c] = widths;
        // On a narrow terminal the numbers are below what they are of.
        let line = match columns.filter(|_| is_stacked) {
            Some(columns) => {
                format!("{}\n{GAP}{count:>b$}{GAP}{share:>c$}", wrapped(subject, columns, 0))
            }
            None => format!("{subject:<a$}{GAP}{count:>b$}{GAP}{share:>c$}"),
        };
        writeln!(text, "{}{}{reset}", style.render(), line.trim_end()).expect("a string takes all");
    }
    if let Some(most) = list.missing_at_most() {
        let (dim, most) = (Style::new().dimmed(), one(measure, most));
        writeln!(text, "{}any other has {most} at most{}", dim.render(), Reset.render())
            .expect("a string takes all");
    }
    text
}

/// Between two columns.
const GAP: &str = "  ";

fn headings(list: &TopList) -> [String; 3] {
    let subject = match list.by().subjects {
        Subjects::Sources => "Source",
        Subjects::Destinations => "Destination",
        Subjects::Conversations => "Conversation",
        Subjects::Ports => "Port",
    };
    let count = match list.by().measure {
        Measure::Sessions => "Sessions",
        Measure::Targets => "Targets",
        Measure::Octets => "Octets",
        Measure::Packets => "Packets",
    };
    let share = if list.whole().is_some() { "Share" } else { "" };
    [subject, count, share].map(str::to_owned)
}

fn subject_words(subject: Subject) -> String {
    match subject {
        Subject::Host(address) => address.to_string(),
        Subject::Pair(one, other) => format!("{one} and {other}"),
        Subject::Port(number, port) if protocol::has_ports(number) => {
            format!("{port} {}", protocol_name(number))
        }
        Subject::Port(number, message) => {
            let [kind, code] = message.to_be_bytes();
            let name = protocol_name(number);
            match number {
                protocol::ICMP => format!("{name} {}", icmp(IpVersion::V4, kind, code)),
                protocol::ICMPV6 => format!("{name} {}", icmp(IpVersion::V6, kind, code)),
                _ => name,
            }
        }
    }
}

/// `1,200`, or `1,100 to 1,200`.
fn range(measure: Measure, Counted { least, most }: Counted) -> String {
    if least == most {
        return one(measure, most);
    }
    format!("{} to {}", one(measure, least), one(measure, most))
}

fn one(measure: Measure, count: u64) -> String {
    match measure {
        Measure::Octets => units::octets(count),
        Measure::Sessions | Measure::Targets | Measure::Packets => grouped(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_and_ranges_are_words() {
        for (subject, words) in [
            (Subject::Host("2001:db8::1".parse().unwrap()), "2001:db8::1"),
            (
                Subject::Pair("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()),
                "10.0.0.1 and 10.0.0.2",
            ),
            (Subject::Port(6, 443), "443 TCP"),
            (Subject::Port(1, 8 << 8), "ICMP echo request"),
            (Subject::Port(58, 135 << 8), "ICMPv6 neighbour solicitation"),
            (Subject::Port(47, 0), "GRE"),
            (Subject::Port(99, 0), "99"),
        ] {
            assert_eq!(subject_words(subject), words);
        }
        assert_eq!(range(Measure::Packets, Counted { least: 1200, most: 1200 }), "1,200");
        assert_eq!(range(Measure::Targets, Counted { least: 0, most: 12 }), "0 to 12");
    }
}
