//! How the sockets of an interface are asked to close: workers own them, the main thread decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sockets that were opened together. Each has a clone of the lease, and so has the one who
/// opened them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    has_ended: Arc<AtomicBool>,
}

impl Lease {
    /// Asks for the sockets to be closed, once what is in their rings has been taken.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// Whether the sockets are to be closed.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// How many of the sockets are open, to be asked by the one who opened them.
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
