//! Request to close the sockets of an interface. Workers own the sockets; the main thread decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sockets that were opened together. Each of them has a clone of the lease; the main thread,
/// which opened them, has one too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    has_ended: Arc<AtomicBool>,
}

impl Lease {
    /// Asks for the sockets to be closed, after the packets in their rings have been taken.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// Whether the sockets are to be closed.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// Number of the sockets that are open, for the owner of the original lease.
    pub(crate) fn sockets(&self) -> usize {
        Arc::strong_count(&self.has_ended) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_counted_and_told() {
        let lease = Lease::default();
        assert_eq!(lease.sockets(), 0);
        let (one, other) = (lease.clone(), lease.clone());
        assert_eq!(lease.sockets(), 2);
        lease.end();
        assert!(one.has_ended() && other.has_ended());
        drop(one);
        assert_eq!(lease.sockets(), 1);
    }
}
