//! Findings from invented facts.

use std::ffi::OsString;

use caps::Capability;
use exporter::{Finding, Level};
use flow::TunnelKind;

use super::facts::{Facts, Share, share};
use super::findings;
use super::report::Report;
use super::traffic::Traffic;
use crate::capture::kernel::KernelVersion;
use crate::host::interface::{AttachedXdp, Interface, XdpFeatures};
use crate::host::method::Method;
use crate::host::system::{Support, System};
use crate::settings::args::Arguments;
use crate::settings::config::Config;
use crate::settings::parse::parse;
use crate::sys::ethtool::{Offloads, ReceiveHash, Setting, fields, functions};

/// A mirror port without problems.
fn sound() -> Facts {
    let mut interface = Interface::made_up("eth1");
    // IPv6 is turned off.
    (interface.addresses, interface.routes) = (Vec::new(), Vec::new());
    interface.driver = Some("ixgbe".to_owned());
    Facts {
        system: System::made_up(),
        share: Share::whole(&Arguments::defaults("eth1"), interface.rx_queues),
        shortage: None,
        settings: Arguments::defaults("eth1"),
        obstacle: None,
        interface,
        xdp: Some(XdpFeatures { redirects: true, zero_copy: true, segments: false }),
        offloads: Some(Offloads { lro: false, gro: true, rxvlan: false }),
        queues: Some(Setting { current: 4, max: 63 }),
        rx_ring: Some(Setting { current: 2048, max: 4096 }),
        hash: Some(ReceiveHash {
            function: functions::TOEPLITZ,
            key: [0x6d, 0x5a].repeat(20),
            ..ReceiveHash::default()
        }),
        hash_fields: [Some(fields::SOURCE | fields::DESTINATION); 4],
        traffic: None,
    }
}

fn lose(facts: &mut Facts, capability: Capability) {
    facts.system.capabilities.remove(&capability);
}

fn all(facts: &Facts) -> Vec<Finding> {
    findings::all(facts, &facts.method())
}

/// Checks that a change of facts gives a finding at this level and with this remedy. All other
/// findings must stay the same, except the last one, on the method.
fn check(change: impl FnOnce(&mut Facts), subject: &str, level: Level, remedy: &str) {
    let mut facts = sound();
    change(&mut facts);
    let found = all(&facts);
    let others = found.iter().filter(|one| one.level > Level::Note && one.subject != "capture");
    let subjects: Vec<&str> = others.map(|one| one.subject).collect();
    let expected: &[&str] = if level > Level::Note { &[subject] } else { &[] };
    assert_eq!(subjects, expected, "{found:?}");
    let one = found.iter().find(|one| one.subject == subject).unwrap();
    assert_eq!((one.level, one.remedy.as_deref().unwrap_or("")), (level, remedy), "{one:?}");
}

#[test]
fn sound_port_has_nothing_to_be_mended() {
    let facts = sound();
    assert_eq!(facts.method(), Method::Xdp);
    let found = all(&facts);
    assert!(found.iter().all(|one| one.level == Level::Ok && one.remedy.is_none()), "{found:?}");
    let subjects: Vec<&str> = found.iter().map(|one| one.subject).collect();
    assert_eq!(
        subjects,
        [
            "kernel",
            "capabilities",
            "memory",
            "locked memory",
            "link",
            "host",
            "driver",
            "queues",
            "spreading",
            "directions",
            "card's ring",
            "LRO",
            "GRO",
            "rxvlan",
            "MTU",
            "capture"
        ]
    );
}

#[test]
fn link_local_addresses_are_told_and_do_not_keep_the_interface() {
    let mut facts = sound();
    facts.interface.addresses.push("fe80::1".parse().unwrap());
    assert_eq!(facts.method(), Method::Xdp);
    let found = all(&facts);
    let host = found.iter().find(|one| one.subject == "host").unwrap();
    assert_eq!(host.level, Level::Note);
    assert!(host.text.contains("fe80::1"), "{host:?}");
    assert!(host.remedy.as_ref().unwrap().contains("--capture packet"), "{host:?}");
}

#[test]
fn what_ends_every_run_is_found() {
    let facts = Facts { obstacle: Some("cannot give up capabilities".to_owned()), ..sound() };
    assert!(!Report::new(&facts).works());
}

