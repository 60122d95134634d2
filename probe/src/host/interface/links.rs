//! All links of a network namespace, from one answer of the kernel.

use std::io;

use exporter::sentence;
use libc::{IFF_RUNNING, IFF_UP};

use super::AttachedXdp;
use super::netlink::{Answer, Attributes, Netlink, Question, attribute};

/// The kernel's data on a link.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The interface index of the kernel. It stays the same when the link is renamed.
    pub(crate) index: u32,
    pub(crate) name: String,
    /// Its other names (`ip link property add`).
    other_names: Vec<String>,
    /// `ARPHRD_` number.
    pub(super) hardware: u16,
    /// `IFF_` flags.
    pub(super) flags: u32,
    pub(crate) mtu: u32,
    pub(crate) master: Option<u32>,
    pub(super) kind: Option<String>,
    pub(super) rx_queues: u32,
    pub(super) xdp: Option<AttachedXdp>,
    /// The device below it, if it is in this namespace.
    below: Option<u32>,
}

/// All links of this thread's network namespace, without addresses, routes and statistics. Cheap
/// enough for one call per second. No capability is needed.
///
/// # Errors
///
/// The error of the kernel in one sentence. The links are unknown then.
pub(crate) fn links() -> Result<Vec<Link>, String> {
    Netlink::open().and_then(|mut netlink| ask(&mut netlink)).map_err(|error| unknown(&error))
}

/// The error that the links are unknown, in one sentence.
pub(super) fn unknown(error: &io::Error) -> String {
    let words = sentence(error);
    format!("cannot learn from the kernel which interfaces there are: {words}")
}

/// Like [`links`], with an open socket.
pub(super) fn ask(netlink: &mut Netlink) -> io::Result<Vec<Link>> {
    let mut body = vec![0; LINK_OCTETS];
    body.extend(attribute(libc::IFLA_EXT_MASK, &libc::RTEXT_FILTER_SKIP_STATS.to_ne_bytes()));
    let all = Question { kind: libc::RTM_GETLINK, all: true, body: &body };
    netlink.ask_for_list(all, |answer| Some(Link::read(answer)))
}

impl Link {
    /// Whether this is its name or one of its other names.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name || self.other_names.iter().any(|other| other == name)
    }

    /// Whether it was set up by the administrator.
    pub(crate) fn is_up(&self) -> bool {
        has(self.flags, IFF_UP)
    }

    /// Whether it is up and has a carrier.
    pub(crate) fn is_running(&self) -> bool {
        has(self.flags, IFF_RUNNING)
    }

    /// Whether it is part of another device, or another device is on top of it.
    pub(crate) fn is_part_of_another(&self, links: &[Self]) -> bool {
        self.master.is_some() || links.iter().any(|link| link.is_on(self.index))
    }

    /// Whether it is a device on top of another. The ends of a pair name each other, but this
    /// does not count.
    pub(crate) fn is_on(&self, index: u32) -> bool {
        let is_paired = matches!(self.kind.as_deref(), Some("veth" | "netkit" | "vxcan"));
        self.below == Some(index) && self.index != index && !is_paired
    }

    /// ```text
    ///  0       8       16              31
    /// | family|   0   |    ARPHRD      |   struct ifinfomsg
    /// |             index              |
    /// |             flags              |
    /// |             change             |
    /// ```
    fn read(answer: Answer<'_>) -> Self {
        let attributes = answer.attributes(LINK_OCTETS);
        let info = attributes.find(libc::IFLA_LINKINFO).map(Attributes);
        let is_below_elsewhere = attributes.find(libc::IFLA_LINK_NETNSID).is_some();
        let index = u32::from_ne_bytes(answer.fixed(4));
        Self {
            index,
            name: attributes.text(libc::IFLA_IFNAME).unwrap_or_else(|| index.to_string()),
            other_names: attributes
                .find(IFLA_PROP_LIST)
                .map_or_else(Vec::new, |list| Attributes(list).texts(IFLA_ALT_IFNAME).collect()),
            hardware: u16::from_ne_bytes(answer.fixed(2)),
            flags: u32::from_ne_bytes(answer.fixed(8)),
            mtu: attributes.number(libc::IFLA_MTU).unwrap_or_default(),
            below: attributes
                .number(libc::IFLA_LINK)
                .or_else(|| info.and_then(lower_of_vxlan))
                .filter(|_| !is_below_elsewhere),
            master: attributes.number(libc::IFLA_MASTER),
            kind: info.and_then(|info| info.text(libc::IFLA_INFO_KIND)),
            rx_queues: attributes.number(libc::IFLA_NUM_RX_QUEUES).unwrap_or(1).max(1),
            xdp: attributes.find(IFLA_XDP).and_then(|nested| attached_xdp(Attributes(nested))),
        }
    }
}

