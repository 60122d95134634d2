//! What flows have in all.

use std::ops::{AddAssign, SubAssign};

use flow::FlowRecord;
use serde_json::{Value, json};

/// Octets, packets and flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) octets: u64,
    pub(crate) packets: u64,
    pub(crate) flows: u64,
}

impl Sum {
    /// What one record has.
    pub(crate) fn of(record: &FlowRecord) -> Self {
        Self { octets: record.octets, packets: record.packets, flows: 1 }
    }

    pub(crate) fn value(self) -> Value {
        json!({ "octets": self.octets, "packets": self.packets, "flows": self.flows })
    }

    /// A list of each number.
    pub(crate) fn lists(sums: &[Self]) -> Value {
        let list = |number: fn(&Self) -> u64| sums.iter().map(number).collect::<Vec<_>>();
        json!({
            "packets": list(|sum| sum.packets),
            "octets": list(|sum| sum.octets),
            "flows": list(|sum| sum.flows),
        })
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.octets = self.octets.saturating_add(other.octets);
        self.packets = self.packets.saturating_add(other.packets);
        self.flows = self.flows.saturating_add(other.flows);
    }
}

impl SubAssign for Sum {
    fn sub_assign(&mut self, other: Self) {
        self.octets = self.octets.saturating_sub(other.octets);
        self.packets = self.packets.saturating_sub(other.packets);
        self.flows = self.flows.saturating_sub(other.flows);
    }
}
