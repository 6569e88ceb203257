//! What a world does without: single faults of its plan, single operations of its clients, its last part.
//!
//! For shrinking. The plan is drawn from the seed and the whole duration first, and what is left out is taken from it
//! then: so what remains comes as it came before. Operations are numbered for each client, from 1, by the order in
//! which it does them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most numbers that a text may stand for: more than there are faults or operations in a world of an hour.
const NUMBERS_MAX: usize = 1_000_000;

/// What a world does without.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Faults, by their number in the plan from 1.
    pub faults: Numbers,
    /// Operations, by the client's name.
    pub operations: BTreeMap<String, Numbers>,
    /// Faults and new work end at this time, although the plan goes on.
    pub after: Option<Duration>,
}

impl LeftOut {
    /// Tells whether an operation of a client is left out.
    pub fn has_operation(&self, client: &str, number: u64) -> bool {
        self.operations.get(client).is_some_and(|numbers| numbers.0.contains(&number))
    }
}

/// A set of numbers from 1. Text form: `1-4,7`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbers(pub BTreeSet<u64>);

/// Says that a text is no set of numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} are not numbers from 1 and ranges of them, like 1-4,7")]
pub struct NotNumbers(String);

impl FromStr for Numbers {
    type Err = NotNumbers;

    fn from_str(text: &str) -> Result<Self, NotNumbers> {
        let mut numbers = BTreeSet::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse().ok().filter(|number: &u64| *number > 0);
            let range = number(first).zip(number(last)).filter(|(first, last)| first <= last);
            let (first, last) = range.ok_or_else(|| NotNumbers(text.to_owned()))?;
            let count = usize::try_from(last - first).unwrap_or(usize::MAX);
            if count >= NUMBERS_MAX - numbers.len().min(NUMBERS_MAX - 1) {
                return Err(NotNumbers(text.to_owned()));
            }
            numbers.extend(first..=last);
        }
        Ok(Self(numbers))
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.0.iter().copied().peekable();
        let mut comma = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if(|next| *next == last + 1) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for text in ["", "1", "1-4,7", "2,4,6", "1-1000"] {
            assert_eq!(text.parse::<Numbers>().map(|numbers| numbers.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("3,1,2".parse::<Numbers>().unwrap().to_string(), "1-3");
        for wrong in ["0", "4-1", "x", "1,,2", "1-99999999999", "-3"] {
            assert!(wrong.parse::<Numbers>().is_err(), "{wrong}");
        }
    }
}
