//! How often strangers may fail.
//!
//! A secret of 256 bits is not guessed; what a failed attempt costs is an entry of the log. So attempts with tokens
//! that this node does not know share one allowance, whoever makes them: nothing is kept for each stranger. One
//! with a token that is known here never waits for it.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row before the others wait: somebody who mistypes, on a few machines at once.
const BURST: u32 = 20;

/// How long until one more may fail.
const REFILL: Duration = Duration::from_secs(1);

/// An allowance that refills.
#[derive(Debug)]
pub(super) struct Throttle {
    left: u32,
    since: Instant,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self { left: BURST, since: Instant::now() }
    }

    /// Takes one, if there is one left.
    pub(super) fn take(&mut self) -> bool {
        while self.left < BURST && self.since.elapsed() >= REFILL {
            self.left += 1;
            self.since += REFILL;
        }
        if self.left == BURST {
            self.since = Instant::now();
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_are_allowed_in_a_burst_and_then_one_a_second() {
        let mut throttle = Throttle::new();
        let in_a_row = |throttle: &mut Throttle| (0..100).take_while(|_| throttle.take()).count();
        assert_eq!(in_a_row(&mut throttle), 20);
        tokio::time::advance(REFILL * 3).await;
        assert_eq!(in_a_row(&mut throttle), 3);
        tokio::time::advance(REFILL * 1000).await;
        assert_eq!(in_a_row(&mut throttle), 20);
    }
}
