//! The file that a name refers to. Links, redirects and folders may give it several names.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Maximum number of links in a path that the kernel follows.
const LINKS_MAX: usize = 40;

/// A file or a pipe. Two names of the same file are equal.
///
/// A device has no place: several outputs may write to it, such as `/dev/null`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FilePlace {
    /// It exists.
    Taken(Inode),
    /// It does not exist yet. Its folder and its name there.
    Vacant(Inode, OsString),
}

/// Device and inode.
type Inode = (u64, u64);

impl FilePlace {
    /// The place of a path. Links are followed, even if the last one leads to no file yet.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        match path.metadata() {
            Ok(metadata) => Self::of_metadata(&metadata),
            Err(_) => Self::vacant(path),
        }
    }

    /// The place of an open file.
    pub(crate) fn of_open(fd: impl AsFd) -> Option<Self> {
        let same = fd.as_fd().try_clone_to_owned().ok()?;
        Self::of_metadata(&File::from(same).metadata().ok()?)
    }

    /// The place of standard input.
    pub(crate) fn of_stdin() -> Option<Self> {
        Self::of_open(io::stdin())
    }

    /// The place of standard output.
    pub(crate) fn of_stdout() -> Option<Self> {
        Self::of_open(io::stdout())
    }

    fn of_metadata(metadata: &Metadata) -> Option<Self> {
        let kind = metadata.file_type();
        let has_place = kind.is_file() || kind.is_fifo() || kind.is_block_device();
        has_place.then(|| Self::Taken(inode(metadata)))
    }

    fn vacant(path: &Path) -> Option<Self> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            let folder = match path.parent() {
                Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
                folder => folder?,
            };
            if let Ok(target) = fs::read_link(&path) {
                path = folder.join(target);
                continue;
            }
            let folder = fs::metadata(folder).ok()?;
            return Some(Self::Vacant(inode(&folder), path.file_name()?.to_owned()));
        }
        None
    }
}

fn inode(metadata: &Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_has_one_place_under_all_names() {
        let folder = std::env::temp_dir().join(format!("flowprobe-place-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).unwrap();
        let path = |name: &str| folder.join(name);
        fs::write(path("file"), "").unwrap();
        fs::hard_link(path("file"), path("hard")).unwrap();
        symlink("file", path("soft")).unwrap();
        symlink("sub/../new", path("dangling")).unwrap();
        symlink("loop", path("loop")).unwrap();
        let place = |name: &str| FilePlace::of_path(&path(name));
        for name in ["hard", "soft", "sub/../file"] {
            assert_eq!(place(name), place("file"), "{name}");
        }
        assert_eq!(FilePlace::of_open(File::open(path("file")).unwrap()), place("file"));
        assert!(place("new").is_some());
        for name in ["dangling", "sub/../new"] {
            assert_eq!(place(name), place("new"), "{name}");
        }
        assert_ne!(place("new"), place("other"));
        assert_ne!(place("new"), place("sub/new"));
        assert_eq!(place("loop"), None);
        assert_eq!(FilePlace::of_path(Path::new("/dev/null")), None);
        fs::remove_dir_all(folder).unwrap();
    }
}
