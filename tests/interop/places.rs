//! AS numbers and prefix lengths: nfdump and tshark read them.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

/// A network for each half of the addresses of a version.
const NETWORKS: &str = "\
0.0.0.0/1,,64512
128.0.0.0/1,,4200000001
::/2,,64513
8000::/2,,4200000002
c000::/2,,4200000003
";

/// Settings that look all addresses up.
pub fn settings(folder: &Path) -> [String; 2] {
    let path = folder.join("networks.csv");
    std::fs::write(&path, NETWORKS).expect("a file for the networks");
    ["--networks".to_owned(), path.display().to_string()]
}

/// The AS number and the prefix length of an address.
pub fn expected(address: IpAddr, version: u64) -> (u64, u64) {
    let (number, length) = match address {
        IpAddr::V4(v4) if v4.octets()[0] < 128 => (64_512, 1),
        IpAddr::V4(_) => (4_200_000_001, 1),
        IpAddr::V6(v6) => match v6.octets()[0] >> 6 {
            0 => (64_513, 2),
            1 => (0, 0),
            2 => (4_200_000_002, 2),
            _ => (4_200_000_003, 2),
        },
    };
    // NetFlow v5 has 16 bits.
    (if version == 5 && number > 65_535 { 23_456 } else { number }, length)
}

/// What nfdump prints of a folder: source and destination, each with AS number and prefix length.
pub fn nfdump(folder: &Path) -> Vec<[(IpAddr, u64, u64); 2]> {
    let mut nfdump = Command::new("nfdump");
    nfdump.args(["-q", "-6", "-o", "fmt:%sa,%sas,%smk,%da,%das,%dmk", "-R"]).arg(folder);
    let output = String::from_utf8(nfdump.output().expect("nfdump runs").stdout).unwrap();
    let lines = output.lines().filter(|line| line.contains(','));
    let lines = lines.map(|line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [source, source_as, source_mask, destination, as_number, mask] = fields[..] else {
            panic!("six fields: {line}")
        };
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("a number: {line}"));
        let address = |text: &str| text.parse().unwrap_or_else(|_| panic!("an address: {line}"));
        [
            (address(source), number(source_as), number(source_mask)),
            (address(destination), number(as_number), number(mask)),
        ]
    });
    lines.collect()
}

/// Both sides of each record have what they should have, but for lengths that a tool drops.
pub fn assert_read(records: &[[(IpAddr, u64, u64); 2]], version: u64, has_lengths: bool) {
    assert!(records.len() > 20, "{} records", records.len());
    for (address, number, length) in records.iter().flatten() {
        let (as_number, prefix_length) = expected(*address, version);
        let prefix_length = if has_lengths { prefix_length } else { 0 };
        assert_eq!((*number, *length), (as_number, prefix_length), "{address}, {version}");
    }
    let has = |is: fn(&IpAddr) -> bool| records.iter().flatten().any(|(address, ..)| is(address));
    assert!(has(IpAddr::is_ipv4) && (version == 5 || has(IpAddr::is_ipv6)));
}
