//! tshark decodes every message: each record, without a complaint, in unbroken sequence.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::thread::{self, JoinHandle};

use serde_json::{Map, Value};

use crate::flows::{Counts, Fields, Flows, assert_reported};
use crate::places;
use crate::replay::{replay, replay_crowded, replay_with};
use crate::support::capture::{Captured, Order, pcap_as};
use crate::support::flows::Flow;
use crate::support::packet::{ipv4, udp};
use crate::support::{self, has_tshark, time};

/// The port that tshark takes messages by.
const PORT: u16 = 4739;

/// A socket that keeps all datagrams.
struct Receiver {
    port: u16,
    datagrams: JoinHandle<Vec<Vec<u8>>>,
}

impl Receiver {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a free port");
        let port = socket.local_addr().unwrap().port();
        let receive = move || {
            let mut buffer = vec![0; 65_536];
            let mut datagrams = Vec::new();
            loop {
                let length = socket.recv(&mut buffer).expect("the socket receives");
                if length == 0 {
                    return datagrams;
                }
                datagrams.push(buffer[..length].to_vec());
            }
        };
        Self { port, datagrams: thread::spawn(receive) }
    }

    /// What came until now: an empty datagram of our own is the last in the queue.
    fn stop(self) -> Vec<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a free port");
        socket.send_to(&[], ("127.0.0.1", self.port)).expect("the loopback takes a datagram");
        self.datagrams.join().expect("the receiver ends")
    }
}

/// A capture of raw IP with these datagrams.
fn capture(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let packet = |payload: &Vec<u8>| {
        let mut datagram = udp(50_000, PORT, payload.len());
        datagram[8..].copy_from_slice(payload);
        Captured::at(crate::traffic::BEGIN, ipv4([127, 0, 0, 1], [127, 0, 0, 1], 17, &datagram))
    };
    pcap_as(Order::Little, false, 101, &datagrams.iter().map(packet).collect::<Vec<_>>())
}

/// A message as tshark shows it.
struct Message(Map<String, Value>);

