//! Idle timeouts of single protocols.

use std::time::Duration;

use clap::Args;
use flow::number::protocol;

use super::values::timeout;

/// Settings of timeouts by protocol.
#[derive(Clone, Debug, Args)]
pub(crate) struct TimeoutArguments {
    /// Idle timeout of a protocol in place of --idle-timeout: tcp=5min, udp=30s, icmp=5s (of IPv4
    /// and IPv6), or a number such as 132=1min; may be given several times
    #[arg(long, value_name = "PROTOCOL=TIME", value_parser = protocol_timeout)]
    pub(crate) protocol_timeout: Vec<ProtocolTimeout>,
}

/// An idle timeout, and the protocols that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProtocolTimeout {
    numbers: Vec<u8>,
    time: Duration,
}

/// Protocols by the names that other probes have for them.
const NAMED: [(&str, &[u8]); 3] = [
    ("tcp", &[protocol::TCP]),
    ("udp", &[protocol::UDP]),
    ("icmp", &[protocol::ICMP, protocol::ICMPV6]),
];

fn protocol_timeout(text: &str) -> Result<ProtocolTimeout, String> {
    let needed = "PROTOCOL=TIME is needed, such as udp=30s, with tcp, udp, icmp or a number";
    let (name, time) = text.split_once('=').ok_or(needed)?;
    let named = NAMED.iter().find(|(known, _)| *known == name);
    let numbers = match named {
        Some((_, numbers)) => numbers.to_vec(),
        None => vec![name.parse().map_err(|_error| needed)?],
    };
    Ok(ProtocolTimeout { numbers, time: timeout(time)? })
}

impl TimeoutArguments {
    /// The protocol numbers with their idle timeouts.
    pub(super) fn idle(&self) -> Vec<(u8, Duration)> {
        let all = self.protocol_timeout.iter();
        all.flat_map(|it| it.numbers.iter().map(|number| (*number, it.time))).collect()
    }

    /// A protocol that has two timeouts.
    pub(super) fn problem(&self) -> Option<String> {
        let idle = self.idle();
        let mut numbers = idle.iter().map(|(number, _)| *number).enumerate();
        let is_known = |index: usize, number| idle.iter().take(index).any(|it| it.0 == number);
        let (_, number) = numbers.find(|(index, number)| is_known(*index, *number))?;
        Some(format!("--protocol-timeout: protocol {number} has two"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_have_names_or_numbers() {
        let check = |text: &str, numbers: &[u8], seconds| {
            let expected =
                ProtocolTimeout { numbers: numbers.to_vec(), time: Duration::from_secs(seconds) };
            assert_eq!(protocol_timeout(text), Ok(expected), "{text}");
        };
        check("tcp=5min", &[6], 300);
        check("icmp=5s", &[1, 58], 5);
        check("0=1s", &[0], 1);
        check("255=1day", &[255], 86_400);
        for text in ["", "tcp", "=5s", "tcp=", "tcp=0s", "tcp=2day", "256=1s", "sctp=1s", "-1=1s"] {
            assert!(protocol_timeout(text).is_err(), "{text}");
        }
    }
}
