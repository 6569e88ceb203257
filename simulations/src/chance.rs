//! Streams of chance: everything random in a world comes from its seed, by the name of its purpose.
//!
//! A stream for each purpose keeps purposes apart: a client that draws once more does not move the next
//! crash. Promises that the same seed and name give the same numbers in any process.

use std::time::Duration;

use synod::clock::SeededEntropy;
use synod::node::domain::chance::Chance;

/// All streams of one seed.
#[derive(Debug, Clone, Copy)]
pub struct Streams(u64);

impl Streams {
    /// Takes the seed of the world.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Opens the stream of a purpose, at its beginning.
    pub fn open(self, purpose: &str) -> Stream {
        Stream(Chance::new(self.seed_of(purpose)))
    }

    /// Makes the entropy of a node, or of whatever else takes one.
    pub fn entropy(self, purpose: &str) -> SeededEntropy {
        SeededEntropy::from_seed(self.seed_of(purpose))
    }

    /// Returns the seed of one purpose.
    pub fn seed_of(self, purpose: &str) -> u64 {
        let named = crate::trace::hash(purpose.as_bytes());
        Chance::new(self.0 ^ named).draw()
    }
}

/// The numbers of one purpose.
#[derive(Debug, Clone)]
pub struct Stream(Chance);

impl Stream {
    /// Draws 64 bits.
    pub const fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// Draws a number from `least` to `most`.
    pub const fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.below(most - least + 1)
    }

    /// Draws a time in whole milliseconds.
    pub const fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// Happens in so many of a hundred cases.
    pub const fn happens(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    /// Draws one of several; none from none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = self.0.below(from.len() as u64);
        from.get(usize::try_from(place).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_has_its_own_numbers_and_always_the_same() {
        let draw = |seed, purpose| Streams::new(seed).open(purpose).draw();
        assert_eq!(draw(7, "faults"), draw(7, "faults"));
        assert_ne!(draw(7, "faults"), draw(7, "client 0"));
        assert_ne!(draw(7, "faults"), draw(8, "faults"));
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut stream = Streams::new(1).open("test");
        assert!((0..1000).all(|_| (3..=5).contains(&stream.between(3, 5))));
        assert_eq!(stream.pick::<u8>(&[]), None);
    }
}
