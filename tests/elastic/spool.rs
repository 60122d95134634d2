//! Documents that the cluster does not take yet wait on disk, also while nobody runs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use exporter::spool::{Spool, WhenFull};

use crate::replay::{BULK, capture, capture_of, replay, stream};
use crate::scripted::{Item, Server, Step};
use crate::support;
use crate::support::net::{Host, Links, Network};
use crate::support::probe::Probe;

/// Flows end soon, and batches are small.
pub const SETTINGS: &str = "batch=10k&memory=100k&gzip=0";

/// The program while it captures on the probe's host.
pub fn start(network: &Network, output: &str) -> Probe {
    capture_by(network, &["env"], output)
}

/// Starts it by a command that becomes the program.
fn capture_by(network: &Network, wrap: &[&str], output: &str) -> Probe {
    let program = support::flowprobe();
    let mut command = network.command(Host::Probe, wrap[0]);
    command.args(&wrap[1..]).arg(program.get_program());
    command.args(["-i", "rx0", "--capture", "packet", "--packet-ring", "8M"]);
    command.args(["--idle-timeout", "100ms", "--stats", "json", "--name", "test"]);
    command.args(["-o", output]);
    let mut probe = Probe::start(command);
    probe.wait_until_it_captures("rx0");
    probe
}

/// The ids of the documents in a spool that nobody uses, as its file has them.
pub fn spooled_ids(directory: &Path) -> BTreeSet<String> {
    let mut spool = Spool::open(directory, u64::MAX, WhenFull::DropNewest).unwrap();
    let mut ids = BTreeSet::new();
    while let Some(taken) = spool.take().unwrap() {
        let text = String::from_utf8_lossy(&taken.batch.octets);
        let mut count = 0;
        for part in text.split(r#""_id":""#).skip(1) {
            let id = part.split('"').next().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            count += 1;
        }
        assert_eq!(count, taken.batch.records.records);
    }
    ids
}

/// A server on the probe's host that answers 503.
fn unavailable(network: &Network) -> Server {
    let server = network.on(Host::Probe, Server::start);
    server.always("/", Step::status(503));
    server.always(BULK, Step::status(503));
    server
}

fn output(server: &Server, settings: &str) -> String {
    format!("elastic+{}?{SETTINGS}{settings}", server.url())
}

fn setting(directory: &Path) -> String {
    format!("&spool={}", directory.display())
}

#[test]
fn what_a_cluster_does_not_take_is_sent_in_the_next_run() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let server = unavailable(&network);
    let folder = support::scratch();
    let directory = folder.path().join("spool");
    let output = output(&server, &setting(&directory));
    let file = capture(&folder, 1000);
    let live = start(&network, &output);
    network.send_file("tx0", &file, &[]);
    thread::sleep(Duration::from_millis(500));
    let first = live.stop();
    assert_eq!(first.count("outputs.0.spooled.records"), 1000, "{}", first.stats);
    assert_eq!(first.count("outputs.0.failed.records"), 0, "{}", first.stats);
    assert!(first.count("outputs.0.delivery.spool.octets") > 1_000_000, "{}", first.stats);
    let ids = spooled_ids(&directory);
    assert_eq!(ids.len(), 1000);

    // The documents of both runs arrive, those of each with its ids.
    server.always("/", Step::emulate());
    server.always(BULK, Step::emulate());
    let mut live = start(&network, &output);
    network.send_file("tx0", &file, &[]);
    live.wait_until("all arrive", |_| server.documents().len() == 2000);
    thread::sleep(Duration::from_millis(500));
    let second = live.stop();
    assert_eq!(second.count("outputs.0.sent.records"), 1000, "{}", second.stats);
    assert_eq!(second.count("outputs.0.delivery.accepted"), 1000, "{}", second.stats);
    let spool = &second.stats["outputs"][0]["delivery"]["spool"];
    assert_eq!(spool["earlier_runs"]["accepted"], 1000, "{spool}");
    assert_eq!(spool["earlier_runs"]["spooled"], 0, "{spool}");
    assert_eq!((&spool["batches"], &spool["octets"]), (&0.into(), &0.into()), "{spool}");
    assert_eq!(spooled_ids(&directory).len(), 0);
    let taken: BTreeSet<_> = server.documents().into_iter().map(|item| item.id).collect();
    assert_eq!(taken.len(), 2000);
    assert!(ids.is_subset(&taken));
}

