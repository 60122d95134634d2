//! What an interface is doing, and whether it is captured.

use log::warn;

/// What an interface is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    NoCarrier,
    Down,
    /// It was deleted, or is not there yet.
    Gone,
}

/// Whether its packets are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Closed {
        /// In words, for people.
        why: String,
        /// It stays so.
        is_final: bool,
    },
}

impl State {
    /// Says what keeps packets from coming.
    pub(super) fn warn_of(self, name: &str) {
        match self {
            Self::NoCarrier => warn!("{name} has no carrier"),
            Self::Down => warn!("{name} is down"),
            Self::Up | Self::Gone => {}
        }
    }

    pub(super) fn of(up: bool, running: bool) -> Self {
        match (up, running) {
            (true, true) => Self::Up,
            (true, false) => Self::NoCarrier,
            (false, _) => Self::Down,
        }
    }
}
