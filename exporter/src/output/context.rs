//! What an output needs to know of the program.

use std::sync::Arc;

use flow::{KeyFields, NetworkSet, Timestamp};

use crate::json::{DocumentSettings, Fields};
use crate::message::ipfix::Blocks;
use crate::patience::Patience;
use crate::transport::FilesInUse;

/// Facts about the program that an output needs.
#[derive(Clone, Debug)]
pub struct Context {
    /// A replay waits for a slow or lost collector, live capture does not.
    pub patience: Patience,
    /// Base of sysUpTime in a live run; a replay has its own base.
    pub uptime_start: Option<Timestamp>,
    /// The Observation Domain ID of outputs that do not set one; not 0.
    pub observation_domain_id: u32,
    /// Packets per metered packet (1 in n sampling).
    pub sampling_interval: u32,
    /// Fields of the flow key.
    pub key: KeyFields,
    /// Networks inside the perimeter. If empty, private addresses are inside.
    pub local_networks: NetworkSet,
    /// Records may have the places of their addresses.
    pub has_places: bool,
    /// Records may have the tunnels of their packets.
    pub has_tunnels: bool,
    /// Records are of other exporters.
    pub has_exporters: bool,
    /// Records may have names that were found in payload.
    pub has_names: bool,
    /// The name of this exporter in documents.
    pub name: String,
    /// The version of the program in documents.
    pub version: String,
    /// Name of this run in the ids of documents: equal for replays of the same input.
    pub run: String,
    /// Number of times that the settings of this run were changed before the output is opened. Ids
    /// of documents differ by it.
    pub change: u64,
    /// The files that all inputs and outputs of the run use.
    pub files: Arc<FilesInUse>,
}

/// A replay of all packets, with the classic seven fields, in Observation Domain 1, without names.
impl Default for Context {
    fn default() -> Self {
        Self {
            patience: Patience::Wait,
            uptime_start: None,
            observation_domain_id: 1,
            sampling_interval: 1,
            key: KeyFields::SEVEN,
            local_networks: NetworkSet::default(),
            has_places: false,
            has_tunnels: false,
            has_exporters: false,
            has_names: false,
            name: String::new(),
            version: String::new(),
            run: String::new(),
            change: 0,
            files: Arc::default(),
        }
    }
}

impl Context {
    /// The settings of documents with all fields, and without DNS transactions and options.
    pub(crate) fn documents(
        &self,
        namespace: String,
        observation_domain_id: u32,
    ) -> DocumentSettings {
        DocumentSettings {
            name: self.name.clone(),
            version: self.version.clone(),
            namespace,
            observation_domain_id,
            key: self.key,
            local_networks: self.local_networks.clone(),
            sampling_interval: self.sampling_interval,
            fields: Fields::Full,
            geo: true,
            has_dns_events: false,
            has_options: false,
            id_prefix: None,
        }
    }

    /// Further blocks of fields in IPFIX records; `None` if these have the ordinary fields only.
    pub(super) const fn blocks(&self) -> Option<Blocks> {
        match (self.has_tunnels, self.has_places) {
            _ if self.has_exporters => Some(Blocks::Original),
            (false, false) => None,
            (false, true) => Some(Blocks::Places),
            (true, false) => Some(Blocks::Tunnel),
            (true, true) => Some(Blocks::Both),
        }
    }
}
