//! Limits of memory, checked before much of it is allocated. Without the check the system would end
//! the process later, or page out all others.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::report::units;
use crate::sys;

/// Owner of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryOwner {
    /// The process.
    Own,
    /// The kernel: pages that the process maps. No control group counts them.
    OfKernel,
}

/// Octets reserved for threads, queues and outputs, which allocate memory later.
const REST: u64 = 64 << 20;

/// Prepares for a limit of the address space (`ulimit -v`), if there is one: threads then share one
/// heap, so that their reservations do not use up [`REST`].
pub(crate) fn prepare() {
    let limit = getrlimit(Resource::RLIMIT_AS).map_or(RLIM_INFINITY, |(soft, _)| soft);
    if limit != RLIM_INFINITY {
        sys::share_one_heap();
    }
}

/// Checks that `octets` octets of memory can be allocated for `what`.
///
/// # Errors
///
/// Requested memory and available memory, in one sentence.
pub(crate) fn check(what: &str, octets: u64, memory: MemoryOwner) -> Result<(), String> {
    let bounds = bounds(Path::new("/"), memory);
    let Some((left, bound)) = bounds.into_iter().min() else { return Ok(()) };
    if octets <= left {
        return Ok(());
    }
    Err(format!(
        "{what}: {} of memory asked, {bound} {}",
        units::octets(octets),
        units::octets(left)
    ))
}

/// Limits of memory: the octets that each leaves, and the words before the number in a message.
fn bounds(root: &Path, memory: MemoryOwner) -> Vec<(u64, String)> {
    let mut bounds = Vec::new();
    if let Some(octets) = kibibytes(&root.join("proc/meminfo"), "MemAvailable:") {
        bounds.push((octets, "the system has".to_owned()));
    }
    let status = root.join("proc/self/status");
    for (resource, field, name) in [
        (Resource::RLIMIT_AS, "VmSize:", "ulimit -v"),
        (Resource::RLIMIT_DATA, "VmData:", "ulimit -d"),
    ] {
        let limit = getrlimit(resource).map_or(RLIM_INFINITY, |(soft, _)| soft);
        if limit != RLIM_INFINITY {
            let used = kibibytes(&status, field).unwrap_or(0).saturating_add(REST);
            bounds.push((limit.saturating_sub(used), format!("its limit ({name}) leaves")));
        }
    }
    if memory == MemoryOwner::Own {
        let left = control_groups(root).iter().filter_map(|folder| left_in(folder)).min();
        bounds.extend(left.map(|left| (left, "its control group leaves".to_owned())));
    }
    bounds
}

/// The folders of the control groups of this process, of versions 1 and 2, each with its parent
/// groups.
fn control_groups(root: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut folders = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let top = match controllers {
            "" => root.join("sys/fs/cgroup"),
            "memory" => root.join("sys/fs/cgroup/memory"),
            _ => continue,
        };
        let group = top.join(path.trim_start_matches('/'));
        let around = group.ancestors().take_while(|folder| folder.starts_with(&top));
        folders.extend(around.map(Path::to_owned));
    }
    folders
}

/// Octets that a control group leaves. `None` without a limit. Cached files do not count, because
/// the kernel frees them if needed.
fn left_in(folder: &Path) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok();
    let limit: u64 = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used: u64 = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let statistics = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let octets = |name: &str| -> Option<u64> {
        statistics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    };
    // Values of version 1 that begin with "total" include the groups within.
    let cached = ["inactive_file", "active_file"]
        .map(|name| octets(&format!("total_{name}")).or_else(|| octets(name)).unwrap_or(0));
    let cached: u64 = cached.iter().sum();
    Some(limit.saturating_sub(used.saturating_sub(cached)))
}

/// A field of a file with numbers in KiB, converted to octets.
fn kibibytes(path: &Path, field: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system with these files, and the octets that its lowest limit leaves.
    fn least(files: &[(&str, &str)], memory: MemoryOwner) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        bounds(root.path(), memory).into_iter().map(|(octets, _)| octets).min()
    }

    const MEMORY: (&str, &str) =
        ("proc/meminfo", "MemTotal:  9000 kB\nMemFree:   10 kB\nMemAvailable:   8000 kB\n");

    #[test]
    fn the_smallest_bound_counts() {
        assert_eq!(least(&[], MemoryOwner::Own), None);
        assert_eq!(least(&[MEMORY], MemoryOwner::Own), Some(8000 << 10));
        let group = ("proc/self/cgroup", "0::/system.slice/flowprobe.service\n");
        let unlimited = ("sys/fs/cgroup/system.slice/flowprobe.service/memory.max", "max\n");
        assert_eq!(least(&[MEMORY, group, unlimited], MemoryOwner::Own), Some(8000 << 10));
        // The limit of a parent group. 100,000 of the 300,000 octets in use are cached files.
        let around = [
            ("sys/fs/cgroup/system.slice/memory.max", "1000000\n"),
            ("sys/fs/cgroup/system.slice/memory.current", "300000\n"),
            (
                "sys/fs/cgroup/system.slice/memory.stat",
                "anon 200000\nfile 100000\ninactive_file 60000\nactive_file 40000\n",
            ),
        ];
        let files = [&[MEMORY, group, unlimited], &around[..]].concat();
        assert_eq!(least(&files, MemoryOwner::Own), Some(800_000));
        assert_eq!(least(&files, MemoryOwner::OfKernel), Some(8000 << 10));
    }

    #[test]
    fn control_groups_of_version_1_count_too() {
        let files = [
            MEMORY,
            ("proc/self/cgroup", "4:memory:/container\n2:cpuacct:/x\n0::/\n"),
            ("sys/fs/cgroup/memory/container/memory.limit_in_bytes", "500000\n"),
            ("sys/fs/cgroup/memory/container/memory.usage_in_bytes", "600000\n"),
            (
                "sys/fs/cgroup/memory/container/memory.stat",
                "inactive_file 0\nactive_file 0\ntotal_inactive_file 300000\ntotal_active_file 0\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "900000\n"),
        ];
        assert_eq!(least(&files, MemoryOwner::Own), Some(200_000));
    }
}