/// Whether an `IFF_` flag is set.
pub(super) fn has(flags: u32, flag: libc::c_int) -> bool {
    u32::try_from(flag).is_ok_and(|flag| flags & flag != 0)
}

/// The device over which a VXLAN sends. It is not in the attribute of other kinds.
fn lower_of_vxlan(info: Attributes<'_>) -> Option<u32> {
    let is_vxlan = info.text(libc::IFLA_INFO_KIND)? == "vxlan";
    let data = info.find(libc::IFLA_INFO_DATA).filter(|_| is_vxlan)?;
    Attributes(data).number(IFLA_VXLAN_LINK).filter(|&index| index > 0)
}

fn attached_xdp(nested: Attributes<'_>) -> Option<AttachedXdp> {
    let mode = match nested.find(IFLA_XDP_ATTACHED)?.first()? {
        0 => return None,
        1 => "driver",
        2 => "generic",
        3 => "hardware",
        _ => "several",
    };
    Some(AttachedXdp { program: nested.number(IFLA_XDP_PROG_ID).unwrap_or_default(), mode })
}

/// `struct ifinfomsg`.
const LINK_OCTETS: usize = 16;

/// linux/if_link.h.
const IFLA_VXLAN_LINK: u16 = 3;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::host::namespace::{in_namespace, ip};

    /// Name, whether it is up, and whether it is running, by index.
    fn seen() -> Vec<(u32, String, bool, bool)> {
        let mut links = links().unwrap();
        links.sort_by_key(|link| link.index);
        let seen = |link: Link| (link.index, link.name.clone(), link.is_up(), link.is_running());
        links.into_iter().map(seen).collect()
    }

    #[test]
    fn links_are_followed_through_states_and_names() {
        in_namespace(|| {
            ip("link add va index 71 type veth peer name vb index 72");
            let check = |command: &str, expected: Option<(&str, bool, bool)>| {
                ip(command);
                let begin = Instant::now();
                loop {
                    let seen = seen();
                    let found = seen.iter().find(|link| link.0 == 72);
                    let found = found.map(|link| (link.1.as_str(), link.2, link.3));
                    if found == expected {
                        break;
                    }
                    // The kernel may report the state of a cable up to a second late.
                    let waited = begin.elapsed();
                    assert!(waited < Duration::from_secs(5), "{command}: {found:?}");
                    thread::sleep(Duration::from_millis(10));
                }
            };
            check("link set va up", Some(("vb", false, false)));
            check("link set vb up", Some(("vb", true, true)));
            // The other end is set down: the carrier is lost.
            check("link set va down", Some(("vb", true, false)));
            check("link set va up", Some(("vb", true, true)));
            check("link set vb name mirror7", Some(("mirror7", true, true)));
            check("link set mirror7 down", Some(("mirror7", false, false)));
            check("link del va", None);
            assert_eq!(seen(), [(1, "lo".to_owned(), true, true)]);
        });
    }

    #[test]
    fn there_may_be_more_links_than_one_message_holds() {
        in_namespace(|| {
            for index in (1000..1100).step_by(2) {
                let peer = index + 1;
                let (one, other) = (format!("d{index}"), format!("d{peer} index {peer}"));
                ip(&format!("link add {one} index {index} type veth peer name {other}"));
            }
            let expected = (1000..1100).map(|index| (index, format!("d{index}"), false, false));
            assert!(seen().into_iter().skip(1).eq(expected), "{:?}", seen());
        });
    }

    #[test]
    fn an_interface_is_what_its_link_says() {
        let lo = links().unwrap().into_iter().find(|link| link.name == "lo").unwrap();
        assert_eq!((lo.hardware, lo.index), (772, nix::net::if_::if_nametoindex("lo").unwrap()));
        assert!(lo.mtu >= 1500 && lo.rx_queues >= 1, "{lo:?}");
    }
}
