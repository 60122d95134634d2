//! `flowprobe doctor` on interfaces that the tests make, and what its remedies mend.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use serde_json::Value;

/// A network namespace with a cable in it, from `va` to `vb`; removed at the end.
struct Namespace(String);

impl Namespace {
    /// `None`, and said so, where it cannot be made.
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::geteuid().is_root() {
            support::skip_without("root");
            return None;
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = Self(format!("doctor-{}-{count}", std::process::id()));
        succeed(Command::new("ip").args(["netns", "add", &namespace.0]));
        namespace.run("ip link add va type veth peer name vb numrxqueues 2 numtxqueues 2");
        namespace.run("ip link set va up");
        namespace.run("ip link set vb up");
        Some(namespace)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    fn run(&self, line: &str) {
        let (program, arguments) = line.split_once(' ').unwrap();
        succeed(self.command(program).args(arguments.split(' ')));
    }

    fn doctor(&self, interface: &str) -> Examined {
        let program = support::flowprobe();
        let mut command = self.command(program.get_program().to_str().unwrap());
        Examined::new(command.args(["doctor", "--json", "-i", interface]).output().unwrap())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let removed = Command::new("ip").args(["netns", "del", &self.0]).status();
        assert!(removed.is_ok_and(|status| status.success()), "{} is left", self.0);
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What the doctor said of an interface.
#[derive(Debug)]
struct Examined {
    status: i32,
    said: Value,
}

impl Examined {
    fn new(output: Output) -> Self {
        let said = serde_json::from_slice(&output.stdout);
        let said = said.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        Self { status: output.status.code().unwrap(), said }
    }

    /// Level, text and remedy of a subject.
    fn finding(&self, subject: &str) -> [&str; 3] {
        let findings = self.said["findings"].as_array().unwrap();
        let finding = findings.iter().find(|one| one["subject"] == subject);
        let finding = finding.unwrap_or_else(|| panic!("no {subject} in {}", self.said));
        ["level", "text", "remedy"].map(|key| finding[key].as_str().unwrap_or(""))
    }

    fn method(&self) -> &str {
        self.said["method"].as_str().unwrap_or("none")
    }
}

#[test]
fn remedies_mend_what_was_found() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.run("ethtool -K vb rxvlan on gro on");
    let examined = namespace.doctor("vb");
    assert_eq!((examined.status, examined.method()), (0, "afxdp"), "{}", examined.said);
    assert_eq!(examined.said["interface"]["driver"], "veth");
    assert_eq!(examined.finding("queues")[1], "1 of 2 receive queues in use, all are read");
    let [level, _, remedy] = examined.finding("rxvlan");
    assert_eq!((level, remedy), ("warn", "ethtool -K vb rxvlan off"));
    namespace.run(remedy);
    let mended = namespace.doctor("vb");
    assert_eq!(mended.finding("rxvlan"), ["ok", "off", ""]);
    assert_eq!(mended.finding("GRO")[0], "ok");
    namespace.run("ethtool -L vb rx 2");
    assert_eq!(namespace.doctor("vb").said["interface"]["rx_queues"], 2);
    namespace.run("ethtool -K vb gro off");
    assert_eq!(namespace.doctor("vb").finding("GRO"), ["ok", "off", ""]);
}

/// A cable has no hash of its own: the sender's queue is the receiver's.
#[test]
fn directions_of_a_conversation_are_judged_by_queues_and_hash() {
    let Some(namespace) = Namespace::new() else { return };
    let together = |why| format!("both directions of a conversation reach one worker: {why}");
    let one_queue = together("there is one queue");
    assert_eq!(namespace.doctor("vb").finding("directions"), ["ok", one_queue.as_str(), ""]);
    namespace.run("ethtool -L vb rx 2");
    let examined = namespace.doctor("vb");
    let [level, text, remedy] = examined.finding("directions");
    assert_eq!((examined.status, examined.method()), (0, "afxdp"), "{}", examined.said);
    if thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        assert!(level == "note" && text.ends_with(": how the card hashes is unknown"), "{text}");
        assert!(remedy.contains("payload.one_sided"), "{remedy}");
    }
    // The host needs it, so the kernel spreads its packets over sockets.
    namespace.run("ip addr add 192.0.2.1/24 dev vb");
    let fan_out = together("the kernel's fan-out is symmetric");
    assert_eq!(namespace.doctor("vb").finding("directions"), ["ok", fan_out.as_str(), ""]);
}

#[test]
fn interface_that_is_down_can_be_waited_for() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.run("ip link set vb down");
    let examined = namespace.doctor("vb");
    assert_eq!((examined.status, examined.method()), (0, "packet"));
    let [level, _, remedy] = examined.finding("link");
    assert_eq!((level, remedy), ("warn", "ip link set vb up"));
    namespace.run("ip link set va down");
    namespace.run(remedy);
    let examined = namespace.doctor("vb");
    assert_eq!((examined.status, examined.finding("link")[0]), (0, "warn"));
    assert_eq!(examined.finding("link")[1], "up, but no carrier");
}

