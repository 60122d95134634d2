//! Where frames come from.

pub(crate) mod afxdp;
pub mod file;
pub(crate) mod filter;
pub(crate) mod kernel;
pub(crate) mod layer;
pub(crate) mod lease;
pub(crate) mod live;
pub(crate) mod offloads;
pub(crate) mod packet;
pub(crate) mod xdp;

use flow::Frame;

/// A source of frames.
pub trait PacketSource {
    /// Lends the next frames, at most `frames_max`. A frame is lent for one call of `take`.
    ///
    /// # Errors
    ///
    /// When the source as a whole has failed.
    fn poll<F>(&mut self, frames_max: usize, take: F) -> Result<Polled, CaptureError>
    where
        F: FnMut(&Frame<'_>);
}

/// What a source has after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// There may be more at once.
    More,
    /// There is nothing now; live, there may be at any time.
    Idle,
    /// There will never be more.
    End,
}

/// Why a source cannot be opened or cannot go on, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Another program has the interface or a queue of it (`EBUSY`, `EEXIST`). Another way to
    /// capture would not see what that program takes, so none is tried.
    #[error("{0}")]
    Busy(String),
    /// Any other failure.
    #[error("{0}")]
    Failed(String),
}
