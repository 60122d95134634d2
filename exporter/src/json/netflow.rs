//! The elements of a flow in the `netflow` object of its document.

use std::net::{Ipv4Addr, Ipv6Addr};

use element::{Element, Flow, Value};
use flow::{Collected, FlowDirection, IpVersion, KeyFields};

use super::address::{Address, Sides};
use super::collected;
use super::member::{put_number, put_string, put_text};
use super::settings::Fields;
use super::time::TimeWriter;

/// State of writing a `netflow` object.
pub(super) struct NetflowObject<'a> {
    pub(super) flow: Flow<'a>,
    /// Fields of the flow key; elements of other fields are absent.
    pub(super) key: KeyFields,
    pub(super) fields: Fields,
    pub(super) sides: &'a Sides,
    pub(super) time: &'a mut TimeWriter,
    pub(super) out: &'a mut Vec<u8>,
}

/// Calls another macro with the elements that both IP versions have, in the order of documents.
macro_rules! with_elements {
    ($macro:ident! $($argument:tt)*) => {
        $macro! { $($argument)*
            IpVersion
            SourceTransportPort
            DestinationTransportPort
            ProtocolIdentifier
            IpClassOfService
            IngressInterface
            EgressInterface
            IcmpTypeCodeIpv4
            IcmpTypeCodeIpv6
            TcpControlBits
            OctetDeltaCount
            PacketDeltaCount
            VlanId
            FlowEndReason
            FlowDirection
            MinimumTtl
            MaximumTtl
            FlowStartMilliseconds
            FlowEndMilliseconds
            FlowDurationMilliseconds
        }
    };
}

/// Appends all elements. The macro names each element instead of a loop over a list, so that labels
/// and forms are constants.
macro_rules! put_elements {
    ($object:ident: $($element:ident)*) => {
        $($object.put_element(Element::$element);)*
    };
}

/// The same for those that another exporter sent.
macro_rules! put_collected_elements {
    ($object:ident, $collected:ident: $($element:ident)*) => {
        $($object.put_collected_element(Element::$element, $collected);)*
    };
}

macro_rules! list_elements {
    ($($element:ident)*) => {
        &[
            Element::BgpSourceAsNumber,
            Element::BgpDestinationAsNumber,
            Element::SourceIpv4PrefixLength,
            Element::DestinationIpv4PrefixLength,
            Element::SourceIpv6PrefixLength,
            Element::DestinationIpv6PrefixLength,
            Element::SourceIpv4Address,
            Element::DestinationIpv4Address,
            Element::SourceIpv6Address,
            Element::DestinationIpv6Address,
            $(Element::$element,)*
        ]
    };
}

/// All elements that documents may have.
pub(crate) fn elements() -> impl Iterator<Item = Element> {
    let elements: &[Element] = with_elements!(list_elements!);
    elements.iter().chain(collected::ELEMENTS).copied()
}

/// True if an ECS field has the same value. Panels and rules of collectors read the interface and
/// the VLAN here, so these are none.
const fn is_copy(element: Element) -> bool {
    matches!(
        element,
        Element::IpVersion
            | Element::SourceIpv4Address
            | Element::DestinationIpv4Address
            | Element::SourceIpv6Address
            | Element::DestinationIpv6Address
            | Element::SourceTransportPort
            | Element::DestinationTransportPort
            | Element::ProtocolIdentifier
            | Element::EgressInterface
            | Element::OctetDeltaCount
            | Element::PacketDeltaCount
            | Element::FlowStartMilliseconds
            | Element::FlowEndMilliseconds
            | Element::FlowDurationMilliseconds
            | Element::BgpSourceAsNumber
            | Element::BgpDestinationAsNumber
    )
}

