//! Why packets and records are lost, and what helps: for messages during a run, and for the page.

use serde_json::{Map, Value, json};

/// Why packets were lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause {
    /// Its name in the statistics of an interface.
    pub(crate) name: &'static str,
    /// What happened. The name of the interface replaces `{}`, also in the remedy.
    pub(crate) why: &'static str,
    pub(crate) remedy: &'static str,
}

/// Packets for which the card had no room. They are not in `lost`, which counts only from the
/// kernel on.
pub(crate) const NIC_MISSED: &str = "nic_missed";

/// Causes of losses. They overlap.
pub(crate) const CAUSES: [Cause; 10] = [
    cause("ring_full", "the ring was full", "a larger --packet-ring or more --workers help"),
    cause(
        "left_in_ring",
        "they were in the ring when it was closed",
        "a worker was late by seconds",
    ),
    cause("rx_ring_full", "the ring was full", "a larger --ring, or more queues and workers help"),
    cause(
        "fill_ring_empty",
        "no buffer was empty",
        "a larger --ring, or more queues and workers help",
    ),
    cause("rx_dropped", "they had no room in a buffer", "start again if the MTU of {} has changed"),
    cause("not_captured", "{} was there and not captured", "see the log, or start again"),
    cause("passed_to_host", "their queue has no socket", "use --keep-capabilities, or start again"),
    cause("redirects_refused", "the kernel did not redirect them", "try --capture packet"),
    cause("unreadable", "the metadata of the kernel was invalid", "report this"),
    cause(
        NIC_MISSED,
        "the card had no room",
        "a larger ring helps: ethtool -g {} shows the largest, ethtool -G sets it",
    ),
];

/// Further counters of the card, whose packets may not have been for the probe.
const OF_CARD: [Cause; 5] = [
    cause(
        "nic_dropped",
        "the card dropped them, or no protocol of this host took them",
        "no loss of the probe, unless its count of packets is too low; then a larger ring helps",
    ),
    cause("nic_overruns", "the card was not emptied in time", "a larger ring or more queues help"),
    cause("nic_fifo", "the memory of the card was full", "a larger ring or more queues help"),
    cause(
        "nic_no_handler",
        "nobody on this host takes this protocol",
        "they are no loss of the probe",
    ),
    cause("nic_errors", "the card got broken frames", "look at the cable and the other end"),
];

/// Why queues before an output drop records, and what helps.
pub(crate) const DROPPED: &str =
    "flows end faster than it sends; a nearer collector, fewer outputs or longer timeouts help";

/// Why an output does not send records, and what helps.
pub(crate) const FAILED: &str =
    "they could not be sent; look whether something listens there, or whether the disk is full";

/// What became of records that an output did not send, by its name in the statistics.
const FATES: [(&str, &str); 6] = [
    ("dropped", DROPPED),
    ("failed", FAILED),
    ("dead_lettered", "the cluster refuses them for ever; the file dead-letter has the reason"),
    ("not_exportable", "the protocol cannot say them: IPv6 in NetFlow v5; IPFIX can"),
    ("absent", "the output was not configured, or was paused"),
    ("spooled", "on disk; they are sent later"),
];

const fn cause(name: &'static str, why: &'static str, remedy: &'static str) -> Cause {
    Cause { name, why, remedy }
}

impl Cause {
    /// What happened at an interface, and what helps.
    pub(crate) fn text(&self, interface: &str) -> String {
        format!("{}; {}", self.why, self.remedy).replace("{}", interface)
    }
}

/// For the page: the text of each cause, and of each fate in its order.
pub(crate) fn json() -> [Value; 2] {
    let causes: Map<_, _> = CAUSES
        .iter()
        .chain(&OF_CARD)
        .map(|cause| (cause.name.to_owned(), cause.text("{}").into()))
        .collect();
    [causes.into(), json!(FATES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_text_for_each_cause_and_fate() {
        let [causes, fates] = json();
        assert_eq!(causes.as_object().unwrap().len(), CAUSES.len() + OF_CARD.len());
        let missed = "the card had no room; a larger ring helps: ethtool -g {} shows the largest, \
                      ethtool -G sets it";
        assert_eq!(causes[NIC_MISSED], missed);
        assert_eq!(fates[0], json!(["dropped", DROPPED]));
    }
}
