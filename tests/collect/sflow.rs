//! What the collector does with sFlow: datagrams that are right, wrong and hostile, and real ones.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use collect::{Collector, Limits};
use flow::{Collected, Details, ExportProtocol, FlowRecord, Timestamp, Tpids};
use serde_json::Value;

use crate::messages::{Given, NOW, Session, be32, flow_sample, raw_header, sflow, sflow_part};
use crate::program::{capture, collect};
use crate::support::{self, packet};

/// A packet of 1,028 octets.
fn ip() -> Vec<u8> {
    packet::ipv4([192, 0, 2, 10], [203, 0, 113, 5], 17, &packet::udp(4000, 53, 1000))
}

fn taken(samples: &[Vec<u8>]) -> Session {
    let mut session = Session::new();
    session.take(&sflow(1, samples));
    session
}

#[track_caller]
fn only(records: &[Vec<u8>]) -> (FlowRecord, Box<Collected>, Details) {
    let (record, mut details) = taken(&[flow_sample(records)]).only();
    (record, details.collected.take().unwrap(), details)
}

/// A sampled header of the packet's first octets in Ethernet.
fn of_ethernet(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len() + 4).unwrap();
    raw_header(1, length, &frame[..frame.len().min(101)])
}

#[test]
fn a_sampled_header_is_a_record_of_its_packet() {
    let (record, collected, _) = only(&[of_ethernet(&packet::unpadded(&ip()))]);
    assert_eq!((record.packets, record.octets), (1, 1028), "its IP length, cut short or not");
    assert_eq!(record.key.source_address(), IpAddr::from([192, 0, 2, 10]));
    assert_eq!((record.key.source_port, record.key.destination_port), (4000, 53));
    assert_eq!((record.key.protocol, record.minimum_ttl, record.vlan_id), (17, 64, 0));
    assert_eq!((collected.ingress_interface, collected.egress_interface), (3, 4));
    assert_eq!((collected.sampling_interval, collected.is_scaled), (512, false));
    assert_eq!(collected.source_mac, Some([2, 0, 0, 0, 0, 2]));
    assert_eq!(collected.destination_mac, Some([2, 0, 0, 0, 0, 1]));
    let received = Timestamp::from_millis(u64::from(NOW) * 1000);
    assert_eq!([record.start, record.end, record.exported, collected.export_time], [received; 4]);
    assert_eq!(collected.uptime_ms, Some(60_000));
}

#[test]
fn headers_begin_with_ethernet_ip_or_labels() {
    let v6 = packet::ipv6("2001:db8::1", "2001:db8::2", 6, &packet::tcp(1, 2, 0x12, 0));
    let labels = [&[0, 1, 1, 64][..], &ip()].concat();
    for (protocol, octets, expected) in
        [(11, ip(), 1028), (12, v6.clone(), v6.len()), (13, labels, 1028)]
    {
        let length = u32::try_from(octets.len() + 4).unwrap();
        let header = &octets[..octets.len().min(64)];
        let (record, collected, _) = only(&[raw_header(protocol, length, header)]);
        assert_eq!((record.octets, record.packets), (expected as u64, 1), "{protocol}");
        assert_eq!(collected.source_mac, None);
    }
    let (record, collected, _) = only(&[raw_header(12, 64, &v6)]);
    assert_eq!((record.tcp_control_bits, collected.tcp_control_bits), (0x12, 0x12));
}

