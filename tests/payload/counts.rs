//! How many messages a conversation had, and whether both of its directions were seen.

use serde_json::{Value, json};

use crate::support::capture::Captured;
use crate::support::payload;
use crate::{ALL, CLIENT, SERVER, conversations, datagram, run, segment, sorted};

const BEGIN: u64 = 1_700_000_000_000;

/// A client asks every 100 ms for 40 s, and gets three answers, the last of them with NXDOMAIN.
fn few_answers() -> Vec<Captured> {
    let (client, server) = ((CLIENT, 1053), (SERVER, 53));
    let mut packets: Vec<_> = (0..400_u16)
        .map(|id| {
            let question = payload::dns_question(id, "often.example", 1);
            Captured::at(BEGIN + u64::from(id) * 100, datagram(client, server, &question))
        })
        .collect();
    for id in 0..3 {
        let mut answer = payload::dns_answer(id, "often.example", [192, 0, 2, 9]);
        answer[3] |= if id == 2 { 3 } else { 0 };
        let time = BEGIN + u64::from(id) * 100 + 50;
        packets.push(Captured::at(time, datagram(server, client, &answer)));
    }
    packets.sort_by_key(|packet| packet.nanos);
    packets
}

#[test]
fn messages_are_counted_up_to_the_end_of_a_record() {
    let with = |workers: &str| {
        let settings = ["--idle-timeout", "10s", "--workers", workers];
        run(&few_answers(), &[&ALL[..], &settings].concat())
    };
    let one = with("1");
    let counts = |port: u64| {
        let documents = one.documents();
        let document = documents.iter().find(|it| it["source"]["port"] == port);
        document.expect("a flow")["flowprobe"]["dns"].clone()
    };
    assert_eq!(counts(1053), json!({ "queries": 400, "responses": 3, "errors": 1 }));
    // The last answer came after 250 ms, and the flow ended after 10 s more.
    assert_eq!(counts(53), json!({ "queries": 103, "responses": 3, "errors": 1 }));
    for workers in ["2", "4"] {
        assert!(sorted(&with(workers)) == sorted(&one), "{workers} workers");
    }
}

/// A record has what was found until its flow was over, by the timeout of its protocol.
#[test]
fn the_idle_timeout_of_a_protocol_ends_the_counts_too() {
    for (timeout, queries) in [("udp=10s", 103), ("udp=20s", 203), ("tcp=20s", 153)] {
        for workers in ["1", "4"] {
            let settings = ["--protocol-timeout", timeout, "--workers", workers];
            let documents = run(&few_answers(), &[&ALL[..], &settings].concat()).documents();
            let document = documents.iter().find(|it| it["source"]["port"] == 53);
            let counts = &document.expect("a flow")["flowprobe"]["dns"];
            let expected = json!({ "queries": queries, "responses": 3, "errors": 1 });
            assert_eq!(*counts, expected, "{timeout}, {workers} workers");
        }
    }
}

#[test]
fn each_request_of_a_connection_is_counted() {
    let request = b"GET /a HTTP/1.1\r\nHost: http.example\r\n\r\n";
    let step = u32::try_from(request.len()).unwrap();
    let (client, server) = ((CLIENT, 1080), (SERVER, 80));
    let packets: Vec<_> = (0..120_u32)
        .map(|index| {
            let frame = segment(client, server, 1 + index * step, request);
            Captured::at(BEGIN + u64::from(index) * 1000, frame)
        })
        .collect();
    let settings = ["--active-timeout", "60s"];
    let documents = run(&packets, &[&ALL[..], &settings].concat()).documents();
    let counts: Vec<_> =
        documents.iter().map(|it| it["flowprobe"]["http"]["requests"].as_u64().unwrap()).collect();
    // Slices of a flow say what was there up to their ends.
    let packets: Vec<_> = documents.iter().map(|it| it["network"]["packets"].clone()).collect();
    let mut sum = 0;
    for (count, packets) in counts.iter().zip(packets.iter().filter_map(Value::as_u64)) {
        sum += packets;
        assert_eq!(*count, sum, "{counts:?} {packets:?}");
    }
    assert_eq!((counts.last(), counts.len() > 1), (Some(&120), true), "{counts:?}");
}

#[test]
fn conversations_of_one_side_are_counted() {
    // A question without an answer, and a connection of QUIC without its server.
    assert_eq!(run(&conversations(), &ALL).count("payload.one_sided"), 2);
    let of_client = |packet: &Captured| packet.data[26..30] == CLIENT;
    let one_sided: Vec<_> = conversations().into_iter().filter(of_client).collect();
    assert_eq!(run(&one_sided, &ALL).count("payload.one_sided"), 5);
}

/// Each conversation has its own name or none, and those without are counted.
#[test]
fn memory_for_names_is_bounded() {
    const CONVERSATIONS: u16 = 20_000;
    let packets: Vec<_> = (0..CONVERSATIONS)
        .map(|index| {
            let question = payload::dns_question(7, &format!("name{index}.example"), 1);
            let frame = datagram((CLIENT, 1024 + index), (SERVER, 53), &question);
            Captured::at(BEGIN + u64::from(index) / 100, frame)
        })
        .collect();
    let settings = ["--payload-memory", "1M", "--workers", "1"];
    let run = run(&packets, &[&ALL[..], &settings].concat());
    let mut names = 0;
    for document in run.documents() {
        let index = document["source"]["port"].as_u64().unwrap() - 1024;
        let name = &document["dns"]["question"]["name"];
        assert!(name.is_null() || *name == format!("name{index}.example"), "{document}");
        names += u64::from(!name.is_null());
    }
    // Three quarters of a megabyte.
    assert!((500..3000).contains(&names), "{names}");
    assert_eq!(run.count("payload.facts_evicted") + names, u64::from(CONVERSATIONS));
    assert_eq!(run.count("payload.found.dns"), u64::from(CONVERSATIONS));
}
