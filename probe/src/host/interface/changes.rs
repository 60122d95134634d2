//! Changes of interfaces while the program runs, and the addresses and routes that they get
//! (multicast groups of rtnetlink).

use std::collections::BTreeSet;
use std::io;

use super::netlink::Netlink;
use super::network::{address_index, route_indexes};

/// Receives news of changed links and of new addresses and routes.
#[derive(Debug)]
pub(crate) struct Changes {
    netlink: Netlink,
}

/// Changes since the last call.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// A link was added, removed or changed.
    pub(crate) links: bool,
    /// Interfaces that got an address or a route.
    pub(crate) touched: BTreeSet<u32>,
    /// Messages were lost: anything may have changed.
    pub(crate) is_incomplete: bool,
}

impl Changes {
    /// Starts to listen, in the network namespace of this thread. No capability is needed.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub(crate) fn open() -> io::Result<Self> {
        let groups = libc::RTMGRP_LINK
            | libc::RTMGRP_IPV4_IFADDR
            | libc::RTMGRP_IPV6_IFADDR
            | libc::RTMGRP_IPV4_ROUTE
            | libc::RTMGRP_IPV6_ROUTE;
        Ok(Self { netlink: Netlink::open_for_groups(groups.unsigned_abs())? })
    }

    /// Adds the changes since the last call.
    pub(crate) fn hear(&self, news: &mut News) {
        let News { links, touched, .. } = news;
        let all_heard = self.netlink.hear(|kind, answer| match kind {
            libc::RTM_NEWLINK | libc::RTM_DELLINK => *links = true,
            libc::RTM_NEWADDR => touched.extend([address_index(answer)]),
            libc::RTM_NEWROUTE => touched.extend(route_indexes(answer)),
            _ => {}
        });
        news.is_incomplete |= all_heard.is_err();
    }
}
