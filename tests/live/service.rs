//! The unit of `deploy/`, as it is, under systemd: on a system of its own, whose root is this
//! host's with what it writes in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::Signal;

use crate::ends::{frames, packets};
use crate::rights::threads;
use crate::support;
use crate::support::flows::{Flow, flows};
use crate::support::net::{Host, Links, Network};

/// Makes its root, this host's with what is written in memory, where nobody else sees it.
const ROOT: &str = r#"
folder=$(dirname "$1")
mount -t tmpfs tmpfs "$1"
mkdir "$1/written" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/written,workdir=$1/work" "$1/root"
root=$1/root; shift
"#;

/// Starts it.
const START: &str = r#"
exec systemd-nspawn --directory="$root" "$@"
"#;

/// How long the system may take to start or to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Rings for which the locked memory is enough that everybody has: who has not the right to give
/// out more cannot test that.
pub(crate) const SETTINGS: &str = r#"
interface = ["rx0"]
keep-capabilities = true
ring = 1024
output = ["json:/var/lib/flowprobe/flows.json"]
idle-timeout = "1h"
active-timeout = "1h"
"#;

/// A system that runs. It ends when a test fails.
pub(crate) struct System {
    child: Child,
    /// What the service keeps, if it runs from the unit of `deploy/`.
    state: PathBuf,
    console: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// One system at a time: they share this process's control group.
static TURN: Mutex<()> = Mutex::new(());

impl System {
    /// Starts it on the probe's host, with the program, its settings and the unit where the unit
    /// says that they are.
    fn start(network: &Network, folder: &Path) -> Self {
        Self::start_unit(network, folder, "flowprobe.service", SETTINGS)
    }

    /// The same with another unit of `deploy/` and its settings.
    fn start_unit(network: &Network, folder: &Path, unit: &str, settings: &str) -> Self {
        let path = folder.join("settings.toml");
        fs::write(&path, settings).expect("the folder is ours");
        let state = folder.join("state");
        fs::create_dir(&state).expect("the folder is ours");
        let program = support::flowprobe_for_all(folder);
        let bind = |option: &str, here: &Path, there: &str| {
            format!("--{option}={}:{there}", here.display())
        };
        let deployed = support::root().join("deploy").join(unit);
        let text = fs::read_to_string(&deployed).expect("the unit is there");
        let (_, file) = text.split_once(" --config ").expect("it has settings");
        let folder_of_state = format!("/var/lib/private/{}", setting_of(&text, "StateDirectory"));
        let binds = [
            bind("bind-ro", &program, "/usr/local/bin/flowprobe"),
            bind("bind-ro", &path, file.lines().next().expect("a path")),
            bind("bind-ro", &deployed, "/etc/systemd/system/flowprobe.service"),
            bind("bind", &state, &folder_of_state),
        ];
        Self::boot(network, folder, "", &binds)
    }

