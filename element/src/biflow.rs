//! Elements of bidirectional flows: which element of a flow says what of its other direction (RFC
//! 5103).

use flow::KeyField;

use crate::enterprise::REVERSE;
use crate::table::Element;

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
        element.filter(|element| !element.is_of_options() && is_one(element))
    }

    /// The element that has the same value in a record of the other direction: that of the
    /// destination for one of the source, and the element itself if it is of both directions.
    /// `None` if the value is of one direction, as a counter is.
    pub const fn in_other_direction(self) -> Option<Self> {
        Some(match self {
            Self::SourceIpv4Address => Self::DestinationIpv4Address,
            Self::DestinationIpv4Address => Self::SourceIpv4Address,
            Self::SourceIpv6Address => Self::DestinationIpv6Address,
            Self::DestinationIpv6Address => Self::SourceIpv6Address,
            Self::SourceTransportPort => Self::DestinationTransportPort,
            Self::DestinationTransportPort => Self::SourceTransportPort,
            Self::SourceIpv4PrefixLength => Self::DestinationIpv4PrefixLength,
            Self::DestinationIpv4PrefixLength => Self::SourceIpv4PrefixLength,
            Self::SourceIpv6PrefixLength => Self::DestinationIpv6PrefixLength,
            Self::DestinationIpv6PrefixLength => Self::SourceIpv6PrefixLength,
            Self::BgpSourceAsNumber => Self::BgpDestinationAsNumber,
            Self::BgpDestinationAsNumber => Self::BgpSourceAsNumber,
            Self::IngressInterface => Self::EgressInterface,
            Self::EgressInterface => Self::IngressInterface,
            Self::SourceMacAddress => Self::DestinationMacAddress,
            Self::DestinationMacAddress => Self::SourceMacAddress,
            Self::IngressVrfid => Self::EgressVrfid,
            Self::EgressVrfid => Self::IngressVrfid,
            Self::PostNatSourceIpv4Address => Self::PostNatDestinationIpv4Address,
            Self::PostNatDestinationIpv4Address => Self::PostNatSourceIpv4Address,
            Self::PostNatSourceIpv6Address => Self::PostNatDestinationIpv6Address,
            Self::PostNatDestinationIpv6Address => Self::PostNatSourceIpv6Address,
            Self::PostNaptSourceTransportPort => Self::PostNaptDestinationTransportPort,
            Self::PostNaptDestinationTransportPort => Self::PostNaptSourceTransportPort,
            _ if self.is_of_both_directions() => self,
            _ => return None,
        })
    }

    const fn is_of_both_directions(self) -> bool {
        matches!(
            self,
            Self::ProtocolIdentifier
                | Self::IpVersion
                | Self::FlowDirection
                | Self::IcmpTypeCodeIpv4
                | Self::IcmpTypeCodeIpv6
                | Self::IcmpTypeIpv4
                | Self::IcmpCodeIpv4
                | Self::IcmpTypeIpv6
                | Self::IcmpCodeIpv6
                | Self::VlanId
                | Self::Dot1qVlanId
                | Self::ApplicationId
                | Self::FlowEndReason
                | Self::BiflowDirection
                | Self::FlowEndSysUpTime
                | Self::FlowStartSysUpTime
                | Self::FlowStartSeconds
                | Self::FlowEndSeconds
                | Self::FlowStartMilliseconds
                | Self::FlowEndMilliseconds
                | Self::FlowStartMicroseconds
                | Self::FlowEndMicroseconds
                | Self::FlowStartNanoseconds
                | Self::FlowEndNanoseconds
                | Self::FlowStartDeltaMicroseconds
                | Self::FlowEndDeltaMicroseconds
                | Self::SystemInitTimeMilliseconds
                | Self::FlowDurationMilliseconds
                | Self::FlowDurationMicroseconds
                | Self::ObservationTimeSeconds
                | Self::ObservationTimeMilliseconds
                | Self::ObservationTimeMicroseconds
                | Self::ObservationTimeNanoseconds
                | Self::SamplingInterval
                | Self::SamplerId
                | Self::SamplerRandomInterval
                | Self::SelectorId
                | Self::SamplingPacketInterval
                | Self::SamplingPacketSpace
                | Self::SamplingSize
                | Self::SamplingPopulation
                | Self::OriginalExporterIpv4Address
                | Self::OriginalExporterIpv6Address
                | Self::OriginalObservationDomainId
        )
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
