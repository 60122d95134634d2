//! Flow records for the encoders.

use flow::{
    DetailsIndex, FlowDirection, FlowEndReason, FlowKey, FlowRecord, IpVersion, Tags, Timestamp,
};

/// 2024-05-06T07:08:09.123Z
const BEGIN: u64 = 1_714_979_289_123;

pub fn record(n: u32) -> FlowRecord {
    let [a, b, c, d] = n.wrapping_mul(0x9e37_79b9).to_be_bytes();
    let mut source = [0; 16];
    source[..4].copy_from_slice(&[10, b, c, d]);
    let mut destination = [0; 16];
    destination[..4].copy_from_slice(&[192, 0, 2, a]);
    let end = BEGIN + u64::from(n / 8);
    FlowRecord {
        key: FlowKey {
            ip_version: IpVersion::V4,
            source,
            destination,
            source_port: u16::from_be_bytes([c, d]),
            destination_port: 443,
            protocol: 6,
            type_of_service: 0,
            interface: 1,
        },
        octets: u64::from(n) * 977,
        packets: u64::from(n) + 1,
        start: Timestamp::from_millis(end - u64::from(b) * 10),
        end: Timestamp::from_millis(end),
        exported: Timestamp::from_millis(end + 15_000),
        vlan_id: 0,
        direction: FlowDirection::Ingress,
        tcp_control_bits: 0x1b,
        minimum_ttl: 57,
        maximum_ttl: 64,
        end_reason: FlowEndReason::IdleTimeout,
        tags: Tags::NONE,
        details: DetailsIndex::NONE,
    }
}
