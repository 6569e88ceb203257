//! Reading what one node has, however old, and how old that may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::HeaderMap;

/// The header that says how old what was read may be, in milliseconds.
const AGE: &str = "synod-state-age-ms";

/// Stands for nothing read so far; an age is counted from one.
const NONE: u64 = 0;

/// The oldest that was read. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Stale(Arc<AtomicU64>);

impl Stale {
    /// Returns the parameter by which a node is asked for what it has.
    pub(super) const fn parameter(&self) -> (&'static str, &'static str) {
        ("consistency", "stale")
    }

    /// Notes how old an answer says it may be; one that cannot tell is as old as can be.
    pub(super) fn note(&self, headers: &HeaderMap) {
        let Some(said) = headers.get(AGE) else { return };
        let age = said.to_str().ok().and_then(|said| said.parse::<u64>().ok()).unwrap_or(u64::MAX);
        self.0.fetch_max(age.saturating_add(1), Ordering::Relaxed);
    }

    /// Returns the oldest that was read.
    pub(super) fn age(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            NONE => None,
            u64::MAX => Some(Duration::MAX),
            age => Some(Duration::from_millis(age - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn noted(said: &[&'static str]) -> Option<Duration> {
        let stale = Stale::default();
        for said in said {
            let mut headers = HeaderMap::new();
            headers.insert(AGE, HeaderValue::from_static(said));
            stale.note(&headers);
        }
        stale.age()
    }

    #[test]
    fn the_oldest_counts_and_what_cannot_tell_is_as_old_as_can_be() {
        assert_eq!(noted(&[]), None);
        assert_eq!(noted(&["0"]), Some(Duration::ZERO));
        assert_eq!(noted(&["7", "1200", "9"]), Some(Duration::from_millis(1200)));
        assert_eq!(noted(&["7", "unknown"]), Some(Duration::MAX));
    }
}
