//! The times in headers and in NetFlow v5 and v9 flows: exact whatever the clock does.

use exporter::{Context, Patience};
use flow::{Batch, DetailsIndex, FlowRecord, Timestamp};

use crate::collector::{Session, context, exported};
use crate::message::{Message, read_stream};
use crate::record::{DAY, T0, record, udp4};

/// Templates are out of the way.
const RARE_TEMPLATES: &str = "template-refresh=1000d&template-packets=1000000";

const WITH_UPTIME: [(&str, &str); 2] = [("netflow5", ""), ("netflow9", RARE_TEMPLATES)];

fn live(start: u64) -> Context {
    Context { uptime_start: Some(Timestamp::from_millis(start)), ..context() }
}

/// A flow with these times.
fn flow(start: u64, end: u64, exported: u64) -> FlowRecord {
    record(udp4(T0).key, start, end, exported)
}

fn times_of(records: &[FlowRecord]) -> Vec<(u64, u64)> {
    records.iter().map(|record| (record.start.as_millis(), record.end.as_millis())).collect()
}

/// Exports records; a collector finds out the times that they have.
fn check_times(context: &Context, records: &[FlowRecord]) {
    for (scheme, settings) in WITH_UPTIME {
        let (datagrams, counts) = exported(scheme, settings, context, records);
        let messages: Vec<_> = datagrams.iter().map(|datagram| Message::read(datagram)).collect();
        let times: Vec<_> = messages.iter().flat_map(Message::flow_times).collect();
        assert_eq!(times, times_of(records), "{scheme}");
        assert_eq!(counts.times_clamped, 0);
    }
}

/// The uptimes of all messages, in their order. Some collectors read one of 32 bits as negative.
fn uptimes(scheme: &str, settings: &str, context: &Context, records: &[FlowRecord]) -> Vec<u32> {
    let (datagrams, _) = exported(scheme, settings, context, records);
    let uptimes: Vec<_> = read_stream(&datagrams).iter().map(|message| message.uptime).collect();
    assert!(uptimes.iter().all(|&uptime| uptime < 1 << 31), "{scheme}: {uptimes:?}");
    uptimes
}

#[test]
fn headers_have_the_stamps_that_collectors_compute_best_with() {
    for now in [T0, T0 + 1, T0 + 999] {
        let record = flow(T0 - 5000, T0 - 123, now);
        let (datagrams, _) = exported("netflow5", "", &live(T0 - 10_250), &[record]);
        let v5 = Message::read(&datagrams[0]);
        // The last millisecond of the second: no collector borrows when it subtracts.
        let second = T0 / 1000;
        assert_eq!((u64::from(v5.seconds), v5.nanoseconds), (second, 999_000_000));
        assert_eq!(v5.uptime, 10_250 + 999);

        let (datagrams, _) = exported("netflow9", "", &live(T0 - 10_250), &[record]);
        // A whole second, which is all that this header can say.
        let end = if now == T0 { 0 } else { 1 };
        for v9 in read_stream(&datagrams) {
            assert_eq!(u64::from(v9.seconds), second + end);
            assert_eq!(u64::from(v9.uptime), 10_250 + end * 1000);
        }

        let (datagrams, _) = exported("ipfix", "", &context(), &[record]);
        let ipfix = Message::read(&datagrams[0]);
        assert_eq!((u64::from(ipfix.seconds), ipfix.uptime), (second, 0));
    }
}

#[test]
fn uptime_of_a_replay_counts_from_before_the_first_flow() {
    let records = [flow(T0 - 1_800_000, T0 - 7, T0), flow(T0 - 9 * DAY, T0 - 1, T0)];
    check_times(&context(), &records);
    for (scheme, settings) in WITH_UPTIME {
        // Also in the packet with the templates.
        uptimes(scheme, settings, &context(), &records);
    }
}

#[test]
fn flow_that_began_before_the_program_has_its_time() {
    let start = T0;
    let records = [
        flow(start + 1000, start + 2000, start + 3000),
        flow(start - 60_000, start + 2000, start + 3000),
        flow(start - 61_000, start - 1, start + 3000),
        flow(start + 2999, start + 3000, start + 3000),
    ];
    check_times(&live(start), &records);
}

