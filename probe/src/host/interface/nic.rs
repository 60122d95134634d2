//! Packets that a network card and its driver have dropped, by their counters.

use std::io;

use super::netlink::{Netlink, Question, field};

/// Counts of an interface since it was created, or since its driver reset them.
///
/// They are causes and must never be summed. Drivers count different things in them, some count a
/// packet twice, and packets that are dropped after the capture are counted too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NicCounters {
    /// Packets that arrived without errors and that the driver gave to the kernel.
    pub(crate) received: u64,
    /// The card had no room, because its ring was not emptied fast enough. These are not captured.
    missed: u64,
    /// Dropped by the driver or the kernel. They include valid packets of protocols that the host
    /// does not use, though AF_PACKET captured them, and with some drivers packets that XDP
    /// dropped.
    dropped: u64,
    /// With most drivers the same as `missed`, or a part of it.
    overruns: u64,
    /// The card's own memory overflowed. With some drivers the same as `missed`.
    fifo: u64,
    /// Arrived at an inactive port of a bond.
    no_handler: u64,
    /// Damaged on the wire in any way.
    errors: u64,
}

impl NicCounters {
    /// Queries the counters of an interface by its index. No capability is needed.
    ///
    /// # Errors
    ///
    /// The error of the kernel: `ENODEV` if there is no such interface.
    pub(crate) fn read(index: u32) -> io::Result<Self> {
        // Family and padding, index, selection of statistics (struct if_stats_msg).
        let mut body = vec![0; 4];
        body.extend(index.to_ne_bytes());
        body.extend((1_u32 << (LINK_64 - 1)).to_ne_bytes());
        let one = Question { kind: GET_STATISTICS, all: false, body: &body };
        let mut counters = None;
        Netlink::open()?.ask(one, |answer| {
            counters = answer.attributes(HEADER_OCTETS).find(LINK_64).map(Self::new);
        })?;
        counters.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// From `struct rtnl_link_stats64`, which is shorter in older kernels.
    fn new(statistics: &[u8]) -> Self {
        let number = |place: usize| field(statistics, place * 8).map_or(0, u64::from_ne_bytes);
        Self {
            received: number(0),
            missed: number(15),
            dropped: number(6),
            overruns: number(11),
            fifo: number(14),
            no_handler: number(23),
            errors: number(4),
        }
    }

    /// Differences from an earlier reading, by cause. A count that is lower than before was reset
    /// to 0. Drivers may do that at any time, so differences must be added up each second.
    pub(crate) fn since(&self, earlier: &Self) -> [(&'static str, u64); 6] {
        let since = |count: fn(&Self) -> u64| {
            let (now, before) = (count(self), count(earlier));
            now.checked_sub(before).unwrap_or(now)
        };
        [
            ("nic_missed", since(|counters| counters.missed)),
            ("nic_dropped", since(|counters| counters.dropped)),
            ("nic_overruns", since(|counters| counters.overruns)),
            ("nic_fifo", since(|counters| counters.fifo)),
            ("nic_no_handler", since(|counters| counters.no_handler)),
            ("nic_errors", since(|counters| counters.errors)),
        ]
    }
}

/// linux/rtnetlink.h, linux/if_link.h: `RTM_GETSTATS`, `IFLA_STATS_LINK_64`.
const GET_STATISTICS: u16 = 94;
const LINK_64: u16 = 1;
const HEADER_OCTETS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::interface::Interface;
    use crate::host::namespace::{in_namespace, ip};

    #[test]
    fn statistics_are_read_from_their_places() {
        let words: Vec<u8> = (100..125_u64).flat_map(u64::to_ne_bytes).collect();
        let read = NicCounters::new(&words);
        let expected = NicCounters {
            received: 100,
            missed: 115,
            dropped: 106,
            overruns: 111,
            fifo: 114,
            no_handler: 123,
            errors: 104,
        };
        assert_eq!(read, expected);
        // Before Linux 4.6 the last one did not exist.
        let older = NicCounters { no_handler: 0, ..expected };
        assert_eq!(NicCounters::new(&words[..23 * 8]), older);
        assert_eq!(NicCounters::new(&[]), NicCounters::default());
    }

    #[test]
    fn counts_go_on_from_an_earlier_reading_or_begin_again() {
        let earlier = NicCounters { missed: 5, dropped: u64::MAX, ..NicCounters::default() };
        let now = NicCounters { missed: 12, dropped: 3, errors: 1, ..NicCounters::default() };
        let expected = [
            ("nic_missed", 7),
            ("nic_dropped", 3),
            ("nic_overruns", 0),
            ("nic_fifo", 0),
            ("nic_no_handler", 0),
            ("nic_errors", 1),
        ];
        assert_eq!(now.since(&earlier), expected);
        assert!(now.since(&now).iter().all(|(_, count)| *count == 0));
    }

    #[test]
    fn packets_that_nobody_wants_are_counted_by_the_kernel() {
        in_namespace(|| {
            ip("link add va type veth peer name vb");
            ip("link set va up");
            ip("link set vb up");
            let vb = Interface::find("vb").unwrap().index;
            let before = NicCounters::read(vb).unwrap();
            let socket = crate::capture::packet::tests::Sender::new("va");
            // The kernel has no protocol of this number.
            (0..7).for_each(|_| socket.send(&[&[2; 12][..], &[0x88, 0xb5], &[0; 50]].concat()));
            let counted: Vec<_> = NicCounters::read(vb).unwrap().since(&before).into();
            let counted: Vec<_> = counted.into_iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counted, [("nic_dropped", 7)]);
            ip("link del vb");
            let gone = NicCounters::read(vb).unwrap_err();
            assert_eq!(gone.raw_os_error(), Some(libc::ENODEV));
        });
    }
}
