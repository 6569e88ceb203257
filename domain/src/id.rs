//! Identifiers: 128 bits, ordered by time, printed with a prefix that says what they name.
//!
//! An id is 48 bits of milliseconds since 1970, 16 bits of sequence within that millisecond, and
//! 64 random bits. Time and chance come in as arguments ([`IdGenerator::next`]), so that the same
//! inputs give the same ids. Text form: prefix, `_`, 26 lower-case Crockford base32 digits; text
//! order is time order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::mutants::{Mutant, mutant};
use crate::time::Timestamp;

/// Crockford's base32: no `i`, `l`, `o`, `u`, so that a person can read an id aloud.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// How many base32 digits hold 128 bits.
const TEXT_LEN: usize = 26;

/// Makes raw ids that never repeat and never go back in order, from injected time and chance.
#[derive(Debug, Default, Clone)]
pub struct IdGenerator {
    last: u64,
}

impl IdGenerator {
    /// Returns the next raw id; wrap it in one of the id types.
    ///
    /// When the clock stands still or goes back, the sequence goes on from the last id, so order
    /// holds for any clock.
    pub fn next(&mut self, now: Timestamp, random: u64) -> u128 {
        let from_clock = now.as_millis() << 16;
        if mutant(Mutant::ReuseAnId) {
            return u128::from(from_clock) << 64; // neither counted on nor drawn
        }
        self.last = from_clock.max(self.last + 1);
        (u128::from(self.last) << 64) | u128::from(random)
    }
}

/// Says why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id: expected {prefix}_ and 26 base32 digits")]
pub struct ParseIdError {
    text: String,
    prefix: &'static str,
}

fn write_text(f: &mut fmt::Formatter<'_>, prefix: &str, raw: u128) -> fmt::Result {
    let mut digits = [0_u8; TEXT_LEN];
    for (place, digit) in digits.iter_mut().enumerate() {
        let shift = 5 * (TEXT_LEN - 1 - place);
        *digit = DIGITS[((raw >> shift) & 31) as usize];
    }
    let text = std::str::from_utf8(&digits).map_err(|_| fmt::Error)?;
    write!(f, "{prefix}_{text}")
}

fn parse_text(prefix: &'static str, text: &str) -> Result<u128, ParseIdError> {
    let refuse = || ParseIdError { text: text.to_owned(), prefix };
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(refuse)?;
    // 26 digits hold 130 bits; a first digit above 7 would overflow.
    if digits.len() != TEXT_LEN || digits.as_bytes()[0] > b'7' {
        return Err(refuse());
    }
    digits.bytes().try_fold(0_u128, |raw, byte| {
        let value = DIGITS.iter().position(|digit| *digit == byte).ok_or_else(refuse)?;
        Ok((raw << 5) | value as u128)
    })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// Wraps a raw id made by an [`IdGenerator`].
            pub const fn from_raw(raw: u128) -> Self {
                Self(raw)
            }

            /// Returns the 128 bits.
            pub const fn raw(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_text(f, $prefix, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_text($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    u128::deserialize(deserializer).map(Self)
                }
            }
        }
    )*};
}

ids! {
    /// Names a task for ever.
    TaskId = "task";
    /// Names an agent for ever; a restarted agent keeps its id.
    AgentId = "agent";
    /// Names one request of a client; the same id is applied once.
    RequestId = "req";
    /// Names one run of a fleet file.
    RunId = "run";
    /// Names a node; bound to its data folder.
    NodeId = "node";
    /// Names a token wherever it is spoken of; not secret.
    TokenId = "token";
    /// Names a hook for ever.
    HookId = "hook";
    /// Names an approval.
    ApprovalId = "approval";
    /// Names a violation of a policy.
    ViolationId = "violation";
    /// Names a webhook for ever.
    WebhookId = "webhook";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_keeps_time_order() {
        let mut generator = IdGenerator::default();
        let first = TaskId::from_raw(generator.next(Timestamp::from_millis(5), u64::MAX));
        let second = TaskId::from_raw(generator.next(Timestamp::from_millis(5), 0));
        let third = TaskId::from_raw(generator.next(Timestamp::from_millis(3), 7));
        assert!(first < second && second < third);
        assert!(first.to_string() < second.to_string());
        assert_eq!(second.to_string().parse::<TaskId>(), Ok(second));
    }

    #[test]
    fn text_of_another_kind_is_refused() {
        let task = TaskId::from_raw(9).to_string();
        assert!(task.parse::<AgentId>().is_err());
        assert!("task_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<TaskId>().is_err());
        assert!("task_0".parse::<TaskId>().is_err());
    }
}
