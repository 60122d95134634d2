//! Numbers and names of input interfaces.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::capture::{Order, enhanced, interface, pcap, pcapng, section};
use crate::support::{Run, finished, flowprobe, ipfix, run, scratch, write};
use crate::{assert_sound, datagram};

/// A section with interfaces of these names and a packet of each, from ports 1, 2, ...
fn named(names: &[&str]) -> Vec<u8> {
    let order = Order::Little;
    let mut file = section(order);
    for name in names {
        file.extend(interface(order, 1, 0, &[(2, name.as_bytes())]));
    }
    for index in 0..names.len() as u32 {
        let port = u16::try_from(index + 1).unwrap();
        file.extend(enhanced(order, &datagram(port, 1_000_000).on(index)));
    }
    file
}

fn replay(files: &[&Path], arguments: &[&str]) -> Run {
    let mut all = vec!["-o", "json:-"];
    for file in files {
        all.extend(["-r", file.to_str().unwrap()]);
    }
    let run = run([&all, arguments].concat());
    assert_sound(&run);
    run
}

/// Port, interface number and interface name of each flow, sorted.
fn interfaces(run: &Run) -> Vec<(u64, String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let interface = |document: &Value| {
        let interface = &document["observer"]["ingress"]["interface"];
        let port = document["source"]["port"].as_u64().unwrap();
        let number = document["netflow"]["ingress_interface"].as_u64().unwrap().to_string();
        assert_eq!(text(&interface["id"]), Some(number.clone()));
        (port, number, text(&interface["name"]))
    };
    let mut found: Vec<_> = run.documents().iter().map(interface).collect();
    found.sort();
    found
}

fn expect(found: &Run, expected: &[(u64, u64, Option<&str>)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(port, number, name)| (*port, number.to_string(), name.map(str::to_owned)))
        .collect();
    assert_eq!(interfaces(found), expected);
}

#[test]
fn classic_pcap_has_interface_0() {
    let folder = scratch();
    let path = write(&folder, "a", &pcap(&[datagram(1, 0)]));
    expect(&replay(&[&path], &[]), &[(1, 0, None)]);
}

#[test]
fn pcapng_interfaces_count_from_1_and_have_names() {
    let folder = scratch();
    let path = write(&folder, "a", &named(&["eth0", "eth1", "enp3s0f0 \u{2192} \"tap\""]));
    let third = Some("enp3s0f0 \u{2192} \"tap\"");
    let expected = [(1, 1, Some("eth0")), (2, 2, Some("eth1")), (3, 3, third)];
    expect(&replay(&[&path], &[]), &expected);
    let path = write(&folder, "a", &pcapng(2, &[datagram(1, 0), datagram(2, 0).on(1)]));
    expect(&replay(&[&path], &[]), &[(1, 1, None), (2, 2, None)]);
}

#[test]
fn number_of_an_interface_is_the_same_over_sections_and_files() {
    let folder = scratch();
    let twice = [named(&["eth0", "eth1"]), named(&["eth0", "eth1"])].concat();
    let one = write(&folder, "one", &twice);
    let other = write(&folder, "other", &named(&["eth0", "eth1"]));
    let run = replay(&[&one, &other], &[]);
    expect(&run, &[(1, 1, Some("eth0")), (2, 2, Some("eth1"))]);
    assert!(run.flows().iter().all(|flow| flow.packets == 3));
}

/// A section with interfaces of these names and link types, and a packet of the last of them.
fn section_of(interfaces: &[(Option<&str>, u16)], port: u16) -> Vec<u8> {
    let order = Order::Little;
    let mut file = section(order);
    for (name, link) in interfaces {
        let name: Vec<_> = name.iter().map(|name| (2, name.as_bytes())).collect();
        file.extend(interface(order, *link, 0, &name));
    }
    let last = u32::try_from(interfaces.len() - 1).unwrap();
    file.extend(enhanced(order, &datagram(port, u64::from(port) * 1_000_000).on(last)));
    file
}

