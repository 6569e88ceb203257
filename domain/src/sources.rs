//! Where time and chance come from.
//!
//! The rules take both as arguments; these two traits are for the shells around them. They stand here
//! because both siblings, `cluster` and `actors`, need them, and only the domain is below both.

use crate::time::Timestamp;

/// Tells the time. A node has one, handed to everything that asks; a simulation gives its own.
pub trait Clock: Send + Sync {
    /// Returns the wall-clock time. It may jump; whoever needs order takes the greater of this and the last.
    fn now(&self) -> Timestamp;
}

/// Draws random numbers. A node has one, seeded by the operating system or by a simulation.
pub trait Entropy: Send + Sync {
    /// Draws 64 bits.
    fn draw(&self) -> u64;
}
