//! Templates of other exporters, as their records are read.

use std::sync::Arc;

use element::{Element, Reading, Received, VARIABLE_LENGTH};
use flow::{ExportProtocol, KeyFields, Timestamp};

use crate::limits::{FIELD_OCTETS_MAX, FIELDS_MAX};
use crate::message::TemplateRecord;

/// A template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Its Template Record, without the header.
    pub(crate) specifiers: Arc<[u8]>,
    /// Scope fields of an Options Template; `None` for flows.
    pub(crate) scope: Option<u16>,
    fields: Vec<Field>,
    /// Octets of the shortest record.
    octets_min: usize,
    /// The elements that are read.
    pub(crate) elements: u128,
    /// The fields of the flow key among them.
    pub(crate) key: KeyFields,
    /// Its counters count a flow from its begin on.
    pub(crate) has_totals: bool,
    /// When it was last sent.
    pub(crate) sent: Timestamp,
    /// The number of its last use.
    pub(crate) used: u64,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    /// `None`: it is skipped.
    element: Option<Element>,
    length: u16,
}

/// The enterprise and the number of an element that is skipped because it is not known.
pub(crate) type UnknownElement = (Option<u32>, u16);

/// The template cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// A record ends in the middle of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut;

/// Counters of a flow from its begin on, and those that count before them.
const TOTALS: u128 = Element::OctetTotalCount.bit() | Element::PacketTotalCount.bit();
const DELTAS: u128 = Element::OctetDeltaCount.bit()
    | Element::PacketDeltaCount.bit()
    | Element::InitiatorOctets.bit()
    | Element::InitiatorPackets.bit();

/// NetFlow v9 has its own numbers for scopes (RFC 3954 section 6.1).
const SCOPE_INTERFACE: u16 = 2;
const SCOPE_TEMPLATE: u16 = 5;

impl Template {
    /// # Errors
    ///
    /// It has no fields, or its records have no octets: a set would have records without end. Or it
    /// has too many fields, or too long ones.
    pub(crate) fn new(
        record: &TemplateRecord<'_>,
        protocol: ExportProtocol,
        mut take_unknown: impl FnMut(UnknownElement),
    ) -> Result<Self, Refused> {
        let mut template = Self {
            specifiers: record.specifiers.into(),
            scope: record.scope,
            fields: Vec::new(),
            octets_min: 0,
            elements: 0,
            key: KeyFields::new([]),
            has_totals: false,
            sent: Timestamp::default(),
            used: 0,
        };
        for (index, specifier) in record.fields().enumerate() {
            let is_scope = record.scope.is_some_and(|scope| index < usize::from(scope));
            let element = match specifier.number {
                number if is_scope && protocol == ExportProtocol::Netflow9 => match number {
                    SCOPE_INTERFACE => Some(Element::IngressInterface),
                    SCOPE_TEMPLATE => Some(Element::TemplateId),
                    _ => None,
                },
                number => Element::collected(specifier.enterprise, number),
            };
            let is_read = |it: &Element| record.scope.is_some() || !it.is_of_options();
            let element = element.filter(is_read);
            if element.is_none() {
                take_unknown((specifier.enterprise, specifier.number));
            }
            template.add(element, specifier.length)?;
        }
        if template.octets_min == 0 {
            return Err(Refused);
        }
        template.fields.shrink_to_fit();
        template.has_totals = template.elements & TOTALS != 0 && template.elements & DELTAS == 0;
        Ok(template)
    }

    fn add(&mut self, element: Option<Element>, length: u16) -> Result<(), Refused> {
        let is_variable = length == VARIABLE_LENGTH;
        if self.fields.len() == FIELDS_MAX || !is_variable && length > FIELD_OCTETS_MAX {
            return Err(Refused);
        }
        self.octets_min += if is_variable { 1 } else { usize::from(length) };
        // The first of several equal elements counts.
        let element = element.filter(|element| self.elements & element.bit() == 0);
        if let Some(element) = element {
            self.elements |= element.bit();
            let field = element.key_field();
            self.key = field.into_iter().fold(self.key, KeyFields::with);
        }
        self.fields.push(Field { element, length });
        Ok(())
    }

    /// Number of fields.
    pub(crate) fn fields(&self) -> usize {
        self.fields.len()
    }

    /// True if the octets can be a record. Fewer at the end of a set are padding.
    #[inline]
    pub(crate) fn has_room(&self, octets: &[u8]) -> bool {
        octets.len() >= self.octets_min
    }

    /// Reads a record. Returns the octets behind it.
    ///
    /// # Errors
    ///
    /// The octets end in a field.
    #[inline]
    pub(crate) fn read<'a>(
        &self,
        mut octets: &'a [u8],
        into: &mut Reading,
    ) -> Result<&'a [u8], Cut> {
        for field in &self.fields {
            let mut length = usize::from(field.length);
            if field.length == VARIABLE_LENGTH {
                (length, octets) = variable(octets)?;
            }
            let (value, rest) = octets.split_at_checked(length).ok_or(Cut)?;
            octets = rest;
            if let Some(element) = field.element {
                element.read(Received(value), into);
            }
        }
        Ok(octets)
    }
}

/// The length of a value of variable length, and the octets behind it: 1 octet, or 255 and 2 octets
/// (RFC 7011 section 7).
pub(crate) fn variable(octets: &[u8]) -> Result<(usize, &[u8]), Cut> {
    match octets {
        [u8::MAX, high, low, rest @ ..] => Ok((u16::from_be_bytes([*high, *low]).into(), rest)),
        [u8::MAX, ..] | [] => Err(Cut),
        [length, rest @ ..] => Ok(((*length).into(), rest)),
    }
}
