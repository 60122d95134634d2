//! From the values of a Data Record to a flow record.

use std::sync::Arc;

use element::{Element, Reading, Route, TimeForm, TimeReading};
use flow::{
    Details, FlowDirection, FlowRecord, Initiator, IpVersion, KeyField, KeyFields, Place,
    Timestamp, Tpids,
};

use crate::counts::Counts;
use crate::half::Half;
use crate::message::Header;
use crate::section;
use crate::template::Template;

/// A sysUpTime that is later than the header's by more than this cannot be true.
const AHEAD_MS_MAX: i64 = 60_000;

/// Places that are kept to be shared between records.
const PLACES: usize = 8192;

/// What the records of a Data Set have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common<'a> {
    pub(crate) template: &'a Template,
    /// Its id; NetFlow v5 has none.
    pub(crate) template_id: u16,
    pub(crate) header: &'a Header,
    pub(crate) received: Timestamp,
    /// The time that sysUpTime counts from, if options told it.
    pub(crate) init_time: Option<Timestamp>,
    /// Further tag protocols in sampled frames.
    pub(crate) tpids: Tpids,
}

/// Autonomous Systems and prefixes as the places of addresses: each in the one slot that it may be
/// in, where it stays until another one comes.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Empty before the first place.
    slots: Vec<Slot>,
}

type Slot = Option<(Route, Arc<Place>)>;

impl Places {
    pub(crate) fn of(&mut self, route: Route) -> Option<Arc<Place>> {
        if route == Route::default() {
            return None;
        }
        if self.slots.is_empty() {
            self.slots.resize(PLACES, None);
        }
        let hash = (u64::from(route.as_number) << 8 | u64::from(route.prefix_length))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let index = usize::try_from(hash >> (u64::BITS - PLACES.ilog2())).unwrap_or(0);
        let slot = self.slots.get_mut(index)?;
        if let Some((_, place)) = slot.as_ref().filter(|(known, _)| *known == route) {
            return Some(Arc::clone(place));
        }
        let place = Arc::new(Place {
            as_number: (route.as_number != 0).then_some(route.as_number),
            prefix_length: (route.prefix_length != 0).then_some(route.prefix_length),
            ..Place::default()
        });
        *slot = Some((route, Arc::clone(&place)));
        Some(place)
    }
}

/// biflowDirection: the destination of the record began the conversation (RFC 5103 section 6.3). 1
/// is the source.
pub(crate) const REVERSE_INITIATOR: u8 = 2;

