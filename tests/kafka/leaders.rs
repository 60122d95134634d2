//! A cluster of three brokers: the leaders of partitions move to others, and nothing is lost.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use crate::broker::Broker;
use crate::consumer::sums;
use crate::replay::{capture, command, delivered};
use crate::support;
use crate::support::probe::Probe;

/// More than are sent before all is over.
const FLOWS: u32 = 200_000;

/// How long the replay may go on after its input has ended, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long leaders may take to move. A broker that crashed is missed after 9 s.
const MOVE: Duration = Duration::from_secs(90);

/// Octets of the header of a capture, and of a flow: its packet and the header of that.
const HEADER: usize = 24;
const FLOW: usize = 16 + 60;

/// A capture that is written into a pipe, some 2000 flows a second, until it is ended.
struct Feed {
    pipe: PathBuf,
    ends: Arc<AtomicBool>,
    /// The number of flows.
    thread: JoinHandle<usize>,
}

impl Feed {
    fn start(folder: &TempDir) -> Self {
        let octets = fs::read(capture(folder, FLOWS)).expect("it was written");
        let (header, flows) = octets.split_at(HEADER);
        assert_eq!(flows.len(), FLOW * FLOWS as usize);
        let (header, flows) = (header.to_vec(), flows.to_vec());
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
        let ends = Arc::new(AtomicBool::new(false));
        let (path, told) = (pipe.clone(), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            let mut file = File::options().write(true).open(path).expect("the program opens it");
            file.write_all(&header).expect("the program reads");
            let mut written = 0;
            for flows in flows.chunks(FLOW * 20) {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                file.write_all(flows).expect("the program reads");
                written += flows.len() / FLOW;
                thread::sleep(Duration::from_millis(10));
            }
            written
        });
        Self { pipe, ends, thread }
    }

    fn pipe(&self) -> &Path {
        &self.pipe
    }

    /// Ends it. Returns the number of flows.
    fn end(self) -> u64 {
        assert!(!self.thread.is_finished(), "all flows were sent before this");
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().expect("it writes") as u64
    }
}

/// Waits until this broker, counted from 0, leads no partition, and each has a leader.
fn wait_until_it_leads_none(brokers: &Broker, node: i32) {
    let begin = Instant::now();
    loop {
        let leaders = brokers.leaders("flows");
        if leaders.iter().all(|&leader| leader >= 0 && leader != node) {
            return;
        }
        assert!(begin.elapsed() < MOVE, "leaders do not move: {leaders:?}: {}", brokers.log());
    }
}

#[test]
#[ignore = "takes a minute: three brokers"]
fn leaders_move_and_each_document_is_there_once() {
    let Some(mut brokers) = Broker::start_many(3) else { return };
    brokers.create("flows", 6, &["min.insync.replicas=2"]);
    assert!(brokers.leaders("flows").contains(&0) && brokers.leaders("flows").contains(&1));
    let folder = support::scratch();
    let feed = Feed::start(&folder);
    // Each batch is sent soon.
    let settings = "batch=50k&connections=1&memory=200k&compression=none";
    let mut command = command(feed.pipe(), &brokers.output("flows", settings));
    command.args(["--idle-timeout", "10ms"]);
    let probe = Probe::start(command);
    thread::sleep(Duration::from_secs(1));
    // This one gives its partitions to the others before it ends.
    brokers.stop_node(0);
    wait_until_it_leads_none(&brokers, 0);
    brokers.restart();
    brokers.wait_until_in_sync("flows");
    brokers.kill_node(1);
    wait_until_it_leads_none(&brokers, 1);
    brokers.restart();
    let flows = feed.end();
    let run = probe.wait_for(PATIENCE);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(delivered(&run, "accepted"), flows, "{}", run.stats);
    let sums = sums(&brokers, "flows");
    assert_eq!([sums.messages, sums.ids], [flows; 2], "{sums:?}: {}", run.stats);
    let metered = ["packets", "octets"].map(|of| run.count(&format!("metered.{of}")));
    assert_eq!([sums.packets, sums.octets], metered, "{sums:?}");
    assert!(sums.partitions.iter().all(|&messages| messages > 0), "{sums:?}");
    run.assert_conservation();
}
