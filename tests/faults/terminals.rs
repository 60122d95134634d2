//! Terminals, narrow ones too.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use nix::pty::{Winsize, openpty};

use crate::support::{self, flowprobe};

/// What is shown on a terminal with this number of columns and rows, without its styles. Where the
/// terminal does not know its columns, the environment says them.
fn shown(arguments: &[&str], columns: u16, rows: u16) -> String {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(Some(&size), None).unwrap();
    let stream = || Stdio::from(terminal.slave.try_clone().unwrap());
    let mut command = flowprobe();
    command.args(arguments).env("TERM", "xterm").env("COLUMNS", "60");
    command.stdin(stream()).stdout(stream()).stderr(stream());
    let mut child = command.spawn().unwrap();
    drop((command, terminal.slave));
    let mut octets = Vec::new();
    // The end of a terminal is an error.
    drop(File::from(terminal.master).read_to_end(&mut octets));
    child.wait().unwrap();
    let text = String::from_utf8(octets).unwrap().replace('\r', "");
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

/// Checks that lines are no longer than the terminal where they could be broken.
fn check(arguments: &[&str], columns: u16) -> String {
    let text = shown(arguments, columns, 24);
    assert!(text.lines().count() > 5, "{text}");
    for line in text.lines() {
        let is_long = line.chars().count() > columns.into();
        assert!(!is_long || !line.trim().contains(' '), "{columns} columns: {line:?} in\n{text}");
    }
    text
}

/// The words without the numbers, which are different in each run, and without continuations.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit())).collect()
}

#[test]
fn sixty_columns_have_room_for_totals_and_incidents() {
    let office = support::office();
    let office = office.to_str().unwrap();
    let narrow = check(&["-r", office], 60);
    let packets = "packets  15,728 received, 15,609 metered, 119 ignored (119\n\
                   \x20        not IP)\n";
    assert!(narrow.contains(packets), "{narrow}");
    let incident = "critical  09:30:38.059    47.8 s  worm-port\n\
                    \x20 10.10.0.66 tried port 445 of 175 hosts in a minute as a\n\
                    \x20 worm does (threshold 10)\n";
    assert!(narrow.contains(incident), "{narrow}");
    // Nothing of the totals is left out.
    let totals = |text: &str| text[text.find("\npackets ").unwrap()..].to_owned();
    let wide = totals(&check(&["-r", office], 200));
    assert_eq!(words(&totals(&narrow)), words(&wide));
    assert!(wide.lines().all(|line| !line.starts_with(' ')), "{wide}");
    let lists = check(&["-r", office, "--top-by", "conversations:octets"], 40);
    assert!(lists.contains("\n2001:db8:10::1f and 2001:db8:ffff::8\n  "), "{lists}");
    let lists = check(&["-r", office, "--top-by", "conversations:octets"], 30);
    assert!(lists.contains("\n2001:db8:10::1f and\n2001:db8:ffff::8\n  "), "{lists}");
}

#[test]
fn sixty_columns_have_room_for_help_rules_and_findings() {
    for arguments in [&["--help"][..], &["rules"], &["doctor", "-i", "lo"]] {
        let [narrow, wide] = [60, 100].map(|columns| check(arguments, columns));
        assert_eq!(words(&narrow), words(&wide));
    }
    let help = check(&["--help"], 60);
    let output = "\n  ipfix+tcp://HOST[:4739]  IPFIX over TCP (RFC 7011 section\n\
                  \x20                          10.4)\n";
    assert!(help.contains(output), "{help}");
}

#[test]
fn columns_are_known_without_rows_or_from_the_environment() {
    for (columns, rows) in [(60, 0), (0, 0)] {
        for arguments in [&["--help"][..], &["rules"]] {
            assert_eq!(shown(arguments, columns, rows), shown(arguments, 60, 24));
        }
    }
    assert_ne!(shown(&["rules"], 60, 24), shown(&["rules"], 80, 24));
}
