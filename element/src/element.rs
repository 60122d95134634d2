//! What follows from the rows of the table: numbers, lengths, names and values of elements.

use crate::octets::PutOctets;
use crate::source::{ExporterState, Flow};
use crate::table::Element;

/// In the place of a length: each value has its own length in front (RFC 7011 section 7).
pub const VARIABLE_LENGTH: u16 = u16::MAX;

/// Makes [`Element`] of its rows. A row is
///
/// ```text
/// Name = number [of enterprise], "IANA name", "key in documents", Form [length of a text]
///     [, flow_key KeyField] [, flow |flow| value] [, exporter |state| value];
/// ```
macro_rules! elements {
    ($(
        $(#[$attribute:meta])*
        $element:ident = $number:literal $(of $enterprise:ident)?,
        $name:literal, $key:literal, $form:ident $([$length:literal])?
        $(, flow_key $key_field:ident)?
        $(, flow |$flow:ident| $of_flow:expr)?
        $(, exporter |$state:ident| $of_exporter:expr)?;
    )*) => {
        /// An Information Element that is written here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Element {
            $(#[doc = concat!("`", $name, "`.")] $(#[$attribute])* $element),*
        }

        impl Element {
            /// All elements.
            pub const ALL: &[Self] = &[$(Self::$element),*];

            /// The number, within the registry of the enterprise if it is of one.
            pub const fn number(self) -> u16 {
                match self { $(Self::$element => $number),* }
            }

            /// The Private Enterprise Number of who defines the element; `None` for IANA.
            pub const fn enterprise(self) -> Option<u32> {
                match self { $(Self::$element => optional!($($enterprise)?)),* }
            }

            /// The name in the registry.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$element => $name),* }
            }

            /// The name in the `netflow` object of documents, as Filebeat writes it.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$element => $key),* }
            }

            /// The name as JSON has it between two members: `,"key":`.
            #[inline(always)]
            pub const fn label(self) -> &'static [u8] {
                match self { $(Self::$element => concat!(",\"", $key, "\":").as_bytes()),* }
            }

            /// What its values are.
            pub const fn form(self) -> Form {
                match self { $(Self::$element => Form::$form),* }
            }

            /// Octets of a value, or [`VARIABLE_LENGTH`](crate::VARIABLE_LENGTH).
            pub const fn length(self) -> u16 {
                const fn row(form: Form, length: &[u16]) -> u16 {
                    if let [length] = length { *length } else { form.length() }
                }
                match self { $(Self::$element => row(Form::$form, &[$($length)?])),* }
            }

            /// The field of the flow key that it tells, if it tells one.
            #[inline(always)]
            pub const fn key_field(self) -> Option<KeyField> {
                match self { $(Self::$element => optional!($(KeyField::$key_field)?)),* }
            }

            /// The value of a flow; `None` where it does not describe flows.
            #[inline(always)]
            pub fn of_flow<'a>(self, flow: &Flow<'a>) -> Option<Value<'a>> {
                match self {
                    $(Self::$element => optional!($({
                        let $flow = flow;
                        Value::$form($of_flow)
                    })?)),*
                }
            }

            /// The value of the Exporting Process; `None` where it does not describe that.
            pub fn of_exporter<'a>(self, state: &ExporterState<'a>) -> Option<Value<'a>> {
                match self {
                    $(Self::$element => optional!($({
                        let $state = state;
                        Value::$form($of_exporter)
                    })?)),*
                }
            }

            /// Whether it describes flows.
            pub const fn describes_flows(self) -> bool {
                match self { $(Self::$element => is_present!($($flow)?)),* }
            }

            /// Whether it describes the Exporting Process.
            pub const fn describes_exporter(self) -> bool {
                match self { $(Self::$element => is_present!($($state)?)),* }
            }
        }
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

macro_rules! is_present {
    () => {
        false
    };
    ($part:ident) => {
        true
    };
}

pub(crate) use {elements, is_present, optional};

impl Element {
    /// Appends the value of a flow, as a Data Record has it. Nothing where it does not describe
    /// flows.
    #[inline(always)]
    pub fn put_of_flow(self, flow: &Flow<'_>, out: &mut impl PutOctets) {
        if let Some(value) = self.of_flow(flow) {
            value.put(self.length(), out);
        }
    }

    /// Appends the value of the Exporting Process, as a Data Record has it. Nothing where it does
    /// not describe that.
    pub fn put_of_exporter(self, state: &ExporterState<'_>, out: &mut impl PutOctets) {
        if let Some(value) = self.of_exporter(state) {
            value.put(self.length(), out);
        }
    }

    /// Whether a Data Record has the length of each value in front of it.
    pub const fn is_variable(self) -> bool {
        self.length() == VARIABLE_LENGTH
    }

    /// Octets of a Field Specifier.
    pub const fn specifier_octets(self) -> usize {
        if self.enterprise().is_some() { 8 } else { 4 }
    }

    /// Appends the Field Specifier, as a Template Record has it.
    ///
    /// ```text
    /// |E| Number          | Length            |   RFC 7011 section 3.2; E: the next is there
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
        for letter in name.replace("IPv", "Ipv").chars() {
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
            assert!(element.describes_flows() || element.describes_exporter(), "{element:?}");
            if element.enterprise().is_none() {
                assert_eq!(element.key(), snake_case(element.name()));
                assert_eq!(element.key(), &snake_case(&alloc::format!("{element:?}"))[1..]);
            }
        }
        let keys: BTreeSet<_> = Element::ALL.iter().map(|element| element.key()).collect();
        assert_eq!(keys.len(), Element::ALL.len());
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
