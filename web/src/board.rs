//! The data of the page: the latest statistics, traffic over time, flows, incidents.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flow::{Batch, FlowRecord, RecordTally, Timestamp};
use serde_json::{Map, Value, json};

use crate::flows::LatestFlows;
use crate::incidents::Incidents;
use crate::memory::Memory;
use crate::rates::{lost_records, rates};
use crate::search::Search;
use crate::series::{Series, Span, View};
use crate::sum::Sum;
use crate::sums::Sums;
use crate::table::{TABLE_FLOWS_MAX, TableFlows};
use crate::top::Ranking;

/// Maximum age of live statistics. Older ones show that the program hangs.
const STALE: Duration = Duration::from_secs(10);

/// Number of samples, a second apart, over which rates and losses are judged.
const RECENT: usize = 60;

/// If more than one packet of this number is lost, this is a problem.
const LOSS_ONE_OF: u64 = 100;

/// State that the counting threads share with the answering thread. Its memory is fixed at the
/// start.
#[derive(Debug)]
pub struct Board {
    is_live: bool,
    statistics: Mutex<Statistics>,
    records: Mutex<Records>,
    memory: Memory,
    /// Further members of the answer about the configuration.
    known: Map<String, Value>,
    refused_connections: AtomicU64,
    /// When the board was made, and what has changed since: each publication and each batch.
    began: SystemTime,
    changes: AtomicU64,
}

#[derive(Debug)]
struct Statistics {
    latest: Arc<Value>,
    before: Arc<Value>,
    published: Instant,
    /// The names of interfaces.
    names: BTreeMap<u32, String>,
    /// The latest samples, the oldest first.
    samples: VecDeque<Sample>,
}

/// Sums at a point in time.
#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    packets: u64,
    metered: u64,
    octets: u64,
    records: u64,
    lost: u64,
    /// By the name of an output.
    outputs: BTreeMap<String, OutputSample>,
}

/// Records of an output up to a point in time.
#[derive(Clone, Copy, Debug, Default)]
struct OutputSample {
    all: u64,
    lost: u64,
}

#[derive(Debug)]
struct Records {
    series: Series,
    flows: LatestFlows,
    /// `None` until somebody has looked at the table, and in a replay.
    table: Option<TableFlows>,
    incidents: Incidents,
    /// Memory for top lists.
    sums: Sums,
}

/// Health of the program, with the reasons if it is bad.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Health {
    problems: Vec<String>,
}

impl Health {
    /// A sentence for each problem.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Whether there is no problem.
    pub(crate) fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// A line for each problem, or `ok`.
    pub(crate) fn text(&self) -> String {
        if self.is_good() { "ok\n".to_owned() } else { self.problems.join("\n") + "\n" }
    }
}

impl Board {
    /// An empty board, for live capture or for a replay, in so much memory. The page needs `known`
    /// of the program: `causes` and `fates`, texts about losses by their names in the statistics,
    /// and `spike`, the rate and the factor above which traffic is one.
    pub fn new(is_live: bool, memory: Memory, known: Map<String, Value>) -> Self {
        let statistics = Statistics {
            latest: Arc::new(json!({})),
            before: Arc::new(json!({})),
            published: Instant::now(),
            names: BTreeMap::new(),
            samples: VecDeque::with_capacity(RECENT + 1),
        };
        let records = Records {
            series: Series::new(&memory),
            flows: LatestFlows::new(&memory),
            table: None,
            incidents: Incidents::default(),
            sums: Sums::new(memory.records + TABLE_FLOWS_MAX),
        };
        Self {
            is_live,
            statistics: Mutex::new(statistics),
            records: Mutex::new(records),
            memory,
            known,
            refused_connections: AtomicU64::new(0),
            began: SystemTime::now(),
            changes: AtomicU64::new(0),
        }
    }

