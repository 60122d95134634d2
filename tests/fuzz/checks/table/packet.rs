//! Packets, as frames and as the model sees them.

use flow::{FlowDirection, FlowKey, IpVersion, KeyField, KeyFields};

use super::super::input::Input;
use super::Identity;

/// What a packet is, beside its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    ip_version: IpVersion,
    host: u8,
    port: u8,
    pub(super) tcp: bool,
    type_of_service: u8,
    pub(super) interface: u32,
    pub(super) direction: FlowDirection,
    pub(super) vlan_id: u16,
    pub(super) bits: u8,
    pub(super) ttl: u8,
    /// Behind the IP header.
    payload: u8,
}

impl Packet {
    pub(super) fn read(input: &mut Input<'_>) -> Self {
        let [key, bits] = input.array();
        let attributes = input.u8();
        Self {
            ip_version: if key & 1 == 0 { IpVersion::V4 } else { IpVersion::V6 },
            tcp: key & 2 == 0,
            host: key >> 2 & 3,
            port: key >> 4 & 1,
            type_of_service: key >> 5 & 1,
            interface: (key >> 6 & 1).into(),
            direction: [FlowDirection::Ingress, FlowDirection::Egress][usize::from(attributes & 1)],
            vlan_id: u16::from(key >> 7) * 9,
            bits,
            ttl: attributes,
            payload: 20 + attributes / 4,
        }
    }

    /// As an Ethernet frame (RFC 791 section 3.1, RFC 8200 section 3, RFC 9293 section 3.1).
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if self.vlan_id > 0 {
            frame.extend([0x81, 0, 0, self.vlan_id.to_be_bytes()[1]]);
        }
        let protocol = if self.tcp { 6 } else { 17 };
        match self.ip_version {
            IpVersion::V4 => {
                frame.extend([8, 0, 0x45, self.type_of_service, 0, 20 + self.payload]);
                frame.extend([0, 0, 0, 0, self.ttl, protocol, 0, 0]);
                frame.extend([10, 0, 0, self.host, 10, 0, 0, 99]);
            }
            IpVersion::V6 => {
                frame.extend([0x86, 0xdd, 0x60, self.type_of_service << 4, 0, 0]);
                frame.extend([0, self.payload, protocol, self.ttl]);
                frame.extend([0xfd; 15]);
                frame.push(self.host);
                frame.extend([0xfe; 16]);
            }
        }
        frame.extend([0x30, self.port, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, self.bits]);
        frame.resize(frame.len() - 14 + usize::from(self.payload), 0);
        frame
    }

    pub(super) fn octets(&self) -> u64 {
        let header = if self.ip_version == IpVersion::V4 { 20 } else { 40 };
        header + u64::from(self.payload)
    }

    /// The key with the fields that are in it.
    pub(super) fn key(&self, fields: KeyFields) -> Identity {
        let (mut source, mut destination) = match self.ip_version {
            IpVersion::V4 => ([0; 16], [0; 16]),
            IpVersion::V6 => ([0xfd; 16], [0xfe; 16]),
        };
        match self.ip_version {
            IpVersion::V4 => {
                source[..4].copy_from_slice(&[10, 0, 0, self.host]);
                destination[..4].copy_from_slice(&[10, 0, 0, 99]);
            }
            IpVersion::V6 => source[15] = self.host,
        }
        let has = |field| fields.contains(field);
        let address = |field, octets| if has(field) { octets } else { [0; 16] };
        let number = |field, number: u16| if has(field) { number } else { 0 };
        let octet = |field, octet: u8| if has(field) { octet } else { 0 };
        let key = FlowKey {
            ip_version: self.ip_version,
            source: address(KeyField::Source, source),
            destination: address(KeyField::Destination, destination),
            source_port: number(KeyField::SourcePort, 0x3000 + u16::from(self.port)),
            destination_port: number(KeyField::DestinationPort, 80),
            protocol: octet(KeyField::Protocol, if self.tcp { 6 } else { 17 }),
            type_of_service: octet(KeyField::TypeOfService, self.type_of_service),
            interface: if has(KeyField::Interface) { self.interface } else { 0 },
        };
        let direction =
            if has(KeyField::Direction) { self.direction } else { FlowDirection::Ingress };
        (key, number(KeyField::Vlan, self.vlan_id), direction)
    }
}
