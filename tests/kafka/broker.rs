//! A real broker of one node on free ports of the loopback, with its data in a folder of the test.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::install::{Installed, installed};
use crate::support;

/// How long a broker may take to start or to stop, on a busy machine; it takes 3 to 13 s.
const PATIENCE: Duration = Duration::from_secs(120);

/// A broker that runs. It is killed and its data are removed when it is dropped.
#[derive(Debug)]
pub struct Broker {
    installed: &'static Installed,
    port: u16,
    controller_port: u16,
    process: Option<Child>,
    folder: TempDir,
    /// One test at a time has a broker, so that memory is bounded.
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Broker {
    /// Starts one, if it can be had.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more settings, each `name=value`.
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let installed = installed()?;
        let mut broker = Self {
            installed,
            port: free_port(),
            controller_port: free_port(),
            process: None,
            folder: support::scratch(),
            _turn: turn,
        };
        broker.configure(settings);
        broker.restart();
        Some(broker)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The output into a topic.
    pub fn output(&self, topic: &str, settings: &str) -> String {
        format!("kafka://{}/{topic}?{settings}", self.address())
    }

    fn configure(&self, settings: &[&str]) {
        let (port, controller_port) = (self.port, self.controller_port);
        let data = self.folder.path().join("data");
        let data = data.display();
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
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
        let path = self.folder.path().join("server.properties");
        fs::write(&path, text).expect("a file for the configuration");
        // Any identifier of a cluster will do.
        let arguments = ["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", path.to_str().unwrap()];
        self.tool("kafka.tools.StorageTool", &arguments);
    }

    fn java(&self, class: &str) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"]);
        java.args([&self.installed.class_path, class]);
        java
    }

    /// Runs a tool of Kafka.
    fn tool(&self, class: &str, arguments: &[&str]) {
        let output = self.java(class).args(arguments).output().expect("java can be started");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{class}: {}", String::from_utf8_lossy(&said));
    }

    fn topics(&self, arguments: &[&str]) {
        let address = self.address();
        let arguments = [&["--bootstrap-server", &address], arguments].concat();
        self.tool("org.apache.kafka.tools.TopicCommand", &arguments);
    }

    /// Makes a topic, with settings `name=value`.
    pub fn create(&self, topic: &str, partitions: u32, settings: &[&str]) {
        let partitions = partitions.to_string();
        let mut arguments = vec!["--create", "--topic", topic, "--partitions", &partitions];
        arguments.extend(settings.iter().flat_map(|&setting| ["--config", setting]));
        self.topics(&arguments);
    }

    pub fn delete(&self, topic: &str) {
        self.topics(&["--delete", "--topic", topic]);
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

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // An error says that it has ended already.
        drop(process.kill());
        drop(process.wait());
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        support::signal(process.id(), Signal::SIGTERM).expect("the broker is a process");
        let begin = Instant::now();
        while process.try_wait().expect("a child can be asked").is_none() {
            if begin.elapsed() > PATIENCE {
                self.process = Some(process);
                panic!("the broker does not stop in {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts it with the data and on the port that it had before, and waits until it answers.
    pub fn restart(&mut self) {
        let log = self.folder.path().join("log");
        let file = File::options().create(true).append(true).open(&log);
        let file = file.expect("a file for what the broker says");
        let process = self
            .java("kafka.Kafka")
            .arg(self.folder.path().join("server.properties"))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file)
            .spawn();
        self.process = Some(process.expect("java can be started"));
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(begin.elapsed() < PATIENCE, "no start in {PATIENCE:?}: {}", said());
            let process = self.process.as_mut().expect("it was started");
            let ended = process.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the broker ended: {}", said());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}
