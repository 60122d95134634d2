//! Details: optional facts about a flow, which its batch keeps beside the records.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::frame::tunnel::Tunnel;
use crate::place::Place;

/// Optional facts about one flow. Most flows have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The tunnel that the packets came through.
    pub tunnel: Option<Tunnel>,
    /// Id of the second VLAN tag of the first packet; 0 if it had none, or it was not looked for.
    pub inner_vlan_id: u16,
    /// The name that the client asked the server for (TLS server name indication, RFC 6066 section
    /// 3): at most 255 octets.
    pub server_name: Option<Box<str>>,
    /// Where the source address is.
    pub source: Option<Arc<Place>>,
    /// Where the destination address is.
    pub destination: Option<Arc<Place>>,
}

/// The index of a record's details in its batch, and the number of the clock of its times.
///
/// Two are equal if the details are the same: the clock is known to the batch alone.
#[derive(Clone, Copy, Debug)]
pub struct DetailsIndex {
    /// The index in the low bits, the clock in those above. A record has no octet left for each.
    packed: u16,
}

const INDEX_BITS: u32 = 12;
const INDEX: u16 = (1 << INDEX_BITS) - 1;
const CLOCK: u16 = 0xf;

impl DetailsIndex {
    /// The record has no details. Its times are of the first clock.
    pub const NONE: Self = Self::of_clock(0);

    /// The same of a packet that fits no clock.
    pub const WITHOUT_CLOCK: Self = Self { packed: CLOCK << INDEX_BITS | INDEX };

    /// The record has no details, and its times are of the clock with this number, 0 to 7.
    #[inline]
    pub const fn of_clock(number: u8) -> Self {
        Self { packed: (number as u16) << INDEX_BITS | INDEX }
    }

    /// The same record with details.
    pub(crate) fn at(self, index: u16) -> Self {
        assert!(index < INDEX, "a batch has few records");
        Self { packed: self.packed & !INDEX | index }
    }

    /// The index; beyond all details if there are none.
    #[inline]
    pub(crate) const fn index(self) -> usize {
        (self.packed & INDEX) as usize
    }

    /// The number of the clock; beyond all clocks if there is none.
    #[inline]
    pub(crate) const fn clock(self) -> usize {
        (self.packed >> INDEX_BITS) as usize
    }
}

impl PartialEq for DetailsIndex {
    fn eq(&self, other: &Self) -> bool {
        self.index() == other.index()
    }
}

impl Eq for DetailsIndex {}
