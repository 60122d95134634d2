//! Packets in tunnels: those that the kernel's own devices make, and made ones of all kinds.

use std::net::UdpSocket;
use std::process::Stdio;

use crate::captures;
use crate::probe::{METHODS, PATIENT, Probe, lost};
use crate::records::{assert_same, check, comparable};
use crate::support::capture::{Captured, pcap};
use crate::support::flows::Flow;
use crate::support::net::{Host, Links, Network};
use crate::support::packet::{ethernet, ipv6, tcp, unpadded};
use crate::support::{self, tunnel};

/// Ends of the tunnel, and addresses in it.
const SENDER: &str = "10.66.0.1";
const PROBE: &str = "10.66.0.2";
const INSIDE: [&str; 2] = ["198.51.100.1", "198.51.100.2"];

/// A device of the kernel that makes a tunnel.
struct Device {
    kind: &'static str,
    /// Arguments of `ip`, one command after the other; the device is `tunnel0`.
    commands: &'static [&'static str],
    /// What opens it.
    settings: &'static [&'static str],
    /// In records.
    tunnel: &'static str,
}

const DEVICES: [Device; 6] = [
    VXLAN,
    Device {
        kind: "GENEVE",
        commands: &["link add tunnel0 type geneve id 7 remote 10.66.0.2"],
        settings: &["--decap", "geneve"],
        tunnel: r#""type":"geneve""#,
    },
    Device {
        kind: "GRE",
        commands: &["link add tunnel0 type gre local 10.66.0.1 remote 10.66.0.2 key 7"],
        settings: &["--decap", "gre"],
        tunnel: r#""type":"gre""#,
    },
    Device {
        kind: "Ethernet in GRE",
        commands: &["link add tunnel0 type gretap local 10.66.0.1 remote 10.66.0.2 key 7"],
        settings: &["--decap", "gre"],
        tunnel: r#""type":"nvgre""#,
    },
    Device {
        kind: "IP in IP",
        commands: &["link add tunnel0 type ipip local 10.66.0.1 remote 10.66.0.2"],
        settings: &["--decap", "ipip"],
        tunnel: r#""type":"ipip""#,
    },
    Device {
        kind: "L2TPv3",
        commands: &[
            "l2tp add tunnel local 10.66.0.1 remote 10.66.0.2 tunnel_id 7 peer_tunnel_id 7 encap ip",
            "l2tp add session name tunnel0 tunnel_id 7 session_id 7 peer_session_id 7",
        ],
        settings: &["--decap", "l2tp", "--l2tpv3", "cookie=0,sublayer=4"],
        tunnel: r#""type":"l2tpv3""#,
    },
];

const VXLAN: Device = Device {
    kind: "VXLAN",
    commands: &["link add tunnel0 type vxlan id 7 dev tx0 local 10.66.0.1 remote 10.66.0.2 \
                 dstport 4789"],
    settings: &["--decap", "vxlan"],
    tunnel: r#""type":"vxlan""#,
};

/// A network in which the sender has the device over its link; `None` where the kernel has none.
fn with_device(network: Network, device: &Device) -> Option<Network> {
    let link = network.interface(Host::Probe, "rx0")["address"].as_str().unwrap().to_owned();
    network.ip(Host::Sender, &["addr", "add", &format!("{SENDER}/24"), "dev", "tx0"]);
    network.ip(Host::Sender, &["neigh", "replace", PROBE, "lladdr", &link, "dev", "tx0"]);
    for command in device.commands {
        let words: Vec<_> = command.split_whitespace().collect();
        if network.try_ip(Host::Sender, &words).is_err() {
            support::skip_without(&format!("a kernel with {}", device.kind));
            return None;
        }
    }
    network.ip(Host::Sender, &["link", "set", "tunnel0", "up"]);
    let address = format!("{}/24", INSIDE[0]);
    network.ip(Host::Sender, &["addr", "add", &address, "dev", "tunnel0"]);
    // One that has no link layer needs no neighbour.
    let neighbour = ["neigh", "replace", INSIDE[1], "lladdr", "02:00:00:00:00:09", "dev"];
    drop(network.try_ip(Host::Sender, &[&neighbour[..], &["tunnel0"]].concat()));
    Some(network)
}

/// Datagrams of all sizes, far beyond what AF_PACKET captures of a packet.
const PAYLOADS: [usize; 6] = [0, 1, 100, 480, 1000, 1300];

