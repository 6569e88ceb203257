//! Points in time as RFC 3339 in UTC with milliseconds.

use synod_domain::time::Timestamp;

use crate::http::Problem;

/// Writes a time. One beyond the year 9999, which only a broken clock tells, is written as the last that has four
/// digits for its year.
pub(crate) fn time(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("{at:.3}")
}

/// Reads a time; one before 1970 counts as 1970.
pub(crate) fn read_time(field: &str, text: &str) -> Result<Timestamp, Problem> {
    let at: jiff::Timestamp =
        text.parse().map_err(|_| Problem::bad_request(field, format!("{text:?} is no time (RFC 3339)")))?;
    Ok(Timestamp::from_millis(u64::try_from(at.as_millisecond()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds_and_read_back() {
        let at = Timestamp::from_millis(1_795_240_510_007);
        assert_eq!(time(at), "2026-11-21T05:55:10.007Z");
        assert_eq!(read_time("since", &time(at)).ok(), Some(at));
        assert_eq!(time(Timestamp::ZERO), "1970-01-01T00:00:00.000Z");
        assert!(time(Timestamp::NEVER).starts_with("9999-12-30"));
    }

    #[test]
    fn what_is_no_time_is_refused_by_name_and_what_was_before_1970_is_the_beginning() {
        let problem = read_time("submitted_after", "yesterday").expect_err("no time");
        assert!(problem.detail().contains("submitted_after") && problem.detail().contains("yesterday"));
        assert_eq!(read_time("at", "1950-01-01T00:00:00Z").ok(), Some(Timestamp::ZERO));
    }
}
