//! An independent oracle: packets and octets by addresses, protocol and ports are those that
//! tshark dissects from the outermost IP header, as are control bits, TTLs, times and VLANs.

#[path = "../support/mod.rs"]
mod support;

mod innermost;
mod outermost;
mod sums;
mod tshark;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use sums::Sums;
use tshark::Dissection;

/// Where the program and tshark do not agree.
struct Difference {
    file: &'static str,
    reason: &'static str,
    /// Each key with what the program says and what tshark says.
    keys: &'static [&'static str],
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        file: "fuzz-2021-06-07-c6c72a0a56.pcap",
        reason: "its packet has 4,293,562,680 microseconds, which do not fit in Wireshark's tools",
        keys: &["102.110.128.32 2152 > 0.6.255.0 53975 protocol 17 tos 255: \
             1 packets 35205 octets flags 0x00 ttl 80-80 vlan 0 at 1953635450562-1953635450562, \
             tshark 1 packets 35205 octets flags 0x00 ttl 80-80 vlan 0 \
             at 1953649602339-1953649602339"],
    },
    Difference {
        file: "ip_fragmented_garbage.pcap",
        reason: "tshark shows no flags of a TCP header that claims less than 20 octets",
        keys: &[
            "10.0.0.2 16417 > 10.128.0.2 16419 protocol 6 tos 0: \
             313 packets 11260 octets flags 0x26 ttl 64-64 vlan 0 at 1534244025609-1534244025612, \
             tshark 313 packets 11260 octets flags 0x00 ttl 64-64 vlan 0 \
             at 1534244025609-1534244025612",
            "10.0.0.2 24102 > 10.128.0.2 10792 protocol 6 tos 0: \
             313 packets 11260 octets flags 0x23 ttl 64-64 vlan 0 at 1534244024697-1534244024701, \
             tshark 313 packets 11260 octets flags 0x00 ttl 64-64 vlan 0 \
             at 1534244024697-1534244024701",
        ],
    },
    Difference {
        file: "kerberos_fuzz.pcapng",
        reason: "tshark shows no flags of a TCP header that claims less than 20 octets",
        keys: &["126.4.1.0 88 > 19.0.0.0 53646 protocol 6 tos 38: \
             1 packets 288 octets flags 0x01 ttl 0-0 vlan 0 at 1633884084000-1633884084000, \
             tshark 1 packets 288 octets flags 0x00 ttl 0-0 vlan 0 at 1633884084000-1633884084000"],
    },
];

#[test]
fn real_captures_are_metered_as_tshark_dissects_them() {
    let Some((captures, dissections)) = tshark::real_captures() else { return };
    let mut wrong = Vec::new();
    let compare = |index: usize| compare(&captures[index], dissections[index].as_ref());
    for (path, differences) in captures.iter().zip(in_parallel(captures.len(), compare)) {
        let file = path.file_name().unwrap().to_str().unwrap();
        let listed = DIFFERENCES.iter().find(|listed| listed.file == file);
        if differences != listed.map_or(&[][..], |listed| listed.keys) {
            let reason = listed.map_or("nothing is listed", |listed| listed.reason);
            wrong.push(format!("{file} ({reason}):\n  {}", differences.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Calls a function with all numbers below `count`, several at a time. What it says is in order.
fn in_parallel<T: Send>(count: usize, function: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let call_next = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        (index < count).then(|| (index, function(index)))
    };
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let mut all: Vec<_> = thread::scope(|scope| {
        let run = || std::iter::from_fn(call_next).collect::<Vec<_>>();
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    all.sort_unstable_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, said)| said).collect()
}

/// The keys of a capture that the program and tshark do not agree on; or both refuse it.
fn compare(path: &Path, dissection: Option<&Dissection>) -> Vec<String> {
    let file = path.to_str().unwrap();
    let by_default = support::run(["-r", file, "-o", "json:-"]);
    let Some(dissection) = dissection else {
        assert_refused(file, &by_default);
        return Vec::new();
    };
    let long = ["--idle-timeout", "1day", "--active-timeout", "1day", "--workers", "2"];
    let by_long_timeouts = support::run(["-r", file, "-o", "json:-"].into_iter().chain(long));
    let [ours, again] = [by_default, by_long_timeouts].map(|run| {
        assert_eq!(run.status, 0, "{file}: {}", run.stderr);
        run.assert_conservation();
        Sums::of_documents(&run.documents())
    });
    assert_eq!(ours.differences(&again), [""; 0], "{file}: sums do not depend on timeouts");
    ours.differences(&outermost::sums(dissection))
}

/// What is not a capture is refused in a sentence that names it.
fn assert_refused(file: &str, run: &support::Run) {
    assert_eq!(run.status, 1, "{file}: {}", run.stderr);
    assert!(run.stdout.is_empty(), "{file} has no flows");
    let sentence = format!("error: cannot read {file}: not a capture file");
    assert!(run.stderr.contains(&sentence), "{}", run.stderr);
}