#[test]
fn tunnels_that_the_kernel_makes_are_opened() {
    for device in DEVICES {
        for method in METHODS {
            let Some(network) = Network::beside(Links::default()) else { return };
            let Some(network) = with_device(network, &device) else { break };
            let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT, device.settings]);
            network.on(Host::Sender, || {
                let socket = UdpSocket::bind((INSIDE[0], 5000)).unwrap();
                for payload in PAYLOADS {
                    socket.send_to(&vec![0x5a; payload], (INSIDE[1], 7000)).unwrap();
                }
            });
            let run = probe.stop();
            let what = format!("{}, {method:?}: {}", device.kind, run.stats);
            assert_eq!(lost(&run), 0, "{what}");
            let flows = run.flows();
            let [flow] = &flows[..] else { panic!("one flow: {flows:?}, {what}") };
            let octets: usize = PAYLOADS.into_iter().map(|payload| 28 + payload).sum();
            let packets = PAYLOADS.len() as u64;
            assert_eq!((flow.packets, flow.octets), (packets, octets as u64), "{what}");
            assert_eq!([&flow.source, &flow.destination], INSIDE, "{what}");
            assert!(flow.tunnel.contains(device.tunnel), "{} in {what}", flow.tunnel);
            for end in [SENDER, PROBE] {
                assert!(flow.tunnel.contains(&format!(r#"{{"ip":"{end}"}}"#)), "{}", flow.tunnel);
            }
        }
    }
}

/// What is sent through the kernel's VXLAN gives the records of a replay of the same frames.
#[test]
fn captures_through_a_vxlan_are_metered_as_they_are() {
    for method in METHODS {
        let links = Links { mtu: 9000, ..Links::default() };
        let Some(network) = Network::beside(links) else { return };
        let Some(network) = with_device(network, &VXLAN) else { return };
        network.ip(Host::Sender, &["link", "set", "tunnel0", "mtu", "8900"]);
        for capture in captures::made().iter().filter(|capture| capture.mtu() <= 8900) {
            let folder = support::scratch();
            let file = support::write(&folder, "capture.pcap", &capture.file());
            let replay = ["-r", file.to_str().unwrap(), "-o", "json:-"];
            let expected = support::run([&replay, &PATIENT[..]].concat());
            let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT, VXLAN.settings]);
            let sent = network.send_file("tunnel0", &file, &["--gaps"]);
            let run = probe.stop();
            let what = format!("{}, {method:?}: {}", capture.name, run.stats);
            assert_eq!((lost(&run), sent.packets), (0, capture.packets()), "{what}");
            assert_eq!(run.count("received.packets"), sent.packets, "{what}");
            let plain = |flow| Flow { tunnel: String::new(), ..flow };
            let flows = comparable(&run);
            assert!(flows.iter().all(|flow| flow.tunnel.contains(r#""id":7"#)), "{what}");
            let mut flows: Vec<_> = flows.into_iter().map(plain).collect();
            flows.sort();
            assert_same(&flows, &comparable(&expected), &what);
        }
    }
}

const ALL: [&str; 4] = ["--decap", "all", "--l2tpv3", "cookie=4"];

#[test]
fn made_tunnels_of_all_kinds_over_one_queue() {
    check(&[captures::tunnels()], 1, &ALL);
}

#[test]
fn made_tunnels_of_all_kinds_over_two_queues() {
    check(&[captures::tunnels()], 2, &ALL);
}

/// A run and `doctor` say that what comes in could be opened.
#[test]
fn tunnels_that_are_not_opened_are_hinted_at() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let frame = ethernet(&tunnel::vxlan(7, &tunnel::inner()));
    let file = support::write(&folder, "vxlan.pcap", &pcap(&[Captured::at(0, frame)]));
    let hint = "100 % of packets are VXLAN; --decap vxlan meters what is inside";
    for method in METHODS {
        let timeouts = ["--idle-timeout", "1h", "--active-timeout", "1s"];
        let mut probe = Probe::capture(&network, &["rx0"], &[method, &timeouts]);
        network.send_file("tx0", &file, &["--repeat", "5000", "--rate", "2k"]);
        probe.wait_until("it hints", |probe| probe.messages().contains(hint));
        let run = probe.stop();
        assert_eq!(run.stderr.matches(hint).count(), 1, "{}", run.stderr);
    }
    let mut doctor = network.command(Host::Probe, support::flowprobe().get_program());
    doctor.args(["doctor", "-i", "rx0"]).stdout(Stdio::piped());
    let doctor = doctor.spawn().expect("the program starts");
    network.send_file("tx0", &file, &["--repeat", "6000", "--rate", "2k"]);
    let output = doctor.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("packets are VXLAN"), "{said}");
    assert!(said.contains("-> --decap vxlan meters what is inside"), "{said}");
}

/// IPv6 and GENEVE with 252 octets of options, twice: longer than what AF_PACKET captures.
fn long_headers() -> Vec<u8> {
    let mut ip = ipv6("2001:db8::1", "2001:db8::2", 6, &tcp(1, 2, 0x10, 1000));
    for _ in 0..2 {
        let mut header = vec![0x3f, 0, 0x65, 0x58, 0, 0, 7, 0];
        header.extend([1, 2, 3, 30].into_iter().chain([0; 120]));
        header.extend([1, 2, 3, 31].into_iter().chain([0; 124]));
        header.extend(unpadded(&ip));
        ip = ipv6("2001:db8:9::1", "2001:db8:9::2", 17, &tunnel::udp_to(6081, &header));
    }
    ip
}

#[test]
fn headers_longer_than_what_is_captured_are_metered_outside_and_counted() {
    let capture = pcap(&[Captured::at(0, ethernet(&long_headers()))]);
    for (method, inside) in METHODS.into_iter().zip([true, false]) {
        let Some(network) = Network::beside(Links { mtu: 2000, ..Links::default() }) else {
            return;
        };
        let folder = support::scratch();
        let file = support::write(&folder, "long.pcap", &capture);
        let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT, &ALL]);
        network.send_file("tx0", &file, &[]);
        let run = probe.stop();
        let flows = run.flows();
        let [flow] = &flows[..] else { panic!("one flow: {flows:?}") };
        let refused = run.stats["tunnels"]["decap_refused"]["geneve"]["length"].as_u64();
        if inside {
            assert_eq!((flow.source.as_str(), refused), ("2001:db8::1", None), "{}", run.stats);
        } else {
            assert_eq!((flow.source.as_str(), refused), ("2001:db8:9::1", Some(1)));
        }
    }
}
