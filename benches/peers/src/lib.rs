//! Speed measurements, in comparison with the peers on the same files.
//!
//! `rounds` compares programs, `own` measures features that only our program has, `report` writes
//! the results.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to who started them")]

mod chart;
mod collect;
mod frames;
mod initial;
mod live;
mod names;
mod own;
mod page;
mod process;
mod program;
mod report;
mod rounds;
mod sink;
mod tool;
mod trace;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use self::frames::Kind;
pub use self::process::{Options as MeasureOptions, measure};
use self::report::Results;
use self::rounds::{Accounted, Case, Rounds};
use self::tool::{Place, Tool};
use self::trace::{Choice, Recipe};
use commands::debian::{self, Need};
use commands::{cargo, execute, root};

/// Selection of measurements, and paths.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Number of rounds that count; one more before them is discarded
    #[arg(long, default_value_t = 5)]
    rounds: u32,

    /// Only check that all packets and octets are accounted for, on short traces; takes a minute
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,

    /// Live capture over a virtual link instead of replay; takes half an hour, and needs root
    #[arg(long, group = "instead", conflicts_with = "only")]
    live: bool,

    /// Documents into clusters instead; writes no report
    #[arg(long, group = "instead", conflicts_with_all = ["rounds", "only", "against"])]
    elastic: bool,

    /// Documents into Kafka instead; writes no report
    #[arg(long, group = "instead", conflicts_with_all = ["rounds", "only", "against"])]
    kafka: bool,

    /// Only these traces, in comparison with the peers; writes no report
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Another build of flowprobe, which is measured instead of the peers; writes no report
    #[arg(long, value_name = "PROGRAM", conflicts_with = "quick")]
    against: Option<PathBuf>,

    /// Only what `--decap` costs: packets without tunnels, and the same in VXLAN; no report
    #[arg(long, group = "instead", conflicts_with_all = ["quick", "only", "against", "with"])]
    decap: bool,

    /// Only what tags and detectors cost, on k1, m1 and new; no report
    #[arg(long, group = "instead", conflicts_with_all = ["quick", "only", "against", "with"])]
    detect: bool,

    /// Only what `--payload` costs: packets without names, and documents of a trace with names; no
    /// report
    #[arg(long, group = "instead", conflicts_with_all = ["quick", "only", "against", "with"])]
    payload: bool,

    /// Only what `--http` costs while a page is open: a replay of k1, and live capture, which needs
    /// root; no report
    #[arg(long, group = "instead", conflicts_with_all = ["quick", "only", "against", "with"])]
    page: bool,

    /// Only `flowprobe collect` beside nfcapd and goflow2 on the same datagrams; no report
    #[arg(long, group = "instead", conflicts_with_all = ["only", "against", "with"])]
    collect: bool,

    /// Additional arguments for flowprobe, separated by spaces: runs with them and without them
    /// alternate, instead of the peers; writes no report
    #[arg(
        long,
        value_name = "ARGUMENTS",
        allow_hyphen_values = true,
        conflicts_with_all = ["quick", "live", "elastic"]
    )]
    with: Vec<String>,

    /// Where the traces are; 15 GB are written there and kept for the next time
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    folder: PathBuf,

    /// Folder of the report
    #[arg(long, value_name = "FOLDER", default_value = "docs")]
    report: PathBuf,
}

const MILLION: u64 = 1_000_000;