#[test]
fn interface_is_known_by_its_name_over_sections_and_files() {
    let folder = scratch();
    // The two directions of a TAP: each file has one interface, in the first place.
    let parts = [(Some("eth0"), 1), (Some("eth1"), 2), (None, 3)]
        .map(|(name, port)| section_of(&[(name, 1)], port));
    let files = ["a", "b", "c"].map(|name| folder.path().join(name));
    for (file, part) in files.iter().zip(&parts) {
        std::fs::write(file, part).unwrap();
    }
    let [a, b, c] = &files;
    let (zero, one) = (Some("eth0"), Some("eth1"));
    expect(&replay(&[a, b], &[]), &[(1, 1, zero), (2, 2, one)]);
    expect(&replay(&[b, a], &[]), &[(1, 2, zero), (2, 1, one)]);
    // One without a name shares no number with one that has a name.
    expect(&replay(&[c, b], &[]), &[(2, 2, one), (3, 1, None)]);
    expect(&replay(&[b, c], &[]), &[(2, 1, one), (3, 2, None)]);
    let sections = write(&folder, "sections", &parts.concat());
    expect(&replay(&[&sections], &[]), &[(1, 1, zero), (2, 2, one), (3, 3, None)]);
    // A number that the user gives to one is not another's.
    expect(&replay(&[a, b], &["--ifindex", "eth1=1"]), &[(1, 2, zero), (2, 1, one)]);
    let swapped = replay(&[a, b], &["--ifindex", "eth1=1", "--ifindex", "eth0=2"]);
    expect(&swapped, &[(1, 2, zero), (2, 1, one)]);
}

#[test]
fn interfaces_of_one_name_and_another_link_type_are_two() {
    let parts = [(1, 1), (113, 2), (1, 3)].map(|(link, port)| {
        let mut part = section_of(&[(Some("any"), link)], port);
        if link == 113 {
            // No packet that Linux cooked: what counts is the interface.
            part.truncate(part.len() - enhanced(Order::Little, &datagram(port, 0)).len());
        }
        part
    });
    let other = section_of(&[(Some("any"), 113), (Some("eth1"), 1)], 4);
    let run = crate::replay(&[&parts.concat()[..], &other].concat());
    let any = Some("any");
    expect(&run, &[(1, 1, any), (3, 1, any), (4, 3, Some("eth1"))]);
}

#[test]
fn section_that_describes_an_interface_twice_keeps_positions() {
    let names = [Some("wlan0"), Some("wlan0"), Some("eth1")].map(|name| (name, 1));
    let run = crate::replay(&section_of(&names, 1));
    expect(&run, &[(1, 3, Some("eth1"))]);
    let run = crate::replay(&section_of(&names[..2], 1));
    expect(&run, &[(1, 1, Some("wlan0"))]);
}

#[test]
fn one_number_is_not_given_to_two_interfaces() {
    let folder = scratch();
    let path = write(&folder, "a", &named(&["eth0", "eth1"]));
    let twice = ["--ifindex", "eth0=7", "--ifindex", "eth1=7", "-o", "json:-"];
    let run = run([&["-r", path.to_str().unwrap()], &twice[..]].concat());
    assert_eq!(run.status, 2, "{}", run.stderr);
    assert!(run.stderr.contains('7'), "{}", run.stderr);
}

#[test]
fn many_interfaces_cost_no_more_than_as_many_packets() {
    // Each with a name of its own, and a packet behind each description.
    let order = Order::Little;
    let count = 70_000_u32;
    let mut file = section(order);
    for index in 0..count {
        let name = format!("{index}{}", "x".repeat(300));
        file.extend(interface(order, 1, 0, &[(2, name.as_bytes())]));
        file.extend(enhanced(order, &datagram(1, 1_000_000).on(index)));
    }
    let begin = std::time::Instant::now();
    let input = ["-r", "-", "-o", "json:-"];
    let run = crate::support::run_with_input(input, &file);
    assert!(begin.elapsed().as_secs() < 30, "{:?}", begin.elapsed());
    run.assert_conservation();
    let numbers: std::collections::HashSet<_> =
        run.flows().iter().map(|flow| flow.interface).collect();
    assert_eq!(numbers.len(), 65_536);
    // Of the rest the packets are counted, and so are the names that nobody keeps.
    assert_eq!(run.count("ignored.unknown_interface.packets"), 70_000 - 65_536);
    assert_eq!(run.count("input.interfaces_over_limit"), 70_000 - 4096);
    let named = run.documents().iter().any(|document| {
        let name = &document["observer"]["ingress"]["interface"]["name"];
        name.as_str().is_some_and(|name| name.len() == 255)
    });
    assert!(named, "names are cut");
}

