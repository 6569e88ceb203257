//! Times as this API shows them: seconds since 1970 as a number, ISO 8601, milliseconds as a number.

use std::time::Duration;

use synod_domain::time::Timestamp;

/// Returns seconds since 1970 with their fraction.
pub(super) fn epoch(at: Timestamp) -> f64 {
    Duration::from_millis(at.as_millis()).as_secs_f64()
}

/// Returns ISO 8601 in UTC.
pub(super) fn iso(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("{at:.3}")
}

/// Returns milliseconds with their fraction.
pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Returns the mean of a sum over `count`, in milliseconds; 0 of nothing.
pub(super) fn mean_millis(sum: Duration, count: u64) -> f64 {
    u32::try_from(count).ok().and_then(|count| sum.checked_div(count)).map_or(0.0, millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        let at = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(iso(at), "2023-11-14T22:13:20.123Z");
        assert!((epoch(at) - 1_700_000_000.123).abs() < 1e-6);
        assert_eq!(iso(Timestamp::NEVER).len(), "9999-12-31T23:59:59.999Z".len());
    }

    #[test]
    fn mean_of_nothing_is_zero() {
        assert!(mean_millis(Duration::from_secs(3), 0).abs() < f64::EPSILON);
        assert!((mean_millis(Duration::from_secs(3), 2) - 1500.0).abs() < f64::EPSILON);
    }
}
