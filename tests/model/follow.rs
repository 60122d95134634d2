//! Follows a table packet by packet: which flow leaves when is the table's choice, but each choice
//! has to be allowed and each record has to say what the model knows of its flow.

use std::collections::BTreeMap;

use flow::{BURST_MAX, FlowEndReason, FlowRecord};

use crate::check::{Probe, Verdict, Way, equal};
use crate::naive::{Flow, Identity, Meter, Record, Seen, Step, identity, is_very_late, reopened};
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
        let step = meter.packet(packet);
        let now = meter.now();
        probe.tables.records.clear();
        probe.tables.set_back = 0;
        probe.observe(packet);
        probe.tables.settle();
        let (of_set_back, of_packet) = probe.tables.records.split_at(probe.tables.set_back);
        let flows = probe.tables.tables[0].flows();
        follower
            .step(&step, now, of_set_back, of_packet)
            .and_then(|()| equal("flows in the table", flows, follower.count()))
            .map_err(|reason| format!("at packet {index}, now {now}: {reason}"))?;
    }
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

struct Follower<'a> {
    settings: &'a Settings,
    flows_max: usize,
    /// What is in the table.
    flows: BTreeMap<Identity, Flow>,
    /// What now was when a flow had its last packet, which may have been a late one.
    touched: BTreeMap<Identity, i64>,
    /// Metered packets.
    packets: u64,
    /// Flows that should soon be gone: when they were touched, and the packet that told so.
    overdue: BTreeMap<Identity, (i64, u64)>,
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

    fn step(
        &mut self,
        step: &Step,
        now: i64,
        of_set_back: &[FlowRecord],
        of_packet: &[FlowRecord],
    ) -> Verdict {
        if let Some(before) = step.set_back_from {
            self.end_all(before, of_set_back)?;
        } else {
            equal("records of a set back clock", of_set_back.len(), 0)?;
        }
        let Some(seen) = &step.seen else {
            return equal("records of an ignored frame", of_packet.len(), 0);
        };
        self.packets += 1;
        self.take_packet(seen, now, of_packet)?;
        if self.flows.len() > self.flows_max {
            return Err(format!("{} flows in a table for {}", self.flows.len(), self.flows_max));
        }
        if self.packets.is_multiple_of(16) {
            self.check_overdue(now)?;
        }
        Ok(())
    }

    /// All flows leave, and nothing else.
    fn end_all(&mut self, now: i64, records: &[FlowRecord]) -> Verdict {
        for record in records {
            let record = Record::from(*record);
            let flow = self.flows.remove(&identity(self.settings, record.key, record.vlan_id));
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
        if is_very_late(now, seen) {
            let flow = Flow::new(self.settings, seen);
            let reason = flow.over(self.settings, now).expect("its deadline has passed");
            let alone = records.iter().position(|record| *record == flow.record(reason));
            records.remove(alone.ok_or("a very late packet is no record of its own")?);
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

    fn flow_of(&self, record: &Record) -> Option<&Flow> {
        self.flows.get(&identity(self.settings, record.key, record.vlan_id))
    }

    /// Whether a flow is as a record says.
    fn is_there(&self, record: &Record) -> bool {
        self.flow_of(record).is_some_and(|flow| flow.record(record.reason) == *record)
    }

    fn add(&mut self, seen: &Seen, now: i64) -> Verdict {
        self.touched.insert(seen.identity, now);
        match self.flows.get_mut(&seen.identity) {
            None => _ = self.flows.insert(seen.identity, Flow::new(self.settings, seen)),
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
        let flow = *self.flow_of(record).ok_or_else(|| format!("no flow of {record:?}"))?;
        let of_this_flow = pending.filter(|seen| seen.identity == flow.identity);
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
        self.flows.remove(&flow.identity);
        Ok(())
    }

    /// Only a new flow that finds the table full ends another, and that was idle longest.
    fn may_be_evicted(&self, flow: &Flow, pending: Option<&Seen>) -> Verdict {
        let is_new = pending.is_some_and(|seen| !self.flows.contains_key(&seen.identity));
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
        for flow in self.flows.values() {
            let timeout = flow.idle_timeout(self.settings).min(self.settings.active_ms.into());
            let touched = self.touched[&flow.identity];
            if now <= touched.max(flow.last + timeout) + PASS_MS {
                continue;
            }
            let before = self.overdue.get(&flow.identity).filter(|(time, _)| *time == touched);
            let since = before.map_or(self.packets, |(_, packet)| *packet);
            let stay = self.packets - since;
            if stay > self.stay_max {
                return Err(format!("still there after {stay} packets: {flow:?}"));
            }
            overdue.insert(flow.identity, (touched, since));
        }
        self.overdue = overdue;
        Ok(())
    }
}
