//! The web page of the program, its interface for programs, and its metrics, over HTTP.
//!
//! Two sources feed a [`Board`]: the main thread publishes the statistics once a second, and a
//! [`Recorder`], which is an output like others, adds the flow records. A [`Server`] answers
//! requests from it. It does not process packets, so a slow client cannot slow down capture.

mod board;
mod flows;
mod incidents;
mod memory;
mod metrics;
mod rates;
mod recorder;
mod ring;
mod routes;
mod search;
mod series;
mod server;
mod settings;
mod sum;
mod sums;
mod table;
mod top;

pub use board::Board;
pub use memory::Memory;
pub use metrics::without_metric;
pub use rates::lost_records;
pub use recorder::Recorder;
pub use server::{BoundServer, Server};
pub use settings::Settings;
