//! Network namespaces for tests.

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, gettid};

/// Runs a test in its own namespace, if that is permitted.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    if !Uid::effective().is_root() {
        skip("root is not here");
        return;
    }
    let ended = thread::spawn(|| {
        enter();
        test();
    });
    if let Err(panic) = ended.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Prints that a test is skipped, and writes it to the file that the test command collects.
#[expect(clippy::print_stdout, reason = "it is for who looks at the tests")]
pub(crate) fn skip(reason: &str) {
    let this = thread::current();
    let line = format!("{}: {reason}", this.name().unwrap_or("a test"));
    println!("skipped: {line}");
    if let Some(path) = std::env::var_os("FLOWPROBE_SKIPS") {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// A second namespace, with a thread that runs jobs in it.
pub(crate) struct Elsewhere {
    jobs: Sender<Box<dyn FnOnce() + Send>>,
    /// The thread ID, by which `ip` finds the namespace.
    pub(crate) thread: String,
}

impl Elsewhere {
    pub(crate) fn new() -> Self {
        let (jobs, inbox) = channel::<Box<dyn FnOnce() + Send>>();
        let (tell, told) = channel();
        thread::spawn(move || {
            enter();
            tell.send(gettid()).unwrap();
            inbox.into_iter().for_each(|job| job());
        });
        Self { jobs, thread: told.recv().unwrap().to_string() }
    }

    /// Runs a job, and waits for its result.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (give, take) = channel();
        self.jobs.send(Box::new(move || drop(give.send(job())))).unwrap();
        take.recv().expect("the job is done")
    }
}

/// Creates a new namespace for this thread, in which no packets are sent automatically.
fn enter() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for which in ["all", "default"] {
        set(&format!("ipv6/conf/{which}/disable_ipv6"), "1");
    }
    ip("link set lo up");
}

/// Sets a sysctl of this thread's namespace.
pub(crate) fn set(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap();
}

/// Runs `ip` in this thread's namespace.
pub(crate) fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

/// Runs a program in this thread's namespace.
pub(crate) fn run(program: &str, arguments: &str) -> String {
    output(Command::new(program).args(arguments.split(' ')))
}

/// What a program prints. It must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {problem}");
    String::from_utf8(output.stdout).unwrap()
}