/// Decodes a file; fails where tshark complains.
fn decode(folder: &Path, file: &Path) -> Vec<Message> {
    let mut tshark = Command::new("tshark");
    tshark.env("TZ", "UTC").env("WIRESHARK_CONFIG_DIR", folder).args(["-n", "-Q", "-T", "json"]);
    tshark.args(["-d", &format!("udp.port=={PORT},cflow"), "-r"]).arg(file);
    let output = tshark.output().expect("tshark runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let frames: Vec<Value> = serde_json::from_slice(&output.stdout).expect("tshark's JSON");
    frames.iter().for_each(assert_no_complaint);
    let message = |frame: &Value| match &frame["_source"]["layers"]["cflow"] {
        Value::Object(message) => Message(message.clone()),
        other => panic!("one message to a frame: {other}"),
    };
    frames.iter().map(message).collect()
}

/// Looks through all that is shown for what tshark did not like or not know.
fn assert_no_complaint(shown: &Value) {
    match shown {
        Value::Object(members) => {
            for (name, value) in members {
                let complains = name.contains("malformed")
                    || name.contains("unknown")
                    || name.contains("no_template")
                    || name.contains("_ws.expert.severity") && is_warning(value);
                assert!(!complains, "{name}: {shown}");
                assert_no_complaint(value);
            }
        }
        Value::Array(values) => values.iter().for_each(assert_no_complaint),
        _ => {}
    }
}

/// Of the severities chat, note, warning and error the latter two.
fn is_warning(severity: &Value) -> bool {
    let number = severity.as_str().and_then(|text| text.parse::<u32>().ok());
    number.is_none_or(|number| number >= 0x0060_0000)
}

impl Message {
    fn number(&self, name: &str) -> u64 {
        let text = self.0[name].as_str().expect("tshark writes text");
        text.parse().unwrap_or_else(|_| panic!("{name}: {text}"))
    }

    /// Data Records of all kinds; of NetFlow v5 its records.
    fn records(&self) -> Vec<&Value> {
        let of_sets = self.sets().flat_map(|set| members(set, |name| name.starts_with("Flow ")));
        members(&self.0, |name| name.starts_with("pdu ")).chain(of_sets).collect()
    }

    fn templates(&self) -> usize {
        self.sets().flat_map(|set| members(set, |name| name.contains("Template (Id ="))).count()
    }

    /// Sets, all of which tshark had a template for or which are templates.
    fn sets(&self) -> impl Iterator<Item = &Map<String, Value>> {
        let sets = members(&self.0, |name| name.contains("Set ") && name.contains("[id="));
        sets.map(|set| {
            let set = set.as_object().expect("a set has members");
            let id: u16 = set["cflow.flowset_id"].as_str().unwrap().parse().unwrap();
            assert!(id < 256 || set.contains_key("cflow.template_frame"), "{set:?}");
            set
        })
    }

    fn flows(&self) -> impl Iterator<Item = (Flow, Counts)> {
        let records = self.records().into_iter();
        let flows = records.filter(|record| record.get("cflow.protocol").is_some());
        flows.map(|record| self.of_record(record))
    }

    fn of_record(&self, record: &Value) -> (Flow, Counts) {
        let of = Fields(record);
        let family = if of.has("/cflow.srcaddr") { "" } else { "v6" };
        let octet = |name: &str| {
            let digits = of.text(name).strip_prefix("0x").expect("a hexadecimal number");
            u64::from_str_radix(digits, 16).unwrap()
        };
        let (start, end) = self.times(record);
        let flow = Flow {
            source: of.address(&format!("/cflow.srcaddr{family}")),
            destination: of.address(&format!("/cflow.dstaddr{family}")),
            source_port: of.number("/cflow.srcport"),
            destination_port: of.number("/cflow.dstport"),
            protocol: of.number("/cflow.protocol"),
            type_of_service: octet("/cflow.tos"),
            interface: of.number("/cflow.inputint"),
            vlan: of.number_if_any("/cflow.vlanid"),
            flags: octet("/cflow.tcpflags"),
            ttl: (of.number_if_any("/cflow.ttl_min"), of.number_if_any("/cflow.ttl_max")),
            end_reason: of.number_if_any("/cflow.flow_end_reason"),
            start,
            end,
            ..Flow::default()
        };
        (flow, Counts::of_record(of.number("/cflow.packets"), of.number("/cflow.octets")))
    }

    fn times(&self, record: &Value) -> (u64, u64) {
        let of = Fields(record);
        if self.number("cflow.version") == 10 {
            let time = |name| english_time(of.text(&format!("/cflow.timedelta_tree/{name}")));
            return (time("cflow.abstimestart"), time("cflow.abstimeend"));
        }
        let seconds = |text| time::millis_of_seconds(text).expect("seconds with decimals");
        let header = Fields(&self.0["cflow.timestamp_tree"]);
        let nanos = header.number_if_any("/cflow.unix_nsecs");
        let now = header.number("/cflow.unix_secs") * 1000 + nanos / 1_000_000;
        let uptime = seconds(self.0["cflow.sysuptime"].as_str().unwrap());
        let time = |name| {
            let since_boot = seconds(of.text(&format!("/cflow.timedelta_tree/{name}")));
            now - (uptime - since_boot)
        };
        (time("cflow.timestart"), time("cflow.timeend"))
    }
}

fn members(
    object: &Map<String, Value>,
    is_meant: impl Fn(&str) -> bool,
) -> impl Iterator<Item = &Value> {
    object.iter().filter(move |(name, _)| is_meant(name)).map(|(_, value)| value)
}

/// Milliseconds of a time such as `Nov 14, 2023 22:13:20.123000000 UTC`.
fn english_time(text: &str) -> u64 {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, day, year, clock, "UTC"] = words[..] else { panic!("no time: {text}") };
    let month = MONTHS.iter().position(|month| *month == name).expect("a month") + 1;
    time::millis(&format!("{year}-{month}-{} {clock}", day.trim_end_matches(',')))
}

