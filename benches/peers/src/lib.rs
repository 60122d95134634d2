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
mod options;
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
pub use self::options::Options;
use self::options::{Costs, Peers, Subject};
pub use self::process::{Options as MeasureOptions, measure};
use self::report::Results;
use self::rounds::{Accounted, Case, Rounds};
use self::tool::{Place, Tool};
use self::trace::{Choice, Recipe};
use commands::debian::{self, Need};
use commands::{cargo, execute, root};

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

/// Measures a subject, or everything and writes the report.
///
/// # Errors
///
/// A program could not be run, a file could not be written, or packets are not accounted for.
pub fn run(options: &Options) -> Result<()> {
    match &options.subject {
        None => replays(&options.peers),
        Some(Subject::Elastic(part)) => clusters(&[], part.quick),
        Some(Subject::Kafka(part)) => clusters(&["kafka"], part.quick),
        Some(Subject::Live(live)) => {
            let place = place(live.against.clone())?;
            match &live.against {
                Some(other) => live::run_against(&place, other, rounds(live.rounds)?),
                None => live::run(&place, live.quick, &root().join(&live.report)),
            }
        }
        Some(Subject::Collect(collect)) => {
            let (place, rounds) = (place(None)?, rounds(collect.rounds)?);
            if collect.quick { collect::check(&place) } else { collect::run(&place, rounds) }
        }
        Some(Subject::Decap(costs)) => decapsulation(costs),
        Some(Subject::Detect(costs)) => detection(costs),
        Some(Subject::Payload(costs)) => names_in_payload(costs),
        Some(Subject::Page(costs)) => {
            let (place, folder, rounds) = prepared(costs)?;
            println!("k1 {}", page::replays(&place, &folder, &CASES[0].recipe, rounds)?);
            live::cost_of_page(&place, rounds)
        }
    }
}

/// Builds the program. The other build, if there is one, is measured instead of the peers.
fn place(against: Option<PathBuf>) -> Result<Place> {
    debian::install(&NEEDS);
    execute(cargo().args(["build", "--release", "--package", "probe", "--bin", "flowprobe"]))?;
    Place::open(root().join("target/release/flowprobe"), against)
}

/// The folder of traces.
fn folder(path: &Path) -> Result<PathBuf> {
    let folder = root().join(path);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

fn rounds(counted: u32) -> Result<Rounds> {
    ensure!(counted > 0, "--rounds 0: nothing would be counted");
    Ok(Rounds { discarded: 1, counted })
}

fn prepared(costs: &Costs) -> Result<(Place, PathBuf, Rounds)> {
    let rounds = rounds(costs.rounds)?;
    Ok((place(None)?, folder(&costs.folder)?, rounds))
}

/// What `--decap` costs: packets without tunnels, and the same in VXLAN.
fn decapsulation(costs: &Costs) -> Result<()> {
    let (place, folder, rounds) = prepared(costs)?;
    let traces = [&CASES[0].recipe, &IN_VXLAN];
    let decapsulation = own::decapsulation(&place, &folder, traces, rounds)?;
    let [plain, inside] = decapsulation.ratios();
    println!("k1 with --decap all: {plain:.3} of without; in VXLAN: {inside:.3}");
    Ok(())
}

/// What tags and detectors cost.
fn detection(costs: &Costs) -> Result<()> {
    let (place, folder, rounds) = prepared(costs)?;
    for name in ["k1", "m1", "new"] {
        let case = CASES.iter().find(|case| case.recipe.name == name);
        let recipe = &case.context("a trace")?.recipe;
        let meaning = own::meaning(&place, &folder, recipe, rounds)?;
        println!("{name:5} {meaning}");
    }
    Ok(())
}

/// What `--payload` costs: packets without names, and documents of a trace with names.
fn names_in_payload(costs: &Costs) -> Result<()> {
    let (mut place, folder, rounds) = prepared(costs)?;
    let words = ["--payload", "dns,tls,quic,http"];
    place.more = vec![words.map(str::to_owned).to_vec()];
    let only = ["imix", "m1", "new"].map(str::to_owned).to_vec();
    measure_some(&only, None, &place, &folder, rounds)?;
    own::named(&place, &names::make(&folder)?, rounds)
}

/// Replays, beside the peers. Writes the report if nothing is left out.
fn replays(options: &Peers) -> Result<()> {
    let names = CASES.map(|case| case.recipe.name);
    for name in &options.only {
        ensure!(names.contains(&name.as_str()), "no trace {name}; there are {}", names.join(", "));
    }
    let rounds = rounds(options.rounds)?;
    let mut place = place(options.against.clone())?;
    let folder = folder(&options.folder)?;
    let split = |words: &String| words.split_whitespace().map(str::to_owned).collect();
    place.more = options.with.iter().map(split).collect();
    if options.quick {
        return quick(&place, &folder);
    }
    if options.is_whole() {
        return measure_all(&place, &folder, rounds)?.write(&root().join(&options.report));
    }
    measure_some(&options.only, options.against.as_deref(), &place, &folder, rounds)
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