impl NetflowObject<'_> {
    /// Appends the elements that the flow has.
    pub(super) fn put_elements(&mut self) {
        let (source, destination) = match self.flow.record.key.ip_version {
            IpVersion::V4 => (Element::SourceIpv4Address, Element::DestinationIpv4Address),
            IpVersion::V6 => (Element::SourceIpv6Address, Element::DestinationIpv6Address),
        };
        self.put_address(source, &self.sides.source);
        self.put_address(destination, &self.sides.destination);
        match self.flow.details.and_then(|details| details.collected.as_deref()) {
            None => {
                with_elements!(put_elements! self:);
            }
            Some(collected) => self.put_collected(collected),
        }
        if let Some(place) = self.flow.source() {
            self.put_known(Element::BgpSourceAsNumber, place.as_number);
            let element = match self.flow.record.key.ip_version {
                IpVersion::V4 => Element::SourceIpv4PrefixLength,
                IpVersion::V6 => Element::SourceIpv6PrefixLength,
            };
            self.put_known(element, place.prefix_length);
        }
        if let Some(place) = self.flow.destination() {
            self.put_known(Element::BgpDestinationAsNumber, place.as_number);
            let element = match self.flow.record.key.ip_version {
                IpVersion::V4 => Element::DestinationIpv4PrefixLength,
                IpVersion::V6 => Element::DestinationIpv6PrefixLength,
            };
            self.put_known(element, place.prefix_length);
        }
    }

    /// Appends the elements that another exporter sent.
    #[inline(never)]
    fn put_collected(&mut self, collected: &Collected) {
        with_elements!(put_collected_elements! self, collected:);
        collected::put_elements(collected, self.out);
    }

    #[inline(always)]
    fn put_collected_element(&mut self, element: Element, collected: &Collected) {
        if !collected::has(collected, element) {
            return;
        }
        if element == Element::IngressInterface {
            self.put_known(element, Some(collected.ingress_interface));
        } else if element == Element::EgressInterface {
            let number = collected.egress_interface;
            self.put_known(element, (number != 0).then_some(number));
        } else if element == Element::TcpControlBits {
            self.put_known(element, Some(collected.tcp_control_bits));
        } else {
            self.put_element(element);
        }
    }

    /// Appends an element whose value is known for some flows only.
    #[inline(always)]
    fn put_known(&mut self, element: Element, value: Option<impl itoa::Integer>) {
        if let Some(value) = value
            && !(is_copy(element) && self.fields == Fields::Lean)
        {
            put_number(self.out, element.label(), value);
        }
    }

    /// Appends an address. Its text was made before, because several fields use it.
    fn put_address(&mut self, element: Element, address: &Option<Address>) {
        if let Some(address) = address
            && self.fields == Fields::Full
        {
            self.out.extend_from_slice(element.label());
            put_text(self.out, b"\"", address.text());
            self.out.push(b'"');
        }
    }

    #[inline(always)]
    fn put_element(&mut self, element: Element) {
        if self.has(element)
            && let Some(value) = element.of_flow(&self.flow)
        {
            self.put_value(element.label(), value);
        }
    }

    /// True if the document has the element. Absent are fields that are not in the flow key, the
    /// egress interface of incoming packets, a VLAN id of 0, and the ICMP type of other packets.
    #[inline(always)]
    fn has(&self, element: Element) -> bool {
        let record = self.flow.record;
        if element.key_field().is_some_and(|field| !self.key.contains(field))
            || is_copy(element) && self.fields == Fields::Lean
        {
            false
        } else if element == Element::EgressInterface {
            record.direction == FlowDirection::Egress
        } else if element == Element::VlanId {
            record.vlan_id != 0
        } else if element == Element::IcmpTypeCodeIpv4 {
            record.key.is_icmp() && record.key.ip_version == IpVersion::V4
        } else if element == Element::IcmpTypeCodeIpv6 {
            record.key.is_icmp() && record.key.ip_version == IpVersion::V6
        } else {
            true
        }
    }

    #[inline(always)]
    fn put_value(&mut self, label: &[u8], value: Value<'_>) {
        match value {
            Value::Unsigned8(value) => put_number(self.out, label, value),
            Value::Unsigned16(value) => put_number(self.out, label, value),
            Value::Unsigned32(value) => put_number(self.out, label, value),
            Value::Unsigned64(value) => put_number(self.out, label, value),
            Value::Ipv4Address(octets) => {
                put_string(self.out, label, &Ipv4Addr::from(octets).to_string());
            }
            Value::Ipv6Address(octets) => {
                put_string(self.out, label, &Ipv6Addr::from(octets).to_string());
            }
            Value::MacAddress(octets) => {
                put_string(self.out, label, &collected::mac_text(octets));
            }
            Value::DateTimeMilliseconds(time) => {
                put_text(self.out, label, b"\"");
                self.time.put(time, self.out);
                self.out.push(b'"');
            }
            Value::String(text) => put_string(self.out, label, text),
            Value::Octets16(octets) => {
                let text = format!("{:032x}", u128::from_be_bytes(octets));
                put_string(self.out, label, &text);
            }
        }
    }
}
