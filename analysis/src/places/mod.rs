//! The places of addresses: country, city, Autonomous System and the operator's own networks.
//!
//! An [`Atlas`] has databases and own networks. It is never changed: when a file is read again, a
//! new atlas replaces it in the [`Atlases`] of the run. The [`PlaceStage`] uses the new one from
//! its next batch on.

mod atlas;
mod cache;
mod database;
mod map;
mod networks;
mod record;
mod routable;
mod stage;

pub use atlas::Atlas;
pub use database::Database;
pub use networks::Networks;
pub use stage::{Atlases, PlaceCounts, PlaceStage};

/// The number of an Autonomous System, with or without `AS` in front.
fn as_number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}
