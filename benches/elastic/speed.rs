//! Documents per second, and CPU time per document.

use std::time::{Duration, Instant};

use exporter::{Context, Destination, Exporter};
use flow::Batch;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::UsageWho;
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::kind::Kind;
use crate::sink::{Body, Sink, cpu, cpu_of_children};
use crate::{Effort, loader, median, records};

/// Records of a batch, as a worker sends them.
const BATCH: usize = 256;

/// Documents of a run into the sink.
pub const DOCUMENTS: usize = 400_000;

/// Rounds into an engine that do not count.
const WARM_UP: usize = 2;

/// Connections of the loader.
const CONNECTIONS: usize = 4;

fn open(output: &str, run: &str) -> Box<dyn Exporter> {
    let destination: Destination = output.parse().expect("an output");
    let context = Context {
        name: "bench".to_owned(),
        version: "0".to_owned(),
        run: run.to_owned(),
        ..Context::default()
    };
    destination.open(&context).expect("the output opens")
}

/// Exports all records of these batches. Returns the octets per document.
pub fn export(output: &str, run: &str, batches: &[Batch]) -> f64 {
    let mut exporter = open(output, run);
    for batch in batches {
        exporter.export(batch).expect("it takes everything");
    }
    exporter.finish().expect("it ends well");
    let counts = exporter.counts();
    assert_eq!(counts.failed.records, 0, "{counts:?}");
    let octets = counts.delivery.map_or(counts.octets, |delivery| delivery.document_octets);
    octets as f64 / counts.sent.records as f64
}

pub fn batches(count: usize) -> Vec<Batch> {
    let records: Vec<_> = (0..).take(count).map(records::record).collect();
    records.chunks(BATCH).map(Batch::from).collect()
}

/// An output, its target, and its result in each round.
struct Row {
    name: &'static str,
    output: String,
    /// Documents per second.
    target: Option<f64>,
    rates: Vec<f64>,
    cpu_nanos: Vec<f64>,
}

/// Into a server that responds at once. The output runs on one CPU, the server on the others.
pub fn into_a_sink(effort: Effort) {
    let usable = usable_cpus();
    // Threads inherit the CPUs of the thread that starts them.
    stay_on(&usable[1.min(usable.len() - 1)..]);
    let sink = Sink::start();
    stay_on(&usable[..1]);
    let row = |name, settings: &str, target| Row {
        name,
        output: format!("elastic+http://{}?{settings}", sink.address()),
        target,
        rates: Vec::new(),
        cpu_nanos: Vec::new(),
    };
    let mut rows = [
        Row { output: "json:/dev/null".to_owned(), ..row("json, no cluster", "", None) },
        row("elastic, gzip off", "gzip=0", Some(500_000.0)),
        row("elastic, gzip 1", "gzip=1", Some(150_000.0)),
    ];
    let batches = batches(DOCUMENTS);
    // The first round is not counted.
    for round in 0..=effort.rounds {
        for row in &mut rows {
            let (begin, before) = (Instant::now(), cpu_without(&sink));
            let octets = export(&row.output, "bench", &batches);
            let rate = DOCUMENTS as f64 / begin.elapsed().as_secs_f64();
            let cpu = cpu_without(&sink).saturating_sub(before);
            let nanos = cpu.as_secs_f64() * 1e9 / DOCUMENTS as f64;
            println!("{:18} {octets:5.0} octets {rate:10.0}/s {nanos:6.0} ns of CPU", row.name);
            if round > 0 {
                row.rates.push(rate);
                row.cpu_nanos.push(nanos);
            }
        }
    }
    stay_on(&usable);
    let sent = sink.documents();
    assert_eq!(sent, 2 * (DOCUMENTS * (effort.rounds + 1)) as u64, "the server has all");
    println!("\ninto a server that answers at once, on one CPU:");
    for Row { name, target, rates, cpu_nanos, .. } in rows {
        let (rate, nanos) = (median(rates), median(cpu_nanos));
        println!("{name:18} {rate:10.0} documents/s, {nanos:6.0} ns of CPU each");
        if let Some(target) = target {
            let (of_rate, of_cpu) = (100.0 * rate / target, 100.0 * 1e9 / nanos / target);
            println!("  of the target {of_rate:.0} % by time, {of_cpu:.0} % by CPU time");
        }
    }
}

