//! More than the program can take: every packet is metered or counted as lost.

use crate::probe::{METHODS, PATIENT, Probe, lost};
use crate::support::net::{Host, Links, Network};

#[test]
fn what_is_lost_is_counted_to_the_packet() {
    for queues in [1, 2] {
        let Some(network) = Network::new(Links { queues, ..Links::default() }) else { return };
        network.offload(Host::Probe, "rx0", "gro", "on");
        for method in METHODS {
            // The smallest rings there are, so that something is lost on any machine.
            let small = ["--ring", "64", "--packet-ring", "1M", "--max-flows", "100k"];
            let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT, &small]);
            let sent = network.send_flows("tx0", &["--flows", "1M", "--seconds", "3"]);
            let run = probe.stop();
            let metered = run.count("metered.packets");
            assert!(metered > 0, "{method:?}: {}", run.stats);
            assert_eq!(metered + lost(&run), sent.packets, "{method:?}, {queues}: {}", run.stats);
        }
    }
}

#[test]
fn at_a_modest_rate_nothing_is_lost() {
    let Some(network) = Network::new(Links::default()) else { return };
    network.offload(Host::Probe, "rx0", "gro", "on");
    for method in METHODS {
        // Room for more than half a second, on a machine that is busy with other things.
        let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT, &["--ring", "16384"]]);
        let settings = ["--flows", "20k", "--rate", "25k", "--packets", "100k"];
        let sent = network.send_flows("tx0", &settings);
        let run = probe.stop();
        assert_eq!((sent.packets, sent.refused, lost(&run)), (100_000, 0, 0), "{}", run.stats);
        // Each flow has had its turn five times.
        assert_eq!(run.flows().len(), 20_000, "{method:?}");
        assert!(run.flows().iter().all(|flow| flow.packets == 5), "{method:?}");
    }
}
