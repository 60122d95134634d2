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
    index: u8,
    clock: u8,
}

/// The index of a record without details, and the number of the clock of a packet without one.
const ABSENT: u8 = u8::MAX;

impl DetailsIndex {
    /// The record has no details. Its times are of the first clock.
    pub const NONE: Self = Self::of_clock(0);

    /// The same for a packet that fits no clock.
    pub const WITHOUT_CLOCK: Self = Self::of_clock(ABSENT);

    /// The record has no details, and its times are of the clock with this number, 0 to 7.
    #[inline]
    pub const fn of_clock(number: u8) -> Self {
        Self { index: ABSENT, clock: number }
    }

    /// The same clock, with this index of details.
    ///
    /// # Panics
    ///
    /// The index is 255 or more: a batch has fewer records with details.
    pub(crate) fn at(self, index: usize) -> Self {
        let index = u8::try_from(index).ok().filter(|index| *index < ABSENT);
        Self { index: index.expect("a batch has few records"), ..self }
    }

    /// The index. Without details it is beyond all details.
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.index as usize
    }

    /// The number of the clock. Without a clock it is beyond all clocks.
    #[inline]
    pub(crate) const fn clock(self) -> usize {
        self.clock as usize
    }
}

impl PartialEq for DetailsIndex {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for DetailsIndex {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::BATCH_RECORDS;
    use crate::clock::CLOCKS;

    #[test]
    fn each_record_of_a_batch_can_have_details_and_a_clock() {
        for clock in 0..8 {
            let none = DetailsIndex::of_clock(clock);
            let last = none.at(BATCH_RECORDS - 1);
            assert_eq!((last.index(), last.clock()), (BATCH_RECORDS - 1, usize::from(clock)));
            assert!(none == DetailsIndex::NONE && last != none);
        }
        assert!(DetailsIndex::WITHOUT_CLOCK.clock() >= CLOCKS);
        assert_eq!(DetailsIndex::WITHOUT_CLOCK, DetailsIndex::NONE);
    }

    #[test]
    #[should_panic(expected = "a batch has few records")]
    fn index_of_no_details_is_of_no_record() {
        let _ = DetailsIndex::NONE.at(BATCH_RECORDS);
    }
}
