//! Private Enterprise Numbers.

/// The elements of IANA for the other direction of a flow (RFC 5103 section 6.1).
pub(crate) const REVERSE: u32 = 29_305;

/// ntop.
pub(crate) const NTOP: u32 = 35_632;

/// CERT, whose elements YAF exports.
pub(crate) const CERT: u32 = 6871;

/// CESNET, whose elements ipfixprobe exports.
pub(crate) const CESNET: u32 = 8057;

/// Flowmon, some of whose elements ipfixprobe exports too.
pub(crate) const FLOWMON: u32 = 39_499;

/// VMware, whose elements of tunnels are those of Open vSwitch.
pub(crate) const VMWARE: u32 = 6876;
