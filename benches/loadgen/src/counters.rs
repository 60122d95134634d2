//! Counters of the driver for frames that a program in the kernel sends.

use std::process::Command;

use anyhow::{Context, Result, bail};
use commands::debian;

/// Counts since the interface was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Transmitted {
    pub(super) sent: u64,
    pub(super) refused: u64,
}

impl Transmitted {
    /// Reads the counters. The statistics of all packets cannot be used: on a virtual pair they
    /// count the packets that the other end has processed.
    pub(super) fn read(interface: &str) -> Result<Self> {
        let mut command = Command::new("ethtool");
        let output = command.args(["--statistics", interface]).env("PATH", debian::path()).output();
        let output = output.with_context(|| format!("starting {command:?}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(counts) = Self::of(&text) else {
            bail!(
                "the driver of {interface} does not count frames that are redirected to it \
                 (xdp_xmit in ethtool -S): the number of sent frames would be unknown"
            );
        };
        Ok(counts)
    }

    /// Sums the counters of queues in the output of `ethtool`.
    fn of(text: &str) -> Option<Self> {
        let sum = |suffix: &str| {
            let counters = text.lines().filter_map(|line| line.trim().split_once(": "));
            let queues = counters.filter(|(name, _)| {
                name.starts_with("tx") && name.trim_end_matches(':').ends_with(suffix)
            });
            let values = queues.filter_map(|(_, value)| value.trim().parse::<u64>().ok());
            values.fold(None, |sum, value| Some(sum.unwrap_or(0) + value))
        };
        let sent = sum("_xdp_xmit")?;
        Some(Self { sent, refused: sum("_xdp_xmit_errors").unwrap_or(0) })
    }

    /// Difference from earlier counts.
    pub(super) fn since(self, before: Self) -> Self {
        Self { sent: self.sent - before.sent, refused: self.refused - before.refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_add_up() {
        let text = "NIC statistics:\n     peer_ifindex: 2\n     rx_queue_0_xdp_packets: 7\n     \
                    tx_queue_0_xdp_xmit: 40\n     tx_queue_0_xdp_xmit_errors: 1\n     \
                    tx_queue_1_xdp_xmit: 2\n     tx_queue_1_xdp_xmit_errors: 0\n";
        assert_eq!(Transmitted::of(text), Some(Transmitted { sent: 42, refused: 1 }));
        assert_eq!(Transmitted::of("NIC statistics:\n     peer_ifindex: 2\n"), None);
    }
}
