//! Rows of packets: what came, and what was not metered.

use super::rows::{Row, counter};

pub(super) const ROWS: &[Row] = &[
    counter("received.packets", "received_packets", "Packets that capture delivered"),
    counter("received.octets", "received_octets", "Octets on the wire of delivered packets"),
    counter("metered.packets", "metered_packets", "Packets that were metered"),
    counter("metered.octets", "metered_octets", "Octets of metered IP packets"),
    counter("ignored.{reason}.packets", "ignored_packets", "Packets that were not metered"),
    counter("ignored.{reason}.octets", "ignored_octets", "Octets on the wire of ignored packets"),
    counter(
        "ignored_ethertypes[ethertype=ethertype].packets",
        "ignored_ethertype_packets",
        "Packets that are not IP, by Ethertype",
    ),
    counter(
        "ignored_ethertypes[ethertype=ethertype].octets",
        "ignored_ethertype_octets",
        "Octets on the wire of packets that are not IP, by Ethertype",
    ),
    counter(
        "ignored_ethertypes[llc_sap=llc_sap].packets",
        "ignored_llc_packets",
        "Packets that are not IP, by service access point of LLC",
    ),
    counter(
        "ignored_ethertypes[llc_sap=llc_sap].octets",
        "ignored_llc_octets",
        "Octets on the wire of packets that are not IP, by service access point of LLC",
    ),
    counter(
        "ignored_link_types[link_type=link_type].packets",
        "ignored_link_type_packets",
        "Packets of a link type that is not supported",
    ),
    counter(
        "ignored_link_types[link_type=link_type].octets",
        "ignored_link_type_octets",
        "Octets on the wire of packets of a link type that is not supported",
    ),
    counter(
        "exceeding_wire",
        "exceeding_wire_packets",
        "Packets that claim more octets than were on the wire",
    ),
    counter("fragments_unknown", "fragments_unknown", "Fragments without their first one"),
    counter("clock_steps_back", "clock_steps_back", "Packets that were behind all clocks"),
    counter("clock_jumps", "clock_jumps", "Jumps of a clock by more than a day"),
    counter("clock_jumps_refused", "clock_jumps_refused", "Packets that were ahead of all clocks"),
    counter("clocks_added", "clocks_added", "Clocks besides the first one"),
    counter("without_clock", "without_clock_packets", "Packets that fit no clock"),
    counter("input.files_damaged", "input_files_damaged", "Files that were not read to their end"),
    counter("input.blocks_damaged", "input_blocks_damaged", "Blocks of files that were skipped"),
    counter("input.packets_timeless", "input_timeless_packets", "Packets of files without a time"),
    counter(
        "input.packets_time_clamped",
        "input_time_clamped_packets",
        "Packets with a time out of range",
    ),
    counter(
        "input.packets_too_long",
        "input_too_long_packets",
        "Packets of files too long to read",
    ),
    counter(
        "input.packets_dropped",
        "input_dropped_packets",
        "Packets lost when the input was captured, as the file says",
    ),
    counter(
        "input.interfaces_over_limit",
        "input_interfaces_over_limit",
        "Interfaces of files without a number or name",
    ),
];