#[test]
fn replay_that_gives_up_counts_what_is_in_the_spool_and_what_is_lost() {
    let server = Server::start();
    server.always("/", Step::status(503));
    server.always(BULK, Step::status(503));
    let folder = support::scratch();
    // Memory has room for about 50 documents.
    for (flows, name, words) in [
        (1000, "many", "stay in the spool for the next run; later records are lost"),
        (20, "few", "no document was accepted in time; 20 documents stay in the spool"),
    ] {
        let directory = folder.path().join(name);
        let output = output(&server, &format!("&give-up=1s{}", setting(&directory)));
        let run = replay(&capture(&folder, flows), &output);
        run.assert_conservation();
        let spooled = run.count("outputs.0.spooled.records");
        let unsent = run.count("outputs.0.delivery.unsent");
        assert_eq!(spooled + unsent, u64::from(flows), "{}", run.stats);
        assert_eq!(run.count("outputs.0.failed.records"), unsent, "{}", run.stats);
        assert_eq!(spooled_ids(&directory).len() as u64, spooled);
        assert!(spooled >= 20 && (unsent > 0) == (flows == 1000), "{}", run.stats);
        assert_eq!(run.status, 1, "{}", run.stderr);
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
}

#[test]
fn full_spool_drops_the_oldest_or_the_newest_and_counts_them() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let server = unavailable(&network);
    let folder = support::scratch();
    let file = capture(&folder, 3000);
    for policy in ["oldest", "newest"] {
        let directory = folder.path().join(policy);
        let settings = format!("{}&spool-max=1M&spool-full={policy}&run=run", setting(&directory));
        let live = start(&network, &output(&server, &settings));
        network.send_file("tx0", &file, &[]);
        thread::sleep(Duration::from_millis(500));
        let run = live.stop();
        let spooled = run.count("outputs.0.spooled.records");
        assert!((300..1000).contains(&spooled), "{}", run.stats);
        let dropped = run.count("outputs.0.delivery.spool.dropped");
        let no_room = run.count("outputs.0.delivery.dropped");
        assert_eq!(spooled + dropped + no_room, 3000, "{}", run.stats);
        assert!(dropped > 0, "{}", run.stats);
        assert_eq!(run.count("outputs.0.failed.records"), dropped + no_room, "{}", run.stats);
        assert!(run.stderr.contains("the spool is full"), "{}", run.stderr);
        let ids = spooled_ids(&directory);
        assert_eq!(ids.len() as u64, spooled);
        let number = |id: &String| id.rsplit('-').next().unwrap().parse::<u64>().unwrap();
        let late = ids.iter().filter(|id| number(id) >= 1500).count();
        // A last batch may be small enough for the room that is left.
        let most = ids.len() / 10 * 9;
        assert!(if policy == "oldest" { late > most } else { late < ids.len() - most }, "{ids:?}");
    }
}

#[test]
fn burst_goes_to_the_disk_and_nothing_is_dropped() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let server = unavailable(&network);
    let folder = support::scratch();
    let directory = folder.path().join("spool");
    // Memory has room for 50 documents, and many times that come at once.
    let live = start(&network, &output(&server, &setting(&directory)));
    network.send_file("tx0", &capture(&folder, 6000), &[]);
    thread::sleep(Duration::from_millis(500));
    let run = live.stop();
    assert_eq!(run.count("outputs.0.spooled.records"), 6000, "{}", run.stats);
    assert_eq!(run.count("outputs.0.delivery.dropped"), 0, "{}", run.stats);
    assert_eq!(spooled_ids(&directory).len(), 6000);
}

#[test]
fn spooled_documents_go_to_the_stream_of_their_run() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let server = network.on(Host::Probe, Server::start);
    server.always("/", Step::status(503));
    let folder = support::scratch();
    let directory = folder.path().join("spool");
    let settings = |namespace| format!("&namespace={namespace}{}", setting(&directory));
    let live = start(&network, &output(&server, &settings("one")));
    network.send_file("tx0", &capture(&folder, 100), &[]);
    thread::sleep(Duration::from_millis(500));
    live.stop();
    assert_eq!(spooled_ids(&directory).len(), 100);
    server.always("/", Step::emulate());
    let output = output(&server, &settings("two"));
    let file = capture_of(&folder, 100..150);
    let run = network.on(Host::Probe, || replay(&file, &output));
    assert_eq!(run.status, 0, "{}", run.stderr);
    let documents = server.documents();
    let of = |namespace: &str| {
        let is_of = |item: &&Item| {
            item.document["data_stream"]["namespace"] == namespace
                && item.index == stream(namespace)
        };
        documents.iter().filter(is_of).count()
    };
    assert_eq!((of("one"), of("two")), (100, 50), "{documents:?}");
}