/// The program in a namespace. The words are a command that runs it, or none.
fn program(namespace: &Namespace, around: &[&str]) -> Command {
    let program = support::flowprobe();
    let words = [around, &[program.get_program().to_str().unwrap()]].concat();
    let mut command = namespace.command(words[0]);
    command.args(&words[1..]);
    command
}

fn examine(mut program: Command) -> Examined {
    Examined::new(program.args(["doctor", "--json", "-i", "vb"]).output().unwrap())
}

/// How a run captures from the interface, in the words of its first message, and the kilobytes of
/// memory that it takes when nothing comes.
fn run(mut command: Command) -> (String, u64) {
    command.args(["-i", "vb", "-o", "json:/dev/null"]).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = lines.filter_map(|line| Some(line.split_once("vb: AF_")?.1.to_owned()));
    let said = lines.next().expect("it captures");
    // Threads have started, and all memory is there.
    thread::sleep(Duration::from_millis(500));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes = memory.trim().trim_end_matches(" kB").parse().unwrap();
    support::signal(child.id(), Signal::SIGTERM).unwrap();
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    (said, kilobytes)
}

#[test]
fn what_is_said_is_what_happens() {
    const NO_PROC: &str = "umount -l /proc && exec \"$@\"";
    let cases: [(&str, &[&str]); 4] = [
        ("ip link set vb up", &[]),
        ("ip link set vb up", &["unshare", "-m", "sh", "-c", NO_PROC, "sh"]),
        ("ip link set vb up", &["setpriv", "--bounding-set", "-bpf", "--inh-caps", "-bpf"]),
        ("ip link set vb down", &[]),
    ];
    for (change, around) in cases {
        let Some(namespace) = Namespace::new() else { return };
        namespace.run(change);
        compare(&examine(program(&namespace, around)), run(program(&namespace, around)));
    }
}

/// What was said of an interface, and how a run captures from it.
fn compare(examined: &Examined, (said, kilobytes): (String, u64)) {
    let method = if said.starts_with("XDP") { "afxdp" } else { "packet" };
    assert_eq!(examined.method(), method, "{said} {}", examined.said);
    let text = examined.finding("memory")[1];
    let stated: u64 = text.split(' ').next().unwrap().parse().unwrap();
    let taken = kilobytes / 1024;
    assert!(stated.abs_diff(taken) <= stated / 10, "{text}: {taken} MiB");
}

