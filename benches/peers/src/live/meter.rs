//! The programs during capture: how to start them, and how to read their counts.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{SysconfVar, sysconf};

use super::link::{COLLECTOR, Link};
use crate::program::{Program, statistics};
use commands::debian;

/// A program and its capture method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meter {
    FlowprobeXdp,
    FlowprobePacket,
    Softflowd,
    Nfpcapd,
}

/// Counts that a program reports for a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) metered: u64,
    /// Packets that it knows to be lost.
    pub(super) lost: u64,
}

/// A running meter.
#[derive(Debug)]
pub(super) struct Running {
    meter: Meter,
    program: Program,
}

/// The processor that only the program uses.
const PROCESSOR: &str = "0";

/// Maximum time for a program to start, to catch up or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that was idle for this time has caught up.
const LOOK: Duration = Duration::from_millis(700);

/// Maximum number of packets in a block of libpcap's memory.
const BLOCK_PACKETS: u64 = 4096;

/// Packet memory of the programs that read packet sockets: the default of our program.
const BUFFER_MIB: u32 = 64;

impl Meter {
    pub(super) const ALL: [Self; 4] =
        [Self::FlowprobeXdp, Self::FlowprobePacket, Self::Softflowd, Self::Nfpcapd];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FlowprobeXdp => "flowprobe, AF_XDP",
            Self::FlowprobePacket => "flowprobe, AF_PACKET",
            Self::Softflowd => "softflowd",
            Self::Nfpcapd => "nfpcapd",
        }
    }

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::FlowprobeXdp | Self::FlowprobePacket)
    }

    /// Whether the program is installed. Prints a message if not.
    pub(super) fn is_there(self) -> bool {
        let there = match self {
            Self::FlowprobeXdp | Self::FlowprobePacket => true,
            Self::Softflowd | Self::Nfpcapd => {
                Command::new(self.name()).arg("-h").env("PATH", debian::path()).output().is_ok()
            }
        };
        if !there {
            println!("{} is missing: left out", self.name());
        }
        there
    }

    /// Starts the program with room for these flows, and waits until it captures. `more` are
    /// arguments of our own program.
    pub(super) fn start(
        self,
        flowprobe: &Path,
        memory: &Path,
        link: &Link,
        flows: u32,
        more: &[&str],
    ) -> Result<Running> {
        let folder = memory.join("live");
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let mut command = link.receiving("taskset");
        command.args(["-c", PROCESSOR]);
        // Twice the flows, because a full table would be another measurement.
        let room = flows.saturating_mul(2).max(8192).to_string();
        match self {
            Self::FlowprobeXdp | Self::FlowprobePacket => {
                let method = if self == Self::FlowprobeXdp { "afxdp" } else { "packet" };
                command.arg(flowprobe).args(["-i", "rx0", "--capture", method]);
                command.args(["--max-flows", &room, "--stats", "json", "-o"]);
                command.arg(format!("netflow9://{COLLECTOR}"));
                if self == Self::FlowprobeXdp {
                    command.arg("--take-interface");
                }
                command.args(more);
            }
            Self::Softflowd => {
                let buffer = (u64::from(BUFFER_MIB) << 20).to_string();
                command.args(["softflowd", "-i", "rx0", "-n", COLLECTOR, "-v", "9", "-d"]);
                command.args(["-m", &room, "-B", &buffer]);
                for timeout in ["general=15", "tcp=15", "udp=15", "maxlife=60"] {
                    command.args(["-t", timeout]);
                }
                command.arg("-c").arg(folder.join("control")).arg("-p").arg(folder.join("id"));
            }
            Self::Nfpcapd => {
                let flows = folder.join("flows");
                fs::create_dir_all(&flows).context("making a folder for nfpcapd")?;
                command.args(["nfpcapd", "-i", "rx0", "-t", "3600", "-e", "60,15"]);
                command.args(["-B", &room, "-b", &BUFFER_MIB.to_string(), "-w"]).arg(flows);
            }
        }
        let mut program = Program::start(self.name(), command, folder, PATIENCE)?;
        program.wait_until("it captures", |program| Ok(self.captures(program)))?;
        Ok(Running { meter: self, program })
    }

    fn captures(self, program: &Program) -> bool {
        let messages = program.messages();
        match self {
            Self::FlowprobeXdp | Self::FlowprobePacket => messages.contains("rx0: "),
            Self::Softflowd => {
                messages.contains("Exporting flows") && program.folder.join("control").exists()
            }
            Self::Nfpcapd => messages.contains("Startup nfpcapd"),
        }
    }
}

