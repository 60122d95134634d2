//! An input of the check `datagram`: what exporters send, one after the other.

/// Datagrams with their exporters, behind the settings of the collector.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) settings: u8,
    pub(crate) parts: Vec<Part>,
}

/// A datagram.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Which exporter sends it, by the rules of the check.
    pub(crate) exporter: u8,
    /// How long after the one before, by the rules of the check.
    pub(crate) after: u8,
    pub(crate) octets: Vec<u8>,
}

/// A longer one is cut by the check.
pub(crate) const OCTETS_MAX: usize = 1499;

impl Case {
    /// Reads what [`Self::put`] writes.
    pub(crate) fn of(octets: &[u8]) -> Self {
        let Some((settings, mut rest)) = octets.split_first() else { return Self::default() };
        let mut parts = Vec::new();
        while let [exporter, after, high, low, behind @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low])) % (OCTETS_MAX + 1);
            let (octets, behind) = behind.split_at(length.min(behind.len()));
            parts.push(Part { exporter: *exporter, after: *after, octets: octets.to_vec() });
            rest = behind;
        }
        Self { settings: *settings, parts }
    }

    /// Writes it as the check reads it.
    pub(crate) fn put(&self, into: &mut Vec<u8>) {
        into.clear();
        into.push(self.settings);
        for Part { exporter, after, octets } in &self.parts {
            let octets = &octets[..octets.len().min(OCTETS_MAX)];
            let length = u16::try_from(octets.len()).unwrap_or(0).to_be_bytes();
            into.extend([*exporter, *after, length[0], length[1]]);
            into.extend(octets);
        }
    }
}
