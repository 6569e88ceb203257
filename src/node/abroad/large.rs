//! How many large payloads are on their way to other regions at a time.
//!
//! A payload that is a blob is fetched whole before it is sent, and held until the region has answered, twice for a
//! while. Promises that no more than so many are held for one region and for all, whoever sends them, and that one that
//! hangs does not hold up the others. Small payloads are held by their tasks anyway and wait for nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use synod_domain::name::Name;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Large payloads on their way at a time. Each takes up to twice the largest blob.
const LARGE_MAX: usize = 6;

/// Of those, for one region. Fewer than a region takes from another at a time, so that hardly any is sent in vain.
const LARGE_TO_REGION_MAX: usize = 3;

/// Places for large payloads.
pub(super) struct Large {
    all: Arc<Semaphore>,
    to: Mutex<BTreeMap<Name, Arc<Semaphore>>>,
}

/// The right to hold one; ends when it is dropped.
pub(super) struct Held {
    _to: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Large {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(LARGE_MAX)), to: Mutex::default() }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// Never while this lives; with a text for people.
    pub(super) async fn hold(&self, region: &Name) -> Result<Held, String> {
        let to = {
            let mut to = self.to.lock();
            // Regions of which nothing is on its way take no room.
            to.retain(|known, places| known == region || places.available_permits() < LARGE_TO_REGION_MAX);
            to.entry(region.clone()).or_insert_with(|| Arc::new(Semaphore::new(LARGE_TO_REGION_MAX))).clone()
        };
        let closed = |_| "the node is stopping".to_owned();
        let to = to.acquire_owned().await.map_err(closed)?;
        let all = self.all.clone().acquire_owned().await.map_err(closed)?;
        Ok(Held { _to: to, _all: all })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn region(number: usize) -> Name {
        Name::new(&format!("r{number}")).unwrap()
    }

    #[tokio::test]
    async fn so_many_are_held_for_a_region_and_for_all_and_no_more() {
        let large = Large::new();
        let now = |number| large.hold(&region(number)).now_or_never();
        let mut held: Vec<Held> = (0..LARGE_TO_REGION_MAX).map(|_| now(0).unwrap().unwrap()).collect();
        assert!(now(0).is_none(), "it has its share");
        held.extend((LARGE_TO_REGION_MAX..LARGE_MAX).map(|_| now(1).unwrap().unwrap()));
        assert!(now(2).is_none(), "no more for anybody");
        held.remove(0);
        let other = now(2).unwrap().unwrap();
        assert!(now(0).is_none(), "another one has its place");
        drop(other);
        assert!(now(0).is_some());
        drop(held);
        assert!(now(3).is_some());
        assert_eq!(large.to.lock().len(), 1, "regions of which nothing is on its way are forgotten");
    }
}
