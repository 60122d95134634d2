//! Addresses and routes that interfaces get while the program runs (rtnetlink's groups).

use std::collections::BTreeSet;
use std::io;

use super::netlink::Netlink;
use super::{address_index, route_indexes};

/// Hears of new addresses and routes.
#[derive(Debug)]
pub(crate) struct Changes {
    netlink: Netlink,
}

impl Changes {
    /// Begins to listen, in the network namespace of this thread. No right is needed.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn open() -> io::Result<Self> {
        let groups = libc::RTMGRP_IPV4_IFADDR
            | libc::RTMGRP_IPV6_IFADDR
            | libc::RTMGRP_IPV4_ROUTE
            | libc::RTMGRP_IPV6_ROUTE;
        Ok(Self { netlink: Netlink::open_for_groups(groups.unsigned_abs())? })
    }

    /// Interfaces that an address or a route came to since the last call; `None` if it is not
    /// known, because there was too much news.
    pub(crate) fn take(&mut self) -> Option<BTreeSet<u32>> {
        let mut touched = BTreeSet::new();
        let all_heard = self.netlink.hear(|kind, answer| match kind {
            libc::RTM_NEWADDR => touched.extend([address_index(answer)]),
            libc::RTM_NEWROUTE => touched.extend(route_indexes(answer)),
            _ => {}
        });
        all_heard.is_ok().then_some(touched)
    }
}
