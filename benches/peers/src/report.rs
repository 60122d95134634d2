//! The results as a Markdown page with charts.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::chart::{self, Bar, Group};
use super::own::{Datagrams, Decapsulation, SINK_BUFFER, Scaling};
use super::rounds::{Accounted, Rounds, Row, Spread};
use super::tool::Tool;
use super::trace::Recipe;
use commands::debian;

/// All results.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) rounds: Rounds,
    pub(super) compared: Vec<(Recipe, Vec<Row>)>,
    /// Fixed memory of our own program, in octets.
    pub(super) fixed_memory: u64,
    pub(super) scaling: Vec<Scaling>,
    pub(super) decapsulation: Decapsulation,
    /// Documents per second on one CPU.
    pub(super) documents: Spread,
    /// Without a limit, and at the highest rate without loss.
    pub(super) datagrams: [Datagrams; 2],
}

/// Programs whose versions are in the report, with the argument that prints the version.
pub(super) const VERSIONS: [[&str; 2]; 3] =
    [["nfpcapd", "-V"], ["softflowd", "-h"], ["tcpdump", "--version"]];

impl Results {
    /// Writes the page and its charts to a folder.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let files = [
            ("speed.md", self.page()),
            ("speed-packets.svg", self.chart_of_packets()),
            ("speed-memory.svg", self.chart_of_memory()),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            println!("written: {}", path.display());
        }
        Ok(())
    }

    fn page(&self) -> String {
        let mut page =
            String::from("# Speed\n\nWritten by `cargo xtask bench`; run it to see yours.\n\n");
        page += "![Packets per second](speed-packets.svg)\n\n";
        self.put_comparison(&mut page);
        self.put_accounting(&mut page);
        page += "\n![Memory](speed-memory.svg)\n\n";
        self.put_memory(&mut page);
        self.put_own(&mut page);
        self.put_method(&mut page);
        page
    }

    fn put_comparison(&self, page: &mut String) {
        page.push_str(
            "| trace | program | packets | Mpps, median (least to most) | flowprobe is | CPU ns/packet |\n\
             |---|---|--:|--:|--:|--:|\n",
        );
        for (recipe, rows) in &self.compared {
            for row in rows {
                let Spread { median, least, greatest } = row.rate;
                let ratio = match row.tool {
                    Tool::Flowprobe => String::new(),
                    Tool::OtherFlowprobe
                    | Tool::FlowprobeWith(_)
                    | Tool::Nfpcapd
                    | Tool::Softflowd
                    | Tool::Tcpdump => {
                        format!("{:.1}x", own(rows).rate.median / median)
                    }
                };
                put(
                    page,
                    format_args!(
                        "| {} | {} | {} | {:.2} ({:.2} to {:.2}) | {ratio} | {:.0} |",
                        recipe.name,
                        row.tool.name(),
                        count(row.sums.packets),
                        median / 1e6,
                        least / 1e6,
                        greatest / 1e6,
                        row.cpu_nanos_per_packet,
                    ),
                );
            }
        }
        page.push('\n');
        for (recipe, _) in &self.compared {
            put(page, format_args!("- {}: {}", recipe.name, recipe.what));
        }
    }

    fn put_accounting(&self, page: &mut String) {
        page.push_str(
            "\n| trace | program | packets and octets accounted for, in every run |\n\
             |---|---|---|\n",
        );
        for (recipe, rows) in &self.compared {
            for row in rows {
                let words = match row.accounted {
                    Accounted::Exactly => "all",
                    Accounted::NotSaid => continue,
                    Accounted::Off { packets, octets } => {
                        &format!("**off** by {packets} packets, {octets} octets")
                    }
                };
                put(page, format_args!("| {} | {} | {words} |", recipe.name, row.tool.name()));
            }
        }
        page.push_str(
            "\nAll means: each packet in the file, and each octet of IP. nfpcapd counts a fragmented \
             datagram as one packet, softflowd counts the padding of short Ethernet frames; both \
             are taken as they are.\n",
        );
    }

    fn put_memory(&self, page: &mut String) {
        page.push_str(
            "| trace | program | flows | peak memory | octets per flow |\n|---|---|--:|--:|--:|\n",
        );
        for (recipe, row) in self.memory_rows() {
            put(
                page,
                format_args!(
                    "| {} | {} | {} | {} MiB | {:.0} |",
                    recipe.name,
                    row.tool.name(),
                    count(row.sums.flows),
                    row.peak_memory >> 20,
                    self.per_flow(row),
                ),
            );
        }
        put(
            page,
            format_args!(
                "\nOf flowprobe's memory {} MiB are there without flows, and are not in its octets \
                 per flow. Of the others, nothing is left out.",
                self.fixed_memory >> 20
            ),
        );
    }

    fn put_own(&self, page: &mut String) {
        page.push_str("\n## More of flowprobe\n\n");
        for Scaling { trace, one, two } in &self.scaling {
            put(
                page,
                format_args!(
                    "- {trace} with `--workers 2` (and the thread that reads): {:.2} Mpps, with one \
                     {:.2}: {:.2}x",
                    two.median / 1e6,
                    one.median / 1e6,
                    two.median / one.median
                ),
            );
        }
        let Decapsulation { off, plain, inside } = self.decapsulation;
        let [of_plain, of_inside] = self.decapsulation.ratios();
        put(
            page,
            format_args!(
                "- k1 with `--decap all`: {:.2} Mpps, without {:.2}: {of_plain:.2}x; the same packets \
                 in VXLAN, opened: {:.2} Mpps, {of_inside:.2}x",
                plain.median / 1e6,
                off.median / 1e6,
                inside.median / 1e6,
            ),
        );
        put(
            page,
            format_args!(
                "- new to `json:/dev/null`, one worker and all threads on one CPU: {:.2} M documents/s",
                self.documents.median / 1e6
            ),
        );
        let [unlimited, best] = self.datagrams;
        put(
            page,
            format_args!(
                "- new over UDP (IPFIX, loopback) to a socket that is read, with a receive buffer of \
                 {} MiB: {:.2} M records/s sent without a limit (`pps=0`), of which {:.1} % were \
                 lost; {:.2} M records/s at `pps={}`, the highest rate at which none was lost",
                SINK_BUFFER >> 20,
                unlimited.sent as f64 / unlimited.seconds / 1e6,
                unlimited.lost() as f64 * 100.0 / unlimited.sent as f64,
                best.sent as f64 / best.seconds / 1e6,
                best.pps,
            ),
        );
    }

    fn put_method(&self, page: &mut String) {
        let Rounds { discarded, counted } = self.rounds;
        put(
            page,
            format_args!(
                "\n## How\n\n\
                 The programs run on the same files in turn, {counted} rounds after {discarded} \
                 that is not counted. Files are read once before, so that they lie in memory. In a \
                 round each program runs twice, one right after the other, and the second run is \
                 the one that counts: a virtual machine might have to get the memory for the \
                 first from its host. \
                 The time is from the start of the process to its end. Slow programs get the \
                 first packets of the same trace, as many as the table says. All have 15 s idle \
                 and 60 s active timeout, and tables with room for the flows of their file, \
                 and for 10,000 at least (`--max-flows`, nfpcapd `-B`, at least its default, \
                 softflowd `-m`), those of flowprobe for 1 % more, as its two workers do not \
                 get exactly half of the flows each. flowprobe writes `ipfix-file:/dev/null`, \
                 nfpcapd its own files in memory, softflowd NetFlow v9 to a UDP socket that is \
                 read."
            ),
        );
        put(page, format_args!("\nMachine: {}.", machine()));
        for [program, argument] in VERSIONS {
            if let Some(version) = version(program, argument) {
                put(page, format_args!("- {version}"));
            }
        }
    }

    fn chart_of_packets(&self) -> String {
        let groups: Vec<_> = self
            .compared
            .iter()
            .map(|(recipe, rows)| Group {
                name: recipe.name.to_owned(),
                bars: rows
                    .iter()
                    .map(|row| Bar {
                        name: row.tool.name(),
                        value: row.rate.median / 1e6,
                        label: match row.tool {
                            Tool::Flowprobe => format!("{:.1}", row.rate.median / 1e6),
                            Tool::OtherFlowprobe
                            | Tool::FlowprobeWith(_)
                            | Tool::Nfpcapd
                            | Tool::Softflowd
                            | Tool::Tcpdump => format!(
                                "{:.2}, flowprobe is {:.0}x",
                                row.rate.median / 1e6,
                                own(rows).rate.median / row.rate.median
                            ),
                        },
                    })
                    .collect(),
            })
            .collect();
        chart::draw("Million packets per second, replay, more is better", &groups)
    }

    fn chart_of_memory(&self) -> String {
        let mut groups: Vec<Group> = Vec::new();
        for (recipe, row) in self.memory_rows() {
            let value = self.per_flow(row);
            let bar = Bar { name: row.tool.name(), value, label: format!("{value:.0}") };
            match groups.last_mut() {
                Some(group) if group.name == recipe.name => group.bars.push(bar),
                _ => groups.push(Group { name: recipe.name.to_owned(), bars: vec![bar] }),
            }
        }
        chart::draw("Octets of memory per flow, less is better", &groups)
    }

    /// The rows whose memory is determined by the number of flows.
    fn memory_rows(&self) -> impl Iterator<Item = (&Recipe, &Row)> {
        let rows = self
            .compared
            .iter()
            .flat_map(|(recipe, rows)| rows.iter().map(move |row| (recipe, row)));
        rows.filter(|(recipe, row)| recipe.flows > 100_000 && row.tool != Tool::Tcpdump)
    }

    fn per_flow(&self, row: &Row) -> f64 {
        let fixed = if row.tool == Tool::Flowprobe { self.fixed_memory } else { 0 };
        row.peak_memory.saturating_sub(fixed) as f64 / row.sums.flows as f64
    }
}

/// The row of our own program, which is the first.
fn own(rows: &[Row]) -> &Row {
    &rows[0]
}

fn put(page: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(page, "{line}").expect("a string takes all");
}

/// A rounded number as text.
fn count(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..1_000_000 => format!("{:.0} k", number as f64 / 1e3),
        _ => format!("{:.1} M", number as f64 / 1e6),
    }
}

pub(super) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or("");
        line.split_once(':').map_or("?", |(_, value)| value.trim()).to_owned()
    };
    let cpu = value(&read("/proc/cpuinfo"), "model name");
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    let memory_kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel = kernel.split('-').next().unwrap_or("").trim();
    format!("{cpus} CPUs ({cpu}), {} GiB of memory, Linux {kernel}", memory_kib >> 20)
}

/// The first line of the output with the version of a program.
pub(super) fn version(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).env("PATH", debian::path()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.to_lowercase().contains("version"))?;
    Some(line.split(". ").next().unwrap_or(line).trim().to_owned())
}
