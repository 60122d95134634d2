//! MITRE ATT&CK techniques that rules find.

use super::super::rule::Threat;

const RECONNAISSANCE: (&str, &str) = ("TA0043", "Reconnaissance");
const FINDING: (&str, &str) = ("TA0007", "Discovery");
const IMPACT: (&str, &str) = ("TA0040", "Impact");
const LATERAL_MOVEMENT: (&str, &str) = ("TA0008", "Lateral Movement");

pub(super) const SCANNING: Threat = Threat {
    tactic: RECONNAISSANCE,
    technique: ("T1595", "Active Scanning"),
    subtechnique: Some(("T1595.001", "Scanning IP Blocks")),
};

pub(super) const DISCOVERY: Threat = Threat {
    tactic: FINDING,
    technique: ("T1046", "Network Service Discovery"),
    subtechnique: None,
};

pub(super) const SYN_FLOOD: Threat = Threat {
    tactic: IMPACT,
    technique: ("T1499", "Endpoint Denial of Service"),
    subtechnique: Some(("T1499.001", "OS Exhaustion Flood")),
};

pub(super) const DIRECT_FLOOD: Threat = Threat {
    tactic: IMPACT,
    technique: ("T1498", "Network Denial of Service"),
    subtechnique: Some(("T1498.001", "Direct Network Flood")),
};

pub(super) const AMPLIFICATION: Threat = Threat {
    tactic: IMPACT,
    technique: ("T1498", "Network Denial of Service"),
    subtechnique: Some(("T1498.002", "Reflection Amplification")),
};

pub(super) const WORM: Threat = Threat {
    tactic: LATERAL_MOVEMENT,
    technique: ("T1210", "Exploitation of Remote Services"),
    subtechnique: None,
};
