//! What the totals say of packets, times and files that are not as they should be.

use flow::MeterCounts;
use flow::words::counted;

use crate::capture::file::InputReport;

/// Notes in the totals, each with a number that is not zero.
pub(super) fn words(meter: &MeterCounts, input: &InputReport) -> Vec<String> {
    let counts = [
        (
            meter.exceeding_wire,
            "packet claims more octets than were on the wire: it counts with those",
            "packets claim more octets than were on the wire: they count with those",
        ),
        (
            meter.fragments_unknown,
            "fragment came without the first one: no ports",
            "fragments came without their first one: no ports",
        ),
        (
            meter.clock_steps_back,
            "packet has a time long before the others",
            "packets have times long before the others",
        ),
        (
            meter.clock_jumps,
            "time the clock jumped forward by more than a day",
            "times the clock jumped forward by more than a day",
        ),
        (
            meter.clock_jumps_refused,
            "packet has a time far ahead: it counts, its time does not",
            "packets have times far ahead: they count, their times do not",
        ),
        (
            meter.clocks_added,
            "clock does not fit the first one: its flows are kept apart",
            "clocks do not fit the first one: their flows are kept apart",
        ),
        (
            meter.without_clock,
            "packet fits none of 8 clocks: a record of its own",
            "packets fit none of 8 clocks: a record each",
        ),
        (
            input.packets_timeless,
            "packet had no time and took that of the one before",
            "packets had no time and took that of the one before",
        ),
        (
            input.packets_time_clamped,
            "packet had a time before 1970 or after 2554 and took the nearest one in between",
            "packets had a time before 1970 or after 2554 and took the nearest one in between",
        ),
        (input.blocks_damaged, "damaged block was skipped", "damaged blocks were skipped"),
        (
            input.packets_too_long,
            "packet was skipped: longer than 262,144 octets",
            "packets were skipped: longer than 262,144 octets",
        ),
        (
            input.packets_dropped,
            "packet was lost when the input was captured",
            "packets were lost when the input was captured",
        ),
        (
            input.interfaces_over_limit,
            "interface has no number or no name: too many",
            "interfaces have no number or no name: too many",
        ),
        (
            input.files_damaged,
            "file could not be read to its end",
            "files could not be read to their end",
        ),
    ];
    let there = counts.into_iter().filter(|(number, ..)| *number > 0);
    there.map(|(number, one, several)| counted(number, one, several)).collect()
}
