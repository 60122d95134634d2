//! Counters of the collector.

use std::ops::AddAssign;

use flow::ExportProtocol;

macro_rules! counts {
    ($($(#[$attribute:meta])* $name:ident: $words:literal;)*) => {
        /// Counters of the collector. They only grow, except those of what is kept.
        ///
        /// `datagrams = decoded + malformed + unknown version`. A Data Record that is read is
        /// counted in one of `records`, `options` and `unmeterable`; one in `biflows` is two
        /// `records`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$attribute])* pub $name: u64,)*
        }

        impl Counts {
            /// The name of each counter in statistics, what it counts, and its value.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), $words, self.$name)),*].into_iter()
            }
        }

        impl AddAssign for Counts {
            fn add_assign(&mut self, other: Self) {
                $(self.$name = self.$name.saturating_add(other.$name);)*
            }
        }
    };
}

counts! {
    /// Datagrams, and messages of connections, received.
    datagrams: "datagrams";
    /// Their octets.
    octets: "octets";
    /// Datagrams of NetFlow v5 that were decoded.
    netflow5: "NetFlow v5 datagrams";
    /// Datagrams of NetFlow v9 that were decoded.
    netflow9: "NetFlow v9 datagrams";
    /// Datagrams of IPFIX that were decoded.
    ipfix: "IPFIX datagrams";
    /// Datagrams of sFlow version 5 that were decoded.
    sflow: "sFlow datagrams";
    /// Datagrams that contradict themselves. Nothing of them was used.
    malformed: "malformed datagrams";
    /// Datagrams of another protocol.
    unknown_version: "datagrams of another protocol";
    /// Flow records given.
    records: "records";
    /// Packets in them.
    packets: "packets in records";
    /// Octets in them.
    record_octets: "octets in records";
    /// Data Records with counts of both directions of a flow, each of which is two records.
    biflows: "records of both directions of a flow, given as two";
    /// Options Data Records.
    options: "options records";
    /// Data Records and samples without addresses.
    unmeterable: "records without addresses";
    /// Data Sets whose records end in the middle of a field. The records before count.
    cut_sets: "sets whose last record is cut";
    /// Sets with a reserved id.
    unknown_sets: "sets of an unknown kind";
    /// Datagrams of sFlow with more octets than their samples have. The samples count.
    sflow_longer: "sFlow datagrams longer than their samples";
    /// Flow samples that are missing, by the numbers of their sources. Those of lost datagrams too.
    sflow_missing: "sFlow samples MISSING by their sequence numbers";
    /// Flow samples that agents took and could not send, by their own counters.
    sflow_dropped: "sFlow samples DROPPED by agents";
    /// Flow samples of sFlow: each is a record, or is in one of `unmeterable` and the next three.
    sflow_samples: "sFlow samples";
    /// Samples of packets that are not IP.
    sflow_not_ip: "sFlow samples without IP";
    /// Samples whose IP header is cut or wrong.
    sflow_unreadable: "sFlow samples with an unreadable header";
    /// Samples whose header begins with another protocol than Ethernet, IP and MPLS.
    sflow_other_headers: "sFlow samples with a header of another protocol";
    /// Records of flow samples that are shorter than their kind.
    sflow_cut_records: "sFlow records too short";
    /// Records of flow samples that are not read, by their kind.
    sflow_other_records: "sFlow records of other kinds";
    /// Samples of discarded packets, which are in `sflow_samples` too.
    sflow_discards: "sFlow samples of discarded packets";
    /// Counter samples.
    sflow_counter_samples: "sFlow counter samples";
    /// Counters of interfaces for which there was no room.
    sflow_interfaces_refused: "counters of sFlow interfaces left out: too many";
    /// Samples of another kind, which are not read.
    sflow_other_samples: "sFlow samples of other kinds left out";
    /// Data Sets that were left out because their template did not come.
    no_template: "sets LOST without a template";
    /// Their octets.
    no_template_octets: "octets LOST without a template";
    /// Data Sets that wait for their template.
    waiting_sets: "sets wait for a template";
    /// Templates kept.
    templates: "templates";
    /// Templates whose content changed.
    templates_changed: "templates changed";
    /// Templates without fields, without length, with too many or too long fields, or with an id
    /// below 256.
    templates_refused: "templates refused";
    /// Names in options for which there was no room.
    names_refused: "names of interfaces, applications and VRFs left out: too many";
    /// Withdrawals of templates, which have no meaning over UDP (RFC 7011 section 8.4).
    withdrawals_ignored: "withdrawals of templates ignored";
    /// Withdrawals of templates over connections.
    withdrawals: "withdrawals of templates";
    /// Templates that went because there were too many.
    templates_evicted: "templates forgotten: too many";
    /// Templates that were not sent again for 30 minutes.
    templates_expired: "templates expired";
    /// Elements in templates that the collector does not know, each of an exporter once.
    elements_unknown: "unknown elements in templates";
    /// Flows that may go on whose totals were forgotten: their next record counts from the begin.
    totals_forgotten: "totals of flows forgotten: too many";
    /// Records whose times could not be true. They have the export time.
    times_invalid: "records with a time that cannot be true";
    /// Records with more than 2^48 packets or octets. These have 0.
    counts_invalid: "records with counts that cannot be true";
    /// Records or datagrams that are missing, by the sequence numbers.
    lost: "records or datagrams LOST by the sequence numbers";
    /// Sequences that began again.
    restarts: "sequences began again";
    /// Exporters kept.
    exporters: "exporters";
    /// Observation Domains that went because their exporter has too many. Their sequence numbers,
    /// names and what was heard of them were forgotten.
    domains_evicted: "Observation Domains forgotten: too many";
    /// Exporters that went because there were too many.
    exporters_evicted: "exporters forgotten: too many";
}

impl Counts {
    /// Counts a decoded datagram.
    pub(crate) fn decoded(&mut self, protocol: ExportProtocol) {
        match protocol {
            ExportProtocol::Netflow5 => self.netflow5 += 1,
            ExportProtocol::Netflow9 => self.netflow9 += 1,
            ExportProtocol::Ipfix => self.ipfix += 1,
            ExportProtocol::Sflow5 => self.sflow += 1,
        }
    }
}
