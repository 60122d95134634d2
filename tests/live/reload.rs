//! SIGHUP with a file of settings: what changes at once, what needs another start, and that no
//! packet, flow or record is lost or counted twice.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::ends::frames;
use crate::probe::{METHODS, Probe, lost};
use crate::support::capture::{Captured, pcap};
use crate::support::flows::{Flow, flows};
use crate::support::net::{Host, Links, Network};
use crate::support::packet::{ethernet, ipv4, udp};
use crate::support::payload::{dns_answer, dns_question};
use crate::support::{self, Run};

/// Reloads of the long test, unless `FLOWPROBE_RELOADS` says more.
const RELOADS: usize = 50;

/// A folder with a file of settings, and the outputs in it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(settings: &str) -> Self {
        let place = Self { folder: support::scratch() };
        place.set(settings);
        place
    }

    /// Writes the settings. `DIR` is the folder.
    fn set(&self, settings: &str) {
        let folder = self.folder.path().display().to_string();
        fs::write(self.settings(), settings.replace("DIR", &folder)).expect("the folder is ours");
    }

    fn settings(&self) -> PathBuf {
        self.path("flowprobe.toml")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn flows(&self, name: &str) -> Vec<Flow> {
        flows(&whole_lines(&self.path(name)))
    }

    fn documents(&self, name: &str) -> Vec<Value> {
        support::documents(&whole_lines(&self.path(name)))
    }

    /// Writes settings and has them read. Returns the messages about them.
    fn reload(&self, probe: &mut Probe, settings: &str) -> String {
        self.set(settings);
        let before = probe.messages();
        let done = |messages: &str| {
            messages.matches(": read again: ").count() + messages.matches("not applied").count()
        };
        probe.signal(Signal::SIGHUP);
        probe.wait_until("the settings are read", |probe| done(&probe.messages()) > done(&before));
        probe.messages()[before.len()..].to_owned()
    }
}

/// Without a document that is half written.
fn whole_lines(path: &Path) -> Vec<u8> {
    let mut octets = fs::read(path).unwrap_or_default();
    octets.truncate(octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |end| end + 1));
    octets
}

/// An output in the statistics.
#[track_caller]
fn output<'a>(run: &'a Run, name: &str) -> &'a Value {
    let outputs = run.stats["outputs"].as_array().expect("there are outputs");
    let ends = |output: &&Value| output["output"].as_str().is_some_and(|it| it.ends_with(name));
    outputs.iter().find(ends).unwrap_or_else(|| panic!("no {name} in {}", run.stats))
}

fn records(output: &Value, what: &str) -> u64 {
    output[what]["records"].as_u64().expect("a count")
}

/// All records of the run, and their packets.
fn ended(run: &Run) -> (u64, u64) {
    let reasons = run.stats["ended"].as_object().expect("there are reasons").values();
    let sum = |key: &str| reasons.clone().map(|it| it[key].as_u64().expect("a count")).sum();
    (sum("records"), sum("packets"))
}

fn tally(flows: &[Flow]) -> (u64, u64) {
    (flows.len() as u64, flows.iter().map(|flow| flow.packets).sum())
}

#[test]
fn what_has_changed_is_in_force_and_said() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let place = Place::new("output = \"json:DIR/a\"\nidle-timeout = \"1h\"\n");
    let ten = support::write(&place.folder, "ten.pcap", &frames(10));
    let mut probe = Probe::configured(&network, &place.settings(), &[METHODS[1]]);
    network.send_file("tx0", &ten, &[]);
    probe.wait_until("the flows are in the table", |probe| {
        probe.signal(Signal::SIGUSR1);
        probe.totals().last().is_some_and(|totals| totals["active_flows"] == 10)
    });
    // The flows stay in the table, and leave by the new timeout.
    let said = place.reload(
        &mut probe,
        "output = [\"json:DIR/a\", \"json:DIR/b\"]\nidle-timeout = \"1s\"\nsample = \"1:7\"\n",
    );
    assert!(said.contains("idle-timeout is now 1s; output json:"), "{said}");
    assert!(said.contains("/b added"), "{said}");
    assert!(said.contains("sample changed: needs a restart"), "{said}");
    probe.wait_until("the flows have left", |_| {
        place.flows("a").len() == 10 && place.flows("b").len() == 10
    });
    // The direction of unchanged outputs changes with the networks. Another output takes over a
    // file, with other settings.
    let said = place.reload(
        &mut probe,
        "idle-timeout = \"1s\"\nlocal-networks = [\"192.0.2.0/24\"]\n[[output]]\nurl = \
         \"json:DIR/a\"\n[[output]]\nurl = \"json:DIR/b\"\ngeo = \"off\"\n",
    );
    assert!(said.contains("local-networks is now 192.0.2.0/24"), "{said}");
    assert!(said.contains("/b removed; output json:"), "{said}");
    network.send_file("tx0", &ten, &[]);
    probe.wait_until("the flows have left", |_| {
        place.flows("a").len() == 20 && place.flows("b").len() == 20
    });
    let directions: Vec<_> = place.documents("a").iter().map(direction).collect();
    assert_eq!(
        directions[..10],
        ["outbound"; 10].map(str::to_owned),
        "by default, private networks are inside"
    );
    assert_eq!(directions[10..], ["inbound"; 10].map(str::to_owned), "{directions:?}");
    let said = place.reload(&mut probe, &fs::read_to_string(place.settings()).unwrap());
    assert!(said.contains("read again: nothing changed"), "{said}");
    let run = probe.stop();
    assert_eq!(run.count("reloads.applied"), 3);
    assert_eq!(run.count("received.packets"), 20);
    assert_eq!(run.count("metered.packets"), 20, "sampling is as before");
    let (first, second) = (output(&run, "/b"), output(&run, "/b?geo=off"));
    assert_eq!((records(first, "sent"), records(first, "absent")), (10, 10), "{first}");
    assert_eq!((records(second, "sent"), records(second, "absent")), (10, 10), "{second}");
    assert_eq!((&first["removed"], &second["removed"]), (&true.into(), &false.into()));
    assert_eq!(records(output(&run, "/a"), "absent"), 0);
}

