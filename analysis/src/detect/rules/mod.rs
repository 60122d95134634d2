//! The rules. To add one, define it in a module of its family and add a line to [`RULES`].

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a rule names the classes that it counts; all others are beside its point"
)]

mod amplification;
mod dns;
mod flood;
mod host;
mod scan;
mod threat;

use super::rule::Rule;
pub use flood::{SPIKE_LIMITS, Spike};

/// All rules, in the order in which they judge a window: more specific ones come first.
pub static RULES: [Rule; 21] = [
    host::WORM_PORT,
    scan::HORIZONTAL,
    scan::VERTICAL,
    scan::RANDOM,
    scan::SLOW,
    flood::SYN,
    flood::UDP,
    flood::ICMP,
    flood::FRAGMENTS,
    amplification::VICTIM,
    amplification::USED,
    amplification::MONLIST,
    dns::AMPLIFIED,
    dns::UNKNOWN_SERVER,
    host::MAIL_SENDER,
    host::P2P_USER,
    host::SESSION_MAKER,
    host::SPOOFED_SOURCES,
    host::UNREACHABLE_STORM,
    host::NEW_HEAVY_FLOW,
    flood::SPIKE,
];
