//! The parts of tests/support that scenarios are made of.

#![allow(dead_code, reason = "scenarios use a part of it")]

#[path = "../../../tests/support/packet.rs"]
pub mod packet;
#[path = "../../../tests/support/random.rs"]
pub mod random;
#[path = "../../../tests/support/tunnel.rs"]
pub mod tunnel;
