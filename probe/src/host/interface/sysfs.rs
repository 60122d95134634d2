//! Facts on an interface that netlink does not have, from sysfs. A sysfs may be missing or belong
//! to another network namespace. Then nothing is known.

use std::fs;
use std::path::PathBuf;

/// The folder of an interface.
#[derive(Debug)]
pub(crate) struct Sysfs {
    folder: PathBuf,
}

impl Sysfs {
    /// The folder of the interface with this name and index.
    pub(crate) fn of(name: &str, index: u32) -> Option<Self> {
        let folder = PathBuf::from("/sys/class/net").join(name);
        let number = fs::read_to_string(folder.join("ifindex")).ok()?;
        (number.trim() == index.to_string()).then_some(Self { folder })
    }

    /// Receive queues in use. The kernel's link message has the number of allocated ones.
    pub(crate) fn rx_queues(&self) -> Option<u32> {
        let queues = self.names("queues");
        let count = queues.iter().filter(|name| name.starts_with("rx-")).count();
        u32::try_from(count).ok().filter(|&count| count > 0)
    }

    /// Name of the kernel module that drives it.
    pub(super) fn driver(&self) -> Option<String> {
        let module = fs::read_link(self.folder.join("device/driver")).ok()?;
        Some(module.file_name()?.to_string_lossy().into_owned())
    }

    /// Devices on top of it, including its master.
    pub(super) fn uppers(&self) -> Vec<String> {
        let names = self.names("");
        names.iter().filter_map(|name| name.strip_prefix("upper_")).map(str::to_owned).collect()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}