#[test]
fn uptime_stays_below_31_bits_over_months_and_times_stay_exact() {
    let hours = |hour: u64| {
        let now = T0 + hour * 3_600_000 + hour % 1000;
        flow(now - 3_000_000 + hour % 7, now - hour % 900, now)
    };
    let records: Vec<_> = (0..24 * 120).map(hours).collect();
    for context in [context(), live(T0 - 3_000_000)] {
        check_times(&context, &records);
        for (scheme, settings) in WITH_UPTIME {
            let (datagrams, _) = exported(scheme, settings, &context, &records);
            let messages = read_stream(&datagrams);
            let base = |message: &Message| {
                u64::from(message.seconds) * 1000 + u64::from(message.nanoseconds / 1_000_000)
                    - u64::from(message.uptime)
            };
            let flows = messages.iter().filter(|message| !message.is_announcement());
            let mut bases: Vec<_> = flows.map(base).collect();
            bases.dedup();
            assert!((4..10).contains(&bases.len()), "the base moves, but rarely: {bases:?}");
        }
    }
}

#[test]
fn flows_before_a_long_silence_keep_their_times() {
    // A flow waits in a message while the clock jumps: by less than uptime can say, and by more.
    for days in [2, 30, 60, 400] {
        let later = T0 + days * DAY;
        let records = [
            flow(T0 - 5000, T0 - 4000, T0),
            flow(T0 - 3000, T0 - 2000, T0),
            flow(later - 5000, later - 4000, later),
        ];
        check_times(&context(), &records);
        uptimes("netflow5", "", &context(), &records);
    }
}

#[test]
fn uptime_of_templates_after_a_long_silence_fits_too() {
    let later = T0 + 60 * DAY;
    let records = [udp4(T0), udp4(later)];
    for context in [context(), live(T0 - 20_000)] {
        uptimes("netflow9", "", &context, &records);
    }
}

#[test]
fn flows_before_a_clock_that_is_set_back_keep_their_times() {
    for days in [2, 30, 400] {
        let earlier = T0 - days * DAY;
        let records = [
            flow(T0 - 5000, T0 - 4000, T0),
            flow(T0 - 3000, T0 - 2000, T0),
            flow(earlier - 5000, earlier - 4000, earlier),
            flow(earlier - 5000, earlier - 3000, earlier + 1000),
        ];
        check_times(&context(), &records);
        for (scheme, _) in WITH_UPTIME {
            let (datagrams, _) = exported(scheme, "", &context(), &records);
            let messages = datagrams.iter().map(|datagram| Message::read(datagram));
            let flows = messages.filter(|message| !message.is_announcement());
            let seconds: Vec<_> = flows.map(|message| u64::from(message.seconds)).collect();
            assert_eq!(seconds, [T0 / 1000, earlier / 1000 + 1], "{scheme}");
        }
    }
}

#[test]
fn one_flow_years_ahead_leaves_the_times_of_the_others_alone() {
    let ahead = T0 + 3650 * DAY;
    let records = [
        flow(T0 - 5000, T0 - 4000, T0),
        flow(ahead, ahead, ahead + 5000),
        flow(T0 - 5000, T0 - 3000, T0 + 1000),
    ];
    check_times(&context(), &records);
    for (scheme, settings) in WITH_UPTIME {
        let (datagrams, counts) = exported(scheme, settings, &context(), &records);
        assert_eq!(counts.times_clamped, 0, "{scheme}");
        let times: Vec<_> = datagrams.iter().map(|one| Message::read(one)).collect();
        let times: Vec<_> = times.iter().flat_map(Message::flow_times).collect();
        assert_eq!(times, times_of(&records), "{scheme}");
    }
}

#[test]
fn netflow_header_times_go_back_only_when_the_clock_is_set_back_by_more_than_a_day() {
    for (scheme, settings) in WITH_UPTIME {
        let second = |back: u64| {
            let records = [udp4(T0), udp4(T0 - back)];
            let last = exported(scheme, settings, &context(), &records).0.pop().unwrap();
            u64::from(Message::read(&last).seconds)
        };
        let whole =
            |time: u64| if scheme == "netflow9" { time.div_ceil(1000) } else { time / 1000 };
        assert_eq!(second(1), T0 / 1000, "{scheme}");
        assert_eq!(second(DAY), T0 / 1000, "{scheme}");
        assert_eq!(second(DAY + 1), whole(T0 - DAY - 1), "{scheme}");
    }
}

