//! The program at work: the capture into documents and into a collector, in one run.

use std::path::Path;

use crate::flows::{Flows, is_ipv6};
use crate::support::{self, Run};
use crate::traffic;

/// Replays the capture into these outputs, with documents beside them.
pub fn replay(folder: &Path, outputs: &[String]) -> Flows {
    replay_with(folder, outputs, &[])
}

/// As [`replay`], one of a hundred packets.
pub fn replay_sampled(folder: &Path, outputs: &[String]) -> Flows {
    replay_with(folder, outputs, &["--sample", "1:100"])
}

/// As [`replay`], with room for few flows.
pub fn replay_crowded(folder: &Path, outputs: &[String]) -> Flows {
    replay_with(folder, outputs, &["--max-flows", "64"])
}

/// As [`replay`], with these settings.
pub fn replay_with(folder: &Path, outputs: &[String], settings: &[&str]) -> Flows {
    let file = folder.join("traffic.pcapng");
    std::fs::write(&file, traffic::capture()).expect("a file for the capture");
    let mut arguments = vec!["-r", file.to_str().unwrap(), "-o", "json:-"];
    arguments.extend(outputs.iter().flat_map(|output| ["-o", output]));
    arguments.extend(settings);
    let run = support::run(arguments);
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    let flows = Flows::of_documents(&run.documents());
    for index in 1..=outputs.len() {
        assert_all_sent(&run, index, &flows);
    }
    flows
}

/// Only NetFlow v5 has flows that it cannot export: those of IPv6.
fn assert_all_sent(run: &Run, index: usize, flows: &Flows) {
    let of = |what: &str| run.count(&format!("outputs.{index}.{what}.records"));
    let name = run.stats["outputs"][index]["output"].as_str().unwrap();
    let ipv6 = flows.only(is_ipv6).records();
    let expected = if name.starts_with("netflow5") { ipv6 } else { 0 };
    assert_eq!(of("not_exportable"), expected, "{name}");
    assert_eq!(of("sent"), flows.records() - expected, "{name}");
}