/// The CPUs of this process.
pub fn usable_cpus() -> Vec<usize> {
    let cpus = sched_getaffinity(Pid::from_raw(0)).expect("the CPUs of this process");
    (0..CpuSet::count()).filter(|&cpu| cpus.is_set(cpu).unwrap()).collect()
}

pub fn stay_on(cpus: &[usize]) {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu).expect("a CPU"));
    sched_setaffinity(Pid::from_raw(0), &set).expect("a thread may choose its CPUs");
}

/// CPU time of this process without that of the server.
fn cpu_without(sink: &Sink) -> Duration {
    cpu(UsageWho::RUSAGE_SELF).saturating_sub(sink.cpu())
}

/// Into a real engine, in turn with a loader that posts the same bodies.
pub fn into_an_engine(effort: Effort) {
    let Some(engine) = Engine::start(Kind::Elasticsearch8) else { return };
    let client = engine.client();
    client.put_index_template("bench", &template());
    let address = engine.url().trim_start_matches("http://").to_owned();
    let batches = batches(effort.documents);
    let bodies = bodies(&batches);
    let (mut own, mut others, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    let mut engine_nanos = Vec::new();
    for round in 0..effort.rounds + WARM_UP {
        let mut rate = |kind: &str| {
            let stream = format!("logs-netflow.log-{kind}{round}");
            let (begin, before) = (Instant::now(), cpu_of_children());
            if kind == "probe" {
                let namespace = format!("{kind}{round}");
                export(&format!("elastic+http://{address}?namespace={namespace}"), "b", &batches);
            } else {
                loader::load(&address, &format!("/{stream}/_bulk"), CONNECTIONS, &bodies);
            }
            let rate = effort.documents as f64 / begin.elapsed().as_secs_f64();
            client.refresh(&stream);
            assert_eq!(client.count(&stream), effort.documents as u64, "{stream}");
            if round >= WARM_UP {
                let used = cpu_of_children().saturating_sub(before).as_secs_f64();
                engine_nanos.push(used * 1e9 / effort.documents as f64);
            }
            rate
        };
        // The engine is faster and faster at first: each begins in turn.
        let (probe, loader) = if round.is_multiple_of(2) {
            let probe = rate("probe");
            (probe, rate("loader"))
        } else {
            let loader = rate("loader");
            (rate("probe"), loader)
        };
        println!("probe {probe:10.0}/s, loader {loader:10.0}/s");
        if round >= WARM_UP {
            own.push(probe);
            others.push(loader);
            shares.push(probe / loader);
        }
    }
    println!(
        "\ninto Elasticsearch: {:.0} documents/s, a plain loader of the same bodies {:.0}; of that \
         {:.0} % in a round, the target is 90 %",
        median(own),
        median(others),
        100.0 * median(shares)
    );
    let nanos = median(engine_nanos);
    println!("the engine takes {nanos:.0} ns of CPU for a document: {:.0}/s a core", 1e9 / nanos);
}

/// The bodies that the output generates from these batches.
fn bodies(batches: &[Batch]) -> Vec<Body> {
    let sink = Sink::start();
    sink.keep();
    export(&format!("elastic+http://{}", sink.address()), "b", batches);
    sink.take()
}

/// The index template of the program. The engine has no constant_keyword, which needs a licence.
fn template() -> Value {
    let template = exporter::index_template().to_string();
    let template = template.replace("constant_keyword", "keyword");
    let mut template: Value = serde_json::from_str(&template).expect("a template");
    template["template"]["settings"]["index"]["number_of_replicas"] = json!(0);
    template
}
