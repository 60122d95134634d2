//! Files that a run reads and writes. No output may write a file that is in use, under any name.
//! Rotating outputs claim their files during the run.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Maximum number of closed files that are remembered.
const CLOSED_MAX: usize = 10_000;

/// The files that a run uses.
#[derive(Debug, Default)]
pub struct FilesInUse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Inputs, and files that other parts of the program write.
    reserved: HashSet<Inode>,
    written: HashMap<Inode, Claim>,
    /// Closed files, the oldest first.
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
    /// Complete: closed by a rotation.
    Closed(Owner),
}

/// The identity of an output, and its open file.
#[derive(Debug)]
pub(super) struct Writer {
    owner: Owner,
    open: Option<Inode>,
    /// The output rotates its files. It must not write to a closed one again.
    rotates: bool,
}

impl FilesInUse {
    /// Reserves a file: no output may write it.
    pub fn reserve(&self, metadata: &Metadata) {
        self.state().reserved.extend(inode(metadata));
    }

    pub(super) fn writer(&self, rotates: bool) -> Writer {
        let mut state = self.state();
        state.owners += 1;
        Writer { owner: state.owners, open: None, rotates }
    }

    /// Claims a file for a writer.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`: the file is in use.
    pub(super) fn claim(&self, writer: &Writer, metadata: &Metadata) -> io::Result<()> {
        let Some(inode) = inode(metadata) else { return Ok(()) };
        let mut state = self.state();
        let is_taken = match state.written.get(&inode) {
            _ if state.reserved.contains(&inode) => true,
            Some(Claim::Open(owner)) => *owner != writer.owner,
            // Without rotation, the file may have the inode of a deleted one.
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

    /// Sets the claimed file as the open file of the writer.
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

    /// Releases all files of the writer.
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

/// Devices and pipes are not tracked: several outputs may write to them.
fn inode(metadata: &Metadata) -> Option<Inode> {
    metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
}
