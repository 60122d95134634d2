//! What hosts and switches say to their neighbours: addresses, presence, the tree of switches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::{Host, SWITCH, gateway, group, link_local, phone, server, staff, staff6};
use super::packet::{Header, ICMPV6, IGMP, VRRP, icmp};
use super::trace::{MILLI, SECOND, Trace};

const ARP: u16 = 0x0806;
const LLDP: u16 = 0x88cc;

/// Untagged, from the switch of the next floor.
const FLOOR_SWITCH: Host = Host {
    mac: [0x02, 0, 0, 0, 0, 0x02],
    address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    tags: &[],
    ttl: 0,
};

/// Spanning tree and LLDP: frames that carry no IP.
pub(crate) fn switches(trace: &mut Trace) {
    let root = [&[0x80, 0][..], &SWITCH].concat();
    let bridge = [&[0x80, 0][..], &FLOOR_SWITCH.mac].concat();
    // IEEE 802.1D: protocol, version, a configuration message, no flags; times in 1/256 s.
    let mut tree = vec![0x42, 0x42, 3, 0, 0, 0, 0, 0];
    tree.extend([&root[..], &[0, 0, 0, 4], &bridge, &[0x80, 1]].concat());
    tree.extend([0, 0, 20, 0, 2, 0, 15, 0]);
    let length = super::packet::length(tree.len());
    for hello in 0..55 {
        let time = hello * 2 * SECOND + 311_000;
        trace.frame(time, &FLOOR_SWITCH, [1, 0x80, 0xc2, 0, 0, 0], length, &tree);
    }
    // Chassis, port, time to live, system name, end (IEEE 802.1AB).
    let mut presence = vec![2, 7, 4];
    presence.extend(FLOOR_SWITCH.mac);
    presence.extend(b"\x04\x03\x05g1\x06\x02\x00\x78\x0a\x07floor-2\x00\x00");
    for number in 0..4 {
        let time = number * 30 * SECOND + 742_000;
        trace.frame(time, &FLOOR_SWITCH, [1, 0x80, 0xc2, 0, 0, 0x0e], LLDP, &presence);
    }
}

/// Address resolution: the staff's computers look for their gateway.
pub(crate) fn arp(trace: &mut Trace) {
    let gateway = Ipv4Addr::new(10, 10, 0, 1).octets();
    for number in 0..60_u8 {
        let time = u64::from(trace.random.below(109_000)) * MILLI;
        let host = staff(20 + number % 33);
        let IpAddr::V4(address) = host.address else { continue };
        let mut request = vec![0, 1, 8, 0, 6, 4, 0, 1];
        request.extend([&host.mac[..], &address.octets(), &[0; 6], &gateway].concat());
        trace.frame(time, &host, [0xff; 6], ARP, &request);
    }
}

/// A new computer gets its address.
pub(crate) fn dhcp(trace: &mut Trace) {
    for (number, begin) in [(51, 4), (52, 27), (53, 66), (54, 93)] {
        let client = staff(number);
        let IpAddr::V4(lease) = client.address else { continue };
        let nobody = Host { address: Ipv4Addr::UNSPECIFIED.into(), ..client };
        let relay = gateway(client, Ipv4Addr::new(10, 10, 0, 1).into());
        let everybody = group(Ipv4Addr::BROADCAST.into());
        let transaction = trace.random.u32().to_be_bytes();
        let begin = begin * SECOND + trace.random.around(300 * MILLI);
        // Discover, offer, request, acknowledgement.
        for (step, kind) in (0..).zip([1, 2, 3, 5]) {
            let from_client = kind % 2 == 1 && kind != 5;
            let mut message = vec![if from_client { 1 } else { 2 }, 1, 6, 0];
            message.extend(transaction);
            message.extend([0; 8]);
            message.extend(if from_client { [0; 4] } else { lease.octets() });
            message.extend([0; 8]);
            message.extend(client.mac);
            message.resize(236, 0);
            message.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind, 255]);
            message.resize(300, 0);
            let time = begin + step * 9 * MILLI;
            if from_client {
                trace.udp(time, [nobody, everybody], [68, 67], &message);
            } else {
                trace.udp(time, [relay, client], [67, 68], &message);
            }
        }
    }
}

