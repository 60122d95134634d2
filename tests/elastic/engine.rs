//! A real engine on free ports of the loopback, with its data in a folder of the test.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::install::Installed;
use crate::kind::{KINDS, Kind};
use crate::support::install::engines;
use crate::support::turn::{Queue, Turn};
use crate::support::{self, free_port};

/// How long an engine may take to start, on a busy machine; it takes 3 to 10 s.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// How long it may take to stop; it takes 1 s.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

const LOGGING: &str = "\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d][%p][%c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
";

/// An engine that runs. It is killed and its data are removed when it is dropped; it also ends
/// when the test process does, in whatever way.
#[derive(Debug)]
pub struct Engine {
    kind: Kind,
    installed: &'static Installed,
    nodes: Vec<Node>,
    settings: Vec<String>,
    folder: TempDir,
    /// Dropped last, when nothing runs any more.
    _turn: Option<Turn>,
}

#[derive(Debug)]
struct Node {
    name: String,
    http_port: u16,
    transport_port: u16,
    /// None when it was stopped.
    process: Option<Child>,
}

impl Engine {
    /// Starts one node, if the engine can be had.
    pub fn start(kind: Kind) -> Option<Self> {
        Self::start_with(kind, 1, &[])
    }

    /// Starts so many nodes, each a process, as one cluster. Settings are `name=value`.
    pub fn start_with(kind: Kind, nodes: usize, settings: &[&str]) -> Option<Self> {
        Some(Self::boot(find(kind)?, kind, nodes, settings, Some(OWN.wait())))
    }

