//! How long to wait before a request is sent again.

use std::time::Duration;

/// The first wait: a few syncs of a disk, so that a change of leader is over.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait. A node that starts again is noticed within it; longer only delays that.
const LONGEST: Duration = Duration::from_secs(5);

/// Returns how long to wait before a try, when `tries` have failed: twice as long each time, between the half
/// and the whole of it by `random`, so that clients that failed together do not come back together.
pub fn backoff(tries: u32, random: u64) -> Duration {
    let whole = FIRST.saturating_mul(2_u32.saturating_pow(tries.min(16))).min(LONGEST);
    let half = whole / 2;
    let span = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    half + Duration::from_millis(random % span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_stay_between_half_and_whole() {
        for random in [0, 1, 7_777_777, u64::MAX] {
            for (tries, whole) in [(0, 100), (1, 200), (5, 3_200), (6, 5_000), (u32::MAX, 5_000)] {
                let waited = backoff(tries, random);
                let whole = Duration::from_millis(whole);
                assert!(waited >= whole / 2 && waited <= whole, "{tries} {random}: {waited:?}");
            }
        }
        assert_ne!(backoff(6, 0), backoff(6, 1234), "chance matters");
    }
}