/// Makes a flow record of one direction. `None` if it has neither addresses nor a packet that has
/// them.
pub(crate) fn record(
    reading: &mut Reading,
    (half, common): (&Half, Common<'_>),
    sampling_interval: u32,
    places: &mut Places,
    counts: &mut Counts,
) -> Option<(FlowRecord, Details)> {
    let Common { header, received, .. } = common;
    let has = |element: Element| half.elements & element.bit() != 0;
    let (mut fields, mut key) = (half.elements, half.key);
    if set_addresses(reading).is_none() {
        let (more, of_packet) = section::set_packet(reading, common.tpids)?;
        (fields, key) = (fields | more, key.join(of_packet));
        set_addresses(reading)?;
    }
    set_icmp(reading);
    set_times(reading, common, counts);
    let mut record = reading.record;
    let others = &reading.others;
    if !has(Element::OctetDeltaCount) {
        let counts = [others.initiator_octets, others.total_octets, others.post_octets];
        record.octets = counts.into_iter().find(|count| *count > 0).unwrap_or(0);
        fields |= Element::OctetDeltaCount.bit();
    }
    if !has(Element::PacketDeltaCount) {
        let counts = [others.initiator_packets, others.total_packets, others.post_packets];
        record.packets = counts.into_iter().find(|count| *count > 0).unwrap_or(0);
        fields |= Element::PacketDeltaCount.bit();
    }
    if has(Element::IpTtl) {
        fields |= Element::MinimumTtl.bit() | Element::MaximumTtl.bit();
    }
    if has(Element::Dot1qVlanId) {
        fields |= Element::VlanId.bit();
    }
    let collected = &mut reading.collected;
    record.key.interface = match record.direction {
        FlowDirection::Ingress => collected.ingress_interface,
        FlowDirection::Egress => collected.egress_interface,
    };
    record.exported = received;
    collected.fields = fields;
    collected.key = key_fields(key, reading.icmp.both.is_some());
    collected.export_time = header.export_time;
    collected.uptime_ms = header.uptime_ms;
    collected.sampling_interval = sampling_interval;
    let details = Details {
        source: places.of(reading.source),
        destination: places.of(reading.destination),
        inner_vlan_id: reading.inner_vlan_id,
        collected: Some(Box::new(reading.collected.clone())),
        ..Details::default()
    };
    Some((record, details))
}

/// The fields of the flow key of a record. The addresses are always there. An interface is there
/// if either is.
fn key_fields(fields: KeyFields, has_icmp: bool) -> KeyFields {
    let fields = fields.with(KeyField::Source).with(KeyField::Destination);
    if has_icmp { fields.with(KeyField::DestinationPort) } else { fields }
}

/// Sets IP version and addresses. A template may have the addresses of both versions; those of the
/// other version are then 0.
fn set_addresses(reading: &mut Reading) -> Option<()> {
    let is_there = |addresses: &[Option<[u8; 16]>; 2]| addresses.iter().any(Option::is_some);
    let is_set = |addresses: &[Option<[u8; 16]>; 2]| {
        addresses.iter().flatten().any(|address| *address != [0; 16])
    };
    let (v4, v6) = (&reading.ipv4, &reading.ipv6);
    let ip_version = match reading.ip_version {
        6 if is_there(v6) => IpVersion::V6,
        4 if is_there(v4) => IpVersion::V4,
        _ if is_set(v6) => IpVersion::V6,
        _ if is_there(v4) => IpVersion::V4,
        _ if is_there(v6) => IpVersion::V6,
        _ => return None,
    };
    let [source, destination] = match ip_version {
        IpVersion::V4 => reading.ipv4,
        IpVersion::V6 => reading.ipv6,
    };
    let key = &mut reading.record.key;
    key.ip_version = ip_version;
    key.source = source.unwrap_or_default();
    key.destination = destination.unwrap_or_default();
    if matches!(reading.biflow_direction, 1 | REVERSE_INITIATOR) {
        reading.collected.initiator = Initiator::Source;
    }
    // The source is the responder of the conversation.
    if reading.biflow_direction == REVERSE_INITIATOR {
        std::mem::swap(&mut key.source, &mut key.destination);
        std::mem::swap(&mut key.source_port, &mut key.destination_port);
        std::mem::swap(&mut reading.source, &mut reading.destination);
    }
    Some(())
}

/// Type and code of ICMP are in the destination port, or in elements of their own.
fn set_icmp(reading: &mut Reading) {
    let (key, icmp) = (&mut reading.record.key, reading.icmp);
    if !key.is_icmp() {
        return;
    }
    let apart = icmp.kind.map(|kind| u16::from_be_bytes([kind, icmp.code.unwrap_or(0)]));
    if let Some(both) = icmp.both.filter(|both| *both != 0).or(apart).filter(|both| *both != 0) {
        key.destination_port = both;
    }
}

/// Sets start and end of the flow.
fn set_times(reading: &mut Reading, common: Common<'_>, counts: &mut Counts) {
    let init_time = reading.init_time.or(common.init_time);
    let mut is_invalid = false;
    let mut time = |sent: &TimeReading| match time_of(sent, common.header, init_time) {
        Ok(time) => time,
        Err(Invalid) => {
            is_invalid = true;
            None
        }
    };
    let (start, end) = (time(&reading.start), time(&reading.end));
    let export_time = common.header.export_time;
    let duration_ms = reading.duration_ms.unwrap_or(0);
    let (start, end) = match (start, end) {
        (Some(start), Some(end)) => (start, end),
        (Some(start), None) => (start, start.plus_millis(duration_ms)),
        (None, Some(end)) => (end.minus_millis(duration_ms), end),
        (None, None) => (export_time.minus_millis(duration_ms), export_time),
    };
    is_invalid |= start > end;
    counts.times_invalid += u64::from(is_invalid);
    (reading.record.start, reading.record.end) = (start.min(end), end);
}

/// The time cannot be true.
struct Invalid;

/// The time of day in a record. `None` if the record does not say it.
fn time_of(
    sent: &TimeReading,
    header: &Header,
    init_time: Option<Timestamp>,
) -> Result<Option<Timestamp>, Invalid> {
    let export_time = header.export_time;
    let observed = match sent.time {
        Some((TimeForm::Observation, time)) => Some(time),
        Some((_, time)) => return Ok(Some(time)),
        None => None,
    };
    if let Some(before_us) = sent.before_export_us {
        return Ok(Some(export_time.minus_millis(before_us / 1000)));
    }
    let Some(uptime_ms) = sent.uptime_ms else { return Ok(observed) };
    match (header.uptime_ms, init_time) {
        (Some(now_ms), _) => {
            // sysUpTime begins again at 0 after 49.7 days.
            let age_ms = i64::from(now_ms.wrapping_sub(uptime_ms).cast_signed());
            if age_ms < -AHEAD_MS_MAX {
                return Err(Invalid);
            }
            let time = export_time.as_millis().saturating_add_signed(-age_ms);
            Ok(Some(Timestamp::from_millis(time)))
        }
        (None, Some(init_time)) => Ok(Some(init_time.plus_millis(uptime_ms.into()))),
        (None, None) => observed.map(Some).ok_or(Invalid),
    }
}
