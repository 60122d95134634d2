//! The static program of `cargo xtask static`: it needs no library, and does what the usual one
//! does.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::flows::flows;
use support::net::{Host, Links, Network};
use support::probe::Probe;

/// The static program. `None`, and said, if there is none.
#[track_caller]
fn program() -> Option<PathBuf> {
    let program = std::env::var_os("FLOWPROBE_STATIC").map(PathBuf::from);
    if program.is_none() {
        support::skip_without("a static program (FLOWPROBE_STATIC; `cargo xtask static` makes it)");
    }
    program
}

/// What a program writes about a sample capture.
fn of_sample(mut program: Command, sample: &str, output: &str) -> Vec<u8> {
    program.arg("-r").arg(support::root().join("tests/data").join(sample)).args(["-o", output]);
    let output = program.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn static_program_needs_no_library() {
    let Some(program) = program() else { return };
    let file = fs::read(&program).unwrap();
    let at = |offset: usize| u64::from_le_bytes(file[offset..offset + 8].try_into().unwrap());
    assert_eq!(&file[..5], b"\x7fELF\x02");
    // The program headers (ELF-64): one of type 3 would name the loader of libraries.
    let (offset, count) = (at(32) as usize, u16::from_le_bytes([file[56], file[57]]));
    let kinds: Vec<u32> =
        (0..usize::from(count)).map(|number| at(offset + 56 * number) as u32).collect();
    assert!(kinds.contains(&1) && !kinds.contains(&3), "{kinds:?}");
}

#[test]
fn static_program_reads_captures_as_the_usual_one() {
    let Some(program) = program() else { return };
    for sample in ["office.pcap", "interfaces.pcapng"] {
        for output in ["json:-", "ipfix-file:-"] {
            let usual = of_sample(support::flowprobe(), sample, output);
            assert!(!usual.is_empty());
            assert!(
                of_sample(Command::new(&program), sample, output) == usual,
                "{sample}, {output}"
            );
        }
    }
    // libpcap is a library, so that filters are refused in words.
    let mut filtered = Command::new(&program);
    filtered.args(["-r", "/dev/null", "-o", "json:-", "--filter", "udp"]);
    let output = filtered.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--filter"), "{said}");
}

#[test]
fn static_program_captures() {
    let Some(program) = program() else { return };
    let Some(network) = Network::new(Links::default()) else { return };
    let sample = support::root().join("tests/data/office.pcap");
    for method in [&["--capture", "afxdp", "--take-interface"][..], &["--capture", "packet"]] {
        let command = network.command(Host::Probe, &program);
        let patient = ["--idle-timeout", "1h", "--active-timeout", "1h"];
        let mut probe = Probe::capture_by(command, &["rx0"], &[method, &patient]);
        probe.wait_until_it_captures("rx0");
        let sent = network.send_file("tx0", &sample, &["--gaps"]).packets;
        let run = probe.stop();
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert_eq!(run.count("received.packets"), sent, "{}", run.stats);
        let packets: u64 = flows(&run.stdout).iter().map(|flow| flow.packets).sum();
        assert_eq!(packets, run.count("metered.packets"));
    }
}
