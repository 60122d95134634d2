//! What tshark dissects: a row for each frame, each field with all its values in the frame.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::support;

/// The fields that are asked for.
const FIELDS: &[&str] = &[
    "frame.time_epoch",
    "frame.protocols",
    "vlan.id",
    "ieee8021ad.id",
    "ieee8021ad.svid",
    "ip.src",
    "ip.dst",
    "frame.len",
    "ip.len",
    "ip.proto",
    "ip.dsfield",
    "ip.ttl",
    "ip.id",
    "ip.flags.mf",
    "ip.frag_offset",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.plen",
    "ipv6.tclass",
    "ipv6.hlim",
    "ipv6.nxt",
    "ipv6.hopopts.nxt",
    "ipv6.routing.nxt",
    "ipv6.dstopts.nxt",
    "ipv6.fraghdr.nxt",
    "ipv6.fraghdr.offset",
    "ipv6.fraghdr.more",
    "ipv6.fraghdr.ident",
    "ipv6.opt.jumbo",
    "ah.next_header",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.flags",
    "udp.srcport",
    "udp.dstport",
    "sctp.srcport",
    "sctp.dstport",
    "dccp.srcport",
    "dccp.dstport",
    "icmp.type",
    "icmp.code",
    "icmpv6.type",
    "icmpv6.code",
];

/// A frame.
pub struct Row<'a>(HashMap<&'static str, &'a str>);

impl<'a> Row<'a> {
    /// The first value of a field: that of the outermost header that has it.
    pub fn text(&self, field: &str) -> Option<&'a str> {
        self.values(field).next()
    }

    pub fn number(&self, field: &str) -> Option<u64> {
        self.nth_number(field, 0)
    }

    /// The value of a field in the header so far in.
    pub fn nth_number(&self, field: &str, index: usize) -> Option<u64> {
        let text = self.nth(field, index)?;
        let number = match (text, text.strip_prefix("0x")) {
            ("True", _) => Ok(1),
            ("False", _) => Ok(0),
            (_, Some(digits)) => u64::from_str_radix(digits, 16),
            (_, None) => text.parse(),
        };
        Some(number.unwrap_or_else(|_| panic!("{field} is {text}")))
    }

    /// The value of a field in the header so far in, as text.
    pub fn nth(&self, field: &str, index: usize) -> Option<&'a str> {
        self.values(field).nth(index)
    }

    /// The dissectors that were at work, outermost first.
    pub fn protocols(&self) -> impl Iterator<Item = &'a str> {
        self.0["frame.protocols"].split(':')
    }

    fn values(&self, field: &str) -> impl Iterator<Item = &'a str> {
        let values = self.0.get(field).unwrap_or_else(|| panic!("{field} is not among FIELDS"));
        values.split(',').filter(|value| !value.is_empty())
    }
}

/// What tshark printed of a capture.
#[derive(Debug)]
pub struct Dissection(Vec<String>);

impl Dissection {
    /// Dissects captures without defragmentation; none where Wireshark's tools do not take a file
    /// for a capture. tshark takes longer to start than for a small capture, so that it gets all
    /// of them in one file, one after another.
    pub fn of_all(captures: &[PathBuf]) -> Vec<Option<Self>> {
        let folder = support::scratch();
        let frames = frame_counts(captures);
        let merged = folder.path().join("merged.pcapng");
        let files = captures.iter().zip(&frames).filter_map(|(path, count)| count.map(|_| path));
        let mut mergecap = Command::new("mergecap");
        mergecap.args(["-a", "-I", "none", "-w"]).arg(&merged).args(files);
        let output = mergecap.output().expect("mergecap runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = dissect(&folder, &merged);
        let mut lines = lines.lines().map(str::to_owned);
        let mut take = |count| Self(lines.by_ref().take(count).collect());
        let dissections = frames.into_iter().map(|count| count.map(&mut take)).collect();
        assert_eq!(lines.next(), None, "all frames belong to a capture");
        dissections
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.0.iter().map(|line| Row(FIELDS.iter().copied().zip(line.split('\t')).collect()))
    }
}

/// Real captures, and what tshark dissects of each; none, with a line that says so, where something
/// is missing.
pub fn real_captures() -> Option<&'static (Vec<PathBuf>, Vec<Option<Dissection>>)> {
    static ALL: OnceLock<(Vec<PathBuf>, Vec<Option<Dissection>>)> = OnceLock::new();
    let captures = support::real_captures();
    if captures.is_empty() {
        support::skip_without("a folder of real captures");
        return None;
    }
    if !support::has_tshark() {
        return None;
    }
    Some(ALL.get_or_init(|| {
        let dissections = Dissection::of_all(&captures);
        assert!(dissections.iter().flatten().any(|one| one.rows().count() > 0), "frames");
        (captures, dissections)
    }))
}

/// How many frames each capture has; none where a file is not a capture.
fn frame_counts(captures: &[PathBuf]) -> Vec<Option<usize>> {
    let output = Command::new("capinfos").args(["-T", "-r", "-m", "-c"]).args(captures).output();
    let output = String::from_utf8(output.expect("capinfos runs").stdout).expect("a table");
    let counts: HashMap<&str, usize> = output
        .lines()
        .map(|line| line.rsplit_once(',').expect("a file and a number"))
        .map(|(file, count)| (file, count.parse().expect("a number of frames")))
        .collect();
    captures.iter().map(|path| counts.get(path.to_str().unwrap()).copied()).collect()
}

/// A line for each frame.
fn dissect(folder: &TempDir, capture: &Path) -> String {
    let mut tshark = Command::new("tshark");
    // Settings of whoever runs the test are not to have a say.
    tshark.env("WIRESHARK_CONFIG_DIR", folder.path());
    tshark.args(["-n", "-Q", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]);
    tshark.args(["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]);
    tshark.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = tshark.arg("-r").arg(capture).output().expect("tshark runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("fields are text")
}
