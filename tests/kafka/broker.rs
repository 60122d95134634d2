//! Real brokers on free ports of the loopback, with their data in a folder of the test.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::disk::Disk;
use crate::distribution::{Distribution, distribution};
use crate::support::install::engines;
use crate::support::turn::{Queue, Turn};
use crate::support::{self, free_port};

/// How long a broker may take to start or to stop, on a busy machine; it takes 3 to 13 s.
const PATIENCE: Duration = Duration::from_secs(120);

/// A broker that runs, or several as one cluster. They are killed and their data are removed when
/// it is dropped.
#[derive(Debug)]
pub struct Broker {
    distribution: &'static Distribution,
    nodes: Vec<Node>,
    folder: TempDir,
    /// Where the data of the first node are, if not on the disk of the tests.
    disk: Option<Disk>,
    /// None of the shared one. Dropped last, when nothing runs any more.
    _turn: Option<Turn>,
}

/// A process of the cluster.
#[derive(Debug)]
struct Node {
    port: u16,
    controller_port: u16,
    /// None when it was stopped.
    process: Option<Child>,
}

/// One test at a time has a broker of its own.
static OWN: Queue = Queue::new();

impl Broker {
    /// Starts one, if it can be had.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more settings, each `name=value`.
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        Self::start_own(1, settings, &[], None)
    }

    /// The broker that the tests of this process share. Each test has topics of its own in it.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        let distribution = distribution()?;
        Some(SHARED.get_or_init(|| {
            let folders = engines().expect("a folder for brokers").join("runs");
            let broker = Self {
                distribution,
                nodes: vec![Node::new()],
                folder: support::shared_folder(&folders),
                disk: None,
                _turn: None,
            };
            let broker = broker.booted(&[], &[]);
            broker.end_with_this_process();
            broker
        }))
    }

    /// Starts one that keeps these passwords of SCRAM.
    #[cfg(feature = "kafka-tls")]
    pub fn start_with_passwords(settings: &[&str], passwords: &[&str]) -> Option<Self> {
        Self::start_own(1, settings, passwords, None)
    }

    /// Starts so many as one cluster, each a process.
    pub fn start_many(nodes: usize) -> Option<Self> {
        Self::start_own(nodes, &[], &[], None)
    }

    /// Starts one with its data on a disk.
    pub fn start_on(disk: Disk, settings: &[&str]) -> Option<Self> {
        Self::start_own(1, settings, &[], Some(disk))
    }

    fn start_own(
        nodes: usize,
        settings: &[&str],
        passwords: &[&str],
        disk: Option<Disk>,
    ) -> Option<Self> {
        let distribution = distribution()?;
        let turn = OWN.wait();
        let broker = Self {
            distribution,
            nodes: (0..nodes).map(|_| Node::new()).collect(),
            folder: support::scratch(),
            disk,
            _turn: Some(turn),
        };
        Some(broker.booted(settings, passwords))
    }

    fn booted(mut self, settings: &[&str], passwords: &[&str]) -> Self {
        (0..self.nodes.len()).for_each(|node| self.configure(node, settings, passwords));
        self.restart();
        self
    }

    /// Has the only one killed when this process has ended, in whatever way: what is shared is
    /// never dropped.
    fn end_with_this_process(&self) {
        let process = self.nodes[0].process.as_ref().expect("it runs").id();
        let ours = std::process::id();
        let wait = format!("{{ tail --pid={ours} -f /dev/null; kill -KILL {process}; }} &");
        let mut watch = Command::new("sh");
        watch.args(["-c", &wait]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = watch.status().expect("sh can be started");
        assert!(status.success(), "nobody would end the broker: {status}");
    }

    /// The addresses of all brokers, separated by commas.
    pub fn address(&self) -> String {
        let addresses: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        addresses.join(",")
    }

    /// The output into a topic.
    pub fn output(&self, topic: &str, settings: &str) -> String {
        format!("kafka://{}/{topic}?{settings}", self.address())
    }

    /// The disk that it was started on.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("it was started on a disk")
    }

    fn data(&self, node: usize) -> PathBuf {
        match &self.disk {
            Some(disk) => disk.folder().join("data"),
            None => self.folder.path().join(format!("data{node}")),
        }
    }

    fn properties(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("{node}.properties"))
    }

    fn configure(&self, node: usize, settings: &[&str], passwords: &[&str]) {
        let Node { port, controller_port, .. } = self.nodes[node];
        let data = self.data(node);
        let data = data.display();
        let voters: Vec<_> = (1..)
            .zip(&self.nodes)
            .map(|(number, node)| format!("{number}@127.0.0.1:{}", node.controller_port))
            .collect();
        let voters = voters.join(",");
        let number = node + 1;
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id={number}\n\
             controller.quorum.voters={voters}\n\
             controller.listener.names=CONTROLLER\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=PLAINTEXT\n\
             log.dirs={data}\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             auto.create.topics.enable=false\n"
        );
        for setting in settings {
            text += setting;
            text += "\n";
        }
        let path = self.properties(node);
        fs::write(&path, text).expect("a file for the configuration");
        // Any identifier of a cluster will do.
        let cluster = "MkU3OEVBNTcwNTJENDM2Qg";
        let mut arguments = vec!["format", "-t", cluster, "-c", path.to_str().unwrap()];
        arguments.extend(passwords.iter().flat_map(|&password| ["--add-scram", password]));
        self.tool("kafka.tools.StorageTool", &arguments);
    }

    fn java(&self, class: &str) -> Command {
        let java = Command::new("java");
        let mut java = match &self.disk {
            Some(disk) => disk.command(&java),
            None => java,
        };
        java.args(["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"]);
        java.args([&self.distribution.class_path, class]);
        java
    }

    /// Runs a tool of Kafka. Returns what it said.
    fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let output = self.java(class).args(arguments).output().expect("java can be started");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{class}: {said}");
        said
    }

    fn topics(&self, arguments: &[&str]) -> String {
        let address = self.address();
        let arguments = [&["--bootstrap-server", &address], arguments].concat();
        self.tool("org.apache.kafka.tools.TopicCommand", &arguments)
    }

    /// The leader of each partition of a topic, counted from 0; -1 is none.
    pub fn leaders(&self, topic: &str) -> Vec<i32> {
        self.described(topic, "Leader")
            .iter()
            .map(|leader| leader.parse().unwrap_or(0) - 1)
            .collect()
    }

    /// Waits until each broker has all of a topic.
    pub fn wait_until_in_sync(&self, topic: &str) {
        let begin = Instant::now();
        let is_whole = |copies: &String| copies.split(',').count() == self.nodes.len();
        while !self.described(topic, "Isr").iter().all(is_whole) {
            assert!(begin.elapsed() < PATIENCE, "not in sync: {}", self.log());
        }
    }

    /// A field of each partition of a topic, as the tool writes it.
    fn described(&self, topic: &str, field: &str) -> Vec<String> {
        let text = self.topics(&["--describe", "--topic", topic]);
        let field = format!("{field}: ");
        let parts = text.split(['\t', '\n']).map(str::trim);
        let values: Vec<_> =
            parts.filter_map(|part| part.strip_prefix(&field)).map(str::to_owned).collect();
        assert!(!values.is_empty(), "{text}");
        values
    }

    /// Makes a topic, with settings `name=value`. Each broker has a copy.
    pub fn create(&self, topic: &str, partitions: u32, settings: &[&str]) {
        let (partitions, copies) = (partitions.to_string(), self.nodes.len().to_string());
        let mut arguments = vec!["--create", "--topic", topic, "--partitions", &partitions];
        arguments.extend(["--replication-factor", &copies]);
        arguments.extend(settings.iter().flat_map(|&setting| ["--config", setting]));
        self.topics(&arguments);
    }

    pub fn delete(&self, topic: &str) {
        self.topics(&["--delete", "--topic", topic]);
    }

    /// Octets that a topic has on the disk of the first broker.
    pub fn stored(&self, topic: &str) -> u64 {
        let partitions = fs::read_dir(self.data(0)).expect("a folder of data").flatten();
        let prefix = format!("{topic}-");
        let is_one = |name: &OsStr| name.to_string_lossy().starts_with(&prefix);
        let partitions = partitions.filter(|entry| is_one(&entry.file_name()));
        let files = partitions.flat_map(|entry| fs::read_dir(entry.path()).expect("a folder"));
        let segments =
            files.flatten().filter(|file| file.path().extension() == Some("log".as_ref()));
        segments.map(|file| file.metadata().expect("it is there").len()).sum()
    }

    /// Takes the right to write into a topic from everybody. The broker has an authorizer.
    pub fn deny_writes(&self, topic: &str) {
        let address = self.address();
        let acl = |arguments: &[&str]| {
            let common = ["--bootstrap-server", &address, "--add", "--topic", topic];
            self.tool("org.apache.kafka.tools.AclCommand", &[&common, arguments].concat());
        };
        acl(&["--allow-principal", "User:*", "--operation", "Describe"]);
        acl(&["--deny-principal", "User:*", "--operation", "Write"]);
    }

    /// Ends all at once, as a crash does.
    pub fn kill(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.kill_node(node));
    }

    /// Ends one, counted from 0, as a crash does.
    pub fn kill_node(&mut self, node: usize) {
        let Some(mut process) = self.nodes[node].process.take() else { return };
        // An error says that it has ended already.
        drop(process.kill());
        drop(process.wait());
    }

    /// Asks the only one to end, and waits until it has.
    pub fn stop(&mut self) {
        self.stop_node(0);
    }

    /// Asks one, counted from 0, to end, and waits until it has.
    pub fn stop_node(&mut self, node: usize) {
        let process = self.nodes[node].process.as_ref().expect("it runs");
        support::signal(process.id(), Signal::SIGTERM).expect("the broker is a process");
        self.wait_for_end(node);
    }

    /// Waits until one, counted from 0, ends.
    pub fn wait_for_end(&mut self, node: usize) {
        let mut process = self.nodes[node].process.take().expect("it runs");
        let begin = Instant::now();
        while process.try_wait().expect("a child can be asked").is_none() {
            if begin.elapsed() > PATIENCE {
                self.nodes[node].process = Some(process);
                panic!("the broker does not end in {PATIENCE:?}: {}", self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts those that do not run, with the data and on the ports that they had before, and waits
    /// until all answer.
    pub fn restart(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].process.is_none() {
                let process = self.spawn(node);
                self.nodes[node].process = Some(process);
            }
        }
        let begin = Instant::now();
        for node in 0..self.nodes.len() {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, self.nodes[node].port)).is_err() {
                assert!(begin.elapsed() < PATIENCE, "no start in {PATIENCE:?}: {}", self.log());
                let process = self.nodes[node].process.as_mut().expect("it was started");
                let ended = process.try_wait().expect("a child can be asked");
                assert!(ended.is_none(), "the broker ended: {}", self.log());
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn spawn(&self, node: usize) -> Child {
        let file = File::options().create(true).append(true).open(self.folder.path().join("log"));
        let file = file.expect("a file for what brokers say");
        let process = self
            .java("kafka.Kafka")
            .arg(self.properties(node))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file)
            .spawn();
        process.expect("java can be started")
    }

    /// What the brokers said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Node {
    /// One that does not run yet.
    fn new() -> Self {
        Self { port: free_port(), controller_port: free_port(), process: None }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
