//! Exporters behind mediators.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use element::Original;
use flow::{ExportProtocol, Exporter};

use crate::limits::ORIGINALS_MAX;
use crate::names::ExporterNames;

/// Exporters whose flows mediators send on.
#[derive(Debug, Default)]
pub(crate) struct Originals {
    known: BTreeMap<(IpAddr, u32), Arc<Exporter>>,
    /// What the user calls them.
    pub(crate) names: ExporterNames,
}

impl Originals {
    /// The exporter that metered a flow; `None` if the one that sent it did.
    pub(crate) fn of(&mut self, original: Original) -> Option<&Arc<Exporter>> {
        let address = original.address?;
        let key = (address, original.domain);
        if self.known.len() == ORIGINALS_MAX && !self.known.contains_key(&key) {
            self.known.clear();
        }
        let exporter = || Exporter {
            address: SocketAddr::new(address, 0),
            domain: original.domain,
            protocol: ExportProtocol::Ipfix,
            name: self.names.get(&address.to_canonical()).cloned(),
        };
        Some(self.known.entry(key).or_insert_with(|| Arc::new(exporter())))
    }
}
