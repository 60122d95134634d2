//! Frames to flow records: the pure core of flowprobe.
//!
//! A capture source lends a [`Frame`]. The [`Observer`] moves the clock, dissects the frame, looks
//! up the ports of fragments, and pushes an [`Observation`] to a [`Sink`], or counts the reason why
//! the frame is ignored. A [`FlowTable`] aggregates observations to [`FlowRecord`]s, each with the
//! reason of the flow's end (RFC 7011, RFC 7012).
//!
//! This crate performs no I/O, reads no clock and starts no thread. Records depend only on the
//! frames, their times and the settings.

#![no_std]

extern crate alloc;

mod batch;
mod clock;
mod collected;
mod conversation;
mod counts;
mod decap;
mod details;
mod facts;
mod filter;
mod fragment;
pub mod frame;
mod hash;
mod interner;
mod key;
mod names;
mod networks;
pub mod number;
mod numbering;
mod observation;
mod observer;
mod place;
mod point;
mod prefetch;
mod record;
mod shard;
mod stage;
mod table;
mod tags;
mod time;
mod unread;
pub mod words;

pub use batch::{BATCH_RECORDS, Batch, Event, EventKind, Origin, Value};
pub use clock::{NO_CLOCK, NewClock, TraceTime};
pub use collected::{
    Collected, CollectedNames, ExportProtocol, Exporter, Initiator, NamedInterface, Translated,
};
pub use conversation::{ConversationKey, ConversationKeys, Look, Segment};
pub use counts::{MeterCounts, PayloadCounts};
pub use decap::TunnelCounts;
pub use details::{Details, DetailsIndex};
pub use facts::{
    DnsAnswer, DnsData, DnsFacts, DnsResponse, Facts, HttpFacts, NameCounts, NameProtocol, Named,
    TlsChoice, TlsFacts, UrlFacts,
};
pub use filter::{Filter, FilterInstruction, InvalidFilter};
pub use frame::tunnel::{
    DecapSettings, L2tpV3, Refusal, Tunnel, TunnelKind, TunnelKinds, VxlanPorts,
};
pub use frame::{
    Datagram, Dissection, Frame, Glance, Ignored, LinkType, NoDatagram, Offload, PlainPayload,
    Segmented, Tpids, Unread, datagram, each_segment,
};
pub use hash::HashSeed;
pub use key::{Address, FlowKey, IpVersion, KeyField, KeyFields, Ports};
pub use names::{Names, Naming, Passage};
pub use networks::NetworkSet;
pub use observation::Observation;
pub use observer::{Conversation, Observer, ObserverSettings, Sampling, Sink};
pub use place::{Location, Place};
pub use point::{FlowDirection, ObservationPoint};
pub use prefetch::{lanes_with, prefetch};
pub use record::{FlowEndReason, FlowRecord, RecordTally, Tally};
pub use stage::Stage;
pub use table::{BURST_MAX, FlowTable, NoMemory, SeenFlow, TIMEOUT_MS_MAX, TableSettings};
pub use tags::{Tag, Tags};
pub use time::Timestamp;
pub use unread::UnreadCounts;