    /// Starts it with these options of systemd-nspawn, after a script that changes its root. The
    /// script has this folder in `$folder` and the root in `$root`.
    pub(crate) fn boot(network: &Network, folder: &Path, change: &str, options: &[String]) -> Self {
        let script = [ROOT, change, START].concat();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let [state, system, console] = ["state", "system", "console"].map(|name| folder.join(name));
        fs::create_dir(&system).expect("the folder is ours");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &script, "sh"]).arg(&system);
        command.args(["--quiet", "--register=no", "--keep-unit", "--console=pipe", "--boot"]);
        command.arg("--machine=flowprobe-test");
        let namespace = network.namespace(Host::Probe);
        command.arg(format!("--network-namespace-path=/run/netns/{namespace}"));
        // What a host has, and a container only when it is asked for.
        command.args(["--capability=CAP_NET_ADMIN,CAP_BPF", "--system-call-filter=bpf"]);
        command.args(options);
        command.args(["--", "--unit=flowprobe.service"]).stdin(Stdio::null());
        let output = fs::File::create(&console).expect("the folder is ours");
        command.stderr(output.try_clone().expect("a file can be shared")).stdout(output);
        Self { child: command.spawn().expect("systemd-nspawn starts"), state, console, _turn: turn }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.console).unwrap_or_default()
    }

    /// What a command prints inside, which succeeds.
    #[track_caller]
    pub(crate) fn run(&self, command: &[&str]) -> String {
        let inside = descendants(self.child.id());
        let first = inside.into_iter().find(|pid| name(*pid).as_deref() == Some("systemd"));
        let first = first.expect("the system runs").to_string();
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &first, "--mount", "--uts", "--ipc", "--net", "--pid"]);
        enter.args(command).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        support::package::said(&enter.output().expect("nsenter runs"))
    }

    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let begin = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(begin.elapsed() < PATIENCE, "not in time: {what}: {}", self.said());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The process of the service, once all threads but one have given up their rights: then
    /// everything is open.
    pub(crate) fn service(&mut self) -> u32 {
        self.wait_for("the service captures", |system| {
            let ended = system.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the system has ended: {}", system.said());
            let of_the_system = descendants(system.child.id());
            let is_ready = |pid: &u32| {
                name(*pid).as_deref() == Some("flowprobe")
                    && threads(*pid).len() > 2
                    && threads(*pid).iter().filter(|(with, _)| *with != 0).count() == 1
            };
            of_the_system.into_iter().find(is_ready)
        })
    }

    /// Shuts it down; what the service has written.
    fn stop(mut self) -> Vec<Flow> {
        support::signal(self.child.id(), Signal::SIGTERM).expect("it runs");
        let status = self.wait_for("the system ends", |system| {
            system.child.try_wait().expect("a child can be asked")
        });
        assert!(status.success(), "{status}: {}", self.said());
        flows(&fs::read(self.state.join("flows.json")).expect("a file of flows"))
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // It may have ended already. Its first process would live on without its parent.
        for pid in descendants(self.child.id()) {
            let _ended_already = support::signal(pid, Signal::SIGKILL);
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn name(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

/// All processes below one.
fn descendants(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    let children: Vec<u32> = text.split(' ').filter_map(|word| word.trim().parse().ok()).collect();
    let below: Vec<_> = children.iter().flat_map(|&child| descendants(child)).collect();
    [children, below].concat()
}

#[test]
fn the_unit_captures_and_ends_in_good_order() {
    let links = Links { queues: 2, ..Links::default() };
    let Some(network) = Network::new(links) else { return };
    if !support::has_tool("systemd-nspawn") {
        return support::skip("systemd-nspawn (systemd-container) is not installed");
    }
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    let mut system = System::start(&network, folder.path());
    let service = system.service();
    for (_, user) in threads(service) {
        assert!(!user.starts_with("0\t"), "a user of its own: {user}");
    }
    let limits = fs::read_to_string(format!("/proc/{service}/limits")).expect("it runs");
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files: Vec<&str> = files.split_whitespace().take(2).collect();
    // Nobody gets more than there is.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    let expected = setting("LimitNOFILE").parse::<u64>().expect("a number").min(most).to_string();
    assert_eq!(files, [&expected; 2], "{limits}");
    let interface = network.interface(Host::Probe, "rx0");
    assert!(interface.get("xdp").is_some(), "by AF_XDP, for the host does not need it");
    // The service may make its file again, as `systemctl reload` asks it to.
    let state = |name| system.state.join(name);
    fs::rename(state("flows.json"), state("moved.json")).expect("the service has made it");
    support::signal(service, Signal::SIGHUP).expect("it runs");
    system.wait_for("its file is there again", |system| {
        system.state.join("flows.json").exists().then_some(())
    });
    let mut sent = network.send_file("tx0", &file, &[]).packets;
    // Deleted and made again: it goes on.
    thread::sleep(Duration::from_millis(300));
    network.ip(Host::Probe, &["link", "del", "rx0"]);
    network.add_link(0, links);
    system.wait_for("the interface is captured again", |_| {
        network.interface(Host::Probe, "rx0").get("xdp").is_some().then_some(())
    });
    sent += network.send_file("tx0", &file, &[]).packets;
    let flows = system.stop();
    assert_eq!(packets(&flows), sent);
}

#[test]
fn the_unit_of_the_collector_takes_datagrams_of_other_hosts() {
    let Some(network) = Network::new(Links::default()) else { return };
    if !support::has_tool("systemd-nspawn") {
        return support::skip("systemd-nspawn (systemd-container) is not installed");
    }
    network.ip(Host::Probe, &["addr", "add", "10.9.0.1/24", "dev", "rx0"]);
    network.ip(Host::Sender, &["addr", "add", "10.9.0.2/24", "dev", "tx0"]);
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    let settings = fs::read_to_string(support::root().join("deploy/collect.toml"));
    let settings = settings.expect("the settings are there");
    let mut system =
        System::start_unit(&network, folder.path(), "flowprobe-collect.service", &settings);
    system.wait_for("the program is started", |system| {
        let all = descendants(system.child.id());
        all.into_iter().find(|pid| name(*pid).as_deref() == Some("flowprobe"))
    });
    system.wait_for("it listens", |system| {
        let state = system.run(&["systemctl", "show", "flowprobe", "--property=ActiveState"]);
        (state.trim_end() == "ActiveState=active").then_some(())
    });
    let program = support::flowprobe().get_program().to_owned();
    let mut exporter = network.command(Host::Sender, program);
    exporter.args(["-o", "ipfix://10.9.0.1:4739", "--quiet", "-r"]).arg(file);
    support::package::said(&exporter.output().expect("the exporter runs"));
    system.wait_for("a flow is in the file", |system| {
        let file = fs::read(system.state.join("flows.json")).unwrap_or_default();
        (packets(&flows(&file)) == 100).then_some(())
    });
    let first = system.run(&["systemctl", "show", "flowprobe", "--property=NRestarts"]);
    assert_eq!(first.trim_end(), "NRestarts=0");
    assert_eq!(packets(&system.stop()), 100);
}

/// A setting of the unit for live capture.
fn setting(name: &str) -> &'static str {
    setting_of(include_str!("../../deploy/flowprobe.service"), name)
}

fn setting_of<'a>(unit: &'a str, name: &str) -> &'a str {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.next().unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn the_unit_is_started_again_but_not_with_wrong_settings() {
    assert_eq!(setting("Restart"), "on-failure");
    let folder = support::scratch();
    let wrong = support::write(&folder, "wrong.toml", b"interface = [\"rx0\"]\nbogus = 1\n");
    let mut command = support::flowprobe();
    let output = command.arg("--config").arg(wrong).output().expect("the program starts");
    let status = output.status.code().expect("an exit status").to_string();
    assert_eq!(setting("RestartPreventExitStatus"), status);
    // What may be right later has another status.
    let missing = ["-i", "none7", "-o", "json:/dev/null"];
    let output = support::flowprobe().args(missing).output().expect("the program starts");
    assert_ne!(output.status.code().expect("an exit status").to_string(), status);
}