impl Running {
    /// The same to the nanosecond, of the threads that have not ended.
    pub(super) fn exact_time(&self) -> Result<Duration> {
        Ok(self.program.threads()?.iter().map(|(_, time)| *time).sum())
    }

    /// Processor time of all its threads so far, including the kernel's part.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        processor_time(self.program.id())
    }

    /// Waits until it has processed all waiting packets and is idle.
    pub(super) fn catch_up(&mut self) -> Result<()> {
        let mut before = Duration::ZERO;
        self.program.wait_until("it has caught up", |program| {
            thread::sleep(LOOK);
            let now = processor_time(program.id()).unwrap_or_default();
            let busy = now.saturating_sub(std::mem::replace(&mut before, now));
            Ok(busy < LOOK / 20)
        })
    }

    /// Ends it and reads its counts.
    pub(super) fn finish(mut self) -> Result<Counts> {
        match self.meter {
            Meter::FlowprobeXdp | Meter::FlowprobePacket => {
                self.program.end()?;
                of_flowprobe(&self.program.messages())
            }
            Meter::Softflowd => {
                let counts = self.of_softflowd()?;
                // Ends at once, without exporting its flows.
                self.control("exit")?;
                self.program.wait()?;
                Ok(counts)
            }
            Meter::Nfpcapd => {
                self.program.end()?;
                of_nfpcapd(&self.program.messages())
            }
        }
    }

    fn control(&self, what: &str) -> Result<String> {
        let mut command = Command::new("softflowctl");
        command.arg("-c").arg(self.program.folder.join("control")).arg(what);
        let output = command.env("PATH", debian::path()).output().context("softflowctl")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Queries the running program. It sees some of the last packets only when more come, because
    /// they wait in a block of libpcap's memory that is not full. So the packets that libpcap has
    /// received are counted.
    fn of_softflowd(&self) -> Result<Counts> {
        let text = self.control("statistics")?;
        let lost = number_after(&text, "Packets dropped by libpcap: ")?;
        let metered = number_after(&text, "Packets received by libpcap: ")?.saturating_sub(lost);
        let processed = number_after(&text, "Packets processed: ")?;
        ensure!(processed + BLOCK_PACKETS > metered, "softflowd has not caught up: {text}");
        Ok(Counts { metered, lost })
    }
}

/// Processor time of all threads of a process so far, including the kernel's part.
fn processor_time(process: u32) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let (_, fields) = stat.rsplit_once(") ").context("a state after the name")?;
    // Fields 14 and 15 of all fields. The text begins with the third one.
    let fields = fields.split(' ').skip(11).take(2);
    let ticks: u64 = fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("ticks have a length")?;
    Ok(Duration::from_nanos(ticks * 1_000_000_000 / u64::try_from(per_second)?))
}

fn of_flowprobe(messages: &str) -> Result<Counts> {
    let stats = statistics(messages)?;
    let Some(received) = stats["received"]["packets"].as_u64() else { bail!("{stats}") };
    let interfaces = stats["interfaces"].as_array().context("live statistics")?;
    let lost = interfaces.iter().filter_map(|interface| interface["lost"].as_u64()).sum();
    Ok(Counts { metered: received, lost })
}

fn of_nfpcapd(messages: &str) -> Result<Counts> {
    Ok(Counts {
        metered: number_after(messages, "Total: Processed: ")?,
        lost: number_after(messages, "dropped by OS/Buffer: ")?,
    })
}

/// The number after the last occurrence of these words.
fn number_after(text: &str, words: &str) -> Result<u64> {
    let (_, rest) = text.rsplit_once(words).with_context(|| format!("no {words} in {text}"))?;
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next().unwrap_or("");
    digits.parse().with_context(|| format!("no number after {words} in {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_programs_print() {
        let text = "Stat: received: 9, dropped by OS/Buffer: 3, freeze_q_cnt: 0\nProcessed: 5,\n\
                    Total: Processed: 6, skipped: 0\n";
        assert_eq!(of_nfpcapd(text).unwrap(), Counts { metered: 6, lost: 3 });
        let text = "info: rx0: AF_XDP\n{\"received\":{\"packets\":7},\"interfaces\":[{\"lost\":1},\
                    {\"lost\":2}]}\n";
        assert_eq!(of_flowprobe(text).unwrap(), Counts { metered: 7, lost: 3 });
        assert!(of_flowprobe("error: no").is_err());
    }
}
