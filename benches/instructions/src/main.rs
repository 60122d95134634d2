//! Runs one scenario for a tool that counts instructions: `cargo xtask instructions` runs it under
//! callgrind, which counts instructions in [`measured`].

#![allow(
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "scenarios are shared with benches, and with tests what they are made of"
)]

#[path = "../../scenario/mod.rs"]
mod scenario;
mod support;

use scenario::{SCENARIOS, Work};

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    match SCENARIOS.iter().find(|scenario| scenario.name == name) {
        Some(scenario) => {
            let mut work = scenario.prepare();
            measured(&mut work);
            println!("{}", work.calls * work.size);
        }
        None => SCENARIOS.iter().for_each(|it| println!("{} {}", it.name, it.unit)),
    }
}

#[inline(never)]
fn measured(work: &mut Work) {
    for call in 0..work.calls {
        (work.call)(call);
    }
}
