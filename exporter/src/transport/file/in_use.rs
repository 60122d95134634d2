//! Which files a run reads and writes: no output writes one that is used already, whatever its
//! name is. Files that follow each other in time get their names while the run goes on.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Files of the past that are remembered.
const CLOSED_MAX: usize = 10_000;

/// The files that a run uses.
#[derive(Debug, Default)]
pub struct FilesInUse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Inputs, and what is written otherwise.
    reserved: HashSet<Inode>,
    written: HashMap<Inode, Claim>,
    /// The oldest first.
    closed: VecDeque<Inode>,
    owners: Owner,
}

/// Device and inode.
type Inode = (u64, u64);

/// The number of an output.
type Owner = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Open(Owner),
    /// It is complete.
    Closed(Owner),
}

/// What an output is known by, and the file that it has open.
#[derive(Debug)]
pub(super) struct Writer {
    owner: Owner,
    open: Option<Inode>,
    /// Its files follow each other, and those of the past are not to be written again.
    rotates: bool,
}

impl FilesInUse {
    /// Notes a file that no output may write.
    pub fn reserve(&self, metadata: &Metadata) {
        self.state().reserved.extend(inode(metadata));
    }

    pub(super) fn writer(&self, rotates: bool) -> Writer {
        let mut state = self.state();
        state.owners += 1;
        Writer { owner: state.owners, open: None, rotates }
    }

    /// Says that a writer is to write a file.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`: something else uses it.
    pub(super) fn claim(&self, writer: &Writer, metadata: &Metadata) -> io::Result<()> {
        let Some(inode) = inode(metadata) else { return Ok(()) };
        let mut state = self.state();
        let is_taken = match state.written.get(&inode) {
            _ if state.reserved.contains(&inode) => true,
            Some(Claim::Open(owner)) => *owner != writer.owner,
            // A file that does not follow another one may have the inode of a deleted one.
            Some(Claim::Closed(_)) => writer.rotates,
            None => false,
        };
        if is_taken {
            let problem = "this run uses that file already";
            return Err(io::Error::new(ErrorKind::AlreadyExists, problem));
        }
        state.written.insert(inode, Claim::Open(writer.owner));
        Ok(())
    }

    /// The file that was claimed is the one that the writer has open now.
    pub(super) fn opened(&self, writer: &mut Writer, metadata: &Metadata) {
        let new = inode(metadata);
        let old = std::mem::replace(&mut writer.open, new);
        let Some(old) = old.filter(|_| old != new) else { return };
        let mut state = self.state();
        if !writer.rotates {
            state.written.remove(&old);
            return;
        }
        state.written.insert(old, Claim::Closed(writer.owner));
        state.closed.push_back(old);
        if state.closed.len() > CLOSED_MAX
            && let Some(oldest) = state.closed.pop_front()
            && matches!(state.written.get(&oldest), Some(Claim::Closed(_)))
        {
            state.written.remove(&oldest);
        }
    }

    /// The writer writes no more.
    pub(super) fn leave(&self, writer: &Writer) {
        let is_of = |claim: &Claim| match claim {
            Claim::Open(owner) | Claim::Closed(owner) => *owner == writer.owner,
        };
        self.state().written.retain(|_, claim| !is_of(claim));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Devices and pipes may be written by several.
fn inode(metadata: &Metadata) -> Option<Inode> {
    metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
}
