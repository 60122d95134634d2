//! Packets of tunnels that are not opened, by the protocol and ports of their flows.

use std::ops::AddAssign;

use flow::{FlowRecord, TunnelKind, TunnelKinds};

/// Packets in records of flows that look like tunnels, whose kind is not opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClosedTunnels {
    /// Kinds that are opened. What is left of them was refused, and counted as such.
    pub(crate) opened: TunnelKinds,
    /// In the order of [`TunnelKind::ALL`].
    packets: [u64; TunnelKind::ALL.len()],
}

impl ClosedTunnels {
    #[inline]
    pub(crate) fn count(&mut self, record: &FlowRecord) {
        if let Some(kind) = TunnelKind::of_ends(&record.key)
            && !self.opened.contains(kind)
        {
            self.packets[kind as usize] += record.packets;
        }
    }

    #[cfg(test)]
    pub(crate) fn made_up(of: &[(TunnelKind, u64)]) -> Self {
        let mut closed = Self::default();
        of.iter().for_each(|(kind, packets)| closed.packets[*kind as usize] = *packets);
        closed
    }

    /// Kinds of which there were packets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TunnelKind, u64)> {
        TunnelKind::ALL.into_iter().zip(self.packets).filter(|(_, packets)| *packets > 0)
    }
}

impl AddAssign for ClosedTunnels {
    fn add_assign(&mut self, other: Self) {
        self.opened = self.opened.with(other.opened);
        self.packets.iter_mut().zip(other.packets).for_each(|(mine, theirs)| *mine += theirs);
    }
}
