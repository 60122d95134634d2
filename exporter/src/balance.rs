//! A group of collectors: each conversation goes to one of them, both directions together.
//!
//! The hash of the conversation names the collector. If that one is away for some time, others get
//! its share, until it is back. A collector that is away gets templates again and again: they show
//! when it is back, and it needs them then.
//!
//! In a replay a collector is waited for, and others get its share only after it has given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flow::{Batch, Conversation, FlowKey, NetworkSet, RecordTally, Timestamp};
use log::{error, info, warn};

use crate::conversation_id::conversation_hash;
use crate::error::ExportError;
use crate::exporter::{CollectorCounts, ExportCounts, Exporter, MeterReport};
use crate::patience::Patience;
use flow::words::noun;

/// Time between two attempts to reach a collector that is away.
const PROBE: Duration = Duration::from_secs(1);

/// The collectors of a group.
pub(crate) struct Balance {
    name: String,
    members: Vec<Member>,
    patience: Patience,
    /// How long a collector may be away before others get its share.
    takeover: Duration,
}

struct Member {
    name: Arc<str>,
    exporter: Box<dyn Exporter>,
    /// Its part of the batch that is being split.
    part: Batch,
    state: State,
    /// Records of its share that others got.
    moved: RecordTally,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Here,
    /// It cannot be reached since this time. It still gets its share.
    Missing(Instant),
    /// Others get its share. It is tried again at this time.
    Away(Instant),
    /// Others get its share but for the next part, which shows whether it is back.
    OnTrial,
    /// It has given up. It gets nothing any more.
    Ended,
}

impl Balance {
    pub(crate) fn new(
        name: &str,
        members: Vec<(String, Box<dyn Exporter>)>,
        patience: Patience,
        takeover: Duration,
    ) -> Self {
        let member = |(name, exporter): (String, _)| Member {
            name: name.into(),
            exporter,
            part: Batch::with_capacity(),
            state: State::Here,
            moved: RecordTally::default(),
        };
        let members = members.into_iter().map(member).collect();
        Self { name: name.to_owned(), members, patience, takeover }
    }

    /// Gives each record of the batch to the part of a collector.
    fn split(&mut self, batch: &Batch) {
        for member in &mut self.members {
            member.part.origin.clone_from(&batch.origin);
            member.part.clock_offsets = batch.clock_offsets;
        }
        let takers = Takers::of(&self.members);
        for record in &batch.records {
            let (own, taker) = takers.find(&record.key);
            if own != taker {
                self.members[own].moved.count(record);
            }
            let part = &mut self.members[taker].part;
            match batch.details_of(record) {
                Some(details) => part.push(*record, details.clone()),
                None => part.records.push(*record),
            }
        }
        // They are counted once.
        let first = takers.others.first().copied().unwrap_or_default();
        self.members[first].part.events.extend(batch.events.iter().cloned());
    }

    /// Live: looks which collectors are there.
    fn look(&mut self, now: Instant) {
        if self.patience == Patience::Wait {
            return;
        }
        for member in &mut self.members {
            member.look(now, &self.name, self.takeover);
        }
    }

    /// Calls this for each collector that has not given up. One that gives up now leaves its share
    /// to the others.
    fn each(
        &mut self,
        mut call: impl FnMut(&mut Member) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut last = None;
        for member in self.members.iter_mut().filter(|member| member.state != State::Ended) {
            if let Err(problem) = call(member) {
                error!("{problem}");
                member.state = State::Ended;
                last = Some(problem);
            }
        }
        let all_ended = self.members.iter().all(|member| member.state == State::Ended);
        last.filter(|_| all_ended).map_or(Ok(()), Err)
    }
}

/// Finds the collector of a record.
struct Takers {
    /// By collector: whether it gets records.
    takes: Vec<bool>,
    others: Vec<usize>,
}

impl Takers {
    fn of(members: &[Member]) -> Self {
        let takes: Vec<bool> = members.iter().map(Member::takes).collect();
        let others = (0..members.len()).filter(|&index| takes[index]).collect();
        Self { takes, others }
    }

