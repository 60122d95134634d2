//! The incidents that the detectors found, as text for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use analysis::detect::RULES;
use anstyle::{Reset, Style};
use exporter::wrapped;
use flow::words::grouped;
use flow::{Event, EventKind, Timestamp, Value};

use crate::report::escape::Escaped;
use crate::report::units::{date_and_time, time, time_of_day};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Maximum number of incidents that are kept. Later ones are counted.
const KEPT: usize = 10_000;

/// Maximum number of incidents that are shown.
const SHOWN: usize = 25;

/// Incidents by ID, each as last reported.
#[derive(Debug, Default)]
pub(crate) struct IncidentList {
    incidents: BTreeMap<String, Incident>,
    more: u64,
}

#[derive(Debug)]
struct Incident {
    severity: u64,
    rule: String,
    start: Timestamp,
    duration: Duration,
    reason: String,
}

impl IncidentList {
    /// Records an event if it is an alert. Returns whether it is one.
    pub(crate) fn note(&mut self, event: &Event) -> bool {
        if event.kind != EventKind::Alert {
            return false;
        }
        let field = |name| event.fields.iter().find(|(field, _)| *field == name).map(|it| &it.1);
        let text = |name| match field(name) {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let number = |name| match field(name) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        };
        let Some(Value::Text(id)) = field("event.id") else {
            self.more += number("flowprobe.alert.count");
            return true;
        };
        if self.incidents.len() >= KEPT && !self.incidents.contains_key(id) {
            self.more += 1;
            return true;
        }
        let start = match field("event.start") {
            Some(Value::Time(start)) => *start,
            _ => event.time,
        };
        let incident = Incident {
            severity: number("event.severity"),
            rule: text("rule.id"),
            start,
            duration: Duration::from_nanos(number("event.duration")),
            reason: text("event.reason"),
        };
        self.incidents.insert(id.clone(), incident);
        true
    }

    /// The incidents, the most severe first. Empty if there are none. On a terminal with fewer
    /// columns than a line needs, what happened is below.
    pub(crate) fn text(&self, columns: Option<usize>) -> String {
        let mut incidents: Vec<_> = self.incidents.iter().collect();
        incidents.sort_by_key(|(id, it)| (u64::MAX - it.severity, it.start, *id));
        let shown = incidents.len().min(SHOWN);
        let day = |it: &Incident| it.start.as_millis() / DAY_MS;
        let Some((_, first)) = incidents.first() else { return String::new() };
        let is_one_day = incidents.iter().all(|(_, incident)| day(incident) == day(first));
        let rows = incidents[..shown].iter().map(|(_, incident)| incident.row(is_one_day));
        let rows: Vec<_> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
        let widths: [usize; 4] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        });
        let columns = columns.unwrap_or(usize::MAX);
        let longest = rows.iter().map(|row| row[4].chars().count()).max().unwrap_or(0);
        let is_stacked = widths.iter().sum::<usize>() + 4 * GAP.len() + longest > columns;
        let mut text = String::new();
        for (index, [severity, start, duration, rule, what]) in rows.iter().enumerate() {
            let (style, reset) = match index {
                0 => (Style::new().bold(), Reset.render().to_string()),
                _ => (Style::new(), String::new()),
            };
            let [a, b, c, d] = widths;
            let first = format!("{severity:<a$}  {start:<b$}  {duration:>c$}  {rule:<d$}");
            let what = Escaped(what);
            let line = if is_stacked {
                wrapped(&format!("{}\n{GAP}{what}", first.trim_end()), columns, GAP.len())
            } else {
                format!("{first}{GAP}{what}")
            };
            writeln!(text, "{}{line}{reset}", style.render()).expect("a string takes all");
        }
        let more = (incidents.len() - shown) as u64 + self.more;
        if more > 0 {
            writeln!(text, "and {} more", grouped(more)).expect("a string takes all");
        }
        text
    }
}

/// Between two columns.
const GAP: &str = "  ";

const HEADINGS: [&str; 5] = ["Incident", "Start (UTC)", "Duration", "Rule", "What"];

impl Incident {
    fn row(&self, is_one_day: bool) -> [String; 5] {
        let severity = match self.severity {
            0..47 => "low",
            47..73 => "medium",
            73..99 => "high",
            _ => "critical",
        };
        [
            severity.to_owned(),
            if is_one_day { time_of_day(self.start) } else { date_and_time(self.start) },
            time(self.duration),
            self.rule.clone(),
            self.reason.clone(),
        ]
    }
}

/// `flowprobe rules`: all rules with their thresholds and their meanings. Lines are broken at the
/// columns of the terminal, or at 80 without one.
pub(crate) fn rules(columns: Option<usize>) -> String {
    const HANG: usize = 4;
    const COLUMNS: usize = 80;
    let mut text = String::new();
    for rule in &RULES {
        let inside = rule
            .threshold_inside
            .map_or_else(String::new, |inside| format!(", {} for sources inside", grouped(inside)));
        let window = match rule.windows_together() {
            Some(windows) => format!("sliding {} s, {windows} together", rule.window_s),
            None => format!("window {} s", rule.window_s),
        };
        writeln!(
            text,
            "{}\n{:HANG$}{}\n{:HANG$}threshold {} {}{inside}; {window}",
            rule.id,
            "",
            rule.meaning,
            "",
            grouped(rule.threshold),
            rule.unit
        )
        .expect("a string takes all");
    }
    wrapped(&text, columns.unwrap_or(COLUMNS), HANG)
}
