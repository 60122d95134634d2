//! Follows a table packet by packet: which flow leaves when is the table's choice, but each choice
//! has to be allowed and each record has to say what the model knows of its flow.

use std::collections::BTreeMap;

use flow::{BURST_MAX, FlowEndReason, FlowRecord};

use crate::check::{Probe, Tables, Verdict, Way, equal};
use crate::naive::{Flow, Meter, Seen, reopened};
use crate::record::{Identity, Record};
use crate::script::{Script, Settings};

/// What the table did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Followed {
    pub evicted: usize,
    /// Records of flows that ended while no packet came for them.
    pub swept: usize,
    /// Flows in the table when the input ended.
    pub left: usize,
}

/// Runs a script packet by packet, and checks each record that comes out.
pub fn follow(script: &Script, flows_max: u32) -> Result<Followed, String> {
    let mut probe = Probe::new(script, Way { workers: 1, burst: BURST_MAX, flows_max });
    let mut meter = Meter::new(&script.settings);
    let mut follower = Follower::new(&script.settings, flows_max);
    for (index, packet) in script.packets.iter().enumerate() {
        probe.tables.records.clear();
        probe.tables.after = Some(Vec::new());
        probe.observe(packet);
        follower
            .packets(&meter.packet(packet), &probe.tables, meter.now())
            .map_err(|reason| format!("at packet {index}, now {}: {reason}", meter.now()))?;
    }
    probe.tables.records.clear();
    probe.tables.after = Some(Vec::new());
    probe.end();
    let held = meter.finish();
    follower.packets(held.as_slice(), &probe.tables, meter.now())?;
    follower.followed.left = follower.flows.len();
    probe.tables.records.clear();
    probe.tables.finish(probe.now());
    follower.end_all(meter.now(), &probe.tables.records)?;
    Ok(follower.followed)
}

/// The sweep looks at the whole table in this time, if packets allow.
const PASS_MS: i64 = 1000;

/// A table this small has one group of slots, so the evicted flow is the one of the whole table
/// that was idle longest.
const ONE_GROUP_FLOWS: usize = 9;

/// A flow of a clock.
type Id = (Identity, usize);

struct Follower<'a> {
    settings: &'a Settings,
    flows_max: usize,
    /// What is in the table.
    flows: BTreeMap<Id, Flow>,
    /// What now was when a flow had its last packet, which may have been a late one.
    touched: BTreeMap<Id, i64>,
    /// Metered packets.
    packets: u64,
    /// Flows that should soon be gone: when they were touched, and the packet that told so.
    overdue: BTreeMap<Id, (i64, u64)>,
    /// So many packets more may come until a flow that is overdue is gone.
    stay_max: u64,
    followed: Followed,
}

impl<'a> Follower<'a> {
    fn new(settings: &'a Settings, flows_max: u32) -> Self {
        // Slots are filled to 3 in 4, 12 are a group, and after each 64 packets the sweep goes on
        // by at least 8 groups, or by what the clock asks for.
        let groups = (u64::from(flows_max) * 4).div_ceil(3).div_ceil(12);
        Self {
            settings,
            flows_max: flows_max as usize,
            flows: BTreeMap::new(),
            touched: BTreeMap::new(),
            packets: 0,
            overdue: BTreeMap::new(),
            stay_max: 64 * (groups.div_ceil(8) + 2),
            followed: Followed::default(),
        }
    }

    fn count(&self) -> u32 {
        self.flows.len().try_into().unwrap()
    }

    /// Packets go into the table, each with the records that came out by it.
    fn packets(&mut self, seen: &[Seen], tables: &Tables, now: i64) -> Verdict {
        let after = tables.after.as_ref().expect("each packet is settled at once");
        equal("metered packets", after.len(), seen.len())?;
        let mut begin = 0;
        for (seen, &end) in seen.iter().zip(after) {
            self.packet(seen, &tables.records[begin..end])?;
            begin = end;
        }
        // A frame that is ignored may begin a clock: then all flows that are over leave.
        for record in &tables.records[begin..] {
            self.end(&Record::from(*record), None, now)?;
        }
        equal("flows in the table", tables.tables[0].flows(), self.count())
    }

    fn packet(&mut self, seen: &Seen, records: &[FlowRecord]) -> Verdict {
        self.packets += 1;
        self.take_packet(seen, seen.now, records)?;
        if self.flows.len() > self.flows_max {
            return Err(format!("{} flows in a table for {}", self.flows.len(), self.flows_max));
        }
        if self.packets.is_multiple_of(16) {
            self.check_overdue(seen.now)?;
        }
        Ok(())
    }

    /// All flows leave, and nothing else.
    fn end_all(&mut self, now: i64, records: &[FlowRecord]) -> Verdict {
        for record in records {
            let record = Record::from(*record);
            let flow = self.id_of(&record).and_then(|id| self.flows.remove(&id));
            let flow = flow.ok_or_else(|| format!("no flow of {record:?}"))?;
            let reason = flow.over(self.settings, now).unwrap_or(FlowEndReason::ForcedEnd);
            equal("record", record, flow.record(reason))?;
        }
        equal("flows left behind", self.flows.len(), 0)
    }