/// The times in the headers of IPFIX messages, in their order.
fn export_times(batches: &[Batch]) -> Vec<u64> {
    let mut session = Session::open("ipfix", "", &context());
    batches.iter().for_each(|batch| session.export_batch(batch));
    let (datagrams, counts) = session.finish();
    assert_eq!(counts.times_clamped, 0);
    let messages: Vec<_> = datagrams.iter().map(|datagram| Message::read(datagram)).collect();
    messages.iter().map(|message| u64::from(message.seconds)).collect()
}

#[test]
fn export_times_of_a_replay_never_go_back() {
    for back in [1, DAY, DAY + 1, 2 * DAY, 30 * DAY, 4000 * DAY] {
        let batches = [T0, T0 - back, T0 - back + 7000].map(|time| Batch::from(&[udp4(time)][..]));
        let times = export_times(&batches);
        assert!(times.is_sorted() && times[0] == T0 / 1000, "{back}: {times:?}");
    }
}

#[test]
fn export_times_of_a_replay_are_those_of_the_trace_clock() {
    // Two clocks beside the first: one is ten years ahead, the other half a year behind.
    let (ahead, behind) = (3650 * DAY, 180 * DAY);
    let clocks = [(0, 0), (1, ahead.cast_signed()), (2, -behind.cast_signed())];
    let batch_at = |trace: u64, (number, is_ahead_by): (u8, i64)| {
        let own = trace.checked_add_signed(is_ahead_by).unwrap();
        let details = DetailsIndex::of_clock(number);
        let mut batch = Batch::from(&[FlowRecord { details, ..udp4(own) }][..]);
        batch.clock_offsets = [0; 8];
        batch.clock_offsets[usize::from(number)] = -is_ahead_by;
        batch
    };
    let of_trace: Vec<u64> = (0..9).map(|n| T0 + n * 2 * 3_600_000).collect();
    let batches = of_trace.iter().zip(clocks.iter().cycle());
    let batches: Vec<_> = batches.map(|(&trace, &clock)| batch_at(trace, clock)).collect();
    let mut times = export_times(&batches);
    times.dedup();
    assert_eq!(times, of_trace.iter().map(|trace| trace / 1000).collect::<Vec<_>>());
    // A packet that fits no clock says nothing about the trace clock.
    let lone = FlowRecord { details: DetailsIndex::WITHOUT_CLOCK, ..udp4(T0 + ahead) };
    let batches = [Batch::from(&[udp4(T0)][..]), Batch::from(&[lone][..])];
    assert!(export_times(&batches).iter().all(|&time| time == T0 / 1000));
}

#[test]
fn live_the_time_of_day_counts_and_templates_come_when_it_was_set_back() {
    const HOUR: u64 = 3_600_000;
    let context = Context { patience: Patience::GoOn, ..live(T0 - 10_000) };
    // Flows from before the change come after it, and set the clock ahead once more.
    for (back, followed) in [(1000, false), (60_000, false), (60_001, true), (20 * HOUR, true)] {
        for scheme in ["netflow9", "ipfix"] {
            let mut session = Session::open(scheme, "", &context);
            session.export(&[udp4(T0)]);
            session.tick(T0);
            let now = T0 - back;
            session.tick(now);
            // Ended by the change of the clock, and the first after it.
            session.export(&[udp4(T0), udp4(now)]);
            session.tick(now + 500);
            session.export(&[udp4(now + 600)]);
            session.tick(now + 1000);
            session.tick(now + 60_500);
            let (datagrams, _) = session.finish();
            let messages: Vec<_> = datagrams.iter().map(|one| Message::read(one)).collect();
            let templates = messages.iter().filter(|message| message.is_announcement()).count();
            let last = u64::from(messages.last().unwrap().seconds);
            let whole = |now: u64| if scheme == "ipfix" { now / 1000 } else { now.div_ceil(1000) };
            if followed {
                assert_eq!(last, whole(now + 60_500), "{scheme}, {back}");
                // At the start, the change, its end, a minute later, the end.
                assert!((3..=6).contains(&templates), "{scheme}, {back}: {templates}");
            } else {
                assert_eq!(last, whole(T0.max(now + 60_500)), "{scheme}, {back}");
            }
            // The flow times of NetFlow are right in any case.
            if scheme == "netflow9" {
                let times = messages.iter().flat_map(Message::flow_times);
                let starts: Vec<_> = times.map(|(start, _)| start).collect();
                let of = |exported: u64| exported - 16_000;
                assert_eq!(starts, [of(T0), of(T0), of(now), of(now + 600)], "{back}");
            }
        }
    }
}

