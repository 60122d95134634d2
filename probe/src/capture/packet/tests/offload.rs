//! Super-packets of offloads are counted as the packets on the wire.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread::{self, JoinHandle};

use flow::{
    DecapSettings, LinkType, Naming, NewClock, Observation, Observer, ObserverSettings, Sink,
    TunnelKind, TunnelKinds,
};
use nix::sys::socket::{setsockopt, sockopt};

use super::*;
use crate::host::namespace::{Elsewhere, run, set};

/// Packets and IP octets of a direction.
type Sum = (u64, u64);

/// Two hosts: `va` in this namespace, and `vb` in another one, which captures.
fn two_hosts(offloads_of_a: &'static str, offloads_of_b: &'static str) -> Elsewhere {
    let elsewhere = Elsewhere::new();
    let configure = |name: &str, host: u8, other: u8, offloads: &str| {
        set(&format!("ipv6/conf/{name}/mldv2_unsolicited_report_interval"), "1");
        set(&format!("ipv6/conf/{name}/disable_ipv6"), "0");
        ip(&format!("link set {name} addrgenmode none"));
        ip(&format!("link set {name} up"));
        ip(&format!("addr add 192.0.2.{host}/24 dev {name}"));
        ip(&format!("addr add 2001:db8::{host}/64 dev {name} nodad"));
        // Static neighbours: there is no neighbour discovery while packets are counted.
        for address in ["192.0.2.", "2001:db8::"] {
            let other = format!("{address}{other} lladdr 02:00:00:00:00:0{other}");
            ip(&format!("neigh replace {other} dev {name} nud permanent"));
        }
        run("ethtool", &format!("-K {name} {offloads}"));
    };
    let far_end = "vb address 02:00:00:00:00:02";
    ip(&format!("link add va address 02:00:00:00:00:01 type veth peer name {far_end}"));
    ip(&format!("link set vb netns {}", elsewhere.thread));
    elsewhere.run(move || configure("vb", 2, 1, offloads_of_b));
    configure("va", 1, 2, offloads_of_a);
    elsewhere
}