#[test]
fn each_sample_without_a_record_has_one_cause() {
    let arp = [&[2; 12][..], &[8, 6], &[0; 46]].concat();
    let samples = [
        flow_sample(&[of_ethernet(&arp)]),
        flow_sample(&[raw_header(11, 90, &ip()[..19])]),
        flow_sample(&[raw_header(1, 90, &[])]),
        flow_sample(&[raw_header(7, 90, &ip())]),
        flow_sample(&[sflow_part(1004, &[0; 8])]),
        flow_sample(&[]),
        flow_sample(&[raw_header(11, 90, &ip())[..20].to_vec()].map(|it| sflow_part(1, &it[8..]))),
        sflow_part(2, &[0; 12]),
        sflow_part(4, &[0; 16]),
        sflow_part(6, &[0; 16]),
        sflow_part(0x0100_0001, &[1; 3]),
    ];
    let counts = taken(&samples).counts();
    assert_eq!((counts.sflow, counts.malformed, counts.records), (1, 0, 0));
    assert_eq!(counts.sflow_samples, 7);
    assert_eq!((counts.sflow_not_ip, counts.sflow_unreadable), (1, 2));
    assert_eq!((counts.sflow_other_headers, counts.unmeterable), (1, 3));
    assert_eq!((counts.sflow_other_records, counts.sflow_cut_records), (1, 1));
    assert_eq!((counts.sflow_counter_samples, counts.sflow_other_samples), (2, 2));
}

fn sampled_ipv4() -> Vec<u8> {
    let addresses = [[192, 0, 2, 77], [198, 51, 100, 1]].concat();
    sflow_part(3, &[be32(&[700, 6]), addresses, be32(&[1234, 443, 0x18, 0x2e])].concat())
}

#[test]
fn what_the_agent_read_counts_without_a_header() {
    let mac = [&[0; 4][..], &[1; 6], &[0; 2], &[2; 6], &[0; 6]].concat();
    let (record, collected, _) = only(&[sflow_part(2, &mac), sampled_ipv4()]);
    assert_eq!((record.octets, record.packets, record.key.protocol), (700, 1, 6));
    assert_eq!(record.key.source_address(), IpAddr::from([192, 0, 2, 77]));
    assert_eq!((record.key.source_port, record.key.destination_port), (1234, 443));
    assert_eq!((record.tcp_control_bits, record.key.type_of_service), (0x18, 0x2e));
    assert_eq!(collected.source_mac, Some([1; 6]));
    assert_eq!(collected.destination_mac, Some([2; 6]));
    let addresses = [[0x20; 16], [0x30; 16]].concat();
    let v6 = [be32(&[900, 58]), addresses, be32(&[128, 0, 0, 0])].concat();
    let (record, ..) = only(&[sflow_part(4, &v6)]);
    assert_eq!((record.octets, record.key.source, record.key.source_port), (900, [0x20; 16], 0));
    // A header that can be read counts first, and one that cannot does not stand in the way.
    let (record, ..) = only(&[sampled_ipv4(), of_ethernet(&packet::unpadded(&ip()))]);
    assert_eq!(record.octets, 1028);
    let session = taken(&[flow_sample(&[raw_header(11, 90, &[0x45]), sampled_ipv4()])]);
    assert_eq!((session.only().0.octets, session.counts().sflow_unreadable), (700, 0));
}

#[test]
fn records_of_switches_and_routers_are_read() {
    let header = of_ethernet(&packet::unpadded(&ip()));
    let switch = |vlan: u32| sflow_part(1001, &be32(&[vlan, 1, 9, 1]));
    let router = [be32(&[1]), vec![10, 0, 0, 1], be32(&[24, 16])].concat();
    let path = be32(&[64_500, 64_501, 64_502, 2, 1, 1, 64_503, 2, 2, 64_504, 64_505, 0, 0]);
    let gateway = [be32(&[2]), vec![0xfd; 16], path].concat();
    let routes = [sflow_part(1002, &router), sflow_part(1003, &gateway)];
    let (record, collected, details) =
        only(&[&[header.clone(), switch(100)][..], &routes].concat());
    assert_eq!(record.vlan_id, 100);
    assert_eq!(collected.next_hop, Some(IpAddr::from([10, 0, 0, 1])));
    assert_eq!(collected.bgp_next_hop, Some(IpAddr::from([0xfd; 16])));
    let (source, destination) = (details.source.unwrap(), details.destination.unwrap());
    assert_eq!((source.as_number, source.prefix_length), (Some(64_501), Some(24)));
    assert_eq!((destination.as_number, destination.prefix_length), (Some(64_505), Some(16)));
    assert_eq!(only(&[header.clone(), switch(4096)]).0.vlan_id, 0);
    // The tag in the frame counts first.
    let tagged = packet::tagged(&packet::unpadded(&ip()), 0x8100, 55);
    assert_eq!(only(&[switch(100), of_ethernet(&tagged)]).0.vlan_id, 55);
    // A path that claims more than there is.
    let endless = [be32(&[1]), vec![1; 4], be32(&[1, 2, 3, u32::MAX, 1, u32::MAX, 5])].concat();
    let session = taken(&[flow_sample(&[header, sflow_part(1003, &endless)])]);
    assert_eq!((session.only().1.source, session.counts().sflow_cut_records), (None, 1));
}

