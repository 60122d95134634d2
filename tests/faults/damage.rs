//! Captures that are cut, or that contradict themselves.

use std::io::Write;

use crate::support::capture::{Captured, Order, block, enhanced, interface, pcap, pcapng, section};
use crate::support::{Run, run_with_input};
use crate::{DONE, FAILED, assert_error, datagram};

const LITTLE: Order = Order::Little;

fn replay(file: &[u8]) -> Run {
    let run = run_with_input(["-r", "-", "-o", "json:-", "--max-flows", "100"], file);
    run.assert_conservation();
    assert_eq!(run.flows().len() as u64, run.count("metered.packets"));
    run
}

/// Checks that a damaged file is reported in these words, and what is before counts.
fn check(file: &[u8], packets: u64, words: &[&str]) {
    let run = replay(file);
    assert_eq!(run.status, FAILED, "{}", run.stderr);
    assert_error(&run, words);
    assert_error(&run, &["standard input"]);
    assert_eq!(run.count("metered.packets"), packets, "{}", run.stderr);
    assert_eq!(run.count("input.files_damaged"), 1);
}

/// Three packets of different lengths.
fn packets() -> Vec<Captured> {
    // A time of 0 s would be padding.
    let second = |n: u64| n * 1_000_000_000;
    let mut packets = vec![datagram(1, second(1)), datagram(2, second(2)), datagram(3, second(3))];
    packets[1].data.extend([0; 7]);
    packets[1].wire_length = 67;
    packets
}

/// Cuts a file at every octet. `ends` are where it may end in good order, and how many packets
/// are before; in between, these words say where it was cut.
fn check_cuts(file: &[u8], ends: &[(usize, u64)], words: impl Fn(usize) -> &'static str) {
    for length in 0..=file.len() {
        let run = replay(&file[..length]);
        let before = ends.iter().rev().find(|(end, _)| *end <= length);
        let packets = before.map_or(0, |(_, packets)| *packets);
        assert_eq!(run.count("received.packets"), packets, "cut to {length}");
        if ends.iter().any(|(end, _)| *end == length) {
            assert_eq!(run.status, DONE, "cut to {length}: {}", run.stderr);
            continue;
        }
        assert_eq!(run.status, FAILED, "cut to {length}");
        assert_eq!(run.count("input.files_damaged"), 1);
        assert_error(&run, &["standard input", words(length)]);
    }
}

#[test]
fn pcap_cut_at_every_octet() {
    let file = pcap(&packets());
    let ends = [(24, 0), (24 + 76, 1), (24 + 76 + 83, 2), (file.len(), 3)];
    check_cuts(&file, &ends, |length| match length {
        0 => "an empty file",
        1..4 => "not a capture file",
        4..24 => "cut short in the file header",
        _ => {
            let (end, _) = ends.iter().rev().find(|(end, _)| *end <= length).unwrap();
            if length - end < 16 { "cut short in a packet header" } else { "cut short in a packet" }
        }
    });
}

#[test]
fn pcapng_cut_at_every_octet() {
    let file = [
        section(LITTLE),
        interface(LITTLE, 1, 0, &[(2, b"eth0")]),
        enhanced(LITTLE, &packets()[0]),
        block(LITTLE, 5, &[0; 20]),
        enhanced(LITTLE, &packets()[1]),
        section(Order::Big),
        interface(Order::Big, 1, 0, &[]),
        enhanced(Order::Big, &packets()[2]),
    ];
    let with_packet = [2, 4, 7];
    let mut ends = Vec::new();
    let (mut length, mut packets) = (0, 0);
    for (index, block) in file.iter().enumerate() {
        length += block.len();
        packets += u64::from(with_packet.contains(&index));
        ends.push((length, packets));
    }
    check_cuts(&file.concat(), &ends, |length| match length {
        0 => "an empty file",
        1..4 => "not a capture file",
        _ => "cut short",
    });
}

/// Three packets, compressed in every way.
fn compressed() -> [(&'static str, Vec<u8>); 5] {
    let plain = pcap(&packets());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    bzip2.write_all(&plain).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(&plain).unwrap();
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::default()).unwrap();
    xz.write_all(&plain).unwrap();
    [
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::encode_all(&plain[..], 3).unwrap()),
        ("bzip2", bzip2.finish().unwrap()),
        ("lz4", lz4.finish().unwrap()),
        ("xz", xz.finish().unwrap()),
    ]
}

