//! Lengths of time as people write them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

/// The longest time that may be written; longer is a slip, and sums of times must not overflow.
const PERIOD_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// How a length of time is written, for messages.
const FORM: &str =
    "write it like 250ms, 30s, 5m, 1h30m or 2d: whole numbers with d, h, m, s or ms, longest unit first";

/// A length of time such as `30s` or `1h30m`, at most ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    fn parse(text: &str) -> Option<Self> {
        let (mut rest, mut sum, mut units) = (text, Duration::ZERO, UNITS.iter());
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|character: char| !character.is_ascii_digit())?;
            let number: u64 = rest[..digits].parse().ok()?;
            let letters = rest[digits..].find(|character: char| character.is_ascii_digit());
            let end = letters.map_or(rest.len(), |length| digits + length);
            let unit = &rest[digits..end];
            // Units that were passed are gone from the iterator: each stands once, in falling order.
            let (_, millis) = units.find(|(name, _)| *name == unit)?;
            sum = sum.checked_add(Duration::from_millis(number.checked_mul(*millis)?))?;
            rest = &rest[end..];
        }
        (sum <= PERIOD_MAX).then_some(Self(sum))
    }
}

impl std::str::FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
            .ok_or_else(|| format!("{text:?} is no length of time; write it as 30s, 5m or 1h30m"))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in UNITS {
            let count = rest / u128::from(millis);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
            rest %= u128::from(millis);
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(PeriodVisitor)
    }
}

struct PeriodVisitor;

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as 30s")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
        Period::parse(text)
            .ok_or_else(|| E::custom(format!("{text:?} is not a length of time\n{FORM}; at most 3650d")))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Period, E> {
        Err(E::custom(format!(
            "the length of time {number} has no unit\nwrite {number}s for seconds or {number}ms for milliseconds"
        )))
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time such as `250ms`, `30s`, `5m`, `1h30m` or `2d`.",
            "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up_in_falling_order() {
        let millis = |text| Period::parse(text).map(|period| period.0.as_millis());
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("1m5s250ms"), Some(65_250));
        assert_eq!(millis("0s"), Some(0));
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["0s", "250ms", "1h30m", "2d", "1m5s250ms"] {
            assert_eq!(Period::parse(text).map(|period| period.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn other_texts_are_no_length_of_time() {
        for text in
            ["", "5", "s", "30 s", "5s1m", "1s1s", "1.5h", "-1s", "1w", "99999999999999999999s", "4000d"]
        {
            assert_eq!(Period::parse(text), None, "{text:?}");
        }
    }
}
