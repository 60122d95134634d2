//! From packets to outputs: workers, the queues behind them, and the two loops that feed them.

pub(crate) mod live;
pub(crate) mod queue;
pub(crate) mod replay;
pub(crate) mod session;
pub(crate) mod worker;