#[test]
fn header_times_never_decrease_when_records_come_a_little_out_of_order() {
    let back = |n: u64| T0 + n * 700 - n * n % 13 * 3_600_000;
    let records: Vec<_> = (0..300).map(|n| udp4(back(n))).collect();
    check_times(&context(), &records);
    for scheme in ["netflow5", "netflow9", "ipfix"] {
        let (datagrams, _) = exported(scheme, "mtu=576", &context(), &records);
        let messages = read_stream(&datagrams);
        let last = u64::from(messages.last().unwrap().seconds);
        let latest = records.iter().map(|record| record.exported.as_millis()).max().unwrap();
        let whole = if scheme == "netflow9" { latest.div_ceil(1000) } else { latest / 1000 };
        assert_eq!(last, whole);
    }
}

#[test]
fn times_that_are_too_old_for_uptime_are_clamped_and_counted() {
    // 32 bits of milliseconds are 49.7 days.
    let records = [flow(T0 - 48 * DAY, T0 - 1, T0), flow(T0 - 60 * DAY, T0 - 1, T0)];
    for (scheme, settings) in WITH_UPTIME {
        let (datagrams, counts) = exported(scheme, settings, &context(), &records);
        assert_eq!(counts.times_clamped, 1, "{scheme}");
        let messages = datagrams.iter().map(|datagram| Message::read(datagram));
        let times: Vec<_> = messages.flat_map(|message| message.flow_times()).collect();
        assert_eq!(times[0], times_of(&records)[0]);
        assert!(times[1].0.abs_diff(T0 - 49 * DAY) < DAY);
        assert_eq!(times[1].1, T0 - 1);
    }
}

#[test]
fn flows_that_ended_long_before_they_left_have_messages_near_their_ends() {
    // What was in the table before a jump of the clock, or a silence of months, leaves after it.
    for days in [3, 20, 49, 50, 60, 4000] {
        let ended = |n: u64| T0 - days * DAY + n * 7;
        let mut records: Vec<_> = (0..20).map(|n| flow(ended(n) - 60_000, ended(n), T0)).collect();
        records.push(flow(T0 - 5000, T0 - 4000, T0));
        check_times(&context(), &records);
        check_times(&live(T0 - 5000), &records);
        for (scheme, settings) in WITH_UPTIME {
            let (datagrams, _) = exported(scheme, settings, &context(), &records);
            let messages = datagrams.iter().map(|datagram| Message::read(datagram));
            let flows = messages.filter(|message| !message.is_announcement());
            let times: Vec<_> = flows.map(|message| u64::from(message.seconds)).collect();
            assert_eq!(times.len(), 2, "{scheme}: those of one time share messages");
            assert!(times[0].abs_diff(ended(19) / 1000) <= 1, "{scheme}");
            assert!(times[1].abs_diff(T0 / 1000) <= 1, "{scheme}");
        }
    }
}

#[test]
fn times_after_2106_are_clamped_and_counted() {
    let last = u64::from(u32::MAX) * 1000;
    // The second one is exact: only the flow's own times matter.
    let records = [
        flow(last - 9000, last - 5000, last - 4000),
        flow(last - 9000, last, last + 4000),
        flow(last - 9000, last + 1, last + 4000),
        flow(last + 40 * DAY, last + 40 * DAY + 1, last + 40 * DAY + 2),
        flow(last - 8000, last - 7000, last + 40 * DAY + 2),
    ];
    for (scheme, settings) in WITH_UPTIME {
        let (datagrams, counts) = exported(scheme, settings, &context(), &records);
        assert_eq!(counts.times_clamped, 2, "{scheme}");
        let messages = datagrams.iter().map(|datagram| Message::read(datagram));
        let times: Vec<_> = messages.flat_map(|message| message.flow_times()).collect();
        let mut expected = times_of(&records);
        expected[2].1 = last;
        expected[3] = (last, last);
        assert_eq!(times, expected, "{scheme}");
    }
    // IPFIX has 64 bits for the times of flows.
    let (_, counts) = exported("ipfix", "", &context(), &records);
    assert_eq!(counts.times_clamped, 0);
}
