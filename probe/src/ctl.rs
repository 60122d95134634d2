//! `flowprobe ctl`: asks a run that goes on.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use exporter::{escaped_json, sentence};
use flow::number::protocol;
use flow::words::{counted, grouped};
use log::error;
use serde_json::Value;
use web::lost_records;

use crate::report::escape::Escaped;
use crate::report::stdout::print;
use crate::report::table::protocol_name;
use crate::report::units::{count, octets};
use crate::settings::service::{CtlArguments, CtlCommand};

/// How long the run may be silent: new settings may take a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks, and prints the answer. `false` if there is none, or if the run says that it cannot do it.
pub(crate) fn ask(CtlArguments { socket, command }: &CtlArguments) -> bool {
    match answer(socket, command) {
        Ok(text) => print(text.as_bytes()),
        Err(problem) => {
            error!("{problem}");
            false
        }
    }
}

/// The answer in words.
///
/// # Errors
///
/// The program cannot be asked, or it says that it cannot do it; in one sentence.
fn answer(socket: &Path, command: &CtlCommand) -> Result<String, String> {
    let request = match command {
        CtlCommand::Stats | CtlCommand::Outputs => "stats".to_owned(),
        CtlCommand::Flows { meant, sort, limit, .. } => {
            let sort = sort.iter().map(|order| format!("sort={order}"));
            let limit = limit.iter().map(|number| format!("limit={number}"));
            let words: Vec<_> = meant.words().into_iter().chain(sort).chain(limit).collect();
            format!("flows {}", words.join(" "))
        }
        CtlCommand::Expire { all: true, .. } => "expire all".to_owned(),
        CtlCommand::Expire { meant, .. } => format!("expire {}", meant.words().join(" ")),
        CtlCommand::Pause { output } => format!("pause {output}"),
        CtlCommand::Resume { output } => format!("resume {output}"),
        CtlCommand::Reload => "reload".to_owned(),
        CtlCommand::LogLevel { level } => format!("log-level {level}"),
    };
    let line = exchange(socket, &request).map_err(|problem| {
        if problem.kind() == ErrorKind::UnexpectedEof {
            return format!("{}: the program ended before it answered", socket.display());
        }
        let problem = sentence(&problem);
        format!("{}: {problem}; is it the --control of the run?", socket.display())
    })?;
    let answer: Value = serde_json::from_str(&line)
        .map_err(|_invalid| format!("{}: the answer is no JSON", socket.display()))?;
    if let Some(problem) = answer["error"].as_str() {
        return Err(problem.to_owned());
    }
    let statistics = &answer["statistics"];
    Ok(match command {
        CtlCommand::Stats => escaped_json(&statistics.to_string()) + "\n",
        CtlCommand::Outputs => outputs(&statistics["outputs"]),
        CtlCommand::Flows { json: true, .. } => escaped_json(&answer.to_string()) + "\n",
        CtlCommand::Flows { .. } => flows(&answer),
        CtlCommand::Expire { .. } => expired(answer["expired"].as_u64().unwrap_or_default()),
        CtlCommand::Pause { output } => format!("{}: paused\n", Escaped(output)),
        CtlCommand::Resume { output } => format!("{}: sends again\n", Escaped(output)),
        CtlCommand::Reload => "the settings are in force\n".to_owned(),
        CtlCommand::LogLevel { level } => format!("messages from now on: {level}\n"),
    })
}

