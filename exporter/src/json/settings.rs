//! Settings of documents.

use flow::{KeyFields, NetworkSet};

/// Settings that all documents of an output have in common.
#[derive(Clone, Debug)]
pub(crate) struct DocumentSettings {
    /// `agent.name` and `observer.name`.
    pub(crate) name: String,
    /// `agent.version`.
    pub(crate) version: String,
    /// `data_stream.namespace`.
    pub(crate) namespace: String,
    /// `netflow.exporter.source_id`, and `agent.id`.
    pub(crate) observation_domain_id: u32,
    /// Fields of the flow key.
    pub(crate) key: KeyFields,
    /// Networks inside the perimeter. If empty, private addresses are inside.
    pub(crate) local_networks: NetworkSet,
    /// Packets per metered packet; written as `netflow.sampling_interval` unless it is 1.
    pub(crate) sampling_interval: u32,
    pub(crate) fields: Fields,
    /// Documents have `geo` and `as` of source and destination.
    pub(crate) geo: bool,
    /// DNS transactions are documents too.
    pub(crate) has_dns_events: bool,
    /// Options records of exporters are documents too.
    pub(crate) has_options: bool,
    /// The beginning of `event.id`, which ends with the number of the document. `None`: without it.
    pub(crate) id_prefix: Option<String>,
}

/// Selection of fields in documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fields {
    /// All.
    Full,
    /// Without fields whose values are in other fields too.
    Lean,
}