    /// The collector that the hash names, and the one that gets the record.
    fn find(&self, key: &FlowKey) -> (usize, usize) {
        let hash = conversation_hash(key);
        let own = part_of(hash, self.takes.len());
        if self.takes[own] || self.others.is_empty() {
            return (own, own);
        }
        (own, self.others[part_of(hash >> 32, self.others.len())])
    }
}

impl Member {
    fn takes(&self) -> bool {
        matches!(self.state, State::Here | State::Missing(_) | State::OnTrial)
    }

    fn look(&mut self, now: Instant, group: &str, takeover: Duration) {
        let is_there = self.exporter.is_answering();
        self.state = match self.state {
            State::Ended => State::Ended,
            State::Here | State::Missing(_) if is_there => State::Here,
            State::Away(_) | State::OnTrial if is_there => {
                info!("{group}: {} is back and gets its share again", self.name);
                State::Here
            }
            State::Here => State::Missing(now),
            State::Missing(since) if now.duration_since(since) >= takeover => {
                warn!("{group}: {} is away; the others get its share", self.name);
                State::Away(now)
            }
            State::Away(next) if now >= next => {
                if self.exporter.probe() {
                    State::Away(now + PROBE)
                } else {
                    State::OnTrial
                }
            }
            State::Missing(_) | State::Away(_) | State::OnTrial => self.state,
        };
    }

    /// Sends its part of a batch.
    fn export(&mut self, takeover: Duration) -> Result<(), ExportError> {
        if self.part.is_empty() {
            return Ok(());
        }
        if self.state == State::OnTrial {
            self.state = State::Away(Instant::now() + takeover);
        }
        let result = self.exporter.export(&self.part);
        self.part.records.clear();
        self.part.details.clear();
        self.part.events.clear();
        result
    }
}

impl Exporter for Balance {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        self.split(batch);
        let takeover = self.takeover;
        self.each(|member| member.export(takeover))
    }

    fn observe(&mut self, meter: &MeterReport) {
        for (index, member) in self.members.iter_mut().enumerate() {
            // What the queue dropped is said once, so that sums over the collectors are right.
            let dropped = if index == 0 { meter.dropped } else { RecordTally::default() };
            member.exporter.observe(&MeterReport { dropped, ..meter.clone() });
        }
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), ExportError> {
        let result = self.each(|member| member.exporter.tick(now));
        self.look(Instant::now());
        result
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        self.each(|member| member.exporter.reopen())
    }

    fn set_local_networks(&mut self, networks: &NetworkSet) {
        self.members.iter_mut().for_each(|it| it.exporter.set_local_networks(networks));
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.each(|member| member.exporter.finish())?;
        let ended = self.members.iter().filter(|member| member.state == State::Ended).count();
        if ended == 0 {
            return Ok(());
        }
        let (all, noun) =
            (self.members.len(), noun(self.members.len() as u64, "collector", "collectors"));
        Err(ExportError::GaveUp(format!("{}: {ended} of {all} {noun} gave up", self.name)))
    }

    fn counts(&self) -> ExportCounts {
        let counts = self.members.iter().map(|member| member.exporter.counts());
        counts.fold(ExportCounts::default(), ExportCounts::then)
    }

    fn collectors(&self) -> Vec<CollectorCounts> {
        let counts = self.members.iter().map(|member| CollectorCounts {
            name: Arc::clone(&member.name),
            counts: member.exporter.counts(),
            moved: member.moved,
            is_away: !member.takes() || member.state == State::OnTrial,
        });
        counts.collect()
    }

    fn is_ready(&self) -> bool {
        self.members.iter().all(|member| member.exporter.is_ready())
    }

    fn conversations(&self) -> Vec<Conversation> {
        self.members.iter().flat_map(|member| member.exporter.conversations()).collect()
    }
}

/// The part that the low 32 bits of a hash are in, of this number of equal parts.
fn part_of(hash: u64, parts: usize) -> usize {
    let part = ((hash & u64::from(u32::MAX)) * parts as u64) >> 32;
    usize::try_from(part).unwrap_or_default()
}