#[test]
fn frames_may_have_further_tag_protocols() {
    let tagged = packet::tagged(&packet::unpadded(&ip()), 0x4242, 77);
    let datagram = sflow(1, &[flow_sample(&[of_ethernet(&tagged)])]);
    let read = |tpids: Tpids| {
        let mut collector = Collector::new(Limits::default()).with_tpids(tpids);
        let mut given = Given::default();
        let from = "192.0.2.1:6343".parse().unwrap();
        collector.datagram(from, Timestamp::default(), &datagram, &mut given);
        given.0.iter().map(|(_, record, _)| record.vlan_id).collect::<Vec<_>>()
    };
    assert!(read(Tpids::default()).is_empty());
    assert_eq!(read(Tpids([0x4242, 0, 0, 0])), [77]);
}

#[test]
fn expanded_samples_have_forms_of_interfaces() {
    let header = of_ethernet(&packet::unpadded(&ip()));
    for (input, output, expected) in [
        ([0, 369_098_852], [0, 369_098_851], (369_098_852, 369_098_851, 0)),
        ([0, 0x3fff_ffff], [1, 258], (0, 0, 129)),
        ([0, u32::MAX], [2, 6], (0, 0, 0)),
    ] {
        let head = [&[1, 0, 3, 64, 9000, 2][..], &input, &output, &[1]].concat();
        let sample = sflow_part(3, &[be32(&head), header.clone()].concat());
        let collected = taken(&[sample]).only().1.collected.unwrap();
        let got = (collected.ingress_interface, collected.egress_interface);
        assert_eq!((got.0, got.1, collected.forwarding_status), expected);
        assert_eq!(collected.sampling_interval, 64);
    }
}

#[test]
fn an_agent_is_an_exporter_and_its_sequences_are_those_of_sub_agents() {
    let sample = || [flow_sample(&[of_ethernet(&packet::unpadded(&ip()))])];
    let mut other_sub_agent = sflow(500, &sample());
    other_sub_agent[15] = 8;
    let mut other_agent = sflow(900, &sample());
    other_agent[11] = 10;
    let mut session = Session::new();
    session.take(&sflow(1, &sample())).take(&other_sub_agent).take(&other_agent);
    assert_eq!((session.counts().lost, session.counts().restarts), (0, 0));
    session.take_from("192.0.2.99:6343", &sflow(5, &sample()));
    session.take(&sflow(2, &sample()));
    let counts = session.counts();
    assert_eq!((counts.lost, counts.restarts, counts.exporters), (3, 1, 2));
    let (exporter, ..) = &session.given.0[0];
    assert_eq!(exporter.address, "198.51.100.9:2055".parse().unwrap());
    assert_eq!((exporter.domain, exporter.protocol), (7, ExportProtocol::Sflow5));
    // An agent that does not know its address is the sender.
    let unknown = [be32(&[5, 0, 7, 1, 0, 1]), sample().concat()].concat();
    let mut unset = sflow(1, &sample());
    unset[8..12].fill(0);
    for datagram in [unknown, unset] {
        let mut session = Session::new();
        session.take(&datagram);
        assert_eq!(session.given.0[0].0.address.ip(), IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)));
    }
}

