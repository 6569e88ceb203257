//! A length of time on the command line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The units, from the longest, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A length of time in whole milliseconds, and not zero. Text form: `10m`, `30s`, `250ms`; a number alone is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Length(pub(crate) Duration);

/// Says that a text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a length of time; write it like 250ms, 30s, 10m or 1h")]
pub(crate) struct NotALength(String);

impl Length {
    pub(crate) fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Length {
    type Err = NotALength;

    fn from_str(text: &str) -> Result<Self, NotALength> {
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = if unit.is_empty() { "s" } else { unit };
        let each = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, millis)| *millis);
        let millis = each.zip(number.parse::<u64>().ok()).and_then(|(each, number)| each.checked_mul(number));
        let millis = millis.filter(|millis| *millis > 0);
        millis.map(|millis| Self(Duration::from_millis(millis))).ok_or_else(|| NotALength(text.to_owned()))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.millis();
        let whole = UNITS.iter().find(|(_, each)| millis.is_multiple_of(*each));
        whole.map_or(Ok(()), |(unit, each)| write!(f, "{}{unit}", millis / each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_the_longest_unit_that_fits() {
        for (text, shown) in [("60", "1m"), ("90s", "90s"), ("1500ms", "1500ms"), ("2h", "2h")] {
            assert_eq!(text.parse::<Length>().map(|length| length.to_string()), Ok(shown.to_owned()));
        }
        for wrong in ["", "s", "0", "1.5s", "-1", "3 s", "99999999999999999999h", "18446744073709551615h"] {
            assert!(wrong.parse::<Length>().is_err(), "{wrong}");
        }
    }
}