#[test]
fn compressed_file_cut_at_every_octet() {
    for (name, file) in compressed() {
        for length in 1..file.len() {
            let run = replay(&file[..length]);
            let cut = format!("{name} cut to {length} of {}: {}", file.len(), run.stderr);
            assert_eq!(run.status, FAILED, "{cut}");
            assert_eq!(run.count("input.files_damaged"), 1, "{cut}");
            assert_error(&run, &["standard input"]);
        }
        assert_eq!(replay(&file).status, DONE, "{name}");
    }
}

#[test]
fn compressed_file_cut_between_two_packets() {
    // What is compressed while it is captured is flushed now and then, so that what is there can
    // be read up to the end of a packet, though the stream is not at its end.
    let plain = pcap(&packets());
    let (first, rest) = plain.split_at(24 + 76);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(first).unwrap();
    gzip.flush().unwrap();
    let gzip_cut = gzip.get_ref().clone();
    let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
    zstd.write_all(first).unwrap();
    zstd.flush().unwrap();
    let zstd_cut = zstd.get_ref().clone();
    gzip.write_all(rest).unwrap();
    zstd.write_all(rest).unwrap();
    for whole in [gzip.finish().unwrap(), zstd.finish().unwrap()] {
        assert_eq!(replay(&whole).count("metered.packets"), 3);
    }
    for cut in [gzip_cut, zstd_cut] {
        check(&cut, 1, &["cut short", "the packet before"]);
    }
}

#[test]
fn compressed_file_that_is_cut_is_not_called_empty() {
    for (name, file) in compressed() {
        for length in 1..file.len().min(20) {
            let stderr = replay(&file[..length]).stderr;
            assert!(!stderr.contains("an empty file"), "{name} cut to {length}: {stderr}");
        }
    }
}

#[test]
fn compressed_file_with_a_wrong_check_sum() {
    let plain = pcap(&packets());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).unwrap();
    let mut gzip = gzip.finish().unwrap();
    let check_sum = gzip.len() - 8;
    gzip[check_sum] ^= 1;
    check(&gzip, 3, &["3 packets before"]);
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&plain).unwrap();
    let mut zstd = encoder.finish().unwrap();
    *zstd.last_mut().unwrap() ^= 1;
    let run = replay(&zstd);
    assert_eq!(run.status, FAILED);
    assert_error(&run, &["standard input"]);
}

#[test]
fn compressed_file_that_goes_on_with_something_else() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&pcap(&packets())).unwrap();
    let gzip = gzip.finish().unwrap();
    check(&[&gzip[..], b"something else"].concat(), 3, &["3 packets before"]);
}

#[test]
fn zeros_that_are_followed_by_something_else() {
    for file in [pcap(&packets()), pcapng(1, &packets())] {
        let zeros = [0; 160];
        check(&[&file[..], &zeros, &file].concat(), 3, &["follows zeros", "the 3 packets before"]);
        let at = format!("octet {}", file.len() + 160);
        check(&[&file[..], &zeros, b"x"].concat(), 3, &["follows zeros", &at]);
    }
}

#[test]
fn what_is_not_a_capture_file_is_not_read() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"plain text in gzip").unwrap();
    let cases = [
        b"some text, longer than any header of a capture file is".to_vec(),
        b"PK\x03\x04".to_vec(),
        vec![0; 100],
        vec![0xff; 100],
        // A patched libpcap wrote this, with longer packet headers.
        [&0xa1b2_cd34_u32.to_le_bytes()[..], &[0; 100]].concat(),
        gzip.finish().unwrap(),
        // A pcapng file has a byte-order magic too.
        [&[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0][..], &[0x11; 20]].concat(),
    ];
    for case in cases {
        check(&case, 0, &["not a capture file"]);
    }
}