    /// The engine that the tests of this process share. Each test uses names of its own in it, and
    /// changes no setting of the cluster.
    pub fn shared(kind: Kind) -> Option<&'static Self> {
        static SHARED: [OnceLock<Engine>; KINDS] = [const { OnceLock::new() }; KINDS];
        let installed = find(kind)?;
        Some(SHARED[kind as usize].get_or_init(|| Self::boot(installed, kind, 1, &[], None)))
    }

    fn boot(
        installed: &'static Installed,
        kind: Kind,
        nodes: usize,
        settings: &[&str],
        turn: Option<Turn>,
    ) -> Self {
        let node = |number: usize| Node {
            name: format!("node{number}"),
            http_port: free_port(),
            transport_port: free_port(),
            process: None,
        };
        let mut engine = Self {
            kind,
            installed,
            nodes: (1..=nodes).map(node).collect(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            folder: run_folder(),
            _turn: turn,
        };
        engine.restart();
        engine
    }

    /// The address of the first node.
    pub fn url(&self) -> String {
        self.nodes[0].url()
    }

    /// The addresses of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Node::url).collect()
    }

    /// A client of the first node.
    pub fn client(&self) -> Client {
        Client::new(&self.url())
    }

    /// Ends all nodes at once, as a crash does.
    pub fn kill(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.kill_node(node));
    }

    /// Ends one node, counted from 0, as a crash does.
    pub fn kill_node(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Asks all nodes to end, and waits until they have.
    pub fn stop(&mut self) {
        for node in &self.nodes {
            if let Some(process) = &node.process {
                support::signal(process.id(), Signal::SIGTERM).expect("the node is a process");
            }
        }
        for node in &mut self.nodes {
            let Some(mut process) = node.process.take() else { continue };
            let ended = || process.try_wait().expect("a child can be asked").is_some();
            if !wait_until(STOP_PATIENCE, ended) {
                node.process = Some(process);
                panic!("{} does not stop in {STOP_PATIENCE:?}", node.name);
            }
        }
    }

    /// Starts the nodes that do not run, with the data and on the ports they had before, and waits
    /// until all answer.
    pub fn restart(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].process.is_none() {
                let process = self.spawn(index);
                self.nodes[index].process = Some(process);
            }
        }
        let begin = Instant::now();
        while !self.is_ready() {
            let log = || self.log();
            assert!(begin.elapsed() < START_PATIENCE, "no start in {START_PATIENCE:?}: {}", log());
            for node in &mut self.nodes {
                let process = node.process.as_mut().expect("it was started");
                let ended = process.try_wait().expect("a child can be asked");
                if let Some(status) = ended {
                    panic!("{} ended: {status}: {}", self.nodes[0].name, self.log());
                }
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn spawn(&self, index: usize) -> Child {
        let node = &self.nodes[index];
        let folder = self.node_folder(node);
        let configuration = folder.join("configuration");
        fs::create_dir_all(&configuration).expect("a folder for the configuration");
        let write = |name: &str, content: &str| {
            fs::write(configuration.join(name), content).expect("a file of the configuration");
        };
        write("log4j2.properties", LOGGING);
        write("elasticsearch.yml", "");
        write("opensearch.yml", "");
        let log = File::options().create(true).append(true).open(folder.join("log"));
        let log = log.expect("a file for what the node says");
        self.installed
            .command(&configuration)
            .args(self.node_settings(node))
            .args(&self.settings)
            .current_dir(&folder)
            // The node ends when the other end of this pipe is closed.
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("java can be started")
    }

    fn node_settings(&self, node: &Node) -> Vec<String> {
        let folder = self.node_folder(node);
        let (data, logs) = (folder.join("data"), folder.join("logs"));
        let mut settings = vec![
            "cluster.name=tests".to_owned(),
            format!("node.name={}", node.name),
            "network.host=127.0.0.1".to_owned(),
            format!("http.port={}", node.http_port),
            format!("transport.port={}", node.transport_port),
            format!("path.data={}", data.display()),
            format!("path.logs={}", logs.display()),
            // Tests also run where the disk is nearly full.
            "cluster.routing.allocation.disk.threshold_enabled=false".to_owned(),
        ];
        if self.nodes.len() == 1 {
            settings.push("discovery.type=single-node".to_owned());
            return settings;
        }
        let list =
            |one: fn(&Node) -> String| self.nodes.iter().map(one).collect::<Vec<_>>().join(",");
        let seeds = list(|node| format!("127.0.0.1:{}", node.transport_port));
        settings.push(format!("discovery.seed_hosts={seeds}"));
        let manager = if self.kind.is_opensearch() { "cluster_manager" } else { "master" };
        let names = list(|node| node.name.clone());
        settings.push(format!("cluster.initial_{manager}_nodes={names}"));
        settings
    }

    fn node_folder(&self, node: &Node) -> PathBuf {
        self.folder.path().join(&node.name)
    }

    /// Whether every node answers, knows the others, and finds all primary shards.
    fn is_ready(&self) -> bool {
        self.nodes.iter().all(|node| {
            let health = "/_cluster/health?wait_for_status=yellow&timeout=1s";
            let client = Client::new(&node.url());
            let reply = client.send("GET", health, "application/json", Vec::new());
            reply.is_ok_and(|reply| {
                let nodes = reply.body["number_of_nodes"].as_u64();
                let is_complete = nodes == Some(self.nodes.len() as u64);
                reply.status == 200 && is_complete && reply.body["timed_out"] == Value::Bool(false)
            })
        })
    }

    /// What the nodes said.
    fn log(&self) -> String {
        let log = |node| fs::read_to_string(self.node_folder(node).join("log"));
        self.nodes.iter().flat_map(log).collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Node {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // An error says that it has ended already.
        drop(process.kill());
        drop(process.wait());
    }
}

/// One test at a time starts an engine of its own.
static OWN: Queue = Queue::new();

/// The engine put together, or none where the test is skipped.
fn find(kind: Kind) -> Option<&'static Installed> {
    Installed::find(kind).map_err(support::skip).ok()
}

/// A folder for the data of an engine. That of the shared one outlives its process.
fn run_folder() -> TempDir {
    support::shared_folder(&engines().expect("a folder for engines").join("runs"))
}

/// Polls; whether it came to this in time.
fn wait_until(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > patience {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}
