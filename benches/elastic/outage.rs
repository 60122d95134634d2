//! Live capture while the cluster takes nothing: memory stays bounded, and no packet is lost.

use crate::Effort;

pub fn run(effort: Effort) {
    println!("{effort:?}");
}
