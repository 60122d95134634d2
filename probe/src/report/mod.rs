//! Reports of a run: totals, the table of the biggest flows, log messages.

pub(crate) mod collected;
mod delivery;
mod detection;
pub(crate) mod escape;
pub(crate) mod findings;
mod ignored;
pub(crate) mod incidents;
mod lists;
pub(crate) mod live;
pub(crate) mod logger;
pub(crate) mod loss;
pub(crate) mod output;
pub(crate) mod page;
pub(crate) mod payload;
mod places;
mod ports;
pub(crate) mod rates;
mod remarks;
pub(crate) mod stderr;
pub(crate) mod stdout;
mod table;
pub(crate) mod terminal;
pub(crate) mod top;
pub(crate) mod totals;
pub(crate) mod tunnels;
pub(crate) mod units;
