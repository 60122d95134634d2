//! The program that is linked statically against musl: it needs no library of the host.

use std::path::PathBuf;
use std::process::Command;

use crate::ends::frames;
use crate::probe::Probe;
use crate::support;
use crate::support::net::{Host, Links, Network};
use crate::support::package::said;

/// Builds it for this processor. `None`, and said, if that cannot be done here.
fn program() -> Option<PathBuf> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let installed = Command::new("rustup").args(["target", "add", &target]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        support::skip(&format!("Rust for {target} is not installed"));
        return None;
    }
    if !support::has_tool("musl-gcc") {
        support::skip("musl-gcc (musl-tools) is not installed");
        return None;
    }
    let mut build = support::cargo();
    build.args(["build", "--package", "probe", "--bin", "flowprobe", "--target", &target]);
    said(&build.output().expect("cargo runs"));
    let host = PathBuf::from(support::flowprobe().get_program());
    let folder = host.parent().and_then(|it| it.parent()).expect("the folder of the target");
    Some(folder.join(target).join("debug/flowprobe"))
}

#[test]
#[ignore = "takes minutes: builds the program for another target"]
fn static_program_reads_and_captures_as_the_other_does() {
    let Some(network) = Network::new(Links::default()) else { return };
    let Some(program) = program() else { return };
    let needs = Command::new("readelf").args(["--dynamic"]).arg(&program).output();
    let needs = said(&needs.expect("readelf runs"));
    assert!(!needs.contains("(NEEDED)"), "{needs}");

    let sample = support::office();
    let flows_by = |program: &std::path::Path| {
        let mut command = Command::new(program);
        command.arg("-r").arg(&sample).args(["-o", "json:-", "--stats", "json"]);
        let run = support::finished(command.output().expect("the program runs"));
        assert_eq!(run.status, 0, "{}", run.stderr);
        run.flows()
    };
    let host = PathBuf::from(support::flowprobe().get_program());
    let [flows, expected] = [&program, &host].map(|it| flows_by(it));
    assert!(!flows.is_empty() && flows == expected);

    let folder = support::scratch();
    let ten = support::write(&folder, "ten.pcap", &frames(10));
    for method in crate::probe::METHODS {
        let command = network.command(Host::Probe, &program);
        let mut probe = Probe::capture_by(command, &["rx0"], &[method, &["--idle-timeout", "1s"]]);
        probe.wait_until_it_captures("rx0");
        network.send_file("tx0", &ten, &[]);
        probe.wait_until("the flows have left", |probe| probe.flows().len() == 10);
        assert_eq!(probe.stop().count("metered.packets"), 10, "{method:?}");
    }
    // libpcap cannot be loaded into it.
    let mut command = Command::new(&program);
    command.arg("-r").arg(&sample).args(["-o", "json:/dev/null", "--filter", "udp"]);
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--filter"), "{said}");
}
