//! Writes the sample captures. They are the same each time, octet for octet.

#![allow(clippy::print_stdout, reason = "tasks talk to who started them")]

mod attacks;
mod call;
mod connection;
mod dns;
mod files;
mod interfaces;
mod neighbours;
mod network;
mod packet;
pub mod random;
mod services;
mod trace;
mod web;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use trace::Trace;

/// Where to write.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Folder for the captures [default: tests/data]
    #[arg(long)]
    into: Option<PathBuf>,
}

type Make = fn() -> Vec<u8>;

type Part = fn(&mut Trace);

/// A sample's name, and how it is made.
const SAMPLES: [(&str, Make); 2] =
    [("office.pcap", office), ("interfaces.pcapng", interfaces::capture)];

/// Octets that are captured of each frame in the office: headers, and the begin of what is in it.
const OFFICE_SNAP_LENGTH: usize = 96;

/// Writes the captures.
///
/// # Errors
///
/// Which file could not be written.
pub fn run(options: &Options) -> Result<()> {
    let folder = options.into.clone().unwrap_or_else(|| commands::root().join("tests/data"));
    for (name, make) in SAMPLES {
        let path = folder.join(name);
        let octets = make();
        fs::write(&path, &octets).with_context(|| format!("writing {}", path.display()))?;
        println!("{}: {} octets", path.display(), octets.len());
    }
    Ok(())
}

/// Not quite two minutes of an office network under attack.
fn office() -> Vec<u8> {
    let parts: [(&str, Part); 26] = [
        ("switches", neighbours::switches),
        ("arp", neighbours::arp),
        ("dhcp", neighbours::dhcp),
        ("discovery", neighbours::discovery),
        ("groups", neighbours::groups),
        ("clocks", services::clocks),
        ("mail", services::mail),
        ("administration", services::administration),
        ("branch office", services::branch_office),
        ("tests of the way", services::tests_of_the_way),
        ("resolution", dns::resolution),
        ("browsing", web::browsing),
        ("plain pages", web::plain_pages),
        ("download", web::download),
        ("visitors", web::visitors),
        ("shares", files::shares),
        ("datagrams", files::datagrams),
        ("video call", call::video_call),
        ("theft", files::theft),
        ("exfiltration", web::exfiltration),
        ("horizontal scan", attacks::horizontal_scan),
        ("vertical scan", attacks::vertical_scan),
        ("password guesses", attacks::password_guesses),
        ("worm", attacks::worm),
        ("amplification", dns::amplification),
        ("flood", attacks::flood),
    ];
    let mut trace = Trace::new(OFFICE_SNAP_LENGTH);
    for (name, make) in parts {
        trace.part(name, make);
    }
    trace.into_pcap()
}
