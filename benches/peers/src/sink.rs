//! A collector that only counts: NetFlow v9 and IPFIX over UDP.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, setsockopt, sockopt};

/// Counts of received data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) datagrams: u64,
    pub(super) records: u64,
    pub(super) packets: u64,
    pub(super) octets: u64,
}

/// A thread that reads until it must stop.
pub(super) struct Sink {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Received>>,
}

/// Datagrams that are received from the kernel at once.
const BATCH: usize = 64;

/// Maximum length of a datagram.
const DATAGRAM_MAX: usize = 9216;

/// Time without a datagram after which none is expected any more.
const QUIET: Duration = Duration::from_millis(200);

impl Sink {
    /// Binds a port of the loopback interface, with a receive buffer of `buffer` octets in the
    /// kernel.
    pub(super) fn open(buffer: usize) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("binding a UDP port")?;
        let address = socket.local_addr().context("asking for the port")?;
        socket.set_read_timeout(Some(QUIET)).context("setting the time to wait")?;
        // Only root may exceed net.core.rmem_max.
        if setsockopt(&socket, sockopt::RcvBufForce, &buffer).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &buffer).context("setting the buffer")?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = thread::spawn(move || read(&socket, &until));
        Ok(Self { address, stop, thread })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Receives the remaining datagrams and ends.
    pub(super) fn finish(self) -> Result<Received> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(received) => received,
            Err(_) => bail!("the sink has failed"),
        }
    }
}

fn read(socket: &UdpSocket, stop: &AtomicBool) -> Result<Received> {
    let mut counter = Counter::default();
    let mut buffers = vec![[0; DATAGRAM_MAX]; BATCH];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    loop {
        let mut pieces: Vec<_> =
            buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        match recvmmsg(socket.as_raw_fd(), &mut headers, &mut pieces, flags, None) {
            Ok(messages) => {
                for message in messages {
                    for octets in message.iovs() {
                        counter.read(octets).context("reading a datagram of flows")?;
                    }
                }
            }
            Err(Errno::EAGAIN) if stop.load(Ordering::Relaxed) => return Ok(counter.received),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(io::Error::from(error)).context("receiving datagrams"),
        }
    }
}

/// Offsets of the counts in a record of a template.
#[derive(Clone, Copy, Debug, Default)]
struct Layout {
    length: usize,
    octets: Option<Field>,
    packets: Option<Field>,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    at: usize,
    length: usize,
}

#[derive(Debug, Default)]
struct Counter {
    received: Received,
    /// By observation domain and template ID.
    templates: HashMap<(u32, u16), Layout>,
}

/// octetDeltaCount and packetDeltaCount; in NetFlow v9 IN_BYTES and IN_PKTS.
const OCTETS: u16 = 1;
const PACKETS: u16 = 2;

impl Counter {
    fn read(&mut self, datagram: &[u8]) -> Result<()> {
        self.received.datagrams += 1;
        let (header, domain_at, template_set) = match u16_at(datagram, 0)? {
            9 => (20, 16, 0),
            10 => (16, 12, 2),
            version => bail!("version {version} is neither NetFlow v9 nor IPFIX"),
        };
        let domain = u32_at(datagram, domain_at)?;
        let mut rest = datagram.get(header..).context("cut in the header")?;
        while rest.len() >= 4 {
            let (id, length) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
            let set = rest.get(4..length).context("a set is longer than its datagram")?;
            if id == template_set {
                self.learn(domain, set)?;
            } else if let Some(layout) = self.templates.get(&(domain, id)) {
                count(layout, set, &mut self.received);
            }
            rest = &rest[length..];
        }
        Ok(())
    }

    /// Template records: ID, count of fields, then the type and length of each.
    fn learn(&mut self, domain: u32, set: &[u8]) -> Result<()> {
        let mut rest = set;
        while rest.len() >= 4 {
            let (id, fields) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
            let mut layout = Layout::default();
            rest = &rest[4..];
            for _ in 0..fields {
                let (kind, length) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
                let field = Some(Field { at: layout.length, length });
                match kind {
                    OCTETS => layout.octets = field,
                    PACKETS => layout.packets = field,
                    _ => {}
                }
                layout.length += length;
                // An enterprise number follows.
                rest = &rest[if kind & 0x8000 == 0 { 4 } else { 8 }..];
            }
            if id > 0 {
                self.templates.insert((domain, id), layout);
            }
        }
        Ok(())
    }
}

fn count(layout: &Layout, set: &[u8], received: &mut Received) {
    // Options have no packet counts.
    let (Some(octets), Some(packets)) = (layout.octets, layout.packets) else { return };
    for record in set.chunks_exact(layout.length) {
        received.records += 1;
        received.octets += number(record, octets);
        received.packets += number(record, packets);
    }
}

fn number(record: &[u8], field: Field) -> u64 {
    let octets = &record[field.at..field.at + field.length];
    octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

fn u16_at(octets: &[u8], at: usize) -> Result<u16> {
    let number = octets.get(at..).and_then(<[u8]>::first_chunk).context("cut short")?;
    Ok(u16::from_be_bytes(*number))
}

fn u32_at(octets: &[u8], at: usize) -> Result<u32> {
    let number = octets.get(at..).and_then(<[u8]>::first_chunk).context("cut short")?;
    Ok(u32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers as 16-bit words.
    fn octets(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn records_of_both_protocols_are_counted() {
        let sets = |template_set| {
            // A template of octets, protocol and packets, then two records and padding.
            let template = [template_set, 20, 300, 3, 1, 2, 4, 2, 2, 4];
            let records = [300, 24, 1500, 6, 0, 3, 40, 17, 0, 1, 0, 0];
            [&template[..], &records[..]].concat()
        };
        let v9 = octets(&[&[9, 3, 0, 0, 0, 0, 0, 0, 0, 7][..], &sets(0)].concat());
        let ipfix = octets(&[&[10, 60, 0, 0, 0, 0, 0, 7][..], &sets(2)].concat());
        for datagram in [v9, ipfix] {
            let mut counter = Counter::default();
            counter.read(&datagram).unwrap();
            let expected = Received { datagrams: 1, records: 2, packets: 4, octets: 1540 };
            assert_eq!(counter.received, expected);
        }
    }
}