#[test]
fn packet_that_claims_too_much() {
    let good = packets();
    let sound = pcap(&good);
    for claim in [u32::MAX, 0x8000_0000, 256 * 1024 + 1] {
        let mut file = sound.clone();
        // Seconds, microseconds, then the length of what was captured, of the third packet.
        let at = 24 + 76 + 83 + 8;
        file[at..at + 4].copy_from_slice(&claim.to_le_bytes());
        check(&file, 2, &[&claim.to_string(), "octet 183", "the 2 packets before"]);
    }
    // What was on the wire may be anything.
    let mut file = sound;
    let at = 24 + 76 + 83 + 12;
    file[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let run = replay(&file);
    assert_eq!((run.status, run.count("metered.packets")), (DONE, 3));
    assert_eq!(run.count("received.octets"), 60 + 67 + u64::from(u32::MAX));
}

#[test]
fn block_that_claims_too_much() {
    let good = pcapng(1, &packets()[..2]);
    for kind in [1, 2, 3, 6] {
        let header = [LITTLE.u32(kind), LITTLE.u32(0xffff_fffc)].concat();
        check(&[&good[..], &header, &[0; 100]].concat(), 2, &["4294967292"]);
    }
    // A block that nobody knows is skipped, and the file ends before it does.
    let header = [LITTLE.u32(0xbad), LITTLE.u32(0xffff_fffc)].concat();
    check(&[&good[..], &header, &[0; 100]].concat(), 2, &["cut short in a block"]);
}

#[test]
fn packet_that_claims_more_than_its_block_is_skipped() {
    for kind in [2, 6] {
        for claim in [u32::MAX, 256 * 1024 + 1, 61] {
            let mut file = pcapng(1, &packets()[..1]);
            let mut bad = enhanced(LITTLE, &packets()[0]);
            bad[..4].copy_from_slice(&LITTLE.u32(kind));
            bad[20..24].copy_from_slice(&LITTLE.u32(claim));
            file.extend(bad);
            file.extend(enhanced(LITTLE, &packets()[2]));
            let run = replay(&file);
            assert_eq!(run.status, FAILED, "{}", run.stderr);
            assert_eq!(run.count("input.blocks_damaged"), 1, "block {kind}, {claim}");
            assert_eq!(run.count("metered.packets"), 2);
            assert_error(&run, &["standard input", "1 damaged block"]);
        }
    }
}

#[test]
fn block_lengths_that_contradict_end_the_file() {
    let good = pcapng(1, &packets()[..1]);
    let packet = enhanced(LITTLE, &packets()[1]);
    let length = u32::try_from(packet.len()).unwrap();
    // The length at the beginning: too short for any block, no multiple of 4, too short for a
    // packet.
    for wrong in [0, 4, 8, length - 1, length + 1, length + 2, 24] {
        let mut bad = packet.clone();
        bad[4..8].copy_from_slice(&LITTLE.u32(wrong));
        let rest = enhanced(LITTLE, &packets()[2]);
        check(&[&good[..], &bad, &rest].concat(), 1, &["contradicts itself"]);
    }
    // The length at the end.
    for wrong in [0, length - 4, length + 4, u32::MAX] {
        for kind in [1, 2, 3, 6, 0x0a0d_0d0a] {
            let mut bad = packet.clone();
            bad[..4].copy_from_slice(&LITTLE.u32(kind));
            bad[8..12].copy_from_slice(&LITTLE.u32(0x1a2b_3c4d));
            let end = bad.len() - 4;
            bad[end..].copy_from_slice(&LITTLE.u32(wrong));
            check(&[&good[..], &bad].concat(), 1, &["contradicts itself"]);
        }
    }
}

#[test]
fn section_of_no_byte_order_ends_the_file() {
    let mut bad = section(LITTLE);
    bad[8..12].copy_from_slice(&[1, 2, 3, 4]);
    check(&[pcapng(1, &packets()), bad].concat(), 3, &["the 3 packets before"]);
}

#[test]
fn packets_of_interfaces_that_are_not_described_are_counted() {
    let mut file = pcapng(1, &packets()[..1]);
    for packet in [datagram(7, 7).on(1), datagram(8, 8).on(u32::MAX)] {
        file.extend(enhanced(LITTLE, &packet));
    }
    file.extend(enhanced(LITTLE, &packets()[1]));
    // Interfaces of a section end with it.
    file.extend(section(LITTLE));
    file.extend(enhanced(LITTLE, &packets()[2]));
    let run = replay(&file);
    assert_eq!(run.status, FAILED);
    assert_eq!(run.count("received.packets"), 5);
    assert_eq!(run.count("metered.packets"), 2);
    assert_eq!(run.count("ignored.unknown_interface.packets"), 3);
    assert_error(&run, &["standard input", "3 packets", "does not describe"]);
    // Simple Packet Blocks are of the first interface, and there is none.
    let simple = block(LITTLE, 3, &[&LITTLE.u32(60)[..], &packets()[0].data].concat());
    let run = replay(&[section(LITTLE), simple].concat());
    assert_eq!(run.status, FAILED);
    assert_eq!(run.count("ignored.unknown_interface.packets"), 1);
}