/// A small file can have very many octets of names.
#[test]
fn long_names_cost_no_memory() {
    let order = Order::Little;
    let name = vec![b'x'; 60_000];
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&section(order)).unwrap();
    for index in 0..5000_u32 {
        let name = [format!("{index}").as_bytes(), &name].concat();
        encoder.write_all(&interface(order, 1, 0, &[(2, &name)])).unwrap();
        encoder.write_all(&enhanced(order, &datagram(1, 1_000_000).on(index))).unwrap();
    }
    let file = encoder.finish().unwrap();
    assert!(file.len() < 300_000, "{}", file.len());
    let folder = scratch();
    let path = write(&folder, "many.pcapng.zst", &file);
    // All memory of the process, in KiB. The names alone have 300 MB.
    let script = "ulimit -v 200000; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    // The allocator reserves 64 MB of addresses for each thread that meets another one.
    command.env("MALLOC_ARENA_MAX", "1");
    command.args(["-c", script]).arg(flowprobe().get_program()).arg("-r").arg(path);
    command.args(["--max-flows", "20k", "-o", "json:-", "--stats", "json"]);
    let run = finished(command.output().unwrap());
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    assert_eq!(run.count("metered.packets"), 5000);
}

#[test]
fn interface_number_can_be_given_by_name() {
    let folder = scratch();
    let path = write(&folder, "a", &named(&["eth0", "eth1"]));
    let run = replay(&[&path], &["--ifindex", "eth1=700"]);
    expect(&run, &[(1, 1, Some("eth0")), (2, 700, Some("eth1"))]);
    let run = replay(&[&path], &["--ifindex", "eth1=4294967295", "--ifindex", "eth0=0"]);
    expect(&run, &[(1, 0, Some("eth0")), (2, 4_294_967_295, Some("eth1"))]);
    // It goes by the name in every file, wherever the interface stands there.
    let other = write(&folder, "b", &named(&["eth1", "eth0"]));
    let run = replay(&[&path, &other], &["--ifindex", "eth0=70", "--ifindex", "eth1=71"]);
    let (zero, one) = (Some("eth0"), Some("eth1"));
    expect(&run, &[(1, 70, zero), (1, 71, one), (2, 70, zero), (2, 71, one)]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
}

#[test]
fn name_may_have_an_equals_sign() {
    let folder = scratch();
    let path = write(&folder, "a", &named(&["a=b"]));
    expect(&replay(&[&path], &["--ifindex", "a=b=7"]), &[(1, 7, Some("a=b"))]);
}

#[test]
fn interface_number_is_on_the_wire() {
    let folder = scratch();
    let path = write(&folder, "a", &named(&["eth0"]));
    let run = run(["-r", path.to_str().unwrap(), "--ifindex", "eth0=700000", "-o", "ipfix-file:-"]);
    let messages = ipfix::session(&run.stdout);
    let records: Vec<_> = messages.iter().flat_map(ipfix::Message::flows).collect();
    // ingressInterface is element 10.
    assert_eq!(ipfix::number(records[0], 10), 700_000);
}

#[test]
fn name_that_does_not_come_up_is_warned_about() {
    let folder = scratch();
    let path = write(&folder, "a", &named(&["eth0"]));
    let run = replay(&[&path], &["--ifindex", "eth7=7", "--ifindex", "eth0=5"]);
    let warnings: Vec<_> = run.stderr.lines().filter(|line| line.contains("warning")).collect();
    assert_eq!(warnings.len(), 1, "{}", run.stderr);
    assert!(warnings[0].contains("eth7"), "{}", run.stderr);
}

#[test]
fn flows_of_several_interfaces_stay_apart() {
    let folder = scratch();
    let same = [datagram(1, 0), datagram(1, 0).on(1), datagram(1, 0).on(2), datagram(1, 0)];
    let path = write(&folder, "a", &pcapng(3, &same));
    let run = replay(&[&path], &[]);
    let mut counts: Vec<_> =
        run.flows().iter().map(|flow| (flow.interface, flow.packets)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [(1, 2), (2, 1), (3, 1)]);
}
