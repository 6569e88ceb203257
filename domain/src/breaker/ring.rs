//! The last attempts, a bit for each.

use serde::{Deserialize, Serialize};

/// How the last attempts ended, at most [`WINDOW_MAX`](super::WINDOW_MAX) of them; the latest is the lowest bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    failed: u128,
    len: u32,
}

impl Ring {
    /// Adds an attempt and drops what is older than `window` attempts.
    pub fn push(&mut self, failed: bool, window: u32) {
        self.failed = (self.failed << 1) | u128::from(failed);
        self.len = (self.len + 1).min(window);
        let beyond = u128::BITS - self.len.min(u128::BITS);
        self.failed = if self.len == 0 { 0 } else { self.failed << beyond >> beyond };
    }

    /// Returns how many attempts it holds.
    pub const fn len(self) -> u32 {
        self.len
    }

    /// Tells whether it holds no attempt.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Returns how many of them failed.
    pub const fn failures(self) -> u32 {
        self.failed.count_ones()
    }

    /// Tells whether at least `percent` of them failed, of which there must be `at_least`.
    pub const fn reaches(self, percent: u32, at_least: u32) -> bool {
        percent > 0 && self.len >= at_least && self.failures() * 100 >= percent * self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_attempts_count() {
        let mut ring = Ring::default();
        for _ in 0..200 {
            ring.push(true, 128);
        }
        assert_eq!((ring.len(), ring.failures()), (128, 128));
        for _ in 0..3 {
            ring.push(false, 4);
        }
        assert_eq!((ring.len(), ring.failures()), (4, 1));
        ring.push(false, 4);
        assert_eq!((ring.len(), ring.failures()), (4, 0));
    }

    #[test]
    fn a_rate_counts_when_there_are_enough_attempts() {
        let mut ring = Ring::default();
        ring.push(true, 10);
        ring.push(false, 10);
        assert!(!ring.reaches(50, 3) && ring.reaches(50, 2) && !ring.reaches(51, 2) && !ring.reaches(0, 1));
    }
}
