//! Classic pcap files and pcapng files, and what they can be wrapped in.

use std::io::Write;

use crate::support::capture::{Captured, Order, pcap, pcap_as, pcapng};
use crate::support::{run, run_with_input, scratch, write};
use crate::{assert_sound, datagram, ports_and_starts, replay};

/// With every digit of a second in use.
const NANOS: u64 = 1_700_000_000_123_456_789;
const MILLIS: u64 = 1_700_000_000_123;

fn packets() -> Vec<Captured> {
    (0..100).map(|n| datagram(1000 + n, NANOS + u64::from(n) * 1_000_000)).collect()
}

fn expected() -> Vec<(u64, u64)> {
    (0..100).map(|n| (1000 + n, MILLIS + n)).collect()
}

pub fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(octets: &[u8]) -> Vec<u8> {
    zstd::encode_all(octets, 3).unwrap()
}

fn xz(octets: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::default();
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(octets: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn lz4(octets: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

/// A frame that decoders of zstd (RFC 8878, 3.1.2) and LZ4 skip.
fn skippable(kind: u8, octets: &[u8]) -> Vec<u8> {
    let length = u32::try_from(octets.len()).unwrap().to_le_bytes();
    [&[0x50 + kind, 0x2a, 0x4d, 0x18], &length, octets].concat()
}

/// The file in two parts, each compressed for itself, as `cat a.gz b.gz` makes it.
fn in_two(octets: &[u8], compress: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    // In the middle of a packet.
    let (one, other) = octets.split_at(octets.len() / 2 + 5);
    [compress(one), compress(other)].concat()
}

#[test]
fn pcap_is_read_in_both_resolutions_and_byte_orders() {
    for order in [Order::Little, Order::Big] {
        for nanoseconds in [false, true] {
            let run = replay(&pcap_as(order, nanoseconds, 1, &packets()));
            assert_eq!(ports_and_starts(&run), expected(), "{order:?}, {nanoseconds}");
        }
    }
}

#[test]
fn pcap_has_32_bits_of_seconds() {
    let late = u64::from(u32::MAX) * 1_000_000_000 + 999_999_000;
    let run = replay(&pcap(&[datagram(1, 0), datagram(2, late)]));
    assert_eq!(ports_and_starts(&run), [(1, 0), (2, 4_294_967_295_999)]);
}

#[test]
fn link_type_of_pcap_is_the_lower_half_of_its_field() {
    // The upper bits say that frames end with a check sequence of 4 octets.
    let mut file = pcap(&packets());
    file[20..24].copy_from_slice(&0x5400_0001_u32.to_le_bytes());
    assert_eq!(ports_and_starts(&replay(&file)), expected());
}

#[test]
fn compressed_files_are_read_from_files_and_from_standard_input() {
    let folder = scratch();
    for file in [pcap(&packets()), pcapng(1, &packets())] {
        let forms = [
            file.clone(),
            gzip(&file),
            zstd(&file),
            xz(&file),
            bzip2(&file),
            lz4(&file),
            in_two(&file, gzip),
            in_two(&file, zstd),
            in_two(&file, xz),
            in_two(&file, bzip2),
            in_two(&file, lz4),
            // Skippable frames may come first, and in between.
            [skippable(0, b"user"), zstd(&file)].concat(),
            [skippable(15, &[]), skippable(3, &[7; 100_000]), in_two(&file, zstd)].concat(),
            [skippable(1, b"user"), lz4(&file)].concat(),
            in_two(&file, |part| {
                [skippable(2, &[7; 100_000]), lz4(part), skippable(1, &[])].concat()
            }),
            in_two(&file, |part| [zstd(part), skippable(5, b"user"), skippable(5, b"x")].concat()),
            // Padding of a tape or a disk.
            [gzip(&file), vec![0; 512]].concat(),
            [zstd(&file), vec![0; 512]].concat(),
            [lz4(&file), vec![0; 512]].concat(),
            [xz(&file), vec![0; 512]].concat(),
            [bzip2(&file), vec![0; 70_000]].concat(),
            [gzip(&[]), vec![0; 5], gzip(&file), vec![0; 100_000]].concat(),
            // Room that was reserved, or what a crash left of the last blocks.
            [&file[..], &[0; 4096]].concat(),
            [&file[..], &[0; 400_001]].concat(),
            [&file[..], &[0; 4]].concat(),
            [&file[..], &[0; 7]].concat(),
            [&file[..], &[0; 15]].concat(),
            // A member or a frame may be empty.
            [gzip(&[]), gzip(&file), gzip(&[])].concat(),
            [zstd(&[]), zstd(&file), zstd(&[])].concat(),
        ];
        for (index, form) in forms.iter().enumerate() {
            assert_eq!(ports_and_starts(&replay(form)), expected(), "standard input, {index}");
            // What a file is called does not matter.
            let path = write(&folder, "capture.txt", form);
            let run = run(["-r", path.to_str().unwrap(), "-o", "json:-"]);
            assert_sound(&run);
            assert_eq!(ports_and_starts(&run), expected(), "file, {index}");
        }
    }
}

#[test]
fn zeros_behind_a_pcap_are_padding_however_few() {
    for order in [Order::Little, Order::Big] {
        let file = pcap_as(order, false, 1, &packets());
        for zeros in 1..=33 {
            let run = replay(&[&file[..], &vec![0; zeros]].concat());
            assert_eq!(ports_and_starts(&run), expected(), "{zeros}");
        }
    }
}

#[test]
fn file_without_packets_is_sound() {
    let one_byte_order = pcap_as(Order::Big, true, 1, &[]);
    for file in [pcap(&[]), one_byte_order, pcapng(0, &[]), pcapng(3, &[])] {
        let run = replay(&file);
        assert_eq!(run.count("received.packets"), 0);
        assert!(run.stdout.is_empty());
    }
}

#[test]
fn packets_as_long_as_libpcap_takes_are_read() {
    let mut packet = datagram(1, 0);
    packet.data.resize(256 * 1024, 0xee);
    packet.wire_length = 256 * 1024;
    let packets = [packet.clone(), datagram(2, 1), packet, datagram(3, 2)];
    for file in [pcap(&packets), pcapng(1, &packets)] {
        assert_eq!(ports_and_starts(&replay(&file)), [(1, 0), (2, 0), (3, 0)]);
    }
}

#[test]
fn longer_packets_are_skipped_and_counted() {
    for length in [256 * 1024 + 1, 400_000, 3_000_000] {
        let mut long = datagram(1, 0);
        long.data.resize(length, 0xee);
        long.wire_length = u32::try_from(length).unwrap() + 1;
        let packets = [long.clone(), datagram(2, 1), long.clone(), long.clone(), datagram(3, 2)];
        for order in [Order::Little, Order::Big] {
            let file = pcap_as(order, true, 1, &packets);
            for file in [&gzip(&file), &zstd(&file), &file] {
                let run = replay(file);
                assert_eq!(ports_and_starts(&run), [(2, 0), (3, 0)], "{length}");
                assert_eq!(run.count("input.packets_too_long"), 3, "{length}");
                assert!(run.stderr.contains("3 packets of more than 262144"), "{}", run.stderr);
            }
        }
        // The last of them may be cut.
        let whole = pcap(&[datagram(1, 0), long.clone(), datagram(2, 0), long]);
        for end in [whole.len() - 1, whole.len() - length] {
            let run = run_with_input(["-r", "-", "-o", "json:-"], &whole[..end]);
            assert_eq!(ports_and_starts(&run), [(1, 0), (2, 0)], "{}", run.stderr);
            assert_eq!((run.status, run.count("input.files_damaged")), (1, 1), "{}", run.stderr);
            assert!(run.stderr.contains("cut short in a packet"), "{}", run.stderr);
        }
    }
}

#[test]
fn packet_without_octets_is_counted() {
    let nothing = Captured { wire_length: 60, ..Captured::at(0, Vec::new()) };
    let nothing = [nothing];
    for file in [pcap(&nothing), pcapng(1, &nothing)] {
        let run = replay(&file);
        assert_eq!(run.count("received.packets"), 1);
        assert_eq!(run.count("ignored.cut_short.packets"), 1);
        assert_eq!(run.count("ignored.cut_short.octets"), 60);
    }
}

#[test]
fn table_has_dates_where_flows_are_of_several_days() {
    const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;
    let folder = scratch();
    let table = |days: &[u64]| {
        let packets: Vec<_> =
            (1..).zip(days).map(|(port, day)| datagram(port, NANOS + day * DAY)).collect();
        let path = write(&folder, "days.pcap", &pcap(&packets));
        let run = run(["-r", path.to_str().unwrap()]);
        String::from_utf8(run.stdout).unwrap()
    };
    let one_day = table(&[0]);
    assert!(one_day.contains("\n22:13:20.123 "), "{one_day}");
    let two_days = table(&[0, 1]);
    assert!(two_days.contains("\n2023-11-14 22:13:20.123 "), "{two_days}");
}

/// More files than the soft limit of open files, as `ulimit -S -n 64` leaves it.
#[test]
fn soft_limit_of_open_files_is_no_limit_of_files() {
    let folder = scratch();
    for n in 0..100 {
        write(&folder, &format!("{n}.pcap"), &pcap(&[datagram(1000 + n, NANOS)]));
    }
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -S -n 64; exec \"$0\" -r \"$1\" -o json:-"])
        .arg(crate::support::flowprobe().get_program())
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout.iter().filter(|&&octet| octet == b'\n').count(), 100);
}
