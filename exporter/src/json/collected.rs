//! What the documents of collected flows have besides: the fields that only another exporter knows.

use element::Element;
use flow::{Collected, FlowDirection, NamedInterface};

use super::member::{put_number, put_string};

/// Elements that only collected flows have.
pub(super) const ELEMENTS: &[Element] = &[
    Element::IpNextHopIpv4Address,
    Element::IpNextHopIpv6Address,
    Element::BgpNextHopIpv4Address,
    Element::BgpNextHopIpv6Address,
    Element::SourceMacAddress,
    Element::DestinationMacAddress,
    Element::ForwardingStatus,
    Element::IngressVrfid,
    Element::EgressVrfid,
    Element::PostNatSourceIpv4Address,
    Element::PostNatSourceIpv6Address,
    Element::PostNatDestinationIpv4Address,
    Element::PostNatDestinationIpv6Address,
    Element::PostNaptSourceTransportPort,
    Element::PostNaptDestinationTransportPort,
];

/// The text of a MAC address.
pub(super) fn mac_text([a, b, c, d, e, f]: [u8; 6]) -> String {
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// True if the exporter sent the element, or another one that says the same. Times and IP version
/// are always known.
#[inline(always)]
pub(super) fn has(collected: &Collected, element: Element) -> bool {
    matches!(
        element,
        Element::IpVersion
            | Element::FlowStartMilliseconds
            | Element::FlowEndMilliseconds
            | Element::FlowDurationMilliseconds
            | Element::IcmpTypeCodeIpv4
            | Element::IcmpTypeCodeIpv6
    ) || collected.fields & element.bit() != 0
}

/// Appends interfaces to `observer`.
pub(super) fn put_interfaces(collected: &Collected, direction: FlowDirection, out: &mut Vec<u8>) {
    let (ingress, egress) = (collected.ingress_interface, collected.egress_interface);
    let names = collected.names.as_deref();
    let is_ingress = direction == FlowDirection::Ingress;
    if has(collected, Element::IngressInterface) && (is_ingress || ingress != 0) {
        put_number(out, br#","ingress":{"interface":{"id":""#, ingress);
        put_names(names.and_then(|names| names.ingress.as_deref()), out);
    }
    if has(collected, Element::EgressInterface) && egress != 0 {
        put_number(out, br#","egress":{"interface":{"id":""#, egress);
        put_names(names.and_then(|names| names.egress.as_deref()), out);
    }
}

/// Appends the names of an interface behind its number, and ends it.
fn put_names(named: Option<&NamedInterface>, out: &mut Vec<u8>) {
    out.push(b'"');
    if let Some(named) = named {
        for (label, text) in [(&br#","name":"#[..], &named.name), (br#","alias":"#, &named.alias)] {
            if !text.is_empty() {
                put_string(out, label, text);
            }
        }
    }
    out.extend_from_slice(b"}}");
}

/// Appends the name of the application to `network`, in lower case as ECS demands.
pub(super) fn put_application(collected: &Collected, out: &mut Vec<u8>) {
    let names = collected.names.as_deref();
    if let Some(name) = names.and_then(|names| names.application.as_deref()) {
        put_string(out, br#","application":"#, &name.to_lowercase());
    }
}

/// Appends the elements that only collected flows have to `netflow`.
pub(super) fn put_elements(collected: &Collected, out: &mut Vec<u8>) {
    let translated = &collected.translated;
    for (v4, v6, address) in [
        (Element::IpNextHopIpv4Address, Element::IpNextHopIpv6Address, collected.next_hop),
        (Element::BgpNextHopIpv4Address, Element::BgpNextHopIpv6Address, collected.bgp_next_hop),
        (Element::PostNatSourceIpv4Address, Element::PostNatSourceIpv6Address, translated.source),
        (
            Element::PostNatDestinationIpv4Address,
            Element::PostNatDestinationIpv6Address,
            translated.destination,
        ),
    ] {
        if let Some(address) = address {
            let element = if address.is_ipv4() { v4 } else { v6 };
            put_string(out, element.label(), &address.to_string());
        }
    }
    for (element, mac) in [
        (Element::SourceMacAddress, collected.source_mac),
        (Element::DestinationMacAddress, collected.destination_mac),
    ] {
        if let Some(mac) = mac {
            put_string(out, element.label(), &mac_text(mac));
        }
    }
    for (element, number) in [
        (Element::ForwardingStatus, collected.forwarding_status.into()),
        (Element::IngressVrfid, collected.ingress_vrf),
        (Element::EgressVrfid, collected.egress_vrf),
        (Element::PostNaptSourceTransportPort, translated.source_port.into()),
        (Element::PostNaptDestinationTransportPort, translated.destination_port.into()),
    ] {
        if has(collected, element) {
            put_number(out, element.label(), number);
        }
    }
    let names = collected.names.as_deref();
    for (label, name) in [
        (&br#","ingress_vrf_name":"#[..], names.and_then(|names| names.ingress_vrf.as_deref())),
        (br#","egress_vrf_name":"#, names.and_then(|names| names.egress_vrf.as_deref())),
    ] {
        name.iter().for_each(|name| put_string(out, label, name));
    }
}
