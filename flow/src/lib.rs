//! Frames to flow records: the pure core of flowprobe.
//!
//! A [`Frame`] that a capture source lends goes through the [`Observer`], which dissects it, keeps
//! the clock and remembers the ports of fragments, and comes out as an [`Observation`] or as a
//! counted reason to ignore it. A [`FlowTable`] aggregates observations and gives back
//! [`FlowRecord`]s with the reason why each ended (RFC 7011, RFC 5102).
//!
//! This crate performs no I/O, reads no clock and starts no thread. What it says depends only on
//! the frames, their times and the settings.

#![no_std]

extern crate alloc;

mod batch;
mod clock;
mod fragment;
pub mod frame;
mod hash;
mod key;
mod observation;
mod observer;
mod prefetch;
mod record;
mod stage;
mod table;
mod tags;
mod time;

pub use batch::{BATCH_RECORDS, Batch, Details, DetailsIndex, Event, EventKind, Origin, Value};
pub use clock::STEP_BACK_PACKETS;
pub use frame::{Frame, Ignored, LinkType, Offload, Segmented, each_segment};
pub use hash::HashSeed;
pub use key::{Address, FlowKey, IpVersion, KeyField, KeyFields, Ports};
pub use observation::Observation;
pub use observer::{Conversation, MeterCounts, Observer, ObserverSettings, Sampling};
pub use record::{FlowEndReason, FlowRecord, RecordTally, Tally};
pub use stage::Stage;
pub use table::{BURST_MAX, FlowTable, TIMEOUT_MS_MAX, TableSettings, VERY_LATE_MS};
pub use tags::Tags;
pub use time::Timestamp;
