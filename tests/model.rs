//! The meter against a naive model of what a flow is, over random packets.
//!
//! Scripts come from seeds. A failure names the seed and the settings, shows the records that
//! differ, and cuts the script down to the packets that it takes.

#[path = "model/check.rs"]
mod check;
#[path = "model/clocks.rs"]
mod clocks;
#[path = "model/follow.rs"]
mod follow;
#[path = "model/generate.rs"]
mod generate;
#[path = "model/naive.rs"]
mod naive;
#[path = "model/program.rs"]
mod program;
#[path = "model/record.rs"]
mod record;
#[path = "model/script.rs"]
mod script;
mod support;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use check::{Metered, Verdict, Way, assert_all, equal, meter, same_order, same_records, same_sums};
use flow::{BURST_MAX, FlowEndReason, Ignored, KeyField, MeterCounts};
use follow::follow;
use program::Form;
use record::Record;
use script::{Packet, Script, Settings};

/// How many flows a script has, at the most.
fn keys(script: &Script, records: &[Record]) -> u32 {
    let identity_of = |record: &Record| record.identity(&script.settings);
    let keys: BTreeSet<_> = records.iter().map(identity_of).collect();
    keys.len().max(1).try_into().unwrap()
}

#[test]
fn records_are_those_of_the_model_whatever_the_workers_and_the_bursts() {
    let reached = RefCell::new(Reached::default());
    // The last one has many flows at a time.
    let scripts = (0..800).map(Script::new).chain([stopping(1500, 10, 5000, 15_000, 60_000)]);
    assert_all(scripts, |script| {
        let (expected, counts) = naive::meter(&script.settings, &script.packets);
        // A table of just this size never evicts; in a larger one the sweep goes another way.
        // Each clock has flows of its own.
        let keys = keys(script, &expected) * 8;
        let flows_max = [keys, keys * 3, 20_000][script.seed as usize % 3].max(keys);
        let one = meter(script, Way { workers: 1, burst: 1, flows_max });
        same_records("one by one", one.records(), &expected)?;
        equal("counts", one.counts, counts)?;
        one.conserved(script)?;
        for burst in [2, 7, BURST_MAX] {
            let other = meter(script, Way { workers: 1, burst, flows_max });
            same_order(&format!("bursts of {burst}"), &other.records, &one.records)?;
            equal("counts", other.counts, counts)?;
        }
        let two = meter(script, Way { workers: 2, burst: 7, flows_max });
        same_records("two tables", two.records(), &expected)?;
        two.conserved(script)?;
        reached.borrow_mut().add(&one);
        Ok(())
    });
    reached.into_inner().assert_all_rules();
}

/// How much of the rules the scripts come to: a model says nothing about what they do not reach.
#[derive(Debug, Default)]
struct Reached {
    counts: MeterCounts,
    ended: [u64; FlowEndReason::ALL.len()],
    flows_peak: u32,
}

impl Reached {
    fn add(&mut self, metered: &Metered) {
        self.counts += metered.counts;
        for (sum, ended) in self.ended.iter_mut().zip(metered.ended) {
            *sum += ended.records;
        }
        self.flows_peak = self.flows_peak.max(metered.flows_peak);
    }

    fn assert_all_rules(&self) {
        let MeterCounts { ignored, exceeding_wire, fragments_unknown, .. } = self.counts;
        let MeterCounts { clock_steps_back, clock_jumps, clock_jumps_refused, .. } = self.counts;
        for reason in [Ignored::NotIp, Ignored::CutShort, Ignored::Malformed, Ignored::NotSampled] {
            assert!(ignored[reason as usize].packets > 1000, "{reason:?}: {self:?}");
        }
        assert!(exceeding_wire > 1000 && fragments_unknown > 1000, "{self:?}");
        assert!(clock_steps_back.min(clock_jumps).min(clock_jumps_refused) > 1000, "{self:?}");
        assert!(self.counts.without_clock > 1000, "{self:?}");
        let [idle, active, end, forced, evicted] = self.ended;
        assert!(idle.min(active).min(end).min(forced) > 1000, "{self:?}");
        assert_eq!(evicted, 0, "{self:?}");
        // From 1024 flows on, the table asks for cache lines beforehand.
        assert!(self.flows_peak > 1100, "{self:?}");
    }
}

#[test]
fn documents_are_those_of_the_model_whatever_the_workers_and_the_bursts() {
    for (form, seeds) in [(Form::Pcap, 10_000..10_030), (Form::Pcapng, 11_000..11_030)] {
        assert_all(seeds.map(|seed| form.of(Script::new(seed))), |script| {
            are_documents(script, form)
        });
    }
}

#[test]
fn documents_are_those_of_the_model_when_the_input_has_several_blocks() {
    assert_all((12_000..12_002).map(|seed| ordinary(seed, 20_000)), |script| {
        are_documents(script, Form::Pcapng)
    });
}

/// Whether the documents of a script are the records of the model.
fn are_documents(script: &Script, form: Form) -> Verdict {
    let (expected, counts) = naive::meter(&script.settings, &script.packets);
    for (workers, burst) in [(1, 1), (1, BURST_MAX), (2, 1), (2, BURST_MAX)] {
        let way = Way { workers, burst, flows_max: 20_000 };
        let run = program::run(script, form, way);
        let records = program::records(&script.settings, &run);
        same_records(&format!("{way:?}"), records, &expected)?;
        equal("metered packets", run.count("metered.packets"), counts.metered.packets)?;
        equal("metered octets", run.count("metered.octets"), counts.metered.octets)?;
    }
    Ok(())
}

