//! Information Elements: the fields of records, their names and their encoding.
//!
//! The elements are those of the IANA registry "IPFIX Information Elements" and of enterprises
//! (RFC 7011 section 3.2). NetFlow v9 calls them field types and has the same numbers up to 127.
//! All properties of an element are in its row of the table (table.rs). Templates and documents
//! only list their elements.
//!
//! This crate has no messages, sets or templates. Encoders use it to write them, and the collector
//! uses it to read them.

#![no_std]

extern crate alloc;

mod biflow;
mod element;
mod enterprise;
mod names;
mod octets;
mod reading;
mod received;
mod rows;
mod source;
mod table;
mod tunnel;
mod value;

pub use octets::{FixedOctets, PutOctets, count16, saturate32};
pub use reading::{
    Icmp, NamesReading, Original, OtherCounts, Reading, Route, SamplingReading, TimeForm,
    TimeReading,
};
pub use received::Received;
pub use source::{ExporterState, Flow, UptimeBase};
pub use table::Element;
pub use value::{Form, VARIABLE_LENGTH, Value};
