//! Templates of other exporters, as their records are read.

use std::sync::Arc;

use element::{Element, VARIABLE_LENGTH};
use flow::{ExportProtocol, Timestamp};

use crate::half::Half;
use crate::limits::{FIELD_OCTETS_MAX, FIELDS_MAX};
use crate::message::{Specifier, TemplateRecord};

/// A template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Its Template Record, without the header.
    pub(crate) specifiers: Arc<[u8]>,
    /// Scope fields of an Options Template; `None` for flows.
    pub(crate) scope: Option<u16>,
    /// Octets of the shortest record.
    octets_min: usize,
    /// What a record says of its flow.
    pub(crate) half: Half,
    /// What it says of the other direction, if it has counts of both.
    pub(crate) other_half: Option<Box<Half>>,
    /// When it was last sent.
    pub(crate) sent: Timestamp,
    /// The number of its last use.
    pub(crate) used: u64,
}

/// The enterprise and the number of an element that is skipped because it is not known.
pub(crate) type UnknownElement = (Option<u32>, u16);

/// The template cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// A record ends in the middle of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut;

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
        let mut octets_min = 0;
        let (mut half, mut other) = (Half::default(), Half::default());
        for (index, specifier) in record.fields().enumerate() {
            let Specifier { number, enterprise, length } = specifier;
            let is_scope = record.scope.is_some_and(|scope| index < usize::from(scope));
            let element = match number {
                _ if is_scope && protocol == ExportProtocol::Netflow9 => match number {
                    SCOPE_INTERFACE => Some(Element::IngressInterface),
                    SCOPE_TEMPLATE => Some(Element::TemplateId),
                    _ => None,
                },
                _ => Element::collected(enterprise, number),
            };
            let is_flow = record.scope.is_none();
            let of_other = Element::of_other_direction(enterprise, number).filter(|_| is_flow);
            let element = element.filter(|it| !is_flow || !it.is_of_options());
            if element.is_none() && of_other.is_none() {
                take_unknown((enterprise, number));
            }
            let is_variable = length == VARIABLE_LENGTH;
            if index == FIELDS_MAX || !is_variable && length > FIELD_OCTETS_MAX {
                return Err(Refused);
            }
            octets_min += if is_variable { 1 } else { usize::from(length) };
            half.add(element.filter(|_| of_other.is_none()), length);
            other.add(of_other, length);
        }
        if octets_min == 0 {
            return Err(Refused);
        }
        let other_half = other.is_counted().then(|| Box::new(half.turned(other)));
        Ok(Self {
            specifiers: record.specifiers.into(),
            scope: record.scope,
            octets_min,
            half: half.complete(),
            other_half,
            sent: Timestamp::default(),
            used: 0,
        })
    }

    /// Number of fields.
    pub(crate) fn fields(&self) -> usize {
        self.half.fields()
    }

    /// True if the octets can be a record. Fewer at the end of a set are padding.
    #[inline]
    pub(crate) fn has_room(&self, octets: &[u8]) -> bool {
        octets.len() >= self.octets_min
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
