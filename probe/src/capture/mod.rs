//! Sources of frames.

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
    /// The source as a whole has failed.
    fn poll<F>(&mut self, frames_max: usize, take: F) -> Result<Polled, CaptureError>
    where
        F: FnMut(&Frame<'_>);
}

/// State of a source after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// There may be more frames now.
    More,
    /// There is no frame now. A live source may have one at any time.
    Idle,
    /// There will be no more frames.
    End,
}

/// Reason why a source cannot be opened or cannot continue, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Another program uses the interface or one of its queues (`EBUSY`, `EEXIST`). Another capture
    /// method would not see the packets that this program takes, so none is tried.
    #[error("{0}")]
    Busy(String),
    /// Any other failure.
    #[error("{0}")]
    Failed(String),
}
