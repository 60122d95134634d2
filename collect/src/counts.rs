//! Counters of the collector.

use std::ops::AddAssign;

use flow::ExportProtocol;
use flow::words::noun;

macro_rules! counts {
    ($($(#[$attribute:meta])* $name:ident: $one:literal, $several:literal;)*) => {
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
            /// The name of each counter in statistics, the noun for its value, and the value.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), noun(self.$name, $one, $several), self.$name)),*]
                    .into_iter()
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
    datagrams: "datagram", "datagrams";
    /// Their octets.
    octets: "octet", "octets";
    /// Datagrams of NetFlow v5 that were decoded.
    netflow5: "NetFlow v5 datagram", "NetFlow v5 datagrams";
    /// Datagrams of NetFlow v9 that were decoded.
    netflow9: "NetFlow v9 datagram", "NetFlow v9 datagrams";
    /// Datagrams of IPFIX that were decoded.
    ipfix: "IPFIX datagram", "IPFIX datagrams";
    /// Datagrams of sFlow version 5 that were decoded.
    sflow: "sFlow datagram", "sFlow datagrams";
    /// Datagrams that contradict themselves. Nothing of them was used.
    malformed: "malformed datagram", "malformed datagrams";
    /// Datagrams of another protocol.
    unknown_version: "datagram of another protocol", "datagrams of another protocol";
    /// Flow records given.
    records: "record", "records";
    /// Packets in them.
    packets: "packet in records", "packets in records";
    /// Octets in them.
    record_octets: "octet in records", "octets in records";
    /// Data Records with counts of both directions of a flow, each of which is two records.
    biflows:
        "record of both directions of a flow, given as two",
        "records of both directions of a flow, given as two";
    /// Options Data Records.
    options: "options record", "options records";
    /// Data Records and samples without addresses.
    unmeterable: "record without addresses", "records without addresses";
    /// Data Sets whose records end in the middle of a field. The records before count.
    cut_sets: "set whose last record is cut", "sets whose last record is cut";
    /// Sets with a reserved id.
    unknown_sets: "set of an unknown kind", "sets of an unknown kind";
    /// Datagrams of sFlow with more octets than their samples have. The samples count.
    sflow_longer:
        "sFlow datagram longer than its samples",
        "sFlow datagrams longer than their samples";
    /// Flow samples that are missing, by the numbers of their sources. Those of lost datagrams too.
    sflow_missing:
        "sFlow sample MISSING by the sequence numbers",
        "sFlow samples MISSING by their sequence numbers";
    /// Flow samples that agents took and could not send, by their own counters.
    sflow_dropped: "sFlow sample DROPPED by agents", "sFlow samples DROPPED by agents";
    /// Flow samples of sFlow: each is a record, or is in one of `unmeterable` and the next three.
    sflow_samples: "sFlow sample", "sFlow samples";
    /// Samples of packets that are not IP.
    sflow_not_ip: "sFlow sample without IP", "sFlow samples without IP";
    /// Samples whose IP header is cut or wrong.
    sflow_unreadable:
        "sFlow sample with an unreadable header",
        "sFlow samples with an unreadable header";
    /// Samples whose header begins with another protocol than Ethernet, IP and MPLS.
    sflow_other_headers:
        "sFlow sample with a header of another protocol",
        "sFlow samples with a header of another protocol";
    /// Records of flow samples that are shorter than their kind.
    sflow_cut_records: "sFlow record too short", "sFlow records too short";
    /// Records of flow samples that are not read, by their kind.
    sflow_other_records: "sFlow record of another kind", "sFlow records of other kinds";
    /// Samples of discarded packets, which are in `sflow_samples` too.
    sflow_discards: "sFlow sample of a discarded packet", "sFlow samples of discarded packets";
    /// Counter samples.
    sflow_counter_samples: "sFlow counter sample", "sFlow counter samples";
    /// Counters of interfaces for which there was no room.
    sflow_interfaces_refused:
        "counter of sFlow interfaces left out: too many",
        "counters of sFlow interfaces left out: too many";
    /// Samples of another kind, which are not read.
    sflow_other_samples:
        "sFlow sample of another kind left out",
        "sFlow samples of other kinds left out";
    /// Data Sets that were left out because their template did not come.
    no_template: "set LOST without a template", "sets LOST without a template";
    /// Their octets.
    no_template_octets: "octet LOST without a template", "octets LOST without a template";
    /// Data Sets that wait for their template.
    waiting_sets: "set waits for a template", "sets wait for a template";
    /// Templates kept.
    templates: "template", "templates";
    /// Templates whose content changed.
    templates_changed: "template changed", "templates changed";
    /// Templates without fields, without length, with too many or too long fields, or with an id
    /// below 256.
    templates_refused: "template refused", "templates refused";
    /// Names in options for which there was no room.
    names_refused:
        "name of interfaces, applications and VRFs left out: too many",
        "names of interfaces, applications and VRFs left out: too many";
    /// Withdrawals of templates, which have no meaning over UDP (RFC 7011 section 8.4).
    withdrawals_ignored: "withdrawal of templates ignored", "withdrawals of templates ignored";
    /// Withdrawals of templates over connections.
    withdrawals: "withdrawal of templates", "withdrawals of templates";
    /// Templates that went because there were too many.
    templates_evicted: "template forgotten: too many", "templates forgotten: too many";
    /// Templates that were not sent again for 30 minutes.
    templates_expired: "template expired", "templates expired";
    /// Elements in templates that the collector does not know, each of an exporter once.
    elements_unknown: "unknown element in templates", "unknown elements in templates";
    /// Flows that may go on whose totals were forgotten: their next record counts from the begin.
    totals_forgotten: "total of flows forgotten: too many", "totals of flows forgotten: too many";
    /// Records whose times could not be true. They have the export time.
    times_invalid:
        "record with a time that cannot be true",
        "records with a time that cannot be true";
    /// Records with more than 2^48 packets or octets. These have 0.
    counts_invalid:
        "record with counts that cannot be true",
        "records with counts that cannot be true";
    /// Records or datagrams that are missing, by the sequence numbers.
    lost:
        "record or datagram LOST by the sequence numbers",
        "records or datagrams LOST by the sequence numbers";
    /// Sequences that began again.
    restarts: "sequence began again", "sequences began again";
    /// Exporters kept.
    exporters: "exporter", "exporters";
    /// Observation Domains that went because their exporter has too many. Their sequence numbers,
    /// names and what was heard of them were forgotten.
    domains_evicted:
        "Observation Domain forgotten: too many",
        "Observation Domains forgotten: too many";
    /// Exporters that went because there were too many.
    exporters_evicted: "exporter forgotten: too many", "exporters forgotten: too many";
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