    /// A packet goes into the table, and these records come out: some before it was added, some
    /// after that.
    fn take_packet(&mut self, seen: &Seen, now: i64, records: &[FlowRecord]) -> Verdict {
        let mut records: Vec<Record> = records.iter().copied().map(Record::from).collect();
        let mut pending = Some(seen);
        if seen.clock.is_none() {
            let alone = Flow::new(self.settings, seen).record(FlowEndReason::ForcedEnd);
            let alone = records.iter().position(|record| *record == alone);
            records.remove(alone.ok_or("a packet without a clock is no record of its own")?);
            pending = None;
        }
        for record in records {
            if let Some(seen) = pending
                && !self.is_there(&record)
            {
                self.add(seen, now)?;
                pending = None;
            }
            self.end(&record, pending, now)?;
        }
        match pending {
            Some(seen) => self.add(seen, now),
            None => Ok(()),
        }
    }

    /// The flow that a record tells of: the one that it fits, of all clocks, or any.
    fn id_of(&self, record: &Record) -> Option<Id> {
        let identity = record.identity(self.settings);
        let ids = (0..8).map(|clock| (identity, clock)).filter(|id| self.flows.contains_key(id));
        let ids: Vec<_> = ids.collect();
        let fitting = ids.iter().find(|id| self.flows[*id].record(record.reason) == *record);
        fitting.or(ids.first()).copied()
    }

    fn flow_of(&self, record: &Record) -> Option<&Flow> {
        self.id_of(record).map(|id| &self.flows[&id])
    }

    /// Whether a flow is as a record says.
    fn is_there(&self, record: &Record) -> bool {
        self.flow_of(record).is_some_and(|flow| flow.record(record.reason) == *record)
    }

    fn add(&mut self, seen: &Seen, now: i64) -> Verdict {
        let id = id(seen);
        self.touched.insert(id, now);
        match self.flows.get_mut(&id) {
            None => _ = self.flows.insert(id, Flow::new(self.settings, seen)),
            Some(flow) => {
                if flow.over(self.settings, now).is_some() || reopened(flow, seen).is_some() {
                    return Err(format!("a packet was added to a flow that is over: {flow:?}"));
                }
                flow.add(self.settings, seen);
            }
        }
        Ok(())
    }

    /// A flow leaves: why it may.
    fn end(&mut self, record: &Record, pending: Option<&Seen>, now: i64) -> Verdict {
        let of = self.id_of(record).ok_or_else(|| format!("no flow of {record:?}"))?;
        let flow = self.flows[&of];
        let of_this_flow = pending.filter(|seen| id(seen) == of);
        let due = flow.over(self.settings, now);
        let due = due.or_else(|| of_this_flow.and_then(|seen| reopened(&flow, seen)));
        let expected = match due {
            Some(reason) => {
                self.followed.swept += usize::from(of_this_flow.is_none());
                reason
            }
            None => {
                self.may_be_evicted(&flow, pending)?;
                self.followed.evicted += 1;
                FlowEndReason::LackOfResources
            }
        };
        equal("record", *record, flow.record(expected))?;
        self.flows.remove(&of);
        Ok(())
    }

    /// Only a new flow that finds the table full ends another, and that was idle longest.
    fn may_be_evicted(&self, flow: &Flow, pending: Option<&Seen>) -> Verdict {
        let is_new = pending.is_some_and(|seen| !self.flows.contains_key(&id(seen)));
        if !is_new || self.flows.len() < self.flows_max {
            return Err(format!("ended before its time: {flow:?}"));
        }
        let longest_idle = self.flows.values().map(|flow| flow.last).min();
        if self.flows_max <= ONE_GROUP_FLOWS && longest_idle < Some(flow.last) {
            return Err(format!("evicted although another was idle longer: {flow:?}"));
        }
        Ok(())
    }

    /// Idle flows are gone a second after they are over, or some packets after that.
    fn check_overdue(&mut self, now: i64) -> Verdict {
        let mut overdue = BTreeMap::new();
        for (id, flow) in &self.flows {
            let timeout = flow.idle_timeout(self.settings).min(self.settings.active_ms.into());
            let touched = self.touched[id];
            if now <= touched.max(flow.last + timeout) + PASS_MS {
                continue;
            }
            let before = self.overdue.get(id).filter(|(time, _)| *time == touched);
            let since = before.map_or(self.packets, |(_, packet)| *packet);
            let stay = self.packets - since;
            if stay > self.stay_max {
                return Err(format!("still there after {stay} packets: {flow:?}"));
            }
            overdue.insert(*id, (touched, since));
        }
        self.overdue = overdue;
        Ok(())
    }
}

/// Which flow a packet with a clock belongs to.
fn id(seen: &Seen) -> Id {
    (seen.identity, seen.clock.expect("it has a clock"))
}