#[test]
fn samples_that_agents_dropped_are_counted_by_source() {
    let of = |source: u32, drops: u32| {
        let head = be32(&[1, source, 512, 9000, drops, 3, 4, 1]);
        sflow_part(1, &[head, sampled_ipv4()].concat())
    };
    let expanded = |kind: u32, number: u32, drops: u32| {
        let head = be32(&[1, kind, number, 512, 9000, drops, 0, 3, 0, 4, 1]);
        sflow_part(3, &[head, sampled_ipv4()].concat())
    };
    let dropped = |samples: &[Vec<u8>]| taken(samples).counts().sflow_dropped;
    assert_eq!(dropped(&[of(3, 50), of(3, 50), of(3, 57), of(4, 900), of(3, 58)]), 8);
    assert_eq!(dropped(&[of(0x0200_0003, 5), expanded(2, 3, 9), expanded(0, 3, 100)]), 4);
    assert_eq!(dropped(&[of(3, u32::MAX), of(3, 1)]), 2);
    assert_eq!(dropped(&[of(3, 0), of(3, 100_000), of(3, 200_001), of(3, 9), of(3, 10)]), 100_001);
    // Sub agents count apart.
    let mut other = sflow(1, &[of(3, 60)]);
    other[15] = 8;
    let mut session = taken(&[of(3, 50)]);
    session.take(&other).take(&sflow(2, &[of(3, 51)]));
    assert_eq!(session.counts().sflow_dropped, 1);
    let mut session = Session::new();
    for source in 0..1025 {
        session.take(&sflow(source, &[of(source, 0)]));
    }
    session.take(&sflow(1025, &[of(1023, 1), of(1024, 1)]));
    assert_eq!(session.counts().sflow_dropped, 1, "the last source is one too many");
}

#[test]
fn samples_that_are_missing_are_counted_by_source() {
    let of = |number: u32, source: u32| {
        let head = be32(&[number, source, 512, 9000, 0, 3, 4, 1]);
        sflow_part(1, &[head, sampled_ipv4()].concat())
    };
    let missing = |samples: &[Vec<u8>]| taken(samples).counts().sflow_missing;
    assert_eq!(missing(&[of(7, 3), of(8, 3), of(1, 4), of(2, 4)]), 0);
    assert_eq!(missing(&[of(7, 3), of(1, 4), of(10, 3), of(3, 4)]), 3);
    // The number goes around, and a source begins anew.
    assert_eq!(missing(&[of(u32::MAX, 3), of(1, 3), of(500_000, 3), of(9, 3), of(11, 3)]), 2);
    // Discarded packets have numbers of their own.
    let discard = |number: u32| {
        let head = be32(&[number, 0, 3, 0, 3, 4, 256, 1]);
        sflow_part(5, &[head, sampled_ipv4()].concat())
    };
    assert_eq!(missing(&[of(7, 3), discard(50), of(8, 3), discard(52)]), 1);
}

#[test]
fn a_datagram_that_contradicts_itself_gives_nothing() {
    let right = flow_sample(&[of_ethernet(&packet::unpadded(&ip()))]);
    let records = |count: u32, records: &[u8]| {
        sflow_part(1, &[be32(&[1, 3, 512, 9000, 2, 3, 4, count]), records.to_vec()].concat())
    };
    let too_many = vec![sflow_part(9, &[]); 1001];
    let broken = [
        be32(&[1, 9000]),
        be32(&[1, u32::MAX]),
        be32(&[3, u32::MAX - 1]),
        records(u32::MAX, &[]),
        records(2, &sampled_ipv4()),
        records(1, &be32(&[1, u32::MAX])),
        records(1001, &too_many.concat()),
        sflow_part(1, &[0; 31]),
        sflow_part(3, &[0; 43]),
        sflow_part(2, &[0; 11]),
        sflow_part(2, &be32(&[1, 3, u32::MAX])),
        sflow_part(4, &[be32(&[1, 0, 3, 1001]), too_many.concat()].concat()),
        sflow_part(5, &[0; 31]),
        sflow_part(5, &be32(&[1, 0, 3, 0, 3, 0, 256, 1])),
    ];
    for sample in broken {
        let mut session = taken(&[right.clone(), sample.clone()]);
        assert_eq!((session.counts().malformed, session.counts().records), (1, 0), "{sample:?}");
        session.take(&sflow(9, std::slice::from_ref(&right)));
        assert_eq!((session.counts().records, session.counts().lost), (1, 0));
    }
    assert_eq!(taken(&too_many).counts().malformed, 1);
    assert_eq!(taken(&too_many[..1000]).counts().sflow_other_samples, 1000);
    let whole = sflow(1, std::slice::from_ref(&right));
    let with = |behind: &[u8]| {
        let mut session = Session::new();
        session.take(&[&whole, behind].concat());
        (session.counts().records, session.counts().sflow_longer)
    };
    assert_eq!([with(&[0; 3]), with(&[0, 0, 1])], [(1, 0), (1, 1)]);
    let mut kind = whole;
    kind[7] = 3;
    let mut session = Session::new();
    session.take(&kind).take(&be32(&[4, 1])).take(&[0, 0, 0]).take(&be32(&[5]));
    assert_eq!((session.counts().malformed, session.counts().unknown_version), (2, 2));
}

