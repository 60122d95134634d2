//! Elements of bidirectional flows: which element of a flow says what of its other direction (RFC
//! 5103).

use flow::KeyField;

use crate::enterprise::REVERSE;
use crate::table::Element;

/// Elements of one end of a flow, and those that say the same of the other end.
const ENDS: [(Element, Element); 12] = [
    (Element::SourceIpv4Address, Element::DestinationIpv4Address),
    (Element::SourceIpv6Address, Element::DestinationIpv6Address),
    (Element::SourceTransportPort, Element::DestinationTransportPort),
    (Element::SourceIpv4PrefixLength, Element::DestinationIpv4PrefixLength),
    (Element::SourceIpv6PrefixLength, Element::DestinationIpv6PrefixLength),
    (Element::BgpSourceAsNumber, Element::BgpDestinationAsNumber),
    (Element::IngressInterface, Element::EgressInterface),
    (Element::SourceMacAddress, Element::DestinationMacAddress),
    (Element::IngressVrfid, Element::EgressVrfid),
    (Element::PostNatSourceIpv4Address, Element::PostNatDestinationIpv4Address),
    (Element::PostNatSourceIpv6Address, Element::PostNatDestinationIpv6Address),
    (Element::PostNaptSourceTransportPort, Element::PostNaptDestinationTransportPort),
];

/// Elements whose value is of both directions.
const OF_BOTH: [Element; 46] = [
    Element::ProtocolIdentifier,
    Element::IpVersion,
    Element::FlowDirection,
    Element::IcmpTypeCodeIpv4,
    Element::IcmpTypeCodeIpv6,
    Element::IcmpTypeIpv4,
    Element::IcmpCodeIpv4,
    Element::IcmpTypeIpv6,
    Element::IcmpCodeIpv6,
    Element::VlanId,
    Element::Dot1qVlanId,
    Element::Dot1qCustomerVlanId,
    Element::ApplicationId,
    Element::FlowEndReason,
    Element::BiflowDirection,
    Element::FlowEndSysUpTime,
    Element::FlowStartSysUpTime,
    Element::FlowStartSeconds,
    Element::FlowEndSeconds,
    Element::FlowStartMilliseconds,
    Element::FlowEndMilliseconds,
    Element::FlowStartMicroseconds,
    Element::FlowEndMicroseconds,
    Element::FlowStartNanoseconds,
    Element::FlowEndNanoseconds,
    Element::FlowStartDeltaMicroseconds,
    Element::FlowEndDeltaMicroseconds,
    Element::SystemInitTimeMilliseconds,
    Element::FlowDurationMilliseconds,
    Element::FlowDurationMicroseconds,
    Element::ObservationTimeSeconds,
    Element::ObservationTimeMilliseconds,
    Element::ObservationTimeMicroseconds,
    Element::ObservationTimeNanoseconds,
    Element::SamplingInterval,
    Element::SamplerId,
    Element::SamplerRandomInterval,
    Element::SelectorId,
    Element::SamplingPacketInterval,
    Element::SamplingPacketSpace,
    Element::SamplingSize,
    Element::SamplingPopulation,
    Element::SamplingProbability,
    Element::OriginalExporterIpv4Address,
    Element::OriginalExporterIpv6Address,
    Element::OriginalObservationDomainId,
];

impl Element {
    /// The element whose value is of the other direction, if the element with this number is of a
    /// bidirectional flow: one of the Reverse PEN, or a counter of the responder.
    pub fn of_other_direction(enterprise: Option<u32>, number: u16) -> Option<Self> {
        match Self::known(enterprise, number) {
            Some(Self::ResponderOctets) => return Some(Self::InitiatorOctets),
            Some(Self::ResponderPackets) => return Some(Self::InitiatorPackets),
            _ => {}
        }
        let is_reverse = enterprise == Some(REVERSE);
        let element = is_reverse.then(|| Self::collected(None, number)).flatten();
        // The flow key has one value, except the type of service.
        let is_one = |it: &Self| matches!(it.key_field(), None | Some(KeyField::TypeOfService));
        // Direction and initiator follow from those of the record.
        let is_turned = |it: &Self| matches!(it, Self::FlowDirection | Self::BiflowDirection);
        element.filter(|it| !it.is_of_options() && is_one(it) && !is_turned(it))
    }

    /// The element that has the same value in a record of the other direction: that of the
    /// destination for one of the source, and the element itself if it is of both directions.
    /// `None` if the value is of one direction, as a counter is.
    pub fn in_other_direction(self) -> Option<Self> {
        let turned = ENDS.iter().find_map(|(one, other)| match self {
            it if it == *one => Some(*other),
            it if it == *other => Some(*one),
            _ => None,
        });
        turned.or_else(|| OF_BOTH.contains(&self).then_some(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_direction_of_the_other_direction_is_the_element() {
        let mut turned = 0;
        for element in Element::ALL {
            if let Some(other) = element.in_other_direction() {
                assert_eq!(other.in_other_direction(), Some(*element));
                assert!(other.is_read() && !other.is_of_options(), "{other:?}");
                turned += usize::from(other != *element);
            }
        }
        assert_eq!(turned, 24);
        assert_eq!(Element::OctetDeltaCount.in_other_direction(), None);
    }

    #[test]
    fn the_reverse_pen_and_responders_are_of_the_other_direction() {
        let of = Element::of_other_direction;
        assert_eq!(of(Some(REVERSE), 1), Some(Element::OctetDeltaCount));
        assert_eq!(of(Some(REVERSE), 86), Some(Element::PacketTotalCount));
        assert_eq!(of(Some(REVERSE), 5), Some(Element::IpClassOfService));
        assert_eq!(of(None, 232), Some(Element::InitiatorOctets));
        assert_eq!(of(None, 299), Some(Element::InitiatorPackets));
        for (enterprise, number) in
            [(Some(REVERSE), 8), (Some(REVERSE), 82), (Some(REVERSE), 3), (None, 1), (Some(9), 1)]
        {
            assert_eq!(of(enterprise, number), None, "{enterprise:?} {number}");
        }
    }
}
