//! Records of the model and of the meter, in a form in which they can be compared.

use flow::{FlowDirection, FlowEndReason, FlowKey, FlowRecord, KeyField};

use crate::script::Settings;

/// What a record says, but for when it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub key: FlowKey,
    pub vlan_id: u16,
    pub direction: FlowDirection,
    pub first: i64,
    pub last: i64,
    pub packets: u64,
    pub octets: u64,
    pub tcp_control_bits: u8,
    pub minimum_ttl: u8,
    pub maximum_ttl: u8,
    pub reason: FlowEndReason,
}

impl From<FlowRecord> for Record {
    fn from(record: FlowRecord) -> Self {
        Self {
            key: record.key,
            vlan_id: record.vlan_id,
            direction: record.direction,
            first: record.start.as_millis().try_into().unwrap(),
            last: record.end.as_millis().try_into().unwrap(),
            packets: record.packets,
            octets: record.octets,
            tcp_control_bits: record.tcp_control_bits,
            minimum_ttl: record.minimum_ttl,
            maximum_ttl: record.maximum_ttl,
            reason: record.end_reason,
        }
    }
}

impl Record {
    /// The flow that the record belongs to.
    pub fn identity(&self, settings: &Settings) -> Identity {
        identity(settings, self.key, self.vlan_id, self.direction)
    }
}

/// Which flow a packet or a record belongs to: the key, and VLAN and direction where these are in
/// the key.
pub type Identity = (FlowKey, Option<u16>, Option<FlowDirection>);

pub fn identity(
    settings: &Settings,
    key: FlowKey,
    vlan_id: u16,
    direction: FlowDirection,
) -> Identity {
    let has = |field| settings.key.contains(&field);
    (key, has(KeyField::Vlan).then_some(vlan_id), has(KeyField::Direction).then_some(direction))
}
