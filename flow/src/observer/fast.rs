//! The fast paths of an observer: plain packets, and plain packets in plain tunnels.

use super::{Observer, ObserverSettings, Sink};
use crate::frame::{Frame, Packet, dissect_plain, dissect_plain_ipv4, dissect_plain_ipv6};
use crate::observation::Observation;
use crate::point::ObservationPoint;

/// True if the fast paths apply: without sampling, if all seven key fields are in the key.
pub(super) fn applies(settings: &ObserverSettings) -> bool {
    settings.sampling.interval <= 1 && settings.key.contain_the_seven()
}

impl Observer {
    /// Observes a frame: finds its trace time, then pushes the observation of its packet to `sink`.
    /// Every frame is counted once: as metered, or as ignored with a reason. A frame ahead of all
    /// clocks is held until the next one.
    #[inline(always)]
    pub fn observe(&mut self, frame: &Frame<'_>, sink: &mut impl Sink) {
        if !self.clocks.advance(frame.time) {
            self.observe_off_pace(*frame, sink);
            return;
        }
        if !self.fast_path {
            self.observe_slowly(*frame, sink);
        } else if let Some(packet) = dissect_plain_ipv4(frame)
            && !self.is_suspect(&packet, frame)
        {
            self.meter(frame, &packet, frame.point, sink);
        } else {
            self.observe_other(*frame, sink);
        }
    }

    /// The same, for frames that are not plain IPv4.
    #[inline(never)]
    fn observe_other(&mut self, frame: Frame<'_>, sink: &mut impl Sink) {
        if let Some(packet) = dissect_plain_ipv6(&frame)
            && !self.is_suspect(&packet, &frame)
        {
            self.meter(&frame, &packet, frame.point, sink);
        } else {
            self.observe_unlike(&frame, sink);
        }
    }

    /// The same, without a plain packet first. After a tunnel, most often a known one follows.
    #[inline(never)]
    fn observe_slowly(&mut self, frame: Frame<'_>, sink: &mut impl Sink) {
        if !self.after_tunnel || !self.observe_known(&frame, sink) {
            self.observe_unlike(&frame, sink);
        }
    }

    /// The same, for frames without a faster way.
    #[inline(always)]
    fn observe_unlike(&mut self, frame: &Frame<'_>, sink: &mut impl Sink) {
        if self.decap.is_some() {
            self.observe_opening(frame, sink);
        } else {
            let read = self.read(frame);
            self.place(read, self.clocks.here(), sink);
        }
    }

    /// The same, with decapsulation: for tunnels, and for frames after a tunnel.
    #[inline(never)]
    fn observe_opening(&mut self, frame: &Frame<'_>, sink: &mut impl Sink) {
        if !self.after_tunnel || !self.observe_tunnel(frame, sink) {
            self.observe_rest(frame, sink);
        }
    }

    /// Meters the packet in a plain tunnel whose headers are known, if there is one.
    #[inline(always)]
    fn observe_known(&mut self, frame: &Frame<'_>, sink: &mut impl Sink) -> bool {
        let Some(decap) = &mut self.decap else { return false };
        let Some(again) = decap.open_known(frame) else { return false };
        if self.excluded.iter().any(|conversation| conversation.may_contain(&again.packet)) {
            return false;
        }
        let (packet, point) = decap.number_known(again, frame.point);
        self.meter(frame, &packet, point, sink);
        true
    }

    /// Meters the packet in a plain tunnel, if there is one.
    #[inline(always)]
    fn observe_tunnel(&mut self, frame: &Frame<'_>, sink: &mut impl Sink) -> bool {
        let Some(decap) = &mut self.decap else { return false };
        let Some(found) = decap.open_plain(frame) else { return false };
        if self.excluded.iter().any(|conversation| conversation.may_contain(&found.packet)) {
            return false;
        }
        let (packet, point) = decap.number(frame, found);
        if decap.has_news() {
            decap.news().for_each(|naming| sink.learn(naming));
        }
        self.meter(frame, &packet, point, sink);
        true
    }

    /// The same, for the first tunnel after other frames, the first other frame after a tunnel, and
    /// frames without a fast path.
    #[inline(never)]
    fn observe_rest(&mut self, frame: &Frame<'_>, sink: &mut impl Sink) {
        if self.fast_path && (self.observe_known(frame, sink) || self.observe_tunnel(frame, sink)) {
            (self.fast_path, self.after_tunnel) = (false, true);
            return;
        }
        if self.after_tunnel {
            (self.fast_path, self.after_tunnel) = (true, false);
            if let Some(packet) = dissect_plain(frame)
                && !self.is_suspect(&packet, frame)
            {
                self.meter(frame, &packet, frame.point, sink);
                return;
            }
        }
        let read = self.read(frame);
        self.place(read, self.clocks.here(), sink);
    }

    /// Meters a packet on the fast path.
    #[inline(always)]
    fn meter(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        point: ObservationPoint,
        sink: &mut impl Sink,
    ) {
        let at = self.clocks.here();
        *sink.vacancy() = Observation::new(packet, point, at);
        self.metered_wire_octets += u64::from(frame.wire_length);
        self.counts.metered.count(packet.octets.into());
        sink.push();
    }

    /// True if a plain packet may be a tunnel, or in an excluded conversation. There are false
    /// alarms.
    #[inline(always)]
    fn is_suspect(&self, packet: &Packet, frame: &Frame<'_>) -> bool {
        self.has_suspects
            && (self.screen.suspects(packet, frame.point)
                || self.excluded.iter().any(|conversation| conversation.may_contain(packet)))
    }
}