#[test]
fn what_falsifies_counts_comes_with_the_command_that_mends_it() {
    let offloads = |change: fn(&mut Offloads)| {
        move |facts: &mut Facts| change(facts.offloads.as_mut().unwrap())
    };
    check(offloads(|on| on.lro = true), "LRO", Level::Warn, "ethtool -K eth1 lro off");
    check(offloads(|on| on.rxvlan = true), "rxvlan", Level::Warn, "ethtool -K eth1 rxvlan off");
    let generic = |facts: &mut Facts| facts.xdp = Some(XdpFeatures::default());
    check(generic, "GRO", Level::Warn, "ethtool -K eth1 gro off");
    let ring = |facts: &mut Facts| facts.rx_ring = Some(Setting { current: 512, max: 4096 });
    check(ring, "card's ring", Level::Warn, "ethtool -G eth1 rx 4096");
    let spreading = |facts: &mut Facts| facts.hash_fields = [Some(0xf0); 4];
    check(spreading, "spreading", Level::Note, "ethtool -N eth1 rx-flow-hash udp4 sd");
    let jumbo = |facts: &mut Facts| facts.interface.mtu = 9000;
    check(jumbo, "MTU", Level::Warn, "ip link set eth1 mtu 3818");
    let down = |facts: &mut Facts| facts.interface.set_down();
    check(down, "link", Level::Warn, "ip link set eth1 up");
}

#[test]
fn directions_that_are_split_come_with_what_joins_them() {
    let at_two_workers = |change: fn(&mut Facts)| {
        move |facts: &mut Facts| {
            facts.share.workers = 2;
            change(facts);
        }
    };
    let asymmetric = |facts: &mut Facts| facts.hash.as_mut().unwrap().key[7] = 0;
    let remedy = "ethtool -X eth1 hfunc toeplitz hkey 6d:5a:... (40 octets); --capture packet \
                  joins both";
    check(at_two_workers(asymmetric), "directions", Level::Note, remedy);
    let on_new_kernel = |facts: &mut Facts| {
        facts.system.kernel = KernelVersion { major: 6, minor: 8 };
        facts.hash.as_mut().unwrap().function = functions::CRC32;
    };
    let remedy = "ethtool -X eth1 hfunc toeplitz xfrm symmetric-xor, or hkey 6d:5a:... (40 \
                  octets); --capture packet joins both";
    check(at_two_workers(on_new_kernel), "directions", Level::Note, remedy);
    let one_sided = |facts: &mut Facts| facts.hash_fields[2] = Some(fields::SOURCE);
    let remedy = "ethtool -N eth1 rx-flow-hash tcp6 sd";
    check(at_two_workers(one_sided), "directions", Level::Note, remedy);
    let unknown = |facts: &mut Facts| facts.hash = None;
    let remedy = "look at payload.one_sided in the totals; --capture packet joins both";
    check(at_two_workers(unknown), "directions", Level::Note, remedy);
}

#[test]
fn directions_stay_together_where_the_hash_of_the_card_does_not_matter() {
    type Change = fn(&mut Facts);
    let causes: [(Change, &str); 3] = [
        (|facts| facts.interface.rx_queues = 1, "there is one queue"),
        (|facts| facts.share.workers = 1, "there is only one worker"),
        (|facts| lose(facts, Capability::CAP_BPF), "the kernel's fan-out is symmetric"),
    ];
    for (change, why) in causes {
        let mut facts = sound();
        (facts.hash, facts.share.workers) = (None, 2);
        change(&mut facts);
        let found = all(&facts);
        let one = found.iter().find(|one| one.subject == "directions").unwrap();
        assert_eq!((one.level, one.remedy.as_ref()), (Level::Ok, None));
        assert_eq!(one.text, format!("both directions of a conversation reach one worker: {why}"));
    }
}

#[test]
fn offloads_that_af_packet_makes_good_are_left_alone() {
    let mut facts = sound();
    facts.interface.addresses.push("192.0.2.1".parse().unwrap());
    facts.offloads = Some(Offloads { lro: false, gro: true, rxvlan: true });
    let because = "the host needs it: it has the address 192.0.2.1".to_owned();
    assert_eq!(facts.method(), Method::Packet { because });
    let levels: Vec<Level> = all(&facts).iter().map(|one| one.level).collect();
    assert!(levels.iter().all(|&level| level <= Level::Note), "{:?}", all(&facts));
}

