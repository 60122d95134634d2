//! The page, its interface and its metrics, asked as browsers and Prometheus ask.

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod client;
mod exporters;
mod http;
mod live;
mod many;
mod metrics;
mod prometheus;
mod workers;
