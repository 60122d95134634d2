//! The path from packets to outputs: the loops of live capture and of replay, the queues, the
//! stages, the outputs.

mod behind;
pub(crate) mod closed;
pub(crate) mod collect;
mod connections;
pub(crate) mod dropped;
pub(crate) mod facts;
pub(crate) mod feed;
pub(crate) mod files_end;
pub(crate) mod files_run;
mod framing;
mod handles;
mod hearing;
pub(crate) mod kept;
pub(crate) mod listen;
pub(crate) mod live;
mod merge;
mod observe;
pub(crate) mod opened;
mod options;
pub(crate) mod output;
pub(crate) mod outputs;
mod pace;
pub(crate) mod packets;
pub(crate) mod payload;
pub(crate) mod queue;
pub(crate) mod queues;
pub(crate) mod reload;
pub(crate) mod replay;
pub(crate) mod session;
pub(crate) mod snapshot;
pub(crate) mod so_far;
pub(crate) mod stages;
pub(crate) mod starting;
pub(crate) mod table_order;
pub(crate) mod telling;
pub(crate) mod template_store;
pub(crate) mod transactions;
pub(crate) mod worker;
mod workers;

#[cfg(test)]
mod stage_tests;