/// Sends `octets` octets over TCP to the other host, which reads all of them.
fn transfer(elsewhere: &Elsewhere, address: &'static str, octets: usize) {
    let listener = elsewhere.run(move || TcpListener::bind((address, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let reader: JoinHandle<usize> = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap()
    });
    let mut stream = TcpStream::connect((address, port)).unwrap();
    let data = vec![0xa5; octets];
    stream.write_all(&data).unwrap();
    drop(stream);
    assert_eq!(reader.join().unwrap(), octets);
}

/// Packets and octets that were captured.
#[derive(Debug)]
struct Seen {
    /// All frames.
    received: Sum,
    /// TCP and UDP, without the link layer.
    transport: Sum,
    /// All in VXLAN.
    vxlan: Sum,
    counts: PacketCounts,
}

/// Reads on the other host until told to stop.
struct Capture {
    stop: std::sync::mpsc::Sender<()>,
    thread: JoinHandle<Seen>,
}

impl Capture {
    fn begin(elsewhere: &Elsewhere, direction: Direction) -> Self {
        Self::begin_with(elsewhere, direction, DecapSettings::default())
    }

    /// Opens tunnels.
    fn begin_with(elsewhere: &Elsewhere, direction: Direction, decap: DecapSettings) -> Self {
        let mut sockets = elsewhere.run(move || {
            let dissection = Dissection { decap, ..Dissection::default() };
            let settings = settings("vb");
            let settings =
                PacketSettings { ring_octets: 64 << 20, direction, dissection, ..settings };
            PacketSocket::open_all(&settings).unwrap()
        });
        let (stop, stopped) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let mut socket = sockets.pop().unwrap();
            let settings = ObserverSettings {
                key: flow::KeyFields::SEVEN,
                idle_timeout_ms: 15_000,
                tpids: flow::Tpids::default(),
                decap,
                active_timeout_ms: 60_000,
                sampling: flow::Sampling { interval: 1 },
                seed: flow::HashSeed::new(1),
            };
            let mut observer = Observer::new(&settings);
            let mut transport = Transport::default();
            loop {
                let is_last = stopped.try_recv().is_ok();
                if is_last {
                    thread::sleep(Duration::from_millis(5 * u64::from(BLOCK_TIMEOUT_MS)));
                }
                while socket
                    .poll(64, |frame| {
                        assert_eq!(frame.link_type, LinkType::Ethernet);
                        observer.observe(frame, &mut transport);
                    })
                    .unwrap()
                    == Polled::More
                {}
                if is_last {
                    let counts = observer.counts();
                    let received = (counts.received.packets, counts.received.octets);
                    let vxlan = counts.tunnels.opened[TunnelKind::Vxlan as usize];
                    return Seen {
                        received,
                        transport: transport.sum,
                        vxlan: (vxlan.packets, vxlan.octets),
                        counts: socket.counts(),
                    };
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self { stop, thread }
    }

    fn end(self) -> Seen {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

/// Counts packets of TCP and UDP, and their octets.
#[derive(Default)]
struct Transport {
    packet: Observation,
    sum: Sum,
}

impl Sink for Transport {
    fn vacancy(&mut self) -> &mut Observation {
        &mut self.packet
    }

    fn push(&mut self) {
        if matches!(self.packet.key().protocol, 6 | 17) {
            self.sum.0 += 1;
            self.sum.1 += u64::from(self.packet.octets());
        }
    }

    fn begin_clock(&mut self, _: NewClock) {}

    fn learn(&mut self, _: Naming) {}
}

/// Packets and octets of frames that the interface in this namespace has sent.
fn sent_by(name: &str) -> Sum {
    let statistics: serde_json::Value =
        serde_json::from_str(&ip(&format!("-s -j link show {name}"))).unwrap();
    let sent = &statistics[0]["stats64"]["tx"];
    (sent["packets"].as_u64().unwrap(), sent["bytes"].as_u64().unwrap())
}

/// A TCP counter of this namespace.
fn tcp_count(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|one| one == name).unwrap();
    values.split(' ').nth(place).unwrap().parse().unwrap()
}

#[test]
fn received_segments_count_as_the_sender_sent_them() {
    in_namespace(|| {
        let elsewhere = two_hosts("tso off gso off", "gro on");
        thread::sleep(SETTLED);
        for address in ["192.0.2.2", "2001:db8::2"] {
            let capture = Capture::begin(&elsewhere, Direction::In);
            let before = sent_by("va");
            transfer(&elsewhere, address, 20_000_000);
            let seen = capture.end();
            let after = sent_by("va");
            let (packets, octets) = (after.0 - before.0, after.1 - before.1);
            assert_eq!(seen.counts.drops, 0);
            assert!(seen.counts.taken < packets / 2, "nothing was put together: {seen:?}");
            // If the other end does GRO, veth counts without the Ethernet header.
            assert_eq!(seen.received, (packets, octets + 14 * packets), "{seen:?}");
            assert_eq!(seen.counts.lent, packets);
        }
    });
}

#[test]
fn segments_that_are_cut_up_later_count_as_tcp_counts_them() {
    in_namespace(|| {
        let elsewhere = two_hosts("tso on gso on", "gro on");
        for (address, ip_octets) in [("192.0.2.2", 20), ("2001:db8::2", 40)] {
            transfer_as_tcp_counts(&elsewhere, address, ip_octets, DecapSettings::default());
        }
    });
}

/// What is metered of a transfer is what TCP says that it sent.
fn transfer_as_tcp_counts(
    elsewhere: &Elsewhere,
    address: &'static str,
    ip_octets: u64,
    decap: DecapSettings,
) -> Seen {
    // On a busy machine TCP may lose patience and send something twice.
    let once = (0..10).find_map(|_| {
        let capture = Capture::begin_with(elsewhere, Direction::In, decap);
        let (out_before, again_before) = (tcp_count("OutSegs"), tcp_count("RetransSegs"));
        transfer(elsewhere, address, 20_000_000);
        let seen = capture.end();
        let again = tcp_count("RetransSegs") - again_before;
        let segments = tcp_count("OutSegs") - out_before + again;
        assert_eq!(seen.transport.0, segments, "{seen:?}");
        (again == 0).then_some(seen)
    });
    let seen = once.expect("a transfer without retransmission");
    let segments = seen.transport.0;
    assert!(seen.counts.taken < segments / 2, "nothing was put together: {seen:?}");
    // Timestamps are in all segments: 32 octets of TCP, and 8 more in the SYN.
    let headers = segments * (ip_octets + 32) + 8;
    assert_eq!(seen.transport.1, 20_000_000 + headers, "{seen:?}");
    seen
}

/// A VXLAN between both hosts, each end over the interface of the same host.
fn vxlan(elsewhere: &Elsewhere) {
    let configure = |name: &str, below: &str, host: u8, other: u8| {
        ip(&format!(
            "link add {name} address 02:00:00:00:01:0{host} type vxlan id 7 dev {below} \
             local 192.0.2.{host} remote 192.0.2.{other} dstport 4789"
        ));
        set(&format!("ipv6/conf/{name}/disable_ipv6"), "0");
        // In milliseconds. Reports of groups are sent again after this time.
        set(&format!("ipv6/conf/{name}/mldv2_unsolicited_report_interval"), "10");
        ip(&format!("link set {name} addrgenmode none"));
        ip(&format!("link set {name} up"));
        ip(&format!("addr add 198.51.100.{host}/24 dev {name}"));
        ip(&format!("addr add 2001:db8:1::{host}/64 dev {name} nodad"));
        for address in ["198.51.100.", "2001:db8:1::"] {
            let other = format!("{address}{other} lladdr 02:00:00:00:01:0{other}");
            ip(&format!("neigh replace {other} dev {name} nud permanent"));
        }
    };
    elsewhere.run(move || configure("xb", "vb", 2, 1));
    configure("xa", "va", 1, 2);
}

/// The kernel puts segments in a tunnel together too, or does not cut them up before.
#[test]
fn segments_in_a_tunnel_count_as_the_sender_sent_them() {
    in_namespace(|| {
        let elsewhere = two_hosts("tso on gso on", "gro on");
        vxlan(&elsewhere);
        thread::sleep(SETTLED);
        let kinds = TunnelKinds::of_option("vxlan");
        let decap = DecapSettings { kinds, ..DecapSettings::default() };
        for (address, ip_octets) in [("198.51.100.2", 20), ("2001:db8:1::2", 40)] {
            let seen = transfer_as_tcp_counts(&elsewhere, address, ip_octets, decap);
            assert_eq!(seen.vxlan, seen.transport, "{seen:?}");
        }
        for name in ["va", "xa"] {
            run("ethtool", &format!("-K {name} tso off gso off"));
        }
        for address in ["198.51.100.2", "2001:db8:1::2"] {
            let capture = Capture::begin_with(&elsewhere, Direction::In, decap);
            // The tunnel's end counts IP packets.
            let before = sent_by("xa");
            transfer(&elsewhere, address, 20_000_000);
            let seen = capture.end();
            let after = sent_by("xa");
            assert!(seen.counts.taken < seen.vxlan.0 / 2, "nothing was put together: {seen:?}");
            assert_eq!(seen.vxlan, (after.0 - before.0, after.1 - before.1), "{seen:?}");
        }
    });
}

#[test]
fn both_directions_count_as_tcp_counts_them() {
    in_namespace(|| {
        let elsewhere = two_hosts("tso on gso on", "gro on tso on gso on");
        let capture = Capture::begin(&elsewhere, Direction::Both);
        let segments = || ["OutSegs", "RetransSegs", "InSegs"].map(tcp_count).iter().sum::<u64>();
        let before = segments();
        transfer(&elsewhere, "192.0.2.2", 20_000_000);
        let seen = capture.end();
        assert_eq!(seen.transport.0, segments() - before, "{seen:?}");
    });
}

#[test]
fn udp_segments_count_as_datagrams() {
    in_namespace(|| {
        let elsewhere = two_hosts("tso on gso on", "gro on");
        for (from, to, ip_octets) in
            [("192.0.2.1", "192.0.2.2", 20), ("2001:db8::1", "2001:db8::2", 40)]
        {
            let capture = Capture::begin(&elsewhere, Direction::In);
            let socket = UdpSocket::bind((from, 0)).unwrap();
            setsockopt(&socket, sockopt::UdpGsoSegment, &1200).unwrap();
            for _ in 0..100 {
                assert_eq!(socket.send_to(&[0xa5; 20_000], (to, 9)).unwrap(), 20_000);
            }
            let seen = capture.end();
            // 16 datagrams of 1,200 octets and one of 800.
            let octets = 100 * 20_000 + 1700 * (ip_octets + 8);
            assert_eq!(seen.transport, (1700, octets), "{seen:?}");
            assert!(seen.counts.taken < 200, "nothing was put together: {seen:?}");
        }
    });
}

/// After this time, a new interface sends no more packets by itself.
const SETTLED: Duration = Duration::from_millis(300);

#[test]
fn super_packets_with_a_vlan_tag_count_too() {
    in_namespace(|| {
        cable();
        let sender = Sender::new("va");
        let mut sockets = PacketSocket::open_all(&settings("vb")).unwrap();
        let mut super_packet = frame(0x8100, 0, 16);
        super_packet[14..].copy_from_slice(&[0x60, 0x07]);
        super_packet.extend([8, 0, 0x45, 0, 0x0b, 0xb8, 0, 1, 0, 0, 64, 6, 0, 0]);
        super_packet
            .extend([192, 0, 2, 1, 192, 0, 2, 2, 0, 80, 0x9c, 0x40, 0, 0, 0, 1, 0, 0, 0, 1]);
        super_packet.extend([0x50, 0x19, 0xff, 0xff, 0, 0, 0, 0]);
        super_packet.resize(18 + 3000, 0xa5);
        // Checksum from octet 38 on, at 16 behind; TCP over IPv4 in segments of 1,000 octets.
        let mut header = [1, 1, 58, 0, 0, 0, 0, 0, 16, 0];
        header[4..6].copy_from_slice(&1000_u16.to_ne_bytes());
        header[6..8].copy_from_slice(&38_u16.to_ne_bytes());
        sender.send_offloaded(header, &super_packet);
        let captured = capture(&mut sockets, 3);
        let seen: Vec<(u32, &[u8], u8)> = captured
            .iter()
            .map(|frame| (frame.wire_length, &frame.data[12..22], frame.data[51]))
            .collect();
        let tagged = |high, low| [0x81, 0, 0x60, 0x07, 8, 0, 0x45, 0, high, low];
        // The 2,960 octets of payload; FIN and PSH only at the end.
        let expected: [(u32, [u8; 10], u8); 3] = [
            (1058, tagged(4, 16), 0x10),
            (1058, tagged(4, 16), 0x10),
            (1018, tagged(3, 232), 0x19),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(length, data, bits)| (*length, &data[..], *bits)).collect();
        assert_eq!(seen, expected);
    });
}
