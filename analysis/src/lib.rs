//! The meaning of flows: tags of records, incidents that detectors find, and the places of
//! addresses. Each is a [`Stage`](flow::Stage) between the workers and the outputs.

pub mod detect;
pub mod networks;
pub mod places;
mod signs;
mod site;
pub mod tags;
pub mod top;

pub use site::{Site, SiteSettings};
