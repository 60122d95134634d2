//! Limits of the collector's state.

/// Limits, beyond which the least recently used goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Exporters: addresses.
    pub exporters: usize,
    /// Observation Domains of one exporter.
    pub domains_of_exporter: usize,
    /// Templates of one exporter.
    pub templates_of_exporter: usize,
    /// Templates of all exporters.
    pub templates: usize,
    /// Fields in the templates of all exporters.
    pub fields: usize,
    /// Data Sets of one exporter that wait for their template.
    pub waiting_sets: usize,
    /// Their octets.
    pub waiting_octets: usize,
    /// Octets of all waiting Data Sets.
    pub waiting_octets_total: usize,
    /// Octets of the names that options of all exporters tell.
    pub name_octets: usize,
}

impl Limits {
    /// The limits of one of several collectors that share these.
    #[must_use]
    pub fn share(self, collectors: usize) -> Self {
        let share = |limit: usize| limit.div_ceil(collectors.max(1));
        Self {
            exporters: share(self.exporters),
            templates: share(self.templates),
            fields: share(self.fields),
            waiting_octets_total: share(self.waiting_octets_total),
            name_octets: share(self.name_octets),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            exporters: 4096,
            domains_of_exporter: 256,
            templates_of_exporter: 1024,
            templates: 65_536,
            fields: 1 << 20,
            waiting_sets: 64,
            waiting_octets: 256 << 10,
            waiting_octets_total: 16 << 20,
            name_octets: 64 << 20,
        }
    }
}

/// Most fields of a template.
pub(crate) const FIELDS_MAX: usize = 512;

/// Most octets of a field of fixed length.
pub(crate) const FIELD_OCTETS_MAX: u16 = 1024;

/// Most unknown elements of an exporter that are remembered, so that each is counted once.
pub(crate) const UNKNOWN_MAX: usize = 256;

/// Most flows with total counters whose last totals are kept.
pub(crate) const TOTALS_MAX: usize = 32_768;

/// How long a Data Set waits for its template, in milliseconds.
pub(crate) const WAIT_MS: u64 = 5 * 60 * 1000;

/// How long a template is valid after it was last sent, in milliseconds.
pub(crate) const TEMPLATE_LIFETIME_MS: u64 = 30 * 60 * 1000;

/// Most samples of an sFlow datagram.
pub(crate) const SFLOW_SAMPLES_MAX: u32 = 1000;

/// Most sources of an sFlow agent whose numbers of samples are kept, and most interfaces whose
/// counters are.
pub(crate) const SFLOW_SOURCES_MAX: usize = 1024;

/// Most interfaces of all sFlow agents whose counters are kept.
pub(crate) const INTERFACES_MAX: usize = 65_536;

/// Most records of an sFlow sample.
pub(crate) const SFLOW_RECORDS_MAX: u32 = 1000;

/// Most samplers of an exporter whose intervals are kept.
pub(crate) const SAMPLERS_MAX: usize = 256;

/// Most names of interfaces, applications and VRFs of an exporter.
pub(crate) const NAMES_MAX: usize = 8192;

/// Most exporters behind mediators that are kept, so that their records have one origin.
pub(crate) const ORIGINALS_MAX: usize = 65_536;

/// Most packets or octets of a record. Larger counts cannot be true: 2^48 octets are an hour and a
/// half at 400 Gbit/s. They would also overflow sums.
pub(crate) const COUNT_MAX: u64 = 1 << 48;
