//! The stage that gives records their places.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use flow::{Batch, KeyField, KeyFields, Place, Stage};

use super::atlas::Atlas;
use super::cache::{Cache, Scope};

/// The current atlas of a run, and the counters.
#[derive(Debug)]
pub struct Atlases {
    current: Mutex<Arc<Atlas>>,
    /// Number of replacements.
    replaced: AtomicU64,
    lookups: AtomicU64,
    cached: AtomicU64,
    found: AtomicU64,
    errors: AtomicU64,
}

/// Counters of a run's lookups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceCounts {
    /// Lookups: two for each record if both addresses are in the flow key.
    pub lookups: u64,
    /// Lookups that the cache answered.
    pub cached: u64,
    /// Lookups with a known place.
    pub found: u64,
    /// Damaged records found in databases.
    pub errors: u64,
}

impl Atlases {
    /// Begins with this atlas.
    pub fn new(atlas: Atlas) -> Arc<Self> {
        Arc::new(Self {
            current: Mutex::new(Arc::new(atlas)),
            replaced: AtomicU64::new(0),
            lookups: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            found: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        })
    }

    /// The current atlas.
    pub fn current(&self) -> Arc<Atlas> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the current atlas.
    pub fn replace(&self, atlas: Atlas) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(atlas);
        self.replaced.fetch_add(1, Ordering::Release);
    }

    /// The counters so far.
    pub fn counts(&self) -> PlaceCounts {
        PlaceCounts {
            lookups: self.lookups.load(Ordering::Relaxed),
            cached: self.cached.load(Ordering::Relaxed),
            found: self.found.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }

    fn count(&self, counts: PlaceCounts) {
        self.lookups.fetch_add(counts.lookups, Ordering::Relaxed);
        self.cached.fetch_add(counts.cached, Ordering::Relaxed);
        self.found.fetch_add(counts.found, Ordering::Relaxed);
        self.errors.fetch_add(counts.errors, Ordering::Relaxed);
    }
}

/// Adds the places of both addresses to each record.
#[derive(Debug)]
pub struct PlaceStage {
    atlases: Arc<Atlases>,
    atlas: Arc<Atlas>,
    /// Number of replacements when `atlas` was taken.
    replaced: u64,
    cache: Cache,
    has_source: bool,
    has_destination: bool,
}

impl PlaceStage {
    /// A stage that looks up the addresses that are in the flow key.
    pub fn new(atlases: Arc<Atlases>, key: KeyFields) -> Self {
        let replaced = atlases.replaced.load(Ordering::Acquire);
        Self {
            atlas: atlases.current(),
            replaced,
            cache: Cache::new(),
            atlases,
            has_source: key.contains(KeyField::Source),
            has_destination: key.contains(KeyField::Destination),
        }
    }

    /// Takes a new atlas, if there is one.
    fn refresh(&mut self) {
        let replaced = self.atlases.replaced.load(Ordering::Acquire);
        if replaced != self.replaced {
            self.replaced = replaced;
            self.atlas = self.atlases.current();
            self.cache.clear();
        }
    }

    #[inline]
    fn place(&mut self, address: IpAddr, counts: &mut PlaceCounts) -> Option<Arc<Place>> {
        let block = self.cache.get(Scope::block(address));
        let place = match block.or_else(|| self.cache.get(Scope::alone(address))) {
            Some(place) => {
                counts.cached += 1;
                place.clone()
            }
            None => self.find(address, counts),
        };
        counts.lookups += 1;
        counts.found += u64::from(place.is_some());
        place
    }

    #[cold]
    fn find(&mut self, address: IpAddr, counts: &mut PlaceCounts) -> Option<Arc<Place>> {
        let found = self.atlas.find(address);
        counts.errors += found.errors;
        self.cache.put(found.scope, found.place.clone());
        found.place
    }
}

impl Stage for PlaceStage {
    fn batch(&mut self, batch: &mut Batch) {
        self.refresh();
        let mut counts = PlaceCounts::default();
        for index in 0..batch.records.len() {
            let key = &batch.records[index].key;
            let source = self.has_source.then(|| key.source_address());
            let destination = self.has_destination.then(|| key.destination_address());
            let source = source.and_then(|address| self.place(address, &mut counts));
            let destination = destination.and_then(|address| self.place(address, &mut counts));
            if source.is_some() || destination.is_some() {
                let details = batch.details_mut(index);
                (details.source, details.destination) = (source, destination);
            }
        }
        self.atlases.count(counts);
    }
}