/// A record has what was found until its flow was over, by the timeout in force.
#[test]
fn what_is_found_follows_the_new_timeout() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let settings =
        |idle: &str| format!("output = \"json:DIR/a\"\npayload = \"dns\"\nidle-timeout = {idle}\n");
    let place = Place::new(&settings("\"1s\""));
    let message = |(from, to), (source, port), octets: &[u8]| {
        let mut datagram = udp(source, port, octets.len());
        datagram[8..].copy_from_slice(octets);
        pcap(&[Captured::at(0, ethernet(&ipv4(from, to, 17, &datagram)))])
    };
    let (client, server) = ([10, 1, 0, 1], [192, 0, 2, 9]);
    let answer = dns_answer(7, "a.example", client);
    let answer = message((server, client), (53, 1053), &answer);
    let question = message((client, server), (1053, 53), &dns_question(8, "a.example", 1));
    let answer = support::write(&place.folder, "answer.pcap", &answer);
    let question = support::write(&place.folder, "question.pcap", &question);
    let mut probe = Probe::configured(&network, &place.settings(), &[METHODS[1]]);
    let said = place.reload(&mut probe, &settings("\"7s\""));
    assert!(said.contains("idle-timeout is now 7s"), "{said}");
    network.send_file("tx0", &answer, &[]);
    thread::sleep(Duration::from_secs(2));
    network.send_file("tx0", &question, &[]);
    probe.wait_until("the flows have left", |_| place.flows("a").len() == 2);
    for document in place.documents("a") {
        assert_eq!(document["flowprobe"]["dns"]["queries"], 1, "{document}");
    }
    probe.stop();
}

fn direction(document: &Value) -> String {
    document["network"]["direction"].as_str().expect("there is one").to_owned()
}

#[test]
fn a_mistake_changes_nothing_and_is_said() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let right = "output = \"json:DIR/a\"\nidle-timeout = \"1s\"\n";
    let place = Place::new(right);
    let ten = support::write(&place.folder, "ten.pcap", &frames(10));
    let mut probe = Probe::configured(&network, &place.settings(), &[METHODS[1]]);
    let name = place.settings().display().to_string();
    let mistakes = [
        ("output = \"json:DIR/b\"\nidle-timeout = 7\n", ":2: idle-timeout = 7: "),
        ("output = \"json:DIR/b\"\nbogus = 1\n", ":2: there is no setting bogus"),
        ("output = \"json:DIR/b\"\nlocal-networks = [\"nobody\"]\n", ":2: --local-networks: "),
        ("output = \"json:DIR/b\"\nlocal-networks = [\n", ":2"),
        ("output = [\"json:DIR/b\", \"json:DIR/none/c\"]\n", "/none/c: "),
        (
            "output = \"json:DIR/b\"\nalerts = \"outputs\"\n[rule.none]\nwindow = \"1s\"",
            "rules are",
        ),
    ];
    for (settings, expected) in mistakes {
        let said = place.reload(&mut probe, settings);
        assert!(said.contains(expected), "{settings}: {said}");
        assert!(said.contains(&format!("{name}: not applied")), "{said}");
    }
    fs::remove_file(place.settings()).expect("it is there");
    probe.signal(Signal::SIGHUP);
    probe.wait_until("it is missed", |probe| probe.messages().contains("no such file"));
    network.send_file("tx0", &ten, &[]);
    probe.wait_until("the flows have left", |_| place.flows("a").len() == 10);
    // Later it can be right again.
    let said = place.reload(&mut probe, &right.replace("1s", "2s"));
    assert!(said.contains("idle-timeout is now 2s"), "{said}");
    let run = probe.stop();
    assert_eq!((run.count("reloads.applied"), run.count("reloads.refused")), (1, 7));
    assert_eq!(run.stats["outputs"].as_array().map(Vec::len), Some(1), "{}", run.stats);
}

