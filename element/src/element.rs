//! Encoding of elements: values in Data Records, and Field Specifiers.

use crate::octets::PutOctets;
use crate::source::{ExporterState, Flow};
use crate::table::Element;
use crate::value::VARIABLE_LENGTH;

impl Element {
    /// The element with this number. Numbers of NetFlow v9 have no enterprise.
    pub fn known(enterprise: Option<u32>, number: u16) -> Option<Self> {
        let is_it =
            |element: &&Self| element.number() == number && element.enterprise() == enterprise;
        Self::ALL.iter().find(is_it).copied()
    }

    /// The same, if it is collected.
    pub fn collected(enterprise: Option<u32>, number: u16) -> Option<Self> {
        Self::known(enterprise, number).filter(|element| element.is_read())
    }

    /// The bit of a collected element in a set of them. Those behind the last bit are only
    /// exported.
    pub const fn bit(self) -> u128 {
        let index = self as u32;
        if index < u128::BITS { 1 << index } else { 0 }
    }

    /// Appends the value of a flow for a Data Record. Appends nothing if the element does not
    /// describe flows.
    #[inline(always)]
    pub fn put_of_flow(self, flow: &Flow<'_>, out: &mut impl PutOctets) {
        if let Some(value) = self.of_flow(flow) {
            value.put(self.length(), out);
        }
    }

    /// Appends the value of the Exporting Process for a Data Record. Appends nothing if the element
    /// does not describe the Exporting Process.
    pub fn put_of_exporter(self, state: &ExporterState<'_>, out: &mut impl PutOctets) {
        if let Some(value) = self.of_exporter(state) {
            value.put(self.length(), out);
        }
    }

    /// True for variable length: each value has its length in front of it.
    pub const fn is_variable(self) -> bool {
        self.length() == VARIABLE_LENGTH
    }

    /// Octets of a Field Specifier.
    pub const fn specifier_octets(self) -> usize {
        if self.enterprise().is_some() { 8 } else { 4 }
    }

    /// Appends the Field Specifier for a Template Record.
    ///
    /// ```text
    /// |E| Number          | Length            |   RFC 7011 section 3.2; E = 1: enterprise
    /// | Enterprise Number                     |
    /// ```
    pub fn put_specifier(self, out: &mut impl PutOctets) {
        let enterprise = self.enterprise();
        let bit = if enterprise.is_some() { 1 << 15 } else { 0 };
        out.put16(bit | self.number());
        out.put16(self.length());
        if let Some(enterprise) = enterprise {
            out.put32(enterprise);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    /// `sourceIPv4Address` as `source_ipv4_address`.
    fn snake_case(name: &str) -> String {
        let mut snake = String::new();
        let mut before = 'a';
        let name = name.replace("IPv", "Ipv").replace("NAT", "Nat").replace("NAPT", "Napt");
        for letter in name.chars() {
            if letter.is_ascii_uppercase() && !before.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
            before = letter;
        }
        snake
    }

    #[test]
    fn each_element_has_a_number_and_names_of_its_own() {
        let mut numbers = BTreeSet::new();
        for element in Element::ALL {
            assert!(numbers.insert((element.enterprise(), element.number())), "{element:?}");
            assert!(element.number() < 1 << 15, "{element:?}");
            let is_used =
                [element.describes_flows(), element.describes_exporter(), element.is_read()];
            assert!(is_used.contains(&true), "{element:?}");
            // Filebeat divides this name otherwise.
            if element.enterprise().is_none() && *element != Element::VrfName {
                assert_eq!(element.key(), snake_case(element.name()));
                assert_eq!(element.key(), &snake_case(&alloc::format!("{element:?}"))[1..]);
            }
        }
        let keys: BTreeSet<_> = Element::ALL.iter().map(|element| element.key()).collect();
        assert_eq!(keys.len(), Element::ALL.len());
    }

    #[test]
    fn each_collected_element_has_a_bit_of_its_own() {
        let collected = || Element::ALL.iter().filter(|element| element.is_read());
        let all = collected().fold(0, |all: u128, element| all | element.bit());
        assert_eq!(all.count_ones() as usize, collected().count());
    }

    #[test]
    fn collected_elements_are_found_by_their_numbers() {
        assert_eq!(Element::collected(None, 1), Some(Element::OctetDeltaCount));
        assert_eq!(Element::collected(Some(29_305), 1), None);
        assert_eq!(Element::collected(None, 3), None);
        assert_eq!(Element::collected(None, 40), None, "it is only exported");
    }

    #[test]
    fn values_have_the_lengths_of_their_elements() {
        let state = ExporterState { interface_name: "eth0", ..ExporterState::default() };
        for element in Element::ALL.iter().filter(|element| element.describes_exporter()) {
            let mut out = Vec::new();
            element.put_of_exporter(&state, &mut out);
            assert_eq!(out.len(), usize::from(element.length()), "{element:?}");
        }
    }

    #[test]
    fn specifier_of_an_enterprise_has_its_number() {
        let mut out = Vec::new();
        Element::OctetDeltaCount.put_specifier(&mut out);
        assert_eq!(out, [0, 1, 0, 8]);
        out.clear();
        Element::TlsServerName.put_specifier(&mut out);
        assert_eq!(out, [0x80, 188, 0xff, 0xff, 0x00, 0x00, 0x8b, 0x30]);
        assert_eq!(out.len(), Element::TlsServerName.specifier_octets());
    }
}
