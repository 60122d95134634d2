//! What the records of a template say of one direction of their flows.
//!
//! A record may have counts of both directions (RFC 5103, and the initiator and responder of
//! Cisco's firewalls). Flow records of this program are of one direction, so that such a record is
//! read twice: the second time, source and destination change places, and what the other direction
//! has of its own stands for what the first one has.

use element::{Element, Reading, Received, VARIABLE_LENGTH};
use flow::KeyFields;

use crate::template::{Cut, variable};

/// The fields of records, as one direction is read.
#[derive(Clone, Debug)]
pub(crate) struct Half {
    fields: Vec<Field>,
    /// The elements that are read.
    pub(crate) elements: u128,
    /// The fields of the flow key among them.
    pub(crate) key: KeyFields,
    /// Its counters count a flow from its begin on.
    pub(crate) has_totals: bool,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    /// `None`: it is skipped.
    element: Option<Element>,
    length: u16,
}

/// Counters of a flow from its begin on, and those that count before them.
const TOTALS: u128 = Element::OctetTotalCount.bit() | Element::PacketTotalCount.bit();
const DELTAS: u128 = Element::OctetDeltaCount.bit()
    | Element::PacketDeltaCount.bit()
    | Element::InitiatorOctets.bit()
    | Element::InitiatorPackets.bit();

/// Elements that say when a flow began, and those that say when it ended.
const TIMES: [u128; 2] = [
    Element::FlowStartSysUpTime.bit()
        | Element::FlowStartSeconds.bit()
        | Element::FlowStartMilliseconds.bit()
        | Element::FlowStartMicroseconds.bit()
        | Element::FlowStartNanoseconds.bit()
        | Element::FlowStartDeltaMicroseconds.bit(),
    Element::FlowEndSysUpTime.bit()
        | Element::FlowEndSeconds.bit()
        | Element::FlowEndMilliseconds.bit()
        | Element::FlowEndMicroseconds.bit()
        | Element::FlowEndNanoseconds.bit()
        | Element::FlowEndDeltaMicroseconds.bit(),
];

/// Counters behind the exporter, which count if there are no others.
const POST: u128 = Element::PostOctetDeltaCount.bit() | Element::PostPacketDeltaCount.bit();

impl Default for Half {
    fn default() -> Self {
        let (fields, key) = (Vec::new(), KeyFields::new([]));
        Self { fields, elements: 0, key, has_totals: false }
    }
}

impl Half {
    /// Adds a field. The first of several equal elements counts.
    pub(crate) fn add(&mut self, element: Option<Element>, length: u16) {
        let element = element.filter(|element| self.elements & element.bit() == 0);
        if let Some(element) = element {
            self.elements |= element.bit();
            let field = element.key_field();
            self.key = field.into_iter().fold(self.key, KeyFields::with);
        }
        self.fields.push(Field { element, length });
    }

    /// Takes no more fields.
    pub(crate) fn complete(mut self) -> Self {
        self.fields.shrink_to_fit();
        self.has_totals = self.elements & TOTALS != 0 && self.elements & DELTAS == 0;
        self
    }

    /// Whether it has counts.
    pub(crate) fn is_counted(&self) -> bool {
        self.elements & (TOTALS | DELTAS | POST) != 0
    }

    /// The other direction, which has these elements of its own. A time of its own counts in any
    /// form: that of both directions is left out.
    pub(crate) fn turned(&self, own: Self) -> Self {
        let times = TIMES.into_iter().filter(|times| own.elements & times != 0);
        let times = times.fold(0, |all, times| all | times);
        let mut turned = Self { fields: Vec::new(), ..own };
        for (field, own) in self.fields.iter().zip(own.fields) {
            if own.element.is_some() {
                turned.fields.push(own);
            } else {
                let element = field.element.and_then(Element::in_other_direction);
                let element = element.filter(|element| times & element.bit() == 0);
                turned.add(element, field.length);
            }
        }
        turned.complete()
    }

    /// Number of fields.
    pub(crate) fn fields(&self) -> usize {
        self.fields.len()
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

    /// Reads the other direction of a record. `None` if the octets end in a field.
    pub(crate) fn read_other(&self, octets: &[u8]) -> Option<Reading> {
        let mut reading = Reading::default();
        self.read(octets, &mut reading).ok()?;
        reading.turn(self.elements & Element::FlowDirection.bit() != 0);
        Some(reading)
    }
}