#[test]
fn every_length_of_a_datagram_is_malformed_but_the_whole() {
    let switch = sflow_part(1001, &be32(&[1, 1, 9, 1]));
    let sample = flow_sample(&[sampled_ipv4(), of_ethernet(&packet::unpadded(&ip())), switch]);
    let datagram = sflow(1, &[sample.clone(), sample]);
    for length in 4..datagram.len() {
        let mut session = Session::new();
        session.take(&datagram[..length]);
        assert_eq!((session.counts().malformed, session.counts().records), (1, 0), "{length}");
    }
    assert_eq!(taken(&[]).counts().sflow, 1);
}

#[test]
fn documents_tell_the_agent() {
    let folder = support::scratch();
    let discarded = [be32(&[1, 3, 512, 9000, 2, 3, 0x4000_0102, 1]), sampled_ipv4()].concat();
    let file = capture(&[sflow(1, &[sflow_part(1, &discarded), sflow_part(2, &[0; 12])])]);
    let run = collect(&[support::write(&folder, "sflow.pcap", &file)], &[]);
    let [document] = &run.documents()[..] else { panic!("{}", run.stderr) };
    let at = |path: &str| document.pointer(path).cloned().unwrap_or_default();
    for (path, expected) in [
        ("/observer/ip", "198.51.100.9"),
        ("/observer/ingress/interface/id", "3"),
        ("/agent/name", "198.51.100.9"),
        ("/input/type", "netflow"),
        ("/netflow/exporter/address", "198.51.100.9:40000"),
        ("/netflow/exporter/timestamp", "2024-05-06T07:09:00.000Z"),
        ("/event/start", "2024-05-06T07:09:00.000Z"),
        ("/source/ip", "192.0.2.77"),
        ("/flowprobe/protocol", "sflow5"),
    ] {
        assert_eq!(at(path), expected, "{path}");
    }
    for (path, expected) in [
        ("/netflow/exporter/version", 5),
        ("/netflow/exporter/source_id", 7),
        ("/netflow/exporter/uptime_millis", 60_000),
        ("/netflow/sampling_interval", 512),
        ("/netflow/forwarding_status", 129),
        ("/network/packets", 1),
        ("/network/bytes", 700),
    ] {
        assert_eq!(at(path), expected, "{path}");
    }
    for path in ["/netflow/minimum_ttl", "/netflow/egress_interface", "/netflow/vlan_id"] {
        assert_eq!(at(path), Value::Null, "{path}");
    }
    assert_eq!(run.count("collected.sflow_counter_samples"), 1);
}

/// What tshark reads of the only sample of a capture: agent, sampling rate, IP length (IPv4),
/// payload length (IPv6), addresses, TTL or hop limit.
fn dissected(path: &std::path::Path) -> Vec<String> {
    let fields = [
        "sflow_245.agent",
        "sflow.flow_sample.sampling_rate",
        "ip.len",
        "ipv6.plen",
        "ip.src",
        "ipv6.src",
        "ip.ttl",
        "ipv6.hlim",
    ];
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-T", "fields", "-E", "occurrence=a"]).arg("-r").arg(path);
    fields.iter().for_each(|field| {
        tshark.args(["-e", field]);
    });
    let output = tshark.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim_end_matches('\n').split('\t').map(str::to_owned).collect()
}

