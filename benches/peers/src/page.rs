//! What the page costs while somebody looks at it: in a replay, and in live capture.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::rounds::{Rounds, Spread};
use super::tool::{FLOWS_MAX_LEAST, Place, with_room};
use super::trace::{Recipe, Trace};

/// What the page asks for once a second, as long as it is open.
const QUESTIONS: [&str; 3] = [
    "/api/v1/summary",
    "/api/v1/series?span=5m",
    "/api/v1/top?of=source&by=octets&span=5m&size=15",
];

const PERIOD: Duration = Duration::from_secs(1);

/// Maximum time of a replay, and of an answer.
const PATIENCE: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(5);

/// Runs without a page and with one that is open, in turn.
#[derive(Debug)]
pub(super) struct Cost {
    /// Of a packet, in nanoseconds: time for a replay, processor time for live capture.
    nanos: [Spread; 2],
    processor: [Spread; 2],
}

impl Cost {
    /// From values without and with a page.
    pub(super) fn of(nanos: [Vec<f64>; 2], processor: [Vec<f64>; 2]) -> Self {
        Self { nanos: nanos.map(Spread::of), processor: processor.map(Spread::of) }
    }
}

impl Display for Cost {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let [without, with] = self.nanos.map(|spread| spread.median);
        let [before, after] = self.processor.map(|spread| spread.median);
        write!(
            out,
            "{:.2} Mpps without a page, {:.3} of it with one that is open; \
             {before:.1} ns of CPU a packet, {:.3} of it",
            1e3 / without,
            without / with,
            after / before
        )
    }
}

/// Somebody who looks at a page until this is dropped.
pub(super) struct Viewer {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Result<u32>>,
}

impl Viewer {
    /// Opens a page that answers already. `enter` is done first by the thread.
    pub(super) fn open(
        page: SocketAddr,
        enter: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            enter()?;
            let (mut answers, mut connection) = (0, Connection { page, stream: None });
            while !ends.load(Ordering::Relaxed) {
                for question in QUESTIONS {
                    connection.ask(question).with_context(|| format!("asking for {question}"))?;
                    answers += 1;
                }
                thread::park_timeout(PERIOD);
            }
            Ok(answers)
        });
        Self { is_over, thread }
    }

    /// Closes it. All questions must have been answered.
    pub(super) fn close(self) -> Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        let answers = self.thread.join().map_err(|_panic| anyhow!("the viewer has failed"))??;
        ensure!(answers > 0, "nobody has looked at the page");
        Ok(())
    }
}

/// A connection that is used again as long as the page keeps it, as browsers do.
struct Connection {
    page: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    fn ask(&mut self, path: &str) -> Result<()> {
        if let Some(stream) = self.stream.as_mut()
            && converse(stream, self.page, path)? == Outcome::Answered
        {
            return Ok(());
        }
        let stream = TcpStream::connect(self.page)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let outcome = converse(self.stream.insert(BufReader::new(stream)), self.page, path)?;
        ensure!(outcome == Outcome::Answered, "the page has ended a new connection");
        Ok(())
    }
}

#[derive(PartialEq, Eq)]
enum Outcome {
    Answered,
    /// The page had ended the connection.
    Ended,
}

/// Sends a question and reads the answer to its end.
fn converse(stream: &mut BufReader<TcpStream>, page: SocketAddr, path: &str) -> Result<Outcome> {
    let (mut line, mut length) = (String::new(), None);
    let asked = write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: {page}\r\n\r\n");
    match asked.and_then(|()| stream.read_line(&mut line)) {
        Ok(0) => return Ok(Outcome::Ended),
        Err(error) if matches!(error.kind(), BrokenPipe | ConnectionReset) => {
            return Ok(Outcome::Ended);
        }
        all => all?,
    };
    ensure!(line.starts_with("HTTP/1.1 200"), "{line}");
    while line.trim_end() != "" {
        line.clear();
        stream.read_line(&mut line)?;
        if let Some(value) = line.strip_prefix("content-length:") {
            length = Some(value.trim().parse()?);
        }
    }
    stream.read_exact(&mut vec![0; length.context("an answer has a length")?])?;
    Ok(Outcome::Answered)
}

/// A replay without a page, and with one.
pub(super) fn replays(
    place: &Place,
    folder: &Path,
    recipe: &Recipe,
    rounds: Rounds,
) -> Result<Cost> {
    let trace = recipe.make(folder, recipe.packets)?;
    trace.warm()?;
    let (mut nanos, mut processor) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    for round in 0..rounds.discarded + rounds.counted {
        for (with_page, name) in ["without", "with"].into_iter().enumerate() {
            // The first run waits for memory of the host.
            replay(place, &trace, with_page == 1)?;
            let [seconds, cpu] = replay(place, &trace, with_page == 1)?;
            let packets = trace.sums.packets as f64;
            println!("{:5} {name:7} {:>8.2} Mpps", recipe.name, packets / seconds / 1e6);
            if round >= rounds.discarded {
                nanos[with_page].push(seconds * 1e9 / packets);
                processor[with_page].push(cpu * 1e9 / packets);
            }
        }
    }
    Ok(Cost::of(nanos, processor))
}

/// Replays a trace. Returns its time by the program's own count, and its processor time.
fn replay(place: &Place, trace: &Trace, with_page: bool) -> Result<[f64; 2]> {
    let messages = place.memory.join("messages");
    let flows_max = with_room(trace.sums.flows.max(FLOWS_MAX_LEAST));
    let page = free_address()?;
    let mut command = Command::new(&place.flowprobe);
    command.arg("-r").arg(&trace.path).args(["--stats", "json", "-o", "ipfix-file:/dev/null"]);
    command.args(["--max-flows", &flows_max]).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(File::create(&messages).context("making a file for messages")?);
    if with_page {
        command.args(["--http", &page.to_string()]);
    }
    let said = || fs::read_to_string(&messages).unwrap_or_default();
    let before = of_children()?;
    let mut child = Started(command.spawn().context("starting flowprobe")?);
    if with_page {
        wait_until("the page is at", said)?;
        let viewer = Viewer::open(page, || Ok(()));
        wait_until("the page stays", said)?;
        viewer.close()?;
        let id = Pid::from_raw(i32::try_from(child.0.id())?);
        kill(id, Signal::SIGTERM).context("asking the program to end")?;
    }
    let status = child.0.wait().context("waiting for the program")?;
    let said = said();
    ensure!(status.success(), "flowprobe: {said}");
    let line = said.lines().rev().find(|line| line.starts_with('{')).unwrap_or_default();
    let stats: Value = serde_json::from_str(line).with_context(|| format!("statistics: {line}"))?;
    let metered = stats["metered"]["packets"].as_u64();
    ensure!(metered == Some(trace.sums.packets), "not all was metered: {stats}");
    let seconds = stats["seconds"].as_f64().context("a time")?;
    Ok([seconds, of_children()? - before])
}

/// A program, which is killed if a measurement fails.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        // It has ended already, unless a measurement has failed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn wait_until(words: &str, said: impl Fn() -> String) -> Result<()> {
    let begin = Instant::now();
    while !said().contains(words) {
        ensure!(begin.elapsed() < PATIENCE, "not in time: {words}: {}", said());
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// An address of the loopback that is free now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Processor time of all programs that have ended, in seconds.
fn of_children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking what programs took")?;
    let cpu = [usage.user_time(), usage.system_time()];
    let micros: i64 = cpu.iter().map(|time| time.tv_sec() * 1_000_000 + time.tv_usec()).sum();
    Ok(micros as f64 / 1e6)
}