fn flows_of(messages: &[Message]) -> Flows {
    messages.iter().flat_map(Message::flows).collect()
}

/// Replays into a socket of ours and has tshark decode what came.
fn messages_of(protocol: &str, folder: &Path) -> (Flows, Vec<Message>) {
    let receiver = Receiver::start();
    let flows = replay(folder, &[format!("{protocol}://127.0.0.1:{}", receiver.port)]);
    let file = folder.join("messages.pcap");
    std::fs::write(&file, capture(&receiver.stop())).expect("a file for the messages");
    (flows, decode(folder, &file))
}

#[test]
fn tshark_decodes_netflow5() {
    if !has_tshark() {
        return;
    }
    let folder = support::scratch();
    let (flows, messages) = messages_of("netflow5", folder.path());
    let expected = flows.said_by_netflow5().split_at_32_bits();
    assert_reported(&expected, &flows_of(&messages));
    let mut flows_before = 0;
    for message in &messages {
        assert_eq!(message.number("cflow.sequence"), flows_before);
        let records = message.records().len() as u64;
        assert_eq!(message.number("cflow.count"), records);
        flows_before += records;
    }
}

#[test]
fn tshark_decodes_netflow9() {
    if !has_tshark() {
        return;
    }
    let folder = support::scratch();
    let (flows, messages) = messages_of("netflow9", folder.path());
    assert_reported(&flows, &flows_of(&messages));
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(message.number("cflow.sequence"), index as u64);
        let records = message.templates() + message.records().len();
        assert_eq!(message.number("cflow.count"), records as u64, "{:?}", message.0);
    }
}

#[test]
fn tshark_decodes_ipfix() {
    if !has_tshark() {
        return;
    }
    let folder = support::scratch();
    let (flows, messages) = messages_of("ipfix", folder.path());
    assert_reported(&flows, &flows_of(&messages));
    assert_unbroken(&messages);
}

/// In a file too; and with a table so small that flows end for lack of room.
#[test]
fn tshark_reads_ipfix_files() {
    if !has_tshark() {
        return;
    }
    let folder = support::scratch();
    let file = folder.path().join("messages.ipfix");
    let flows = replay_crowded(folder.path(), &[format!("ipfix-file:{}", file.display())]);
    assert!(flows.only(|flow| flow.end_reason == 5).records() > 0, "some had to leave early");
    let messages = decode(folder.path(), &file);
    assert_reported(&flows, &flows_of(&messages));
    assert_unbroken(&messages);
}

#[test]
fn tshark_reads_as_numbers_and_prefixes() {
    if !has_tshark() {
        return;
    }
    for (version, protocol) in [(5, "netflow5"), (9, "netflow9"), (10, "ipfix")] {
        let folder = support::scratch();
        let receiver = Receiver::start();
        let output = format!("{protocol}://127.0.0.1:{}", receiver.port);
        let settings = places::settings(folder.path());
        replay_with(folder.path(), &[output], &settings.each_ref().map(String::as_str));
        let file = folder.path().join("messages.pcap");
        std::fs::write(&file, capture(&receiver.stop())).expect("a file for the messages");
        let messages = decode(folder.path(), &file);
        let records = messages.iter().flat_map(Message::records);
        let records = records.filter(|record| record.get("cflow.protocol").is_some());
        let sides = records.map(|record| {
            let of = Fields(record);
            let family = if of.has("/cflow.srcaddr") { "" } else { "v6" };
            ["src", "dst"].map(|side| {
                (
                    of.address(&format!("/cflow.{side}addr{family}")).parse().unwrap(),
                    of.number(&format!("/cflow.{side}as")),
                    of.number(&format!("/cflow.{side}mask{family}")),
                )
            })
        });
        places::assert_read(&sides.collect::<Vec<_>>(), version, true);
    }
}

/// The sequence number of IPFIX counts Data Records, those of options too.
fn assert_unbroken(messages: &[Message]) {
    let mut records_before = 0;
    for message in messages {
        assert_eq!(message.number("cflow.sequence"), records_before);
        records_before += message.records().len() as u64;
    }
}