const CASES: [Case; 5] = [
    Case {
        recipe: Recipe {
            name: "k1",
            what: "60-octet frames, 1,000 flows",
            packets: 40 * MILLION,
            flows: 1000,
            choice: Choice::Uniform,
            kind: Kind::Small,
            rate: MILLION,
        },
        peers: &[(Tool::Nfpcapd, 20 * MILLION), (Tool::Softflowd, 20 * MILLION)],
    },
    Case {
        recipe: Recipe {
            name: "m1",
            what: "60-octet frames, 1 M flows, each as likely as another",
            packets: 20 * MILLION,
            flows: 1_000_000,
            choice: Choice::Uniform,
            kind: Kind::Small,
            rate: MILLION,
        },
        peers: &[(Tool::Nfpcapd, 4 * MILLION), (Tool::Softflowd, 4 * MILLION)],
    },
    Case {
        recipe: Recipe {
            name: "m10",
            what: "60-octet frames, 10 M flows, each as likely as another",
            packets: 30 * MILLION,
            flows: 10_000_000,
            choice: Choice::Uniform,
            kind: Kind::Small,
            rate: 2 * MILLION,
        },
        peers: &[(Tool::Nfpcapd, 10 * MILLION)],
    },
    Case {
        recipe: Recipe {
            name: "new",
            what: "60-octet frames, every packet a new flow (a SYN flood)",
            packets: 5 * MILLION,
            flows: 5_000_000,
            choice: Choice::Next,
            kind: Kind::SmallSyn,
            rate: MILLION,
        },
        peers: &[(Tool::Nfpcapd, 5 * MILLION), (Tool::Softflowd, 5 * MILLION)],
    },
    Case {
        recipe: Recipe {
            name: "imix",
            what: "IMIX (40, 576, 1500 octets), 1 M flows (Zipf 0.8), 20 % IPv6, 10 % VLAN tags, \
                   some fragments",
            packets: 10 * MILLION,
            flows: 1_000_000,
            choice: Choice::Zipf,
            kind: Kind::Imix,
            rate: MILLION,
        },
        peers: &[
            (Tool::Nfpcapd, 4 * MILLION),
            (Tool::Softflowd, 4 * MILLION),
            (Tool::Tcpdump, 10 * MILLION),
        ],
    },
];

/// The packets of k1 in a tunnel.
const IN_VXLAN: Recipe = Recipe {
    name: "vxlan",
    what: "the packets of k1 in VXLAN, 104-octet frames",
    packets: 20 * MILLION,
    flows: 1000,
    choice: Choice::Uniform,
    kind: Kind::SmallInVxlan,
    rate: MILLION,
};

/// The programs with which ours is compared.
const NEEDS: [Need; 3] = [
    Need { package: "nfdump", check: &["nfpcapd", "-V"] },
    Need { package: "softflowd", check: &["softflowd", "-h"] },
    Need { package: "tcpdump", check: &["tcpdump", "--version"] },
];

/// Factor by which traces of `--quick` are shorter.
const QUICK: u64 = 100;

/// Measures and writes the report.
///
/// # Errors
///
/// A program could not be run, a file could not be written, or packets are not accounted for.
pub fn run(options: &Options) -> Result<()> {
    let names = CASES.map(|case| case.recipe.name);
    for name in &options.only {
        ensure!(names.contains(&name.as_str()), "no trace {name}; there are {}", names.join(", "));
    }
    ensure!(options.rounds > 0, "--rounds 0: nothing would be counted");
    if options.elastic {
        return clusters(&[], options.quick);
    }
    if options.kafka {
        return clusters(&["kafka"], options.quick);
    }
    debian::install(&NEEDS);
    execute(cargo().args(["build", "--release", "--package", "probe", "--bin", "flowprobe"]))?;
    let folder = root().join(&options.folder);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut place = Place::open(root().join("target/release/flowprobe"), options.against.clone())?;
    let split = |words: &String| words.split_whitespace().map(str::to_owned).collect();
    place.more = options.with.iter().map(split).collect();
    if options.live {
        let rounds = Rounds { discarded: 1, counted: options.rounds };
        if let Some(other) = &options.against {
            return live::run_against(&place, other, rounds);
        }
        return live::run(&place, options.quick, &root().join(&options.report));
    }
    let rounds = Rounds { discarded: 1, counted: options.rounds };
    if options.collect {
        return if options.quick { collect::check(&place) } else { collect::run(&place, rounds) };
    }
    if options.quick {
        return quick(&place, &folder);
    }
    if options.decap {
        let traces = [&CASES[0].recipe, &IN_VXLAN];
        let decapsulation = own::decapsulation(&place, &folder, traces, rounds)?;
        let [plain, inside] = decapsulation.ratios();
        println!("k1 with --decap all: {plain:.3} of without; in VXLAN: {inside:.3}");
        return Ok(());
    }
    if options.detect {
        for name in ["k1", "m1", "new"] {
            let case = CASES.iter().find(|case| case.recipe.name == name);
            let recipe = &case.context("a trace")?.recipe;
            let meaning = own::meaning(&place, &folder, recipe, rounds)?;
            println!("{name:5} {meaning}");
        }
        return Ok(());
    }
    if options.payload {
        let words = ["--payload", "dns,tls,quic,http"];
        place.more = vec![words.map(str::to_owned).to_vec()];
        let only = ["imix", "m1", "new"].map(str::to_owned).to_vec();
        measure_some(&only, None, &place, &folder, rounds)?;
        return own::named(&place, &names::make(&folder)?, rounds);
    }
    if options.page {
        println!("k1 {}", page::replays(&place, &folder, &CASES[0].recipe, rounds)?);
        return live::cost_of_page(&place, rounds);
    }
    let is_whole = options.only.is_empty() && options.against.is_none();
    if is_whole && options.with.is_empty() {
        return measure_all(&place, &folder, rounds)?.write(&root().join(&options.report));
    }
    let against = options.against.as_deref();
    measure_some(&options.only, against, &place, &folder, rounds)
}