/// The settings of a round of the long test.
fn settings(round: usize, port: u16) -> String {
    let timeout = ["300ms", "1s", "2s"][round % 3];
    let [alternating, odid, window] = [["even", "odd"][round % 2], ["5", "6"][round / 2 % 2], "5s"];
    let threshold = 20 + round % 4;
    let alerts = if round.is_multiple_of(5) { "" } else { "alerts = \"json:DIR/alerts\"" };
    let inside = ["10.0.0.0/8", "192.0.2.0/24"][round / 3 % 2];
    let geo = ["on", "off"][round % 2];
    let mistake = if round % 10 == 7 { "bogus = 1" } else { "" };
    format!(
        r#"
idle-timeout = "{timeout}"
active-timeout = "{timeout}"
local-networks = ["{inside}"]
{alerts}
{mistake}
[[output]]
url = "json:DIR/always"
[[output]]
url = "json:DIR/{alternating}"
[[output]]
url = "json:DIR/same"
geo = "{geo}"
[[output]]
url = "ipfix://127.0.0.1:{port}"
odid = {odid}
[rule.scan-vertical]
threshold = {threshold}
window = "{window}"
"#
    )
}

#[test]
fn nothing_is_lost_or_counted_twice_while_settings_change() {
    let Some(network) = Network::new(Links::default()) else { return };
    let reloads = std::env::var("FLOWPROBE_RELOADS").map_or(RELOADS, |it| it.parse().unwrap());
    let collector = network.on(Host::Probe, || UdpSocket::bind("127.0.0.1:0")).expect("a port");
    collector.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
    let port = collector.local_addr().expect("it has one").port();
    let place = Place::new(&settings(0, port));
    let some = support::write(&place.folder, "some.pcap", &frames(300));
    let mut probe = Probe::configured(&network, &place.settings(), &[METHODS[1]]);
    let (sent, ended_now) = (AtomicU64::new(0), AtomicBool::new(false));
    let refused = thread::scope(|scope| {
        scope.spawn(|| {
            while !ended_now.load(Ordering::Relaxed) {
                let packets = network.send_file("tx0", &some, &[]).packets;
                sent.fetch_add(packets, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(100));
            }
        });
        scope.spawn(|| {
            while !ended_now.load(Ordering::Relaxed) {
                drop(collector.recv(&mut [0; 9000]));
            }
        });
        let mut refused = 0;
        for round in 1..=reloads {
            let said = place.reload(&mut probe, &settings(round, port));
            refused += u64::from(said.contains("not applied"));
            assert!(!said.contains("panicked"), "{said}");
        }
        ended_now.store(true, Ordering::Relaxed);
        refused
    });
    let run = probe.stop();
    let messages = &run.stderr;
    assert_eq!(refused, (1..=reloads).filter(|round| round % 10 == 7).count() as u64);
    assert_eq!(run.count("reloads.refused"), refused);
    assert_eq!(run.count("reloads.applied"), reloads as u64 - refused);
    // Packets: each is metered or lost in a ring.
    let sent = sent.load(Ordering::Relaxed);
    assert_eq!(run.count("metered.packets") + lost(&run), sent, "{messages}");
    // Records: each output has all that came while it was there, and none of the others.
    let (all, all_packets) = ended(&run);
    assert!(all > 1000, "{}", run.stats);
    let always = output(&run, "/always");
    assert_eq!((records(always, "sent"), records(always, "absent")), (all, 0), "{always}");
    assert_eq!(tally(&place.flows("always")), (all, all_packets));
    for pair in [["/even", "/odd"], ["/same?geo=on", "/same?geo=off"], ["odid=5", "odid=6"]] {
        let pair = pair.map(|name| output(&run, name));
        let sum = |what: &str| pair.iter().map(|one| records(one, what)).sum::<u64>();
        assert_eq!((sum("sent"), sum("absent")), (all, all), "{pair:?}");
        assert!(pair.iter().all(|one| records(one, "sent") > 0), "{pair:?}");
    }
    let both = [place.flows("even"), place.flows("odd")].concat();
    assert_eq!(tally(&both), (all, all_packets));
    assert_eq!(tally(&place.flows("same")), (all, all_packets));
    // And they are the same records.
    let mut sorted = [place.flows("always"), both, place.flows("same")];
    sorted.iter_mut().for_each(|flows| flows.sort());
    assert!(sorted[0] == sorted[1] && sorted[0] == sorted[2]);
    let directions: BTreeSet<_> = place.documents("always").iter().map(direction).collect();
    assert!(directions.len() > 1, "{directions:?}");
}