/// The line of the answer. It is [`ErrorKind::UnexpectedEof`] if the connection ends before.
fn exchange(socket: &Path, request: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    let sent = stream.write_all(format!("{request}\n").as_bytes());
    match sent.and_then(|()| BufReader::new(stream).read_line(&mut line)) {
        Ok(_) if line.ends_with('\n') => Ok(line),
        Ok(_) => Err(ErrorKind::UnexpectedEof.into()),
        Err(problem) => {
            let is_closed =
                matches!(problem.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
            Err(if is_closed { ErrorKind::UnexpectedEof.into() } else { problem })
        }
    }
}

/// What became of flows that were to end.
fn expired(number: u64) -> String {
    let what = match number {
        0 => "none in the table was meant",
        1 => "its record goes to the outputs",
        _ => "their records go to the outputs",
    };
    format!("{} ended; {what}\n", counted(number, "flow", "flows"))
}

/// A line for each output.
fn outputs(outputs: &Value) -> String {
    let mut text = String::new();
    for output in outputs.as_array().into_iter().flatten() {
        let is = |what: &str| output[what] == true;
        let state = match output["error"].as_str() {
            Some(problem) => format!("gave up: {problem}"),
            None if is("removed") => "removed".to_owned(),
            None if is("paused") => "paused".to_owned(),
            None => "sends".to_owned(),
        };
        let name = output["output"].as_str().unwrap_or_default();
        let sent = counted(records(output, "sent"), "record", "records");
        let [lost, spooled] = [lost_records(output), records(output, "spooled")].map(grouped);
        let line = format!("{name}: {state}, {sent} sent, {lost} lost, {spooled} spooled");
        writeln!(text, "{}", Escaped(line)).expect("a string takes all");
        for collector in output["collectors"].as_array().into_iter().flatten() {
            writeln!(text, "{}", Escaped(collector_words(collector))).expect("a string takes all");
        }
    }
    text
}

/// A number of records of an output or of a collector.
fn records(owner: &Value, what: &str) -> u64 {
    owner[what]["records"].as_u64().unwrap_or_default()
}

/// A collector of a group, below its output.
fn collector_words(collector: &Value) -> String {
    let name = collector["collector"].as_str().unwrap_or_default();
    let state = if collector["away"] == true { "away" } else { "sends" };
    let sent = counted(records(collector, "sent"), "record", "records");
    let [lost, moved] = ["failed", "moved"].map(|what| grouped(records(collector, what)));
    format!("  {name}: {state}, {sent} sent, {lost} lost, {moved} went to others")
}

/// Columns of the table of flows, with whether they are of numbers.
const HEADINGS: [(&str, bool); 7] = [
    ("Prot", false),
    ("Source", false),
    ("Destination", false),
    ("Pkts", true),
    ("Octets", true),
    ("Start", false),
    ("Last", false),
];

/// A line for each flow, which has 80 columns at most with IPv4, and the number of all that were
/// meant.
fn flows(answer: &Value) -> String {
    let flows = answer["flows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let headings = HEADINGS.map(|(heading, _)| heading.to_owned());
    let mut rows: Vec<_> = flows.iter().map(row).collect();
    if !rows.is_empty() {
        rows.insert(0, headings);
    }
    let widths: [usize; HEADINGS.len()] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).zip(HEADINGS).map(|((cell, width), (_, is_number))| {
            if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        let line = cells.collect::<Vec<_>>().join(" ");
        writeln!(text, "{}", Escaped(line.trim_end())).expect("a string takes all");
    }
    let matched = answer["matched"].as_u64().unwrap_or_default();
    let utc = if rows.is_empty() { "" } else { "; times are in UTC" };
    let shown = grouped(flows.len() as u64);
    writeln!(text, "{shown} of {} shown{utc}", counted(matched, "flow", "flows"))
        .expect("a string takes all");
    text
}

/// A flow in the columns of [`HEADINGS`].
fn row(flow: &Value) -> [String; HEADINGS.len()] {
    let number = |what: &str| flow[what].as_u64().unwrap_or_default();
    let protocol = u8::try_from(number("protocol")).unwrap_or_default();
    let side = |address: &str, port: &str| {
        let address: Option<IpAddr> = flow[address].as_str().and_then(|text| text.parse().ok());
        let port = u16::try_from(number(port)).unwrap_or_default();
        address.map_or_else(String::new, |it| match protocol::has_ports(protocol) {
            true => SocketAddr::new(it, port).to_string(),
            false => it.to_string(),
        })
    };
    let mut destination = side("destination", "destination_port");
    if matches!(protocol, protocol::ICMP | protocol::ICMPV6) {
        // Type and code.
        let port = number("destination_port");
        write!(destination, " {}/{}", port >> 8, port & 0xff).expect("a string takes all");
    }
    // The time of day, without a fraction: no flow is older than a day.
    let time = |what: &str| {
        let text = flow[what].as_str().unwrap_or_default();
        text.get(11..19).unwrap_or_default().to_owned()
    };
    [
        protocol_name(protocol),
        side("source", "source_port"),
        destination,
        count(number("packets")),
        octets(number("octets")),
        time("start"),
        time("end"),
    ]
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use serde_json::json;

    use super::*;

    #[test]
    fn flows_of_ipv4_fit_into_80_columns() {
        let flow = |protocol: u8, port: u16, number: u64| {
            json!({
                "source": "192.168.200.200", "source_port": port,
                "destination": "203.0.113.200", "destination_port": port,
                "protocol": protocol, "packets": number, "octets": number,
                "start": "2026-01-31T09:30:00.125Z", "end": "2026-01-31T09:31:02.250Z",
            })
        };
        let mut widest = flow(protocol::DCCP, 65_535, 999_499_999);
        widest["destination"] = "255.255.255.255".into();
        let flows_json = [flow(protocol::ICMP, 0x0800, 1), widest];
        let text = flows(&json!({ "flows": flows_json, "matched": 12_345 }));
        let expected = "\
Prot Source                Destination            Pkts Octets Start    Last
ICMP 192.168.200.200       203.0.113.200 8/0         1    1 B 09:30:00 09:31:02
DCCP 192.168.200.200:65535 255.255.255.255:65535 999 M 999 MB 09:30:00 09:31:02
2 of 12,345 flows shown; times are in UTC
";
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let none = flows(&json!({ "flows": [], "matched": 0 }));
        assert_eq!(none, "0 of 0 flows shown\n");
    }

    #[test]
    fn numbers_of_outputs_are_grouped() {
        let output = json!([{
            "output": "json:-", "sent": { "records": 1_234_567 }, "failed": { "records": 1_000 },
            "dropped": { "records": 200 }, "dead_lettered": { "records": 34 },
            "spooled": { "records": 0 },
        }]);
        assert_eq!(
            outputs(&output),
            "json:-: sends, 1,234,567 records sent, 1,234 lost, 0 spooled\n"
        );
        assert_eq!(expired(0), "0 flows ended; none in the table was meant\n");
        assert_eq!(expired(2_000), "2,000 flows ended; their records go to the outputs\n");
    }

    #[test]
    fn a_run_that_ends_before_its_answer_is_said_to_have_ended() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control");
        let listener = UnixListener::bind(&socket).unwrap();
        // Nothing, a space of a run that waits for its workers, and a part of an answer.
        for part in ["", " ", "{\"expired\":"] {
            let said = thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut request = [0; 6];
                    stream.read_exact(&mut request).unwrap();
                    assert_eq!(&request, b"stats\n");
                    stream.write_all(part.as_bytes()).unwrap();
                });
                answer(&socket, &CtlCommand::Stats).unwrap_err()
            });
            let expected = format!("{}: the program ended before it answered", socket.display());
            assert_eq!(said, expected, "{part:?}");
        }
    }
}