#[test]
fn the_unit_may_open_files_for_as_many_interfaces_as_there_may_be() {
    // An interface takes a socket for each of some workers, and up to seven descriptors more.
    let (interfaces, workers): (u32, u32) = (1024, 50);
    let files: u32 = setting("LimitNOFILE").parse().expect("a number");
    assert!(files >= interfaces * (workers + 7), "{files}");
    let settings = fs::read_to_string(support::root().join("deploy/flowprobe.toml"));
    assert!(settings.expect("the settings").contains("\nkeep-capabilities = true\n"));
}

#[test]
fn the_unit_is_up_when_it_captures_and_reads_its_settings_again() {
    assert_eq!(setting("Type"), "notify");
    assert!(setting("WatchdogSec").parse::<u32>().is_ok_and(|seconds| seconds >= 10));
    assert_eq!(setting("ExecReload"), "/bin/kill -HUP $MAINPID");
}

/// Of 10; systemd calls up to 3 "OK".
const EXPOSURE_MAX_TENTHS: u32 = 30;

#[test]
fn the_unit_has_few_rights() {
    if !support::has_tool("systemd-analyze") {
        return support::skip("systemd-analyze (systemd) is not installed");
    }
    for unit in ["flowprobe.service", "flowprobe-collect.service"] {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["security", "--offline=true", "--no-pager"]);
        analyze.arg(format!("--threshold={EXPOSURE_MAX_TENTHS}"));
        let output = analyze.arg(support::root().join("deploy").join(unit)).output();
        let output = output.expect("systemd-analyze runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("Overall exposure level"), "{said}");
        assert!(output.status.success(), "{said}");
    }
}
