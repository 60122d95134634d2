//! Whether an output waits for its peer.

/// Behaviour without a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Replay: wait for an unreachable collector, by default for a minute, then give up.
    Wait,
    /// Live: continue, count lost records, retry regularly.
    GoOn,
}