#[test]
fn evictions_leave_the_sums_of_each_key_as_they_are() {
    let evicting = Cell::new(0);
    let random = (20_000..20_300).map(Script::new);
    assert_all(random.chain((21_000..21_200).map(|seed| ordinary(seed, 600))), |script| {
        let evicted = add_up(script)?;
        evicting.set(evicting.get() + u32::from(evicted > 0));
        Ok(())
    });
    assert!(evicting.get() > 300, "only {} of 500 scripts evict", evicting.get());
}

/// Whether a script in a table of few flows adds up to the same by key; and how many it evicts.
fn add_up(script: &Script) -> Result<u64, String> {
    let (expected, counts) = naive::meter(&script.settings, &script.packets);
    let few = 1 + u32::try_from(script.seed % 40).unwrap();
    let flows_max = few.min(keys(script, &expected).div_ceil(2));
    let mut evicted = 0;
    for (workers, burst) in [(2, 1), (1, 1), (1, BURST_MAX)] {
        let way = Way { workers, burst, flows_max };
        let what = format!("{way:?}");
        let metered = meter(script, way);
        same_sums(&what, &script.settings, &metered.records(), &expected)?;
        metered.conserved(script)?;
        equal("counts", metered.counts, counts)?;
        if metered.flows_peak > flows_max {
            return Err(format!("{what}: {} flows in the table", metered.flows_peak));
        }
        evicted = metered.ended[FlowEndReason::LackOfResources as usize - 1].records;
    }
    Ok(evicted)
}

#[test]
fn evictions_leave_the_sums_of_documents_as_they_are() {
    let evicting = Cell::new(0);
    assert_all((22_000..22_010).map(|seed| ordinary(seed, 600)), |script| {
        let (expected, _) = naive::meter(&script.settings, &script.packets);
        for (workers, burst) in [(1, 1), (1, BURST_MAX), (2, 1), (2, BURST_MAX)] {
            let way = Way { workers, burst, flows_max: 4 };
            let run = program::run(script, Form::Pcapng, way);
            let records = program::records(&script.settings, &run);
            same_sums(&format!("{way:?}"), &script.settings, &records, &expected)?;
            evicting.set(evicting.get() + u32::from(run.count("ended.evicted.records") > 0));
        }
        Ok(())
    });
    assert!(evicting.get() > 20, "only {} of 40 runs evict", evicting.get());
}

#[test]
fn no_flow_ends_before_its_time_and_none_stays_long_after_it() {
    let evicted = Cell::new(0);
    let swept = Cell::new(0);
    let random = (30_000..30_400).map(Script::new);
    assert_all(random.chain((31_000..31_100).map(|seed| ordinary(seed, 600))), |script| {
        let flows_max = [1, 2, 5, 11, 30, 40, 300, 3000][script.seed as usize % 8];
        let followed = follow(script, flows_max)?;
        evicted.set(evicted.get() + followed.evicted);
        swept.set(swept.get() + followed.swept);
        Ok(())
    });
    assert!(evicted.get() > 10_000, "only {} evictions", evicted.get());
    assert!(swept.get() > 10_000, "only {} flows swept", swept.get());
}

#[test]
fn idle_flows_are_gone_soon_while_another_goes_on() {
    const FLOWS: u16 = 500;
    for (idle_ms, active_ms) in [(15_000, 60_000), (60_000, 15_000), (1, 60_000), (1999, 5000)] {
        for pace in [1, 7, 100, 2500, 100_000] {
            for flows_max in [u32::from(FLOWS) + 1, 5000] {
                let packets = usize::try_from(64_000 / pace).unwrap() + 5000;
                let script = stopping(FLOWS, pace, packets, idle_ms, active_ms);
                let left = Cell::new(0);
                assert_all([script], |script| {
                    left.set(follow(script, flows_max)?.left);
                    Ok(())
                });
                assert_eq!(left.get(), 1, "at a pace of {pace} ms with {flows_max} flows");
            }
        }
    }
}

/// Flows of which half are closed by a FIN, then packets of only one flow, at a pace.
fn stopping(flows: u16, pace: i64, packets: usize, idle_ms: u32, active_ms: u32) -> Script {
    let settings = Settings { idle_ms, active_ms, ..ordinary_settings() };
    let of_flow = |time, port, bits| Packet::of_tcp(1_700_000_000_000 + time, port, bits);
    let stopped = (1..=flows).map(|port| of_flow(0, port, if port % 2 == 0 { 0x11 } else { 0x10 }));
    let going_on = (1..).map(|index| of_flow(pace * index, 0, 0x10));
    let packets = stopped.chain(going_on.take(packets)).collect();
    Script { seed: 1, settings, packets }
}

fn ordinary_settings() -> Settings {
    use KeyField::*;
    let key =
        [Source, Destination, SourcePort, DestinationPort, Protocol, TypeOfService, Interface];
    Settings {
        idle_ms: 15_000,
        active_ms: 60_000,
        idle_ms_of: Vec::new(),
        key: key.to_vec(),
        sampling: 1,
    }
}

/// A script under the settings that users have who set nothing.
fn ordinary(seed: u64, length: usize) -> Script {
    Script::under(ordinary_settings(), seed, length)
}
