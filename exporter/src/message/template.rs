//! Templates: lists of elements. A template and the records that it describes are both written from
//! one list, so they cannot disagree.

use flow::FlowRecord;

use crate::element::{ExporterState, FlowElement, OptionElement, UptimeBase, count16, put16};

/// Elements of flow records under one template id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowTemplate {
    pub(crate) id: u16,
    pub(crate) elements: &'static [FlowElement],
    /// Appends a Data Record.
    pub(crate) put_record: fn(&FlowRecord, UptimeBase, &mut Vec<u8>),
}

/// A [`FlowTemplate`] of an id and a list of elements. The code that writes a record is made from
/// the list too, element by element: then all offsets are constants, and a record costs a third of
/// what it does in a loop over the list.
macro_rules! flow_template {
    ($id:literal: $($element:ident)*) => {
        FlowTemplate {
            id: $id,
            elements: &[$(F::$element),*],
            put_record: |record, uptime, out| {
                let mut writer = RecordWriter::new();
                $(F::$element.put(record, uptime, &mut writer);)*
                out.extend_from_slice(writer.octets());
            },
        }
    };
}

pub(crate) use flow_template;

impl FlowTemplate {
    /// Octets of a record.
    pub(crate) const fn record_length(&self) -> usize {
        let mut length = 0;
        let mut rest = self.elements;
        while let [element, others @ ..] = rest {
            length += element.length() as usize;
            rest = others;
        }
        length
    }

    /// Appends the Template Record: id, field count, then id and length of each (RFC 7011 section
    /// 3.4.1, RFC 3954 section 5.2).
    pub(crate) fn put_template(&self, out: &mut Vec<u8>) {
        put16(out, self.id);
        put16(out, count16(self.elements.len()));
        for element in self.elements {
            put16(out, element.id());
            put16(out, element.length());
        }
    }
}

/// Elements of Options Data Records under one template id: the first is the scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OptionsTemplate {
    pub(crate) id: u16,
    pub(crate) scope: OptionElement,
    pub(crate) elements: &'static [OptionElement],
}

impl OptionsTemplate {
    /// Octets of a record.
    pub(crate) fn record_length(&self) -> usize {
        let elements = self.elements.iter().map(|element| usize::from(element.length()));
        usize::from(self.scope.length()) + elements.sum::<usize>()
    }

    /// Appends the scope and the other fields, id and length of each.
    pub(crate) fn put_fields(&self, out: &mut Vec<u8>) {
        for element in [&self.scope].into_iter().chain(self.elements) {
            put16(out, element.id());
            put16(out, element.length());
        }
    }

    /// Appends an Options Data Record.
    pub(crate) fn put_record(&self, about: &ExporterState, out: &mut Vec<u8>) {
        for element in [&self.scope].into_iter().chain(self.elements) {
            element.put(about, out);
        }
    }
}

/// A record while it is written.
pub(crate) struct RecordWriter {
    octets: [u8; RECORD_OCTETS_MAX],
    length: usize,
}

/// No template has longer records.
const RECORD_OCTETS_MAX: usize = 96;

impl RecordWriter {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { octets: [0; RECORD_OCTETS_MAX], length: 0 }
    }

    #[inline(always)]
    pub(crate) fn put<const LENGTH: usize>(&mut self, value: [u8; LENGTH]) {
        self.octets[self.length..][..LENGTH].copy_from_slice(&value);
        self.length += LENGTH;
    }

    #[inline(always)]
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}
