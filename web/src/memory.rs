//! The memory of the page: how much there is, and for what.

use crate::flows::LatestFlows;
use crate::incidents;
use crate::series::Series;
use crate::sums::Sums;
use crate::table::{TABLE_FLOWS_MAX, TableFlows};

/// Maximum number of flow records for search and top lists: so many, or in more memory than the
/// usual one a record for so many octets of it.
const RECORDS_MAX: usize = 100_000;
const OCTETS_A_RECORD: usize = 640;

/// Maximum number of interfaces with a series of their own.
const INTERFACES_MAX: usize = 16;

/// Octets of names and tunnels for which there is room with each record, on average.
const NAMES_EACH: usize = 64;

/// The part of the memory that series of interfaces may take.
const FOR_INTERFACES: usize = 3;

/// The memory of the page's data. Nothing in it grows beyond this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All of it, in octets.
    pub octets: usize,
    /// Flow records for search and top lists. If they have names or tunnels, fewer may fit.
    pub records: usize,
    /// Interfaces with a series of their own.
    pub interfaces: usize,
    /// Octets for the flow records, with their names and tunnels.
    pub(crate) for_records: usize,
}

impl Memory {
    /// The least, in octets.
    pub const LEAST: usize = 8_000_000;

    /// Divides so many octets.
    ///
    /// # Errors
    ///
    /// They are too few; in one sentence.
    pub fn divide(octets: usize) -> Result<Self, String> {
        if octets < Self::LEAST {
            return Err("the page needs 8M of memory at least".to_owned());
        }
        let interfaces = (octets / FOR_INTERFACES / Series::OCTETS_EACH).min(INTERFACES_MAX);
        let fixed = Series::octets(interfaces) + incidents::OCTETS + TableFlows::OCTETS;
        let left = octets.saturating_sub(fixed);
        // A list may have as many rows as there are records and flows in the table.
        let fits = |records: &usize| {
            let records_alone = LatestFlows::octets(*records) + *records * NAMES_EACH;
            records_alone + Sums::octets(*records + TABLE_FLOWS_MAX) <= left
        };
        let records_max = RECORDS_MAX.max(octets / OCTETS_A_RECORD);
        let records = (0..=records_max).rev().step_by(500).find(fits).unwrap_or(0);
        let for_records = left.saturating_sub(Sums::octets(records + TABLE_FLOWS_MAX));
        Ok(Self { octets, records, interfaces, for_records })
    }
}

/// That of the program without a setting.
#[cfg(test)]
impl Default for Memory {
    fn default() -> Self {
        Self::divide(64_000_000).expect("it is enough")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit() {
        let least = Memory::divide(Memory::LEAST).expect("enough");
        assert!((5_000..20_000).contains(&least.records), "{least:?}");
        assert_eq!(least.interfaces, 2);
        let usual = Memory::default();
        assert_eq!((usual.records, usual.interfaces), (RECORDS_MAX, INTERFACES_MAX));
        // For a name of 100 octets with each record.
        assert!(usual.for_records > LatestFlows::octets(RECORDS_MAX) + RECORDS_MAX * 116);
        assert!(Memory::divide(Memory::LEAST - 1).is_err());
        // Ten times as far back in ten times the memory.
        let much = Memory::divide(640_000_000).expect("enough");
        assert_eq!(much.records, 1_000_000);
        assert!(much.for_records > LatestFlows::octets(much.records) + much.records * 116);
    }
}
