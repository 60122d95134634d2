//! What an interface is doing.

use log::warn;

/// What an interface is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    NoCarrier,
    Down,
    Gone,
    /// It became the host's, and is not captured any more.
    LeftToHost,
}

impl State {
    /// Of what keeps packets from coming.
    pub(super) fn warn_of(self, name: &str) {
        match self {
            Self::NoCarrier => warn!("{name} has no carrier"),
            Self::Down => warn!("{name} is down"),
            Self::Up | Self::Gone | Self::LeftToHost => {}
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
