//! The present life of an agent: since when, from which version of its pool's blueprint, and how its last attempts went.
//!
//! A life begins when the agent is registered and ends when it is registered again or removed. What an agent did in
//! all its lives stands in its own record.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::rollout::Tally;
use crate::time::Timestamp;

/// How many of the last attempts of an agent are remembered.
pub const RECENT_MAX: u32 = 32;

/// The present life of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// The version of its pool's blueprint that it was started from.
    pub version: u64,
    /// When it began.
    pub began_at: Timestamp,
    /// How its attempts ended.
    pub tally: Tally,
    /// How its last attempts ended, in earlier lives too.
    pub recent: Recent,
    /// That it shall begin anew, once it has finished what it has.
    pub renewal: Option<Renewal>,
}

/// That an agent shall begin anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// From which version.
    pub version: u64,
    /// Since when it is agreed.
    pub since: Timestamp,
    /// Why, for a person.
    pub reason: Arc<str>,
}

/// How the last attempts of an agent ended, the latest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// A bit for each, from the lowest on; set if it failed.
    failed: u32,
    /// How many are remembered.
    count: u32,
}

impl Recent {
    /// Takes note of how an attempt ended.
    pub const fn note(&mut self, has_failed: bool) {
        self.failed = self.failed << 1 | has_failed as u32;
        if self.count < RECENT_MAX {
            self.count += 1;
        }
    }

    /// Returns how many are remembered.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Returns how many of them failed.
    pub const fn failed(self) -> u32 {
        self.failed.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_attempts_are_remembered_and_older_ones_forgotten() {
        let mut recent = Recent::default();
        assert_eq!((recent.failed(), recent.count()), (0, 0));
        for _ in 0..3 {
            recent.note(true);
        }
        recent.note(false);
        assert_eq!((recent.failed(), recent.count()), (3, 4));
        for _ in 0..30 {
            recent.note(false);
        }
        assert_eq!((recent.failed(), recent.count()), (1, RECENT_MAX));
    }
}
