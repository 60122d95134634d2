//! What tshark says of the packets of a capture.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// These fields of all packets that pass a display filter. Options come before them.
pub fn packets<const FIELDS: usize>(
    path: &Path,
    filter: &str,
    options: &[&str],
    fields: [&str; FIELDS],
) -> Vec<[String; FIELDS]> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-Y", filter, "-T", "fields"]).args(options).arg("-r").arg(path);
    for field in fields {
        tshark.args(["-e", field]);
    }
    // A capture that is cut off at its end is no reason to fail.
    let output = tshark.output().expect("tshark runs");
    let of_line = |line: &str| {
        let fields: Vec<_> = line.split('\t').map(str::to_owned).collect();
        fields.try_into().unwrap_or_else(|_fields| panic!("{line}"))
    };
    String::from_utf8_lossy(&output.stdout).lines().map(of_line).collect()
}

/// Puts this between several values of a field.
pub const BETWEEN: [&str; 2] = ["-E", "aggregator=^"];

/// The first of several values.
pub fn first(values: &str) -> &str {
    values.split('^').next().unwrap_or_default()
}

/// That of the innermost packet, which is the last of several values.
pub fn last(values: &str) -> &str {
    values.rsplit('^').next().unwrap_or_default()
}

/// The innermost of these protocols, from `frame.protocols`.
pub fn innermost<'a>(protocols: &'a str, among: [&str; 2]) -> &'a str {
    first(protocols).rsplit(':').find(|name| among.contains(name)).unwrap_or_default()
}

/// An end of a flow in a document, as the ends that are made of tshark's fields.
pub fn end_of(side: &Value) -> String {
    format!("{} {}", side["ip"].as_str().unwrap_or_default(), side["port"])
}