/// Changes the size of the file system in memory that a process has at a place.
fn resize(pid: u32, directory: &Path, size: &str) {
    let mut command = Command::new("nsenter");
    command.args(["--mount", "--target", &pid.to_string(), "mount", "-o"]);
    command.arg(format!("remount,size={size}")).arg(directory);
    assert!(command.status().expect("nsenter runs").success());
}

#[test]
fn disk_that_is_full_is_used_again_when_it_has_room() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let server = unavailable(&network);
    let folder = support::scratch();
    let directory = folder.path().join("spool");
    std::fs::create_dir(&directory).unwrap();
    // A mount that only the program sees.
    let script = format!("mount -t tmpfs -o size=4m tmpfs {} && exec \"$@\"", directory.display());
    let wrap = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let mut live = capture_by(&network, &wrap, &output(&server, &setting(&directory)));
    // Some 10 MB of documents.
    network.send_file("tx0", &capture(&folder, 6000), &[]);
    live.wait_until("the disk is full", |live| live.messages().contains("no room to write"));
    resize(live.pid(), &directory, "64m");
    // The file is opened again after a second.
    thread::sleep(Duration::from_millis(2500));
    network.send_file("tx0", &capture_of(&folder, 6000..8000), &[]);
    thread::sleep(Duration::from_millis(1500));
    // Then all that the disk and the memory held arrives.
    server.always("/", Step::emulate());
    server.always(BULK, Step::emulate());
    live.wait_until("the later flows arrive", |_| {
        let documents = server.documents();
        documents.iter().filter(|item| number(item) >= 6000).count() == 2000
    });
    thread::sleep(Duration::from_millis(500));
    let run = live.stop();
    let sent = run.count("outputs.0.sent.records");
    let dropped = run.count("outputs.0.delivery.dropped");
    assert_eq!(sent + dropped, 8000, "{}", run.stats);
    assert!(sent > 3000, "what was on the full disk is not lost: {}", run.stats);
    assert!(dropped > 0, "the disk was full: {}", run.stats);
    let ids: BTreeSet<_> = server.documents().into_iter().map(|item| item.id).collect();
    assert_eq!(ids.len() as u64, sent);
}

/// The number of the flow of a document.
fn number(item: &Item) -> u32 {
    let address = item.document["source"]["ip"].as_str().expect("an address");
    let address: std::net::Ipv4Addr = address.parse().expect("an address");
    u32::from(address) & 0x00ff_ffff
}

#[test]
fn directory_in_use_is_refused() {
    let folder = support::scratch();
    let other = Spool::open(folder.path(), 1_000_000, WhenFull::DropOldest).unwrap();
    let file = capture(&folder, 1);
    let output = format!("elastic+http://127.0.0.1:9{}", setting(folder.path()).replace('&', "?"));
    let run = support::run(["-r", file.to_str().unwrap(), "-o", &output]);
    assert_ne!(run.status, 0);
    let problem = format!("the spool directory {} is in use", folder.path().display());
    assert!(run.stderr.contains(&problem), "{}", run.stderr);
    drop(other);
}

#[test]
fn replay_waits_and_uses_the_spool_for_nothing() {
    let server = Server::start();
    server.next(BULK, Step::status(503));
    server.always(BULK, Step::emulate().after(Duration::from_millis(20)));
    let folder = support::scratch();
    let directory = folder.path().join("spool");
    let file = capture(&folder, 1500);
    let output = output(&server, &format!("{}&connections=1", setting(&directory)));
    let run = support::run(["-r", file.to_str().unwrap(), "-o", &output]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    assert_eq!(run.count("outputs.0.delivery.accepted"), 1500, "{}", run.stats);
    assert_eq!(run.count("outputs.0.delivery.dropped"), 0, "{}", run.stats);
    assert_eq!(spooled_ids(&directory).len(), 0);
}
