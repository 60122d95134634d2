//! Templates: lists of elements. A template and its records are both written from one list, so they
//! always match.

use element::{Element, ExporterState, Flow, PutOctets, count16};

/// Elements of flow records under one template id. Elements of variable length come last.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowTemplate {
    pub(super) id: u16,
    pub(super) elements: &'static [Element],
    /// The elements of variable length.
    pub(super) variable: &'static [Element],
    /// Appends the fields of fixed length.
    pub(super) put_fixed: fn(&Flow<'_>, &mut Vec<u8>),
}

/// Makes a [`FlowTemplate`] from an id and a list of elements. The macro also makes the code for
/// the fields of fixed length from the list: all offsets are constants then, and a record takes a
/// third of the time of a loop.
macro_rules! template {
    ($id:literal: $($element:ident)*) => {{
        const ELEMENTS: &[Element] = &[$(Element::$element),*];
        const FIXED: (usize, usize) = fixed_part(ELEMENTS);

        // Without this, the compiler inlines it or not by the order in which it finds the code.
        #[inline(always)]
        fn put_fixed(flow: &Flow<'_>, out: &mut Vec<u8>) {
            let mut fixed = FixedOctets::<{ FIXED.1 }>::new();
            $(if !Element::$element.is_variable() {
                Element::$element.put_of_flow(flow, &mut fixed);
            })*
            out.extend_from_slice(fixed.whole());
        }

        FlowTemplate {
            id: $id,
            elements: ELEMENTS,
            variable: ELEMENTS.split_at(FIXED.0).1,
            put_fixed,
        }
    }};
}

/// The [`FlowTemplate`] of an id and an IP version. The versions differ in the addresses and in
/// ICMP. Protocols differ in the times, which come first. Blocks of further elements come last, in
/// the order in which they are named.
macro_rules! flow_template {
    (@common $version:ident [$($block:ident)*] $icmp:ident $id:literal: $($first:ident)*) => {
        flow_template! { @blocks $version [$($block)*] $id:
            $($first)*
            SourceTransportPort
            DestinationTransportPort
            ProtocolIdentifier
            IpClassOfService
            TcpControlBits
            IpVersion
            OctetDeltaCount
            PacketDeltaCount
            IngressInterface
            EgressInterface
            VlanId
            $icmp
            FlowEndReason
            FlowDirection
            MinimumTtl
            MaximumTtl
        }
    };
    (@blocks $version:ident [tunnel $($block:ident)*] $id:literal: $($element:ident)*) => {
        flow_template! { @blocks $version [$($block)*] $id:
            $($element)*
            Layer2SegmentId
            GreKey
            TunnelType
            TunnelKey
            TunnelSourceIpv4Address
            TunnelDestinationIpv4Address
            TunnelProtocolIdentifier
        }
    };
    (@blocks ipv4 [places $($block:ident)*] $id:literal: $($element:ident)*) => {
        flow_template! { @blocks ipv4 [$($block)*] $id:
            $($element)*
            BgpSourceAsNumber
            BgpDestinationAsNumber
            SourceIpv4PrefixLength
            DestinationIpv4PrefixLength
        }
    };
    (@blocks ipv6 [places $($block:ident)*] $id:literal: $($element:ident)*) => {
        flow_template! { @blocks ipv6 [$($block)*] $id:
            $($element)*
            BgpSourceAsNumber
            BgpDestinationAsNumber
            SourceIpv6PrefixLength
            DestinationIpv6PrefixLength
        }
    };
    (@blocks ipv4 [original $($block:ident)*] $id:literal: $($element:ident)*) => {
        flow_template! { @original ipv4 [$($block)*] $id: [$($element)*]
            IpNextHopIpv4Address
            BgpNextHopIpv4Address
            PostNatSourceIpv4Address
            PostNatDestinationIpv4Address
        }
    };
    (@blocks ipv6 [original $($block:ident)*] $id:literal: $($element:ident)*) => {
        flow_template! { @original ipv6 [$($block)*] $id: [$($element)*]
            IpNextHopIpv6Address
            BgpNextHopIpv6Address
            PostNatSourceIpv6Address
            PostNatDestinationIpv6Address
        }
    };
    (@original $version:ident [$($block:ident)*] $id:literal:
        [$($element:ident)*] $($address:ident)*
    ) => {
        flow_template! { @blocks $version [$($block)*] $id:
            $($element)*
            OriginalExporterIpv4Address
            OriginalExporterIpv6Address
            OriginalObservationDomainId
            SamplingInterval
            $($address)*
            PostNaptSourceTransportPort
            PostNaptDestinationTransportPort
            SourceMacAddress
            DestinationMacAddress
            ForwardingStatus
            IngressVrfid
            EgressVrfid
        }
    };
    (@blocks $version:ident [] $id:literal: $($element:ident)*) => {
        template! { $id: $($element)* }
    };
    ($id:literal ipv4 $(with $($block:ident)and+)?: $($time:ident)*) => {
        flow_template! { @common ipv4 [$($($block)+)?] IcmpTypeCodeIpv4
            $id: $($time)* SourceIpv4Address DestinationIpv4Address
        }
    };
    ($id:literal ipv6 $(with $($block:ident)and+)?: $($time:ident)*) => {
        flow_template! { @common ipv6 [$($($block)+)?] IcmpTypeCodeIpv6
            $id: $($time)* SourceIpv6Address DestinationIpv6Address
        }
    };
}

