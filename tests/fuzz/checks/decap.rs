//! Any octets as a frame with tunnels: every packet and octet is accounted for, however the
//! capture cuts it, and segments of a super-packet are no longer than the wire had them.

use flow::{
    DecapSettings, Dissection, Frame, HashSeed, KeyFields, L2tpV3, MeterCounts, Naming, NewClock,
    Observation, ObservationPoint, Observer, ObserverSettings, Offload, Sampling, Segmented, Sink,
    Timestamp, Tpids, TunnelKind, TunnelKinds, VxlanPorts, each_segment,
};

use super::frame::LINK_TYPES;
use super::input::Input;

/// The link type (1), kinds that are left closed (2), the form of L2TPv3 (1), a port of VXLAN (2),
/// how much longer the frame was on the wire (2), how much of it a shorter capture has (2), octets
/// of a segment (2), the offset of its header (2), and the frame.
pub fn check(octets: &[u8]) {
    let mut input = Input::new(octets);
    let link_type = input.pick(&LINK_TYPES);
    let dissection = Dissection { decap: settings(&mut input), tpids: Tpids::default() };
    let longer = u32::from(input.u16());
    let shorter = usize::from(input.u16());
    let (segment_octets, header_offset) = (input.u16(), input.u16());
    let data = input.rest();
    let wire_length = u32::try_from(data.len()).unwrap_or(u32::MAX).saturating_add(longer);
    let (time, point) = (Timestamp::default(), ObservationPoint::default());
    let whole = Frame { data, wire_length, time, point, link_type };
    let cut = Frame { data: &data[..shorter.min(data.len())], ..whole };
    check_counts(&[whole, cut, whole], &dissection);
    let header_offset = (header_offset != 0).then_some(header_offset.into());
    for protocol in [Segmented::Tcp, Segmented::Udp] {
        let offload = Offload { protocol, segment_octets, header_offset };
        check_segments(&whole, &offload, &dissection);
    }
}

fn settings(input: &mut Input<'_>) -> DecapSettings {
    let closed = input.u16();
    let kinds = TunnelKind::ALL.into_iter().filter(|kind| closed >> *kind as u16 & 1 == 0);
    let kinds = kinds.map(|kind| TunnelKinds::of_option(kind.option()));
    let form = input.u8();
    let l2tpv3 = L2tpV3 { cookie: form & 3, sublayer: form >> 2 & 4 };
    let [port, ..] = VxlanPorts::default().0;
    DecapSettings {
        kinds: kinds.fold(TunnelKinds::default(), TunnelKinds::with),
        vxlan_ports: VxlanPorts([port, input.u16(), 0, 0]),
        l2tpv3: (form & 0x80 == 0).then_some(l2tpv3),
        whole_key: form & 0x40 != 0,
    }
}

/// Packets and octets with decapsulation are those without it, less what is counted otherwise.
fn check_counts(frames: &[Frame<'_>], dissection: &Dissection) {
    let with = observe(frames, dissection);
    let without = observe(frames, &Dissection::default());
    for counts in [&with, &without] {
        let ignored = counts.ignored_total();
        assert_eq!(counts.received.packets, frames.len() as u64);
        assert_eq!(counts.received.packets, ignored.packets + counts.metered.packets);
    }
    let tunnels = &with.tunnels;
    let elsewhere = tunnels.ignored_inside + tunnels.fragments;
    assert_eq!(without.metered.packets, with.metered.packets + elsewhere.packets);
    let octets = i128::from(with.metered.octets + elsewhere.octets);
    let octets = octets + i128::from(tunnels.overhead_octets);
    assert_eq!(i128::from(without.metered.octets), octets);
    assert!(tunnels.opened_total().packets <= with.metered.packets);
}

fn observe(frames: &[Frame<'_>], dissection: &Dissection) -> MeterCounts {
    let mut observer = Observer::new(&ObserverSettings {
        key: KeyFields::SEVEN,
        idle_timeout_ms: 1000,
        active_timeout_ms: 1000,
        sampling: Sampling { interval: 1 },
        tpids: dissection.tpids,
        decap: dissection.decap,
        seed: HashSeed::new(1),
    });
    let mut sink = Nothing::default();
    frames.iter().for_each(|frame| observer.observe(frame, &mut sink));
    observer.finish(&mut sink);
    observer.counts()
}

/// Each has headers of its own, and all together they have what the wire had.
fn check_segments(frame: &Frame<'_>, offload: &Offload, dissection: &Dissection) {
    const JUMBO_OPTIONS: u32 = 8 * 8;
    let (mut count, mut octets) = (0, 0_u32);
    let said = each_segment(frame, offload, dissection, |segment| {
        assert!(segment.data.len() <= frame.data.len().max(512));
        assert!(segment.wire_length <= frame.wire_length);
        count += 1;
        octets = octets.saturating_add(segment.wire_length);
    });
    assert_eq!(said, count);
    assert!(octets >= frame.wire_length.saturating_sub(JUMBO_OPTIONS), "{octets}");
}

/// Takes observations, and forgets them.
#[derive(Default)]
struct Nothing(Observation);

impl Sink for Nothing {
    fn vacancy(&mut self) -> &mut Observation {
        &mut self.0
    }

    fn push(&mut self) {}

    fn begin_clock(&mut self, _: NewClock) {}

    fn learn(&mut self, _: Naming) {}
}
