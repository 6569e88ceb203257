//! The one place that reads the system's clock and draws the system's randomness.
//!
//! Everything else gets them through [`Clock`] and [`Entropy`], so that a simulation can bring its own.

use std::fmt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
#[expect(clippy::disallowed_types, reason = "the one place that draws the system's randomness")]
use rand::rngs::OsRng;
use rand::{Rng, SeedableRng, TryRngCore};
use rand_chacha::ChaCha12Rng;
use synod_domain::sources::{Clock, Entropy};
use synod_domain::time::Timestamp;

/// The system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Measures how long something takes, for people; nothing is decided by it.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "for showing durations to people")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> std::time::Duration {
        self.0.elapsed()
    }
}

/// A stream of random numbers: `ChaCha12`, seeded once.
pub struct SeededEntropy(Mutex<ChaCha12Rng>);

impl SeededEntropy {
    /// Seeds from the operating system.
    ///
    /// # Errors
    /// When it has no randomness to give; a node must not start then.
    pub fn from_system() -> Result<Self, String> {
        let mut seed = [0; 32];
        OsRng.try_fill_bytes(&mut seed).map_err(|error| error.to_string())?;
        Ok(Self(Mutex::new(ChaCha12Rng::from_seed(seed))))
    }

    /// Seeds from a number: the same one gives the same stream.
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(ChaCha12Rng::seed_from_u64(seed)))
    }
}

impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededEntropy")
    }
}

impl Entropy for SeededEntropy {
    fn draw(&self) -> u64 {
        self.0.lock().random()
    }
}
