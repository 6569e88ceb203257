//! The time in which a limit counts.
//!
//! A window is a row of slots. What is spent counts in the slot of its moment, and a slot counts until it ends:
//!
//! | window | a slot is | and counts until |
//! |---|---|---|
//! | fixed (minute … month) | the whole of it, at UTC boundaries | the next begins |
//! | rolling | a sixtieth of its length | its length after the slot's last moment |
//! | opened | its length from the first use | it is over |
//! | whole | everything | the end of time |
//!
//! So a rolling window looks back a little further than its length and never less: no span of its length holds more
//! than its limit.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{Timestamp, date};

/// The shortest rolling or opened window. Below it the log's own pace would show.
pub const LENGTH_MIN_MS: u64 = 60_000;

/// The longest: 366 days.
pub const LENGTH_MAX_MS: u64 = 366 * DAY_MS;

/// In how many slots a rolling window is cut; each is some 30 bytes in memory, and what was spent leaves the window
/// in as many steps.
pub const SLOTS: u64 = 60;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;
const WEEK_MS: u64 = 7 * DAY_MS;
/// 1970-01-01 was a Thursday; weeks begin on Monday.
const WEEK_SHIFT_MS: u64 = 3 * DAY_MS;

/// The time in which a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// From minute to minute.
    Minute,
    /// From hour to hour.
    Hour,
    /// From midnight to midnight, UTC.
    Day,
    /// From Monday to Monday, UTC.
    Week,
    /// From the first of a month to the next, UTC.
    Month,
    /// The time just past.
    Rolling {
        /// How much of it, in milliseconds.
        length_ms: u64,
    },
    /// From the first use for a while; the next use after it opens another. Quotas of providers are such.
    Opened {
        /// How long, in milliseconds.
        length_ms: u64,
    },
    /// All time: what is spent stays spent until a reset.
    Whole,
}

impl Window {
    /// Says what is wrong with it, if something is.
    ///
    /// # Errors
    /// When a length is out of bounds.
    pub fn check(self) -> Result<(), String> {
        match self {
            Self::Rolling { length_ms } | Self::Opened { length_ms }
                if !(LENGTH_MIN_MS..=LENGTH_MAX_MS).contains(&length_ms) =>
            {
                Err("a window lasts from one minute to 366 days".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Returns the beginning of the slot that `now` is in. An opened window begins with its first use: `open` is the
    /// beginning of the one before, if there was one.
    pub fn slot(self, now: Timestamp, open: Option<Timestamp>) -> Timestamp {
        let millis = now.as_millis();
        let floor = |length: u64| Timestamp::from_millis(millis - millis % length);
        match self {
            Self::Minute => floor(MINUTE_MS),
            Self::Hour => floor(HOUR_MS),
            Self::Day => floor(DAY_MS),
            Self::Week => {
                let monday = (millis + WEEK_SHIFT_MS) / WEEK_MS * WEEK_MS;
                Timestamp::from_millis(monday.saturating_sub(WEEK_SHIFT_MS))
            }
            Self::Month => {
                let days = millis / DAY_MS;
                let (_, _, day) = date(days);
                Timestamp::from_millis((days + 1 - day) * DAY_MS)
            }
            Self::Rolling { length_ms } => floor(slot_ms(length_ms)),
            Self::Opened { .. } => open.filter(|open| now < self.ends(*open)).unwrap_or(now),
            Self::Whole => Timestamp::ZERO,
        }
    }

    /// Returns from when on a slot does not count any more.
    pub fn ends(self, slot: Timestamp) -> Timestamp {
        let millis = slot.as_millis();
        Timestamp::from_millis(match self {
            Self::Minute => millis + MINUTE_MS,
            Self::Hour => millis + HOUR_MS,
            Self::Day => millis + DAY_MS,
            // The first one is short: time begins on a Thursday.
            Self::Week if millis == 0 => WEEK_MS - WEEK_SHIFT_MS,
            Self::Week => millis + WEEK_MS,
            Self::Month => next_month(millis / DAY_MS) * DAY_MS,
            Self::Rolling { length_ms } => millis + slot_ms(length_ms) + length_ms,
            Self::Opened { length_ms } => millis.saturating_add(length_ms),
            Self::Whole => return Timestamp::NEVER,
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minute => f.write_str("minute"),
            Self::Hour => f.write_str("hour"),
            Self::Day => f.write_str("day"),
            Self::Week => f.write_str("week"),
            Self::Month => f.write_str("month"),
            Self::Rolling { length_ms } => write!(f, "rolling {}", Length(*length_ms)),
            Self::Opened { length_ms } => write!(f, "opened {}", Length(*length_ms)),
            Self::Whole => f.write_str("whole"),
        }
    }
}

/// A length in its largest whole unit.
struct Length(u64);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (1000, "s")];
        match units.iter().find(|(unit, _)| self.0.is_multiple_of(*unit)) {
            Some((unit, word)) => write!(f, "{}{word}", self.0 / unit),
            None => write!(f, "{}ms", self.0),
        }
    }
}

const fn slot_ms(length_ms: u64) -> u64 {
    length_ms.div_ceil(SLOTS)
}

/// Returns the first day of the month after the one that begins with `first`.
const fn next_month(first: u64) -> u64 {
    let (_, month, _) = date(first);
    let mut next = first + 28;
    while date(next).1 == month {
        next += 1;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Utc;

    fn span(window: Window, seconds: u64) -> (String, String) {
        let slot = window.slot(Timestamp::from_millis(seconds * 1000 + 7), None);
        (Utc(slot).to_string(), Utc(window.ends(slot)).to_string())
    }

    #[test]
    fn fixed_windows_begin_and_end_at_utc_boundaries() {
        // 2026-11-21 05:55:10, a Saturday.
        let spans = |window| span(window, 1_795_240_510);
        let pair = |from: &str, to: &str| (format!("{from} UTC"), format!("{to} UTC"));
        assert_eq!(spans(Window::Minute), pair("2026-11-21 05:55:00", "2026-11-21 05:56:00"));
        assert_eq!(spans(Window::Hour), pair("2026-11-21 05:00:00", "2026-11-21 06:00:00"));
        assert_eq!(spans(Window::Day), pair("2026-11-21 00:00:00", "2026-11-22 00:00:00"));
        assert_eq!(spans(Window::Week), pair("2026-11-16 00:00:00", "2026-11-23 00:00:00"));
        assert_eq!(spans(Window::Month), pair("2026-11-01 00:00:00", "2026-12-01 00:00:00"));
        assert_eq!(span(Window::Month, 951_782_400), pair("2000-02-01 00:00:00", "2000-03-01 00:00:00"));
        assert_eq!(span(Window::Week, 0), pair("1970-01-01 00:00:00", "1970-01-05 00:00:00"));
    }

    #[test]
    fn an_opened_window_begins_with_its_first_use() {
        let window = Window::Opened { length_ms: 5 * HOUR_MS };
        let at = |hours: u64| Timestamp::from_millis(hours * HOUR_MS);
        assert_eq!(window.slot(at(3), None), at(3));
        assert_eq!(window.slot(at(7), Some(at(3))), at(3));
        assert_eq!(window.slot(at(8), Some(at(3))), at(8));
    }

    #[test]
    fn lengths_are_written_in_their_largest_whole_unit() {
        assert_eq!(Window::Rolling { length_ms: 5 * HOUR_MS }.to_string(), "rolling 5h");
        assert_eq!(Window::Opened { length_ms: 90 * MINUTE_MS }.to_string(), "opened 90m");
        assert!(Window::Rolling { length_ms: 59_999 }.check().is_err());
    }
}
