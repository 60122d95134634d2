//! The data of the page: the latest statistics, traffic over time, flows, incidents.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flow::{Batch, FlowRecord, RecordTally};
use serde_json::{Value, json};

use crate::flows::{KEPT, LatestFlows};
use crate::incidents::Incidents;
use crate::search::Search;
use crate::series::{Series, Span};
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
    refused_connections: AtomicU64,
}

#[derive(Debug)]
struct Statistics {
    latest: Arc<Value>,
    published: Instant,
    /// The latest samples, the oldest first.
    samples: VecDeque<Sample>,
}

/// Sums at a point in time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    packets: u64,
    octets: u64,
    records: u64,
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
pub struct Health {
    problems: Vec<String>,
}

impl Health {
    /// Whether there is no problem.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// A line for each problem, or `ok`.
    pub fn text(&self) -> String {
        if self.is_good() { "ok\n".to_owned() } else { self.problems.join("\n") + "\n" }
    }
}

impl Board {
    /// An empty board, for live capture or for a replay.
    pub fn new(is_live: bool) -> Self {
        let statistics = Statistics {
            latest: Arc::new(json!({})),
            published: Instant::now(),
            samples: VecDeque::with_capacity(RECENT + 1),
        };
        let records = Records {
            series: Series::new(),
            flows: LatestFlows::new(),
            table: None,
            incidents: Incidents::default(),
            sums: Sums::new(KEPT + TABLE_FLOWS_MAX),
        };
        Self {
            is_live,
            statistics: Mutex::new(statistics),
            records: Mutex::new(records),
            refused_connections: AtomicU64::new(0),
        }
    }

    /// Publishes the statistics, about once a second.
    pub fn publish(&self, statistics: Value) {
        let sample = Sample::of(&statistics);
        let mut state = lock(&self.statistics);
        state.latest = Arc::new(statistics);
        state.published = sample.at;
        if state.samples.len() > RECENT {
            state.samples.pop_front();
        }
        state.samples.push_back(sample);
    }

    /// Publishes the heaviest flows in the table, as the records that they would be now, and the
    /// sum of all flows in it.
    pub fn publish_table(&self, heaviest: &[FlowRecord], all: RecordTally) {
        let mut table = TableFlows::new(heaviest, all);
        let mut records = lock(&self.records);
        records.flows.iter().for_each(|flow| table.take_out(&flow.record));
        records.table = Some(table);
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
    }

    pub(crate) fn count_refused_connection(&self) {
        self.refused_connections.fetch_add(1, Ordering::Relaxed);
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
        }
        Health { problems }
    }

    /// Rates, health and statistics.
    pub(crate) fn summary(&self) -> Value {
        let problems = self.health().problems;
        let state = lock(&self.statistics);
        let per_second = |count: fn(&Sample) -> u64| {
            let mut latest = state.samples.iter().rev().take(2);
            let (last, before) = (latest.next()?, latest.next()?);
            let millis = u64::try_from(last.at.duration_since(before.at).as_millis()).ok()?.max(1);
            Some(count(last).saturating_sub(count(before)).saturating_mul(1000) / millis)
        };
        json!({
            "live": self.is_live,
            "problems": problems,
            "rates": {
                "packets": per_second(|sample| sample.packets),
                "octets": per_second(|sample| sample.octets),
                "records": per_second(|sample| sample.records),
                "lost": per_second(|sample| sample.lost),
            },
            "statistics": *state.latest,
            "refused_connections": self.refused_connections.load(Ordering::Relaxed),
        })
    }

    pub(crate) fn series(&self, span: Span) -> Value {
        lock(&self.records).series.value(span)
    }

    pub(crate) fn top(&self, ranking: &Ranking) -> Value {
        let Records { flows, table, sums, .. } = &mut *lock(&self.records);
        ranking.of(flows, table.as_ref(), sums)
    }

    pub(crate) fn flows(&self, search: &Search) -> Value {
        lock(&self.records).flows.find(search)
    }

    pub(crate) fn alerts(&self) -> Value {
        lock(&self.records).incidents.value()
    }
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
            octets: statistics["metered"]["octets"].as_u64().unwrap_or(0),
            records: ended.filter_map(|(_, tally)| tally["records"].as_u64()).sum(),
            lost: sum("interfaces", |interface| &interface["lost"]),
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
        let board = Board::new(true);
        board.publish(json!({ "received": { "packets": 0 } }));
        board.publish(statistics);
        board.health().problems
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
        let mut given_up = good;
        given_up["outputs"][0]["error"] = "disk full".into();
        assert_eq!(problems(given_up.clone()), ["output json:- has given up: disk full"]);
        given_up["outputs"][0]["removed"] = true.into();
        assert_eq!(problems(given_up), Vec::<String>::new());
    }
}
