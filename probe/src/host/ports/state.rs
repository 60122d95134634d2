//! State of an interface, and whether it is captured.

use log::warn;

/// State of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    NoCarrier,
    Down,
    /// It was deleted or does not exist yet.
    Gone,
}

/// State of its capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Closed {
        /// As text for users.
        why: String,
        /// It will not be opened again.
        is_final: bool,
    },
}

impl State {
    /// Logs the reason why no packets come.
    pub(super) fn warn_of(self, name: &str) {
        match self {
            Self::NoCarrier => warn!("{name} has no carrier"),
            Self::Down => warn!("{name} is down: ip link set {name} up"),
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