#[test]
fn method_is_what_rights_and_kernel_allow() {
    type Change = fn(&mut Facts);
    let packet: [(Change, &str); 9] = [
        (
            |facts| facts.system.kernel = KernelVersion { major: 5, minor: 14 },
            "AF_XDP needs Linux 5.15 or later, this is 5.14; use --capture packet",
        ),
        (
            |facts| {
                facts.system.kernel = KernelVersion { major: 6, minor: 5 };
                facts.interface.mtu = 3819;
            },
            "frames of an MTU of 3819 need Linux 6.6 or later, this is 6.5; set the MTU to 3818 or \
             use --capture packet",
        ),
        (|facts| lose(facts, Capability::CAP_NET_ADMIN), "AF_XDP needs CAP_NET_ADMIN"),
        (|facts| lose(facts, Capability::CAP_BPF), "AF_XDP needs CAP_BPF"),
        (
            |facts| facts.system.xdp_sockets = Support::No("no such family".to_owned()),
            "the kernel has no AF_XDP",
        ),
        (|facts| facts.system.bpf = Support::Forbidden, "AF_XDP is forbidden here"),
        (|facts| facts.interface.hardware = 65_534, "AF_XDP needs Ethernet"),
        (|facts| facts.interface.set_down(), "AF_XDP needs an interface that is up"),
        (
            |facts| facts.system.lock_limit = Some(8 << 20),
            "AF_XDP needs 320 MiB of locked memory, and the limit is 8 MiB; raise it (LimitMEMLOCK \
             of systemd, ulimit -l), give the capability CAP_IPC_LOCK, or ask for smaller rings",
        ),
    ];
    for (change, because) in packet {
        let mut facts = sound();
        change(&mut facts);
        assert_eq!(facts.method(), Method::Packet { because: format!("no AF_XDP: {because}") });
        assert!(Report::new(&facts).works());
        let warned = all(&facts).iter().any(|one| one.level == Level::Warn);
        assert!(warned || facts.interface.hardware == 65_534, "{because}");
    }
    let none: [(Change, &str); 4] = [
        (|facts| lose(facts, Capability::CAP_NET_RAW), "the capability CAP_NET_RAW is missing"),
        (
            |facts| facts.system.packet_sockets = Support::No("no such family".to_owned()),
            "the kernel has no packet sockets: no such family",
        ),
        (
            |facts| facts.interface.hardware = 803,
            "its link layer (ARPHRD 803) is neither Ethernet nor IP",
        ),
        (
            |facts| facts.interface.xdp = Some(AttachedXdp { program: 7, mode: "driver" }),
            "an XDP program is on it, maybe of another flowprobe; end that first, or see what it \
             leaves over with --capture packet",
        ),
    ];
    for (change, because) in none {
        let mut facts = sound();
        change(&mut facts);
        assert_eq!(facts.method(), Method::None { because: because.to_owned() });
        assert!(!Report::new(&facts).works());
        let failed = all(&facts).iter().filter(|one| one.level == Level::Fail).count();
        assert_eq!(failed, 2, "{because}: the cause and what comes of it");
    }
}

#[test]
fn locked_memory_is_that_of_all_queues() {
    for (rx_queues, mtu, mebibytes) in [
        (4, 1500, 320),
        (4, 1771, 640),
        (1, 1770, 80),
        // Rings shrink until all of them fit in 1 GiB, even with the larger frames.
        (6, 1500, 480),
        (7, 1500, 280),
        (13, 1500, 260),
        (64, 1500, 320),
    ] {
        let mut facts = sound();
        (facts.interface.rx_queues, facts.interface.mtu) = (rx_queues, mtu);
        for (octets, enough) in [((mebibytes << 20) - 1, false), (mebibytes << 20, true)] {
            facts.system.lock_limit = Some(octets);
            let is_xdp = facts.method() == Method::Xdp;
            assert_eq!(is_xdp, enough, "{rx_queues} {mtu} {octets}");
            let found = all(&facts);
            let one = found.iter().find(|one| one.subject == "locked memory").unwrap();
            let words = [octets >> 20, mebibytes];
            let [limit, needed] = words.map(|number| format!(" {number} MiB"));
            assert!(one.text.contains(&limit) && one.text.contains(&needed), "{one:?}");
            assert_eq!(one.remedy.is_none(), enough, "{one:?}");
        }
        facts.system.lock_limit = Some(0);
        facts.system.capabilities.insert(Capability::CAP_IPC_LOCK);
        assert_eq!(facts.method(), Method::Xdp);
    }
}