#[test]
fn samples_of_switches_are_those_that_tshark_reads() {
    let Some(folder) = support::material("FLOWPROBE_COLLECTED", "collected") else {
        support::skip_without("a folder with datagrams of exporters");
        return;
    };
    let expected = [
        ("data-discard-interface", "172.16.0.3", 1500, 1024, (27, 0, 131), 100),
        ("data-encap-vxlan", "127.0.0.1", 154, 1, (0, 0, 0), 0),
        ("data-local-interface", "172.16.0.3", 1500, 1024, (27, 0, 0), 100),
        ("data-qinq", "172.17.128.58", 80, 4096, (369_098_852, 369_098_851, 0), 1062),
    ];
    for (name, agent, octets, interval, interfaces, vlan_id) in expected {
        let path = folder.join("sflow").join(format!("{name}.pcap"));
        let mut session = Session::new();
        for (from, datagram) in crate::captures::datagrams(&path) {
            session.take_of(from, &datagram);
        }
        let (record, details) = session.only();
        let collected = details.collected.unwrap();
        assert_eq!(session.given.0[0].0.address.ip().to_string(), agent, "{name}");
        assert_eq!((record.octets, record.packets), (octets, 1), "{name}");
        assert_eq!((collected.sampling_interval, record.vlan_id), (interval, vlan_id), "{name}");
        let numbers = (collected.ingress_interface, collected.egress_interface);
        assert_eq!((numbers.0, numbers.1, collected.forwarding_status), interfaces, "{name}");
        let counts = session.counts();
        let others = counts.sflow_other_records + counts.sflow_cut_records + counts.malformed;
        assert_eq!((counts.sflow, counts.sflow_samples, others), (1, 1, 0), "{name}");
        if support::has_tshark() {
            assert_same(&dissected(&path), &record, agent, interval);
        }
    }
}

/// The sampled packet is the second one with addresses: the first one is the datagram.
fn assert_same(fields: &[String], record: &FlowRecord, agent: &str, interval: u32) {
    let nth = |field: usize, index: usize| fields[field].split(',').nth(index).unwrap_or("");
    assert_eq!((nth(0, 0), nth(1, 0)), (agent, &interval.to_string()[..]), "{fields:?}");
    let (length, source, ttl) = match record.key.source_address() {
        IpAddr::V4(_) => (nth(2, 1).parse(), nth(4, 1), nth(6, 1)),
        IpAddr::V6(_) => (nth(3, 0).parse().map(|length: u64| length + 40), nth(5, 0), nth(7, 0)),
    };
    assert_eq!((length, ttl), (Ok(record.octets), &record.minimum_ttl.to_string()[..]));
    assert_eq!(source, record.key.source_address().to_string());
}

#[test]
fn the_source_is_the_exporter_where_it_is_wanted() {
    let folder = support::scratch();
    let sample = flow_sample(&[of_ethernet(&packet::unpadded(&ip()))]);
    let file = support::write(&folder, "sflow.pcap", &capture(&[sflow(1, &[sample])]));
    for (settings, address) in [
        (&[][..], "198.51.100.9"),
        (&["--exporter=agent"], "198.51.100.9"),
        (&["--exporter=source"], "192.0.2.1"),
        (&["--exporter=source", "--template-scope=port"], "192.0.2.1"),
    ] {
        let run = collect(std::slice::from_ref(&file), settings);
        let [document] = &run.documents()[..] else { panic!("{}", run.stderr) };
        assert_eq!(document["observer"]["ip"], address, "{settings:?}");
        assert_eq!(document["agent"]["name"], address, "{settings:?}");
        assert_eq!(document["netflow"]["exporter"]["address"], format!("{address}:40000"));
    }
}
