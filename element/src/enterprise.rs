//! Private Enterprise Numbers.

/// ntop.
pub(crate) const NTOP: u32 = 35_632;

/// VMware, whose elements of tunnels are those of Open vSwitch.
pub(crate) const VMWARE: u32 = 6876;