/// Neighbour discovery and listeners of IPv6 (RFC 4861, RFC 3810).
pub(crate) fn discovery(trace: &mut Trace) {
    let switch = link_local(gateway(staff6(1), IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
    let all = group(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into());
    for number in 0..5 {
        // Hop limit 64, a lifetime of 1800 s, then the switch's link address and the prefix.
        let mut advertisement = vec![0; 8];
        advertisement.extend([1, 1]);
        advertisement.extend(switch.mac);
        advertisement.extend([3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0]);
        advertisement.extend([0x20, 1, 0x0d, 0xb8, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let message = icmp(134, 0, [64, 0, 7, 8], &advertisement);
        trace.send(number * 25 * SECOND + 3 * SECOND, switch, all, ICMPV6, message);
    }
    for number in 0..24_u8 {
        let time = u64::from(trace.random.below(109_000)) * MILLI;
        let host = link_local(staff6(20 + number));
        let IpAddr::V6(target) = switch.address else { continue };
        let [.., a, b, c] = target.segments();
        let asked = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | b & 0xff, c);
        debug_assert_ne!(a, 0, "a link-local address made from a MAC");
        let question = [&target.octets()[..], &[1, 1], &host.mac].concat();
        let answer = [&target.octets()[..], &[2, 1], &switch.mac].concat();
        trace.send(time, host, group(asked.into()), ICMPV6, icmp(135, 0, [0; 4], &question));
        trace.send(time + 300, switch, host, ICMPV6, icmp(136, 0, [0xe0, 0, 0, 0], &answer));
        if number % 4 == 0 {
            let listeners = group(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16).into());
            let record = [&[4, 0, 0, 0][..], &asked.octets()].concat();
            let from = Host { ttl: 1, ..host };
            let header = Header { router_alert: true, ..Trace::header(from, listeners, ICMPV6) };
            trace.send_as(time + 20 * MILLI, header, icmp(143, 0, [0, 0, 0, 1], &record));
        }
    }
}

/// Membership of multicast groups, and services that announce themselves.
pub(crate) fn groups(trace: &mut Trace) {
    let names = Ipv4Addr::new(224, 0, 0, 251);
    for number in 0..6_u8 {
        let time = u64::from(number) * 17 * SECOND + trace.random.around(SECOND);
        let member = Host { ttl: 1, ..phone(11 + number) };
        let header =
            Header { router_alert: true, ..Trace::header(member, group(names.into()), IGMP) };
        let mut report = vec![0x16, 0, 0, 0];
        report.extend(names.octets());
        trace.send_as(time, header, report);
        let speaker = phone(11 + number).with_ttl(255);
        let question = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x05_ipps\x04_tcp\x05local\0\0\x0c\0\x01";
        trace.udp(time + SECOND, [speaker, group(names.into())], [5353, 5353], question);
        let search =
            b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n\
            MX: 1\r\nST: upnp:rootdevice\r\n\r\n";
        let everybody = group(Ipv4Addr::new(239, 255, 255, 250).into());
        let port = trace.random.port();
        trace.udp(time + 3 * SECOND, [staff(20 + number), everybody], [port, 1900], search);
    }
    // The server room's gateway pair.
    let pair = group(Ipv4Addr::new(224, 0, 0, 18).into());
    for number in 0..110 {
        let from = Host { mac: [0, 0, 0x5e, 0, 1, 20], ttl: 255, ..server(2) };
        let message = vec![0x31, 20, 100, 1, 0, 100, 0, 0, 192, 0, 2, 1];
        trace.send(number * SECOND + 87_000, from, pair, VRRP, message);
    }
}