pub(super) use {flow_template, template};

/// Number of elements of fixed length, and the octets of their values.
///
/// # Panics
///
/// An element does not describe flows, or has a fixed length after a variable one. Templates are
/// constants, so this is a compile error.
pub(super) const fn fixed_part(elements: &[Element]) -> (usize, usize) {
    let (mut count, mut octets) = (0, 0);
    let mut index = 0;
    while index < elements.len() {
        let element = elements[index];
        assert!(element.describes_flows(), "a flow template has elements of flows");
        index += 1;
        if !element.is_variable() {
            assert!(count + 1 == index, "elements of variable length are the last");
            count += 1;
            octets += element.length() as usize;
        }
    }
    (count, octets)
}

impl FlowTemplate {
    /// Octets of the Template Record.
    pub(super) const fn template_octets(&self) -> usize {
        4 + specifier_octets(self.elements)
    }

    /// Appends the Template Record: id, field count, then the Field Specifiers (RFC 7011 section
    /// 3.4.1, RFC 3954 section 5.2).
    pub(super) fn put_template(&self, out: &mut Vec<u8>) {
        out.put16(self.id);
        out.put16(count16(self.elements.len()));
        self.elements.iter().for_each(|element| element.put_specifier(out));
    }

    /// Appends a Data Record.
    #[inline(always)]
    pub(super) fn put_record(&self, flow: &Flow<'_>, out: &mut Vec<u8>) {
        (self.put_fixed)(flow, out);
        self.variable.iter().for_each(|element| element.put_of_flow(flow, out));
    }
}

/// Elements of Options Data Records under one template id.
#[derive(Clone, Copy, Debug)]
pub(super) struct OptionsTemplate {
    pub(super) id: u16,
    /// Only elements of fixed length. In IPFIX the first one is the scope.
    pub(super) elements: &'static [Element],
}

impl OptionsTemplate {
    /// # Panics
    ///
    /// An element does not describe the exporter. Templates are constants, so this is a compile
    /// error.
    pub(super) const fn new(id: u16, elements: &'static [Element]) -> Self {
        let mut rest = elements;
        while let [element, others @ ..] = rest {
            assert!(element.describes_exporter(), "an options template has those of the exporter");
            assert!(!element.is_variable(), "the length of its records is constant");
            rest = others;
        }
        Self { id, elements }
    }

    /// Octets of the Field Specifiers.
    pub(super) const fn specifier_octets(&self) -> usize {
        specifier_octets(self.elements)
    }

    /// Octets of the fields of a record.
    pub(super) const fn record_octets(&self) -> usize {
        let mut octets = 0;
        let mut rest = self.elements;
        while let [element, others @ ..] = rest {
            octets += element.length() as usize;
            rest = others;
        }
        octets
    }

    /// Appends the Field Specifiers.
    pub(super) fn put_specifiers(&self, out: &mut Vec<u8>) {
        self.elements.iter().for_each(|element| element.put_specifier(out));
    }

    /// Appends the fields of a record.
    pub(super) fn put_record(&self, state: &ExporterState<'_>, out: &mut Vec<u8>) {
        self.elements.iter().for_each(|element| element.put_of_exporter(state, out));
    }
}

const fn specifier_octets(elements: &[Element]) -> usize {
    let mut octets = 0;
    let mut rest = elements;
    while let [element, others @ ..] = rest {
        octets += element.specifier_octets();
        rest = others;
    }
    octets
}