    /// Publishes the statistics, about once a second, and the names of interfaces by their numbers
    /// in flow records.
    pub fn publish(&self, statistics: Value, names: BTreeMap<u32, String>) {
        let sample = Sample::of(&statistics);
        let mut state = lock(&self.statistics);
        state.before = std::mem::replace(&mut state.latest, Arc::new(statistics));
        state.published = sample.at;
        state.names = names;
        if state.samples.len() > RECENT {
            state.samples.pop_front();
        }
        let before = state.samples.back().cloned();
        state.samples.push_back(sample.clone());
        drop(state);
        // A replay has another time than its packets.
        if let (true, Some(before)) = (self.is_live, before) {
            self.count(&before, &sample);
        }
        self.change();
    }

    /// Adds what the packet counters say to the traffic over time, once they have said anything.
    fn count(&self, before: &Sample, after: &Sample) {
        let counts = Sum {
            packets: after.metered.saturating_sub(before.metered),
            octets: after.octets.saturating_sub(before.octets),
            flows: 0,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let to = Timestamp::from_millis(millis(now));
        let from = millis(now.saturating_sub(after.at.duration_since(before.at)));
        if after.metered > 0 {
            lock(&self.records).series.count(Timestamp::from_millis(from), to, counts);
        }
    }

    fn change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Another text whenever an answer may have changed, as an entity tag of HTTP.
    pub(crate) fn tag(&self) -> String {
        let began = self.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let changes = self.changes.load(Ordering::Relaxed);
        let age = lock(&self.statistics).published.elapsed();
        // Old statistics are a problem that grows by the second.
        let stale = if self.is_live && age > STALE { age.as_secs() } else { 0 };
        format!("\"{began:x}-{changes:x}-{stale:x}\"")
    }

    /// What the page is, how much it keeps, and what it has to know.
    pub(crate) fn config(&self) -> Value {
        let mut config = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "live": self.is_live,
            "memory": {
                "octets": self.memory.octets,
                "records": self.memory.records,
                "interfaces": self.memory.interfaces,
            },
        });
        for (name, value) in &self.known {
            config[name] = value.clone();
        }
        config
    }

    /// Publishes the heaviest flows in the table, as the records that they would be now, and the
    /// sum of all flows in it.
    pub fn publish_table(&self, heaviest: &[FlowRecord], all: RecordTally) {
        let mut table = TableFlows::new(heaviest, all);
        let mut records = lock(&self.records);
        records.flows.iter().for_each(|flow| table.take_out(&flow.record));
        records.table = Some(table);
        drop(records);
        self.change();
    }

    /// Adds the records and events of a batch.
    pub(crate) fn add(&self, batch: &Batch) {
        let mut records = lock(&self.records);
        for record in &batch.records {
            if let Some(table) = &mut records.table {
                table.take_out(record);
            }
            records.series.add(record);
            records.flows.add(record, batch.details_of(record));
        }
        batch.events.iter().for_each(|event| records.incidents.add(event));
        drop(records);
        self.change();
    }

    pub(crate) fn count_refused_connection(&self) {
        self.refused_connections.fetch_add(1, Ordering::Relaxed);
        self.change();
    }

    /// The last published statistics, as in `--stats json`.
    pub(crate) fn statistics(&self) -> Arc<Value> {
        Arc::clone(&lock(&self.statistics).latest)
    }

    pub(crate) fn health(&self) -> Health {
        let state = lock(&self.statistics);
        let mut problems = Vec::new();
        if self.is_live && state.published.elapsed() > STALE {
            let age = state.published.elapsed().as_secs();
            problems.push(format!("the statistics are {age} s old"));
        }
        for interface in state.latest["interfaces"].as_array().into_iter().flatten() {
            if interface["captured"] == false {
                let name = interface["name"].as_str().unwrap_or_default();
                let reason = interface["capture"].as_str().unwrap_or_default();
                problems.push(format!("{name} is not captured: {reason}"));
            }
        }
        for output in state.latest["outputs"].as_array().into_iter().flatten() {
            if let (Some(error), false) = (output["error"].as_str(), output["removed"] == true) {
                let name = output["output"].as_str().unwrap_or_default();
                problems.push(format!("output {name} has given up: {error}"));
            }
        }
        if let (Some(first), Some(last)) = (state.samples.front(), state.samples.back()) {
            let lost = last.lost.saturating_sub(first.lost);
            let packets = last.packets.saturating_sub(first.packets) + lost;
            if lost > packets / LOSS_ONE_OF {
                problems.push(format!("{lost} of {packets} packets were lost in the last minute"));
            }
            for (name, output) in &last.outputs {
                let before = first.outputs.get(name).copied().unwrap_or_default();
                let lost = output.lost.saturating_sub(before.lost);
                let records = output.all.saturating_sub(before.all);
                if lost > records / LOSS_ONE_OF {
                    problems.push(format!(
                        "output {name} lost {lost} of {records} records in the last minute"
                    ));
                }
            }
        }
        Health { problems }
    }

    /// Rates, health and statistics.
    pub(crate) fn summary(&self) -> Value {
        let problems = self.health().problems;
        let open_incidents = lock(&self.records).incidents.open();
        let state = lock(&self.statistics);
        let mut latest = state.samples.iter().rev().take(2);
        let last_two = latest.next().zip(latest.next());
        let millis = last_two.map_or(1, |(last, before)| {
            u64::try_from(last.at.duration_since(before.at).as_millis()).unwrap_or(1).max(1)
        });
        let per_second = |count: fn(&Sample) -> u64| {
            let (last, before) = last_two?;
            Some(count(last).saturating_sub(count(before)).saturating_mul(1000) / millis)
        };
        let mut rates = rates(&state.before, &state.latest, millis);
        for (name, rate) in [
            ("packets", per_second(|sample| sample.packets)),
            ("octets", per_second(|sample| sample.octets)),
            ("records", per_second(|sample| sample.records)),
            ("lost", per_second(|sample| sample.lost)),
        ] {
            rates.insert(name.to_owned(), rate.into());
        }
        let outputs = state.latest["outputs"].as_array().into_iter().flatten();
        json!({
            "live": self.is_live,
            "problems": problems,
            "open_incidents": open_incidents,
            "rates": rates,
            "lost_records": outputs.map(lost_records).collect::<Vec<_>>(),
            "interface_names": state.names,
            "statistics": *state.latest,
            "refused_connections": self.refused_connections.load(Ordering::Relaxed),
        })
    }

    pub(crate) fn series(&self, span: Span, view: View) -> Value {
        lock(&self.records).series.value(span, view)
    }

    pub(crate) fn top(&self, ranking: &Ranking) -> Value {
        let Records { flows, table, sums, .. } = &mut *lock(&self.records);
        ranking.of(flows, table.as_ref(), sums)
    }

    pub(crate) fn flows(&self, search: &Search) -> Value {
        lock(&self.records).flows.find(search)
    }

    /// The exporters that are collected from, those with the most records first: this number of
    /// Observation Domains at most. In a replay it is now when the last datagram came.
    pub(crate) fn exporters(&self, size: usize) -> Value {
        let statistics = self.statistics();
        let all = statistics["exporters"].as_array().map_or(&[][..], Vec::as_slice);
        let first: Vec<&Value> = all.iter().take(size).collect();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok().filter(|_| self.is_live);
        let now_ms = since.and_then(|since| u64::try_from(since.as_millis()).ok());
        let latest = all.iter().filter_map(|one| one["last_seen_ms"].as_u64()).max();
        json!({ "known": all.len(), "now_ms": now_ms.or(latest), "exporters": first })
    }

    /// Incidents, and the number of those beyond the limits, which are not in the list.
    pub(crate) fn alerts(&self) -> Value {
        let incidents = &lock(&self.records).incidents;
        json!({ "alerts": incidents.value(), "more": incidents.more() })
    }
}