/// Measures some traces, or other builds or other arguments instead of the peers. Ratios are
/// relative to the first row of a trace.
fn measure_some(
    only: &[String],
    against: Option<&Path>,
    place: &Place,
    folder: &Path,
    rounds: Rounds,
) -> Result<()> {
    let is_wanted =
        |case: &&Case| only.is_empty() || only.iter().any(|name| name == case.recipe.name);
    for case in CASES.iter().filter(is_wanted) {
        let builds = against.iter().map(|_| Tool::OtherFlowprobe);
        let arguments = (0..place.more.len()).map(Tool::FlowprobeWith);
        let ours: Vec<_> =
            builds.chain(arguments).map(|tool| (tool, case.recipe.packets)).collect();
        let peers = if ours.is_empty() { case.peers } else { &ours };
        let rows = rounds::compare(place, folder, &case.recipe, peers, rounds)?;
        for row in &rows {
            let ratio = row.rate.median / rows[0].rate.median;
            let mut name = row.tool.name().to_owned();
            if let Tool::FlowprobeWith(position) = row.tool {
                name = format!("{name} {}", place.more[position].join(" "));
            }
            println!("{:5} {ratio:.3} {row}: {name}", case.recipe.name);
        }
    }
    Ok(())
}

/// The bench of the outputs into clusters, which shares the engines of the tests. Each part named
/// is also a feature.
fn clusters(parts: &[&str], is_quick: bool) -> Result<()> {
    let mut bench = cargo();
    bench.args(["bench", "--bench", "elastic"]);
    bench.args(parts.iter().flat_map(|part| ["--features", part]));
    bench.arg("--").args(parts);
    if is_quick {
        bench.arg("--quick");
    }
    execute(&mut bench)
}

fn measure_all(place: &Place, folder: &Path, rounds: Rounds) -> Result<Results> {
    let mut compared = Vec::new();
    for case in &CASES {
        compared
            .push((case.recipe, rounds::compare(place, folder, &case.recipe, case.peers, rounds)?));
    }
    let [k1, m1, _, new, _] = CASES.map(|case| case.recipe);
    let new_trace = new.make(folder, new.packets)?;
    Ok(Results {
        rounds,
        compared,
        fixed_memory: own::fixed_memory(place, &k1.make(folder, 20 * MILLION)?)?,
        scaling: vec![
            own::scaling(place, folder, &m1, rounds)?,
            own::scaling(place, folder, &new, rounds)?,
        ],
        decapsulation: own::decapsulation(place, folder, [&k1, &IN_VXLAN], rounds)?,
        documents: own::documents(place, &new_trace, rounds)?,
        datagrams: own::datagrams(place, &new_trace)?,
    })
}

/// Runs each program once on short traces, and checks that all packets and octets are accounted
/// for.
fn quick(place: &Place, folder: &Path) -> Result<()> {
    let mut off = Vec::new();
    for case in CASES {
        let peers: Vec<_> =
            case.peers.iter().map(|&(tool, packets)| (tool, packets / QUICK)).collect();
        let recipe = Recipe { packets: case.recipe.packets / QUICK, ..case.recipe };
        let rounds = Rounds { discarded: 0, counted: 1 };
        for row in rounds::compare(place, folder, &recipe, &peers, rounds)? {
            println!("{:5} {:9} {:?}", recipe.name, row.tool.name(), row.accounted);
            if let Accounted::Off { .. } = row.accounted {
                off.push(format!("{} on {}", row.tool.name(), recipe.name));
            }
        }
    }
    ensure!(off.is_empty(), "not all packets and octets are accounted for: {}", off.join(", "));
    Ok(())
}
