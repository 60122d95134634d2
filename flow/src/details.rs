//! Details: optional facts about a flow, which its batch has beside the records.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::collected::Collected;
use crate::facts::{Facts, NameCounts};
use crate::frame::tunnel::Tunnel;
use crate::place::Place;

/// Optional facts about one flow. Most flows have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The tunnel that the packets came through.
    pub tunnel: Option<Tunnel>,
    /// Id of the second VLAN tag of the first packet; 0 if it had none, or it was not looked for.
    pub inner_vlan_id: u16,
    /// The server name that the client sent (TLS server name indication, RFC 6066 section 3): at
    /// most 255 octets.
    pub server_name: Option<Box<str>>,
    /// Names that were found in the payload of the conversation.
    pub facts: Option<Arc<Facts>>,
    /// Messages of the conversation that were read.
    pub name_counts: NameCounts,
    /// The source is the client of the conversation, of which the facts are.
    pub from_client: bool,
    /// The place of the source address.
    pub source: Option<Arc<Place>>,
    /// The place of the destination address.
    pub destination: Option<Arc<Place>>,
    /// What another exporter sent about the flow. `None` for flows of this meter.
    pub collected: Option<Box<Collected>>,
}

/// The index of a record's details in its batch, and the number of the clock of its times.
///
/// Only the index of the details is compared: the number of the clock has a meaning only within the
/// batch.
#[derive(Clone, Copy, Debug)]
pub struct DetailsIndex {
    /// The index in the low bits, the clock in the bits above. A record has no room for separate
    /// octets.
    packed: u16,
}

const INDEX_BITS: u32 = 12;
const INDEX: u16 = (1 << INDEX_BITS) - 1;
const CLOCK: u16 = 0xf;

impl DetailsIndex {
    /// The record has no details. Its times are of the first clock.
    pub const NONE: Self = Self::of_clock(0);

    /// The same for a packet that fits no clock.
    pub const WITHOUT_CLOCK: Self = Self { packed: CLOCK << INDEX_BITS | INDEX };

    /// The record has no details, and its times are of the clock with this number, 0 to 7.
    #[inline]
    pub const fn of_clock(number: u8) -> Self {
        Self { packed: (number as u16) << INDEX_BITS | INDEX }
    }

    /// The same clock, with this index of details.
    pub(crate) fn at(self, index: u16) -> Self {
        assert!(index < INDEX, "a batch has few records");
        Self { packed: self.packed & !INDEX | index }
    }

    /// The index. Without details it is beyond all details.
    #[inline]
    pub(crate) const fn index(self) -> usize {
        (self.packed & INDEX) as usize
    }

    /// The number of the clock. Without a clock it is beyond all clocks.
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