/// What became of the records of an output.
fn output(output: &Value) -> (String, OutputSample) {
    let others = ["sent", "not_exportable", "spooled", "absent"];
    let others = others.iter().filter_map(|fate| output[*fate]["records"].as_u64());
    let lost = lost_records(output);
    let all = lost + others.sum::<u64>();
    let name = output["output"].as_str().unwrap_or_default().to_owned();
    (name, OutputSample { all, lost })
}

impl Sample {
    fn of(statistics: &Value) -> Self {
        let sum = |list: &str, count: fn(&Value) -> &Value| {
            let items = statistics[list].as_array().into_iter().flatten();
            items.filter_map(|item| count(item).as_u64()).sum()
        };
        let ended = statistics["ended"].as_object().into_iter().flatten();
        Self {
            at: Instant::now(),
            packets: statistics["received"]["packets"].as_u64().unwrap_or(0),
            metered: statistics["metered"]["packets"].as_u64().unwrap_or(0),
            octets: statistics["metered"]["octets"].as_u64().unwrap_or(0),
            records: ended.filter_map(|(_, tally)| tally["records"].as_u64()).sum(),
            lost: sum("interfaces", |interface| &interface["lost"]),
            outputs: statistics["outputs"].as_array().into_iter().flatten().map(output).collect(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(statistics: Value) -> Vec<String> {
        let board = Board::new(true, Memory::default(), Map::new());
        board.publish(json!({ "received": { "packets": 0 } }), BTreeMap::new());
        board.publish(statistics, BTreeMap::new());
        board.health().problems
    }

    #[test]
    fn the_summary_has_what_each_output_lost() {
        let board = Board::new(false, Memory::default(), Map::new());
        assert_eq!(board.summary()["lost_records"], json!([]));
        let outputs = json!([
            { "output": "a", "sent": { "records": 5 }, "absent": { "records": 6 } },
            { "output": "b", "sent": { "records": 1 }, "failed": { "records": 2 },
                "dropped": { "records": 3 }, "dead_lettered": { "records": 4 } },
        ]);
        board.publish(json!({ "outputs": outputs }), BTreeMap::new());
        assert_eq!(board.summary()["lost_records"], json!([0, 9]));
    }

    #[test]
    fn each_fault_is_a_problem() {
        let good = json!({
            "received": { "packets": 1000 },
            "interfaces": [{ "name": "eth1", "captured": true, "lost": 10 }],
            "outputs": [{ "output": "json:-", "error": null }],
        });
        assert_eq!(problems(good.clone()), Vec::<String>::new());
        let mut lossy = good.clone();
        lossy["interfaces"][0]["lost"] = 11.into();
        assert_eq!(problems(lossy), ["11 of 1011 packets were lost in the last minute"]);
        let mut stopped = good.clone();
        stopped["interfaces"][0]["captured"] = false.into();
        stopped["interfaces"][0]["capture"] = "it is the host's now".into();
        assert_eq!(problems(stopped), ["eth1 is not captured: it is the host's now"]);
        let mut losing = good.clone();
        losing["outputs"][0]["sent"]["records"] = 990.into();
        losing["outputs"][0]["failed"]["records"] = 10.into();
        assert_eq!(problems(losing.clone()), Vec::<String>::new());
        losing["outputs"][0]["dropped"]["records"] = 1.into();
        assert_eq!(problems(losing), ["output json:- lost 11 of 1001 records in the last minute"]);
        let mut given_up = good;
        given_up["outputs"][0]["error"] = "disk full".into();
        assert_eq!(problems(given_up.clone()), ["output json:- has given up: disk full"]);
        given_up["outputs"][0]["removed"] = true.into();
        assert_eq!(problems(given_up), Vec::<String>::new());
    }
}
