//! A record that is kept in one cache line until it is counted.

use flow::{
    DetailsIndex, FlowDirection, FlowEndReason, FlowKey, FlowRecord, IpVersion, Tags, Timestamp,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::seen::{Class, Role, Seen};
use super::subject::Octets;

/// Milliseconds of a window of kept records.
pub(super) const WINDOW_MS: u64 = 60_000;

/// A record of a host, as far as rules need it, in a cache line.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Kept {
    source: Octets,
    destination: Octets,
    source_port: u16,
    destination_port: u16,
    interface: u32,
    packets: u32,
    octets: u32,
    duration_ms: u32,
    /// Milliseconds from the begin of the window to the last packet.
    end_ms: u32,
    window: u32,
    protocol: u8,
    ip_version: u8,
    tcp_control_bits: u8,
    /// The class; [`RECEIVER`] and [`CONTINUES`].
    kind: u8,
}

const _: () = assert!(size_of::<Kept>() == 64);

/// In [`Kept::kind`]: the host is the destination of the record.
const RECEIVER: u8 = 1 << 7;

/// In [`Kept::kind`]: the flow continues in another record.
const CONTINUES: u8 = 1 << 6;

/// A record that was kept, to be counted now.
pub(super) struct Released {
    record: FlowRecord,
    class: Class,
    role: Role,
    duration_ms: u64,
    end_ms: u64,
}

impl Kept {
    /// False for a record with larger numbers than those of ordinary ones.
    #[inline]
    pub(super) fn holds(seen: &Seen<'_>) -> bool {
        let window = seen.end_ms / WINDOW_MS;
        let largest = seen.record.packets | seen.record.octets | seen.duration_ms | window;
        largest <= u32::MAX.into()
    }

    /// Keeps a record, field by field: it is not built elsewhere first.
    #[expect(clippy::cast_possible_truncation, reason = "such records are not kept")]
    #[inline]
    pub(super) fn keep(&mut self, seen: &Seen<'_>, role: Role) {
        let (key, record) = (seen.key(), seen.record);
        self.source = key.source;
        self.destination = key.destination;
        self.source_port = key.source_port;
        self.destination_port = key.destination_port;
        self.interface = key.interface;
        self.packets = record.packets as u32;
        self.octets = record.octets as u32;
        self.duration_ms = seen.duration_ms as u32;
        self.end_ms = (seen.end_ms % WINDOW_MS) as u32;
        self.window = (seen.end_ms / WINDOW_MS) as u32;
        self.protocol = key.protocol;
        self.ip_version = key.ip_version.number();
        self.tcp_control_bits = record.tcp_control_bits;
        let role = if role == Role::Receiver { RECEIVER } else { 0 };
        let flow = if seen.flows == 0 { CONTINUES } else { 0 };
        self.kind = seen.class as u8 | role | flow;
    }

    /// The number of its class.
    pub(super) fn class(&self) -> u8 {
        self.kind & !(RECEIVER | CONTINUES)
    }

    /// True if this is the record of this host in this role.
    #[inline]
    pub(super) fn is_of(&self, role: Role, version: u8, host: &Octets) -> bool {
        self.ip_version == version && self.role() == role && self.host() == host
    }

    /// The window of the record.
    #[inline]
    pub(super) fn window(&self) -> u64 {
        self.window.into()
    }

    #[inline]
    fn role(&self) -> Role {
        if self.kind & RECEIVER == 0 { Role::Sender } else { Role::Receiver }
    }

    #[inline]
    fn host(&self) -> &Octets {
        if self.kind & RECEIVER == 0 { &self.source } else { &self.destination }
    }

    /// The record, to be counted now.
    pub(super) fn release(&self) -> Released {
        let end_ms = u64::from(self.window) * WINDOW_MS + u64::from(self.end_ms);
        let duration_ms = u64::from(self.duration_ms);
        let end = Timestamp::from_millis(end_ms);
        let continues = self.kind & CONTINUES != 0;
        let record = FlowRecord {
            key: FlowKey {
                ip_version: if self.ip_version == 6 { IpVersion::V6 } else { IpVersion::V4 },
                source: self.source,
                destination: self.destination,
                source_port: self.source_port,
                destination_port: self.destination_port,
                protocol: self.protocol,
                type_of_service: 0,
                interface: self.interface,
            },
            octets: self.octets.into(),
            packets: self.packets.into(),
            start: end.minus_millis(duration_ms),
            end,
            exported: end,
            vlan_id: 0,
            direction: FlowDirection::Ingress,
            tcp_control_bits: self.tcp_control_bits,
            minimum_ttl: 0,
            maximum_ttl: 0,
            end_reason: match continues {
                true => FlowEndReason::ActiveTimeout,
                false => FlowEndReason::IdleTimeout,
            },
            tags: Tags::NONE,
            details: DetailsIndex::NONE,
        };
        let class = Class::ALL[usize::from(self.class())];
        Released { record, class, role: self.role(), duration_ms, end_ms }
    }
}

impl Released {
    /// The record as it was seen, for the rules about its host.
    pub(super) fn seen(&self) -> Seen<'_> {
        let Self { record, class, role, duration_ms, end_ms } = self;
        Seen::again(record, *class, *role, *duration_ms, *end_ms)
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::super::tests::{SYN, T0, inside, outside, record, tcp, udp};
    use super::*;

    fn seen(record: &FlowRecord) -> Seen<'_> {
        Seen::of(&flow::Batch::default(), record).unwrap()
    }

    #[test]
    fn a_kept_record_is_as_it_was() {
        let v6 = ["2001:db8::7", "2001:db8::9"].map(|host| host.parse().unwrap());
        for record in [
            tcp(59_999, SYN, (outside(1), 1), (inside(1), 65_535)),
            FlowRecord {
                packets: 5,
                octets: 7000,
                end_reason: FlowEndReason::ActiveTimeout,
                start: Timestamp::from_millis(T0 - 90_000),
                ..record(1, 17, (v6[0], 7), (v6[1], 8))
            },
        ] {
            let seen = seen(&record);
            for role in [Role::Sender, Role::Receiver] {
                let mut kept = Kept::new_zeroed();
                kept.keep(&seen, role);
                assert!(Kept::holds(&seen));
                let released = kept.release();
                let again = released.seen();
                assert_eq!(again.record.key, record.key);
                assert_eq!(
                    (again.record.packets, again.record.octets, again.record.tcp_control_bits),
                    (record.packets, record.octets, record.tcp_control_bits)
                );
                assert_eq!(again.roles, role as u8);
                let facts = |seen: &Seen<'_>| {
                    (seen.class, seen.flows, seen.duration_ms, seen.start_ms, seen.end_ms)
                };
                assert_eq!(facts(&again), facts(&seen));
            }
        }
        let large = FlowRecord { octets: 1 << 32, ..udp(0, (inside(1), 1), (inside(2), 2)) };
        assert!(!Kept::holds(&seen(&large)));
    }
}
