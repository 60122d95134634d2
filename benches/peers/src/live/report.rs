//! The results as a Markdown page.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::meter::Meter;
use super::trial::{Effort, Found, Trial};
use crate::report::{VERSIONS, machine, version};

/// All results.
#[derive(Debug)]
pub(super) struct Results {
    effort: Effort,
    /// Flows, program, highest rate.
    pub(super) rates: Vec<(u32, Meter, Found)>,
    pub(super) steady: Vec<(Meter, Trial)>,
}

impl Results {
    pub(super) fn new(effort: Effort) -> Self {
        Self { effort, rates: Vec::new(), steady: Vec::new() }
    }

    /// Checks that our own program accounts for every packet.
    pub(super) fn check(&self) -> Result<()> {
        let overloads = self.rates.iter().map(|(_, meter, found)| (meter, &found.overload));
        let trials = overloads.chain(self.steady.iter().map(|(meter, trial)| (meter, trial)));
        let own = trials.filter(|(meter, _)| meter.is_ours());
        let off: Vec<_> = own.filter(|(_, trial)| !trial.is_accounted_for()).collect();
        ensure!(off.is_empty(), "not all packets are accounted for: {off:?}");
        Ok(())
    }

    /// Writes the page to a folder.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let path = folder.join("speed-live.md");
        let page = self.page();
        print!("{page}");
        fs::write(&path, page).with_context(|| format!("writing {}", path.display()))?;
        println!("written: {}", path.display());
        Ok(())
    }

    fn page(&self) -> String {
        let mut page = String::from(
            "# Speed of live capture\n\nWritten by `cargo xtask bench live`; run it to see \
             yours.\n\n",
        );
        self.put_rates(&mut page);
        self.put_steady(&mut page);
        self.put_overload(&mut page);
        self.put_method(&mut page);
        page
    }

    fn put_rates(&self, page: &mut String) {
        page.push_str(
            "## Highest rate without loss\n\n\
             | flows | program | Mpps | of softflowd's | CPU ns/packet | of softflowd's |\n\
             |--:|---|--:|--:|--:|--:|\n",
        );
        for (flows, meter, found) in &self.rates {
            let peer = self.rates.iter().find_map(|(peer_flows, peer, found)| {
                (peer_flows == flows && *peer == Meter::Softflowd).then_some(found.best?)
            });
            let Some(best) = found.best else {
                put(page, format_args!("| {flows} | {} | none | | | |", meter.name()));
                continue;
            };
            let limit = if found.is_generators_limit { ">= " } else { "" };
            put(
                page,
                format_args!(
                    "| {flows} | {} | {limit}{:.2} | {} | {:.0} | {} |",
                    meter.name(),
                    best.rate / 1e6,
                    ratio(best.rate, peer.map(|peer| peer.rate)),
                    best.nanos_per_packet(),
                    ratio(best.nanos_per_packet(), peer.map(|peer| peer.nanos_per_packet())),
                ),
            );
        }
    }

    fn put_steady(&self, page: &mut String) {
        let seconds = self.effort.steady_seconds;
        put(
            page,
            format_args!(
                "\n## {seconds} s at 0.6 Mpps with 1 M flows\n\n\
                 | program | sent | lost | CPU ns/packet | of softflowd's |\n|---|--:|--:|--:|--:|"
            ),
        );
        let mut peers = self.steady.iter().filter(|(meter, _)| *meter == Meter::Softflowd);
        let peer = peers.next().map(|(_, trial)| trial.nanos_per_packet());
        for (meter, trial) in &self.steady {
            put(
                page,
                format_args!(
                    "| {} | {} | {} | {:.0} | {} |",
                    meter.name(),
                    trial.sent,
                    trial.lost(),
                    trial.nanos_per_packet(),
                    ratio(trial.nanos_per_packet(), peer),
                ),
            );
        }
    }

    fn put_overload(&self, page: &mut String) {
        page.push_str(
            "\n## As much as the generator can send\n\n\
             | flows | program | Mpps sent | sent | metered | lost by its own count | to the \
             packet |\n|--:|---|--:|--:|--:|--:|---|\n",
        );
        for (flows, meter, found) in &self.rates {
            let trial = &found.overload;
            let exact = if trial.is_accounted_for() { "yes" } else { "no" };
            put(
                page,
                format_args!(
                    "| {flows} | {} | {:.2} | {} | {} | {} | {exact} |",
                    meter.name(),
                    trial.rate / 1e6,
                    trial.sent,
                    trial.counts.metered,
                    trial.counts.lost,
                ),
            );
        }
    }

    fn put_method(&self, page: &mut String) {
        let Effort { seconds, times, .. } = self.effort;
        put(
            page,
            format_args!(
                "\n## How\n\n\
                 A program in the kernel sends TCP acknowledgements of 60 octets into one end of \
                 a veth pair (`cargo xtask loadgen`); each flow has its turn. It has one \
                 processor, and the kernel handles what arrives there too; the program under test \
                 has another. A rate counts if {times} runs of {seconds} s lose nothing, each of a \
                 program that has just started; it is searched by halves, until within 3 %. What \
                 is sent is what the driver counts, what is metered is what the program says at \
                 its end. Processor time is user and system time of the program's process. The \
                 programs are as they are by default, with room for twice the flows, 15 s idle and \
                 60 s active timeout, and 64 MiB for packets where they read packet sockets. They \
                 send NetFlow v9 to a socket on the loopback, but for nfpcapd, which writes its \
                 own files into memory."
            ),
        );
        put(page, format_args!("\nMachine: {}.", machine()));
        for [program, argument] in VERSIONS {
            let version = version(program, argument).filter(|_| program != "tcpdump");
            if let Some(version) = version {
                put(page, format_args!("- {version}"));
            }
        }
    }
}

fn ratio(value: f64, of: Option<f64>) -> String {
    of.map_or_else(String::new, |of| format!("{:.2}x", value / of))
}

fn put(page: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(page, "{line}").expect("a string takes all");
}