/// The doctor and the run ask the same function.
#[test]
fn memory_that_a_limit_forbids_is_found() {
    let Some(namespace) = Namespace::new() else { return };
    let limited = ["prlimit", "--as=100000000"];
    let examined = examine(program(&namespace, &limited));
    let [level, text, remedy] = examined.finding("memory");
    assert_eq!((examined.status, examined.method(), level), (1, "none", "fail"), "{text}");
    assert!(text.contains("ulimit -v") && remedy.contains("--max-flows"), "{text} {remedy}");
    let mut run = program(&namespace, &limited);
    let output = run.args(["-i", "vb", "-o", "json:/dev/null"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("ulimit -v"), "{said}");
    // Enough for flows, and not for the sockets as well.
    let examined = examine(program(&namespace, &["prlimit", "--as=230000000"]));
    let [level, text, _] = examined.finding("memory");
    assert!(level == "warn" && text.contains("ulimit -v"), "{level} {text}");
}

/// Runs a function where a system call fails, as a container's filter has it: with any first
/// argument, or with this one. Programs that the function starts inherit the filter.
fn without_call<T: Send>(
    (call, first): (i64, Option<u64>),
    errno: Errno,
    function: impl FnOnce() -> T + Send,
) -> T {
    let condition = |value| {
        let one = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
        SeccompRule::new(vec![one.unwrap()]).unwrap()
    };
    let rules = [(call, first.map(condition).into_iter().collect())].into();
    let action = SeccompAction::Errno(u32::try_from(errno as i32).unwrap());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    thread::scope(|scope| {
        let filtered = scope.spawn(|| {
            // For this thread and what it starts.
            seccompiler::apply_filter(&filter).unwrap();
            function()
        });
        filtered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn what_is_said_is_what_happens_where_system_calls_are_forbidden() {
    const XDP: u64 = libc::AF_XDP.unsigned_abs() as u64;
    const PACKET: u64 = libc::AF_PACKET.unsigned_abs() as u64;
    let errors = [Errno::EPERM, Errno::ENOSYS, Errno::EACCES];
    for errno in errors {
        for call in [(libc::SYS_bpf, None), (libc::SYS_socket, Some(XDP))] {
            let Some(namespace) = Namespace::new() else { return };
            without_call(call, errno, || {
                let examined = examine(program(&namespace, &[]));
                assert_eq!(examined.method(), "packet", "{errno}, {call:?}: {}", examined.said);
                compare(&examined, run(program(&namespace, &[])));
            });
        }
        let Some(namespace) = Namespace::new() else { return };
        without_call((libc::SYS_socket, Some(PACKET)), errno, || {
            let examined = examine(program(&namespace, &[]));
            let why = examined.finding("capture")[1].strip_prefix("would not work: ");
            let why = why.unwrap_or_else(|| panic!("{errno}: {}", examined.said));
            assert_eq!((examined.status, examined.method()), (1, "none"), "{}", examined.said);
            let output = program(&namespace, &[]).args(["-i", "vb"]).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains(why) && output.status.code() == Some(1), "{why}: {said}");
        });
    }
}

#[test]
fn interface_that_the_host_needs_is_left_to_it() {
    let needs: [(&[&str], &str); 6] = [
        (&["ip addr add 192.0.2.1/24 dev vb"], "it has the address 192.0.2.1"),
        // getifaddrs shows such an address under another name.
        (&["ip addr add 192.0.2.1/32 dev vb label vb:7"], "it has the address 192.0.2.1"),
        (&["ip -6 addr add 2001:db8::1/64 dev vb nodad"], "it has the address 2001:db8::1"),
        // Neither the main table nor an address of its own.
        (
            &["ip route add 198.51.100.0/24 dev vb table 77"],
            "the route to 198.51.100.0/24 leads over it",
        ),
        (&["ip link add br7 type bridge", "ip link set vb master br7"], "it is part of br7"),
        (&["ip link add link vb name mac7 type macvlan"], "mac7 is on top of it"),
    ];
    for (commands, reason) in needs {
        let Some(namespace) = Namespace::new() else { return };
        assert_eq!(namespace.doctor("vb").said["interface"]["consumable"], true);
        commands.iter().for_each(|command| namespace.run(command));
        let examined = namespace.doctor("vb");
        assert_eq!((examined.status, examined.method()), (0, "packet"), "{reason}");
        let [level, text, _] = examined.finding("host");
        assert_eq!(level, "note");
        assert!(text.contains(reason), "{reason}: {text}");
        // The other end has nothing to do with it.
        assert_eq!(namespace.doctor("va").method(), "afxdp", "{reason}");
    }
}

#[test]
fn without_capabilities_they_are_named() {
    if !nix::unistd::geteuid().is_root() {
        return support::skip_without("root");
    }
    const NOBODY: u32 = 65_534;
    let folder = support::scratch();
    let mut program = Command::new(support::flowprobe_for_all(folder.path()));
    let output =
        program.args(["doctor", "--json", "-i", "lo"]).uid(NOBODY).gid(NOBODY).output().unwrap();
    let examined = Examined::new(output);
    assert_eq!((examined.status, examined.method()), (1, "none"));
    let [level, text, remedy] = examined.finding("capabilities");
    assert_eq!((level, text), ("fail", "without CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF"));
    assert!(remedy.contains("AmbientCapabilities="), "{remedy}");
}

#[test]
fn text_is_plain_where_it_is_no_terminal() {
    let output = support::flowprobe().args(["doctor", "-i", "lo", "-i", "lo"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\x1b'), "{text}");
    let headings = text.lines().filter(|line| *line == "lo").count();
    assert_eq!(headings, 2, "{text}");
    assert!(text.lines().any(|line| line.starts_with("  note  host ")), "{text}");
}

#[test]
fn missing_interface_is_an_error() {
    let output = support::flowprobe().args(["doctor", "-i", "none-such"]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &[][..]));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("cannot find interface none-such: no such device"), "{message}");
    let output = support::flowprobe().arg("doctor").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("flowprobe doctor -i eth1"), "{message}");
}