#[test]
fn memory_is_shared_as_in_a_run_and_its_total_is_told_once() {
    let mut all_facts = [sound(), sound(), sound()];
    for facts in &mut all_facts {
        facts.interface.rx_queues = 16;
    }
    share(&mut all_facts, false);
    let of = |facts: &Facts| {
        let found = all(facts);
        found.into_iter().find(|one| one.subject == "memory").unwrap().text
    };
    let [first, second, last] = &all_facts;
    // 16 rings in a third of 1 GiB, in half of what is left, and in all of the rest.
    assert_eq!(first.share.room.xdp, (1 << 30) / 3);
    let left = (1 << 30) - first.xdp_settings().memory();
    assert_eq!(second.share.room.xdp, left / 2);
    assert_eq!(last.share.room.xdp, left - second.xdp_settings().memory());
    assert!(!of(first).contains("flows") && !of(second).contains("flows"), "{}", of(first));
    let total = "MiB; all 3 interfaces: ";
    assert!(of(last).contains(total) && of(last).contains("flows"), "{}", of(last));
    // With a pattern, one more is expected.
    share(&mut all_facts, true);
    assert_eq!(all_facts[0].share.room.xdp, (1 << 30) / 4);
}

#[test]
fn memory_of_workers_is_that_of_a_run() {
    let mut facts = sound();
    let words = ["flowprobe", "-i", "eth1"].map(OsString::from);
    let config = Config::new(&parse(words).unwrap().args).unwrap();
    for workers in [1, 2, 7] {
        facts.share.workers = workers;
        let each = config.table(workers).octets() + (4 << 20);
        assert_eq!(facts.workers_memory(), each * workers as u64, "{workers}");
    }
}

#[test]
fn memory_that_the_system_does_not_give_is_found() {
    let shortage = "sockets and flows: 2 GiB of memory asked, the system has 1 GiB";
    let short = |facts: &mut Facts| facts.shortage = Some(shortage.to_owned());
    let remedy = "free memory or raise the limit, or use less: --max-flows, --ring, --packet-ring";
    check(short, "memory", Level::Warn, remedy);
}

#[test]
fn report_has_a_line_for_each_finding_and_the_remedy_beneath() {
    let mut facts = sound();
    facts.offloads = Some(Offloads { lro: true, gro: false, rxvlan: false });
    let text = Report::new(&facts).text();
    let plain = anstream::adapter::strip_str(&text).to_string();
    let lines: Vec<&str> = plain.lines().collect();
    assert_eq!(lines[0], "eth1");
    assert_eq!(lines[1], "  ok    kernel         Linux 6.6");
    let lro = lines.iter().position(|line| line.starts_with("  warn  LRO ")).unwrap();
    assert_eq!(lines[lro + 1], "                       -> ethtool -K eth1 lro off");
    assert_eq!(lines.last(), Some(&"  ok    capture        by AF_XDP in driver mode"));
    assert!(lines.iter().all(|line| line.chars().count() <= 100), "{plain}");
    let json = Report::new(&facts).json();
    assert_eq!((&json["works"], &json["method"]), (&true.into(), &"afxdp".into()));
    assert_eq!(json["findings"].as_array().unwrap().len(), all(&facts).len());
}

#[test]
fn tunnels_are_found_with_the_setting_that_opens_them() {
    let heard = |kind: TunnelKind, packets| {
        move |facts: &mut Facts| {
            let traffic = facts.traffic.insert(Traffic { packets: 1000, ..Traffic::default() });
            traffic.tunnels[kind as usize] = packets;
            facts.interface.rx_queues = 4;
        }
    };
    let remedy = "--decap vxlan meters what is inside";
    check(heard(TunnelKind::Vxlan, 830), "tunnels", Level::Note, remedy);
    let mut facts = sound();
    heard(TunnelKind::Gre, 1000)(&mut facts);
    let one_queue = "100 % of 1,000 packets are GRE: those between two ends come in by one queue";
    assert!(all(&facts).iter().any(|one| one.text == one_queue), "{:?}", all(&facts));
    heard(TunnelKind::Gre, 49)(&mut facts);
    assert!(all(&facts).iter().all(|one| one.subject != "tunnels"));
}
