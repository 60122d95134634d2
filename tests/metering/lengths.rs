//! Octets of a packet: by its header, or by the wire where that says nothing.

use crate::support::capture::Captured;
use crate::support::packet::{ethernet, ipv4, ipv6, tagged, tcp, udp, unpadded};
use crate::{A, A6, B, B6, TCP, UDP, meter, meter_packets, with};

const MAC_HEADER: u32 = 14;

/// A frame of which the wire had more than what is here.
fn longer(frame: Vec<u8>, wire_length: u32) -> Captured {
    Captured { wire_length, ..Captured::at(1000, frame) }
}

fn check(packet: Captured, octets: u64, exceeding: u64) {
    let metered = meter_packets(&[], &[packet]);
    assert_eq!((metered.one().packets, metered.one().octets), (1, octets));
    assert_eq!(metered.run.count("exceeding_wire"), exceeding);
}

/// An IPv4 packet that claims another total length.
fn claiming(total_length: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    unpadded(&with(ipv4(A, B, protocol, payload), 2, &total_length.to_be_bytes()))
}

#[test]
fn total_length_zero_counts_the_octets_on_the_wire() {
    // A packet before segmentation, longer than its length can say.
    let packet = claiming(0, TCP, &tcp(1000, 80, 0x18, 100));
    check(longer(packet.clone(), MAC_HEADER + 70_000), 70_000, 0);
    check(longer(tagged(&packet, 0x8100, 7), MAC_HEADER + 4 + 70_000), 70_000, 0);
    let metered = meter_packets(&[], &[longer(packet, MAC_HEADER + 70_000).cut(64)]);
    assert_eq!((metered.one().ports(), metered.one().flags), ((1000, 6, 80), 0x18));
}

#[test]
fn total_length_below_the_header_is_malformed() {
    for total_length in [1, 19] {
        let metered = meter(&[claiming(total_length, UDP, &udp(1000, 53, 10))]);
        assert_eq!((metered.flows.len(), metered.ignored("malformed")), (0, 1));
    }
    // The header is longer with options: 24 octets.
    let options = with(claiming(23, UDP, &udp(1000, 53, 10)), 14, &[0x46]);
    assert_eq!(meter(&[options]).ignored("malformed"), 1);
    let options = with(claiming(24, UDP, &udp(1000, 53, 10)), 14, &[0x46]);
    assert_eq!(meter(&[options]).one().octets, 24);
}

#[test]
fn what_is_beyond_the_total_length_is_not_read() {
    for total_length in [20, 23] {
        let metered = meter(&[claiming(total_length, UDP, &udp(1000, 53, 30))]);
        assert_eq!(metered.one().ports(), (0, 17, 0));
        assert_eq!(metered.one().octets, u64::from(total_length));
    }
    assert_eq!(meter(&[claiming(24, UDP, &udp(1000, 53, 30))]).one().ports(), (1000, 17, 53));
    // 13 octets of TCP end before the control bits, 14 after them.
    for (total_length, flags) in [(33, 0), (34, 0x12)] {
        let metered = meter(&[claiming(total_length, TCP, &tcp(1000, 80, 0x12, 30))]);
        assert_eq!((metered.one().ports(), metered.one().flags), ((1000, 6, 80), flags));
    }
}

#[test]
fn packet_that_claims_more_than_the_wire_had_counts_with_that() {
    check(Captured::at(1000, claiming(1500, UDP, &udp(1000, 53, 30))), 58, 1);
    check(Captured::at(1000, claiming(59, UDP, &udp(1000, 53, 30))), 58, 1);
    check(Captured::at(1000, claiming(58, UDP, &udp(1000, 53, 30))), 58, 0);
    let v6 = with(ipv6(A6, B6, UDP, &udp(1000, 53, 30)), 4, &[0xff, 0xff]);
    check(Captured::at(1000, unpadded(&v6)), 40 + 38, 1);
    // Cut by the capture is another thing: the wire had it.
    let whole = Captured::at(1000, unpadded(&ipv4(A, B, UDP, &udp(1000, 53, 1400))));
    check(whole.cut(60), 1428, 0);
}

/// An IPv6 packet whose payload length is 0, with so much behind the header on the wire.
fn without_length(next: u8, payload: &[u8], behind: u32) -> Captured {
    let packet = with(ipv6(A6, B6, next, payload), 4, &[0, 0]);
    longer(unpadded(&packet), MAC_HEADER + 40 + behind)
}

#[test]
fn payload_length_zero_is_no_payload_unless_the_wire_had_more_than_padding() {
    check(Captured::at(1000, ethernet(&ipv6(A6, B6, 59, &[]))), 40, 0);
    check(without_length(UDP, &udp(1000, 53, 52), 60), 40, 0);
    check(without_length(UDP, &udp(1000, 53, 53), 61), 101, 0);
    check(without_length(TCP, &tcp(1000, 80, 0x18, 100), 70_000), 70_040, 0);
    // Padding is not read as ports, what follows a header without a length is.
    let padding = without_length(UDP, &udp(1000, 53, 10), 18);
    assert_eq!(meter_packets(&[], &[padding]).one().ports(), (0, 17, 0));
    let offload = without_length(UDP, &udp(1000, 53, 100), 108);
    assert_eq!(meter_packets(&[], &[offload]).one().ports(), (1000, 17, 53));
}

#[test]
fn jumbo_payload_option_says_the_length() {
    let jumbo = |length: u32, before: &[u8]| {
        let mut options = vec![UDP, 0];
        options.extend(before);
        options.extend([0xc2, 4]);
        options.extend(length.to_be_bytes());
        options.resize(options.len().next_multiple_of(8), 0);
        options[1] = u8::try_from(options.len() / 8 - 1).unwrap();
        options.extend(udp(1000, 53, 30));
        options
    };
    for before in [&[][..], &[0, 0], &[1, 0], &[1, 2, 0, 0], &[0, 1, 3, 0, 0, 0]] {
        let packet = without_length(0, &jumbo(100_000, before), 100_000);
        let metered = meter_packets(&[], std::slice::from_ref(&packet));
        assert_eq!(metered.one().octets, 100_040, "after {before:?}");
        assert_eq!(metered.one().ports(), (1000, 17, 53), "after {before:?}");
        assert_eq!(metered.run.count("exceeding_wire"), 0);
    }
    // It counts no more than the wire had.
    check(without_length(0, &jumbo(100_000, &[]), 200), 240, 1);
    // With a payload length it is an error (RFC 2675 section 3), and that length counts.
    let packet = ipv6(A6, B6, 0, &jumbo(100_000, &[]));
    check(Captured::at(1000, unpadded(&packet)), packet.len() as u64, 0);
}

#[test]
fn octets_of_a_flow_go_beyond_32_bits() {
    let packet = claiming(0, TCP, &tcp(1000, 80, 0x10, 0));
    let packets = vec![longer(packet, MAC_HEADER + 2_000_000_000); 5];
    let metered = meter_packets(&[], &packets);
    assert_eq!(metered.one().counts(), (5, 10_000_000_000, 1000, 1000, 4));
}
