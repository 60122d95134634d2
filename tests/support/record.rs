//! A flow record as a base for tests.

use flow::{
    DetailsIndex, FlowDirection, FlowEndReason, FlowKey, FlowRecord, IpVersion, Tags, Timestamp,
};

/// A datagram without payload from port 1 to port 2.
pub fn datagram() -> FlowRecord {
    let time = Timestamp::from_millis(1_714_979_289_000);
    FlowRecord {
        key: FlowKey {
            ip_version: IpVersion::V4,
            source: [0; 16],
            destination: [0; 16],
            source_port: 1,
            destination_port: 2,
            protocol: 17,
            type_of_service: 0,
            interface: 0,
        },
        octets: 28,
        packets: 1,
        start: time,
        end: time,
        exported: time,
        vlan_id: 0,
        direction: FlowDirection::Ingress,
        tcp_control_bits: 0,
        minimum_ttl: 64,
        maximum_ttl: 64,
        end_reason: FlowEndReason::IdleTimeout,
        tags: Tags::NONE,
        details: DetailsIndex::NONE,
    }
}
