//! What a budget shall be.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::budget::amount::Measure;
use crate::budget::scope::Scope;
use crate::budget::window::Window;
use crate::name::Name;
use crate::refusal::Refusal;

/// How many limits a budget may have: two windows for each measure. Each is looked at with every lease.
pub const LIMITS_MAX: usize = 8;

/// The greatest limit: sums stay far below 64 bits.
pub const MOST_MAX: u64 = 1 << 60;

/// At which part of a limit it is warned unless said otherwise.
pub const WARN_PERCENT: u8 = 80;

/// What happens at a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Nothing is given out that would pass it.
    #[default]
    Hard,
    /// It is told, and nothing else.
    Soft,
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        })
    }
}

/// So much of a measure in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What is counted.
    pub measure: Measure,
    /// How much of it at most.
    pub most: u64,
    /// In which time.
    pub window: Window,
}

/// A budget as it is put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetSpec {
    /// Its name; putting the same again changes it.
    pub name: Name,
    /// Whose spending it counts.
    pub scope: Scope,
    /// Its limits, each of another measure or window.
    pub limits: Vec<Limit>,
    /// What happens at them.
    pub enforcement: Enforcement,
    /// At which part of a limit it is warned, in percent.
    pub warn_percent: u8,
    /// What it is for, for a person.
    pub note: Option<Arc<str>>,
}

impl fmt::Display for BudgetSpec {
    /// Its figures, as events tell them: `scope=global enforcement=hard warn_percent=80 tokens/hour=4000`. Costs are in
    /// millionths of a dollar, times in milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, enforcement, warn_percent, limits, .. } = self;
        write!(f, "scope={scope} enforcement={enforcement} warn_percent={warn_percent}")?;
        for Limit { measure, most, window } in limits {
            let window = window.to_string().replace(' ', ":");
            write!(f, " {measure}/{window}={most}")?;
        }
        Ok(())
    }
}

impl BudgetSpec {
    /// Refuses what cannot be kept.
    ///
    /// # Errors
    /// With the field and what is wrong with it.
    pub fn check(&self) -> Result<(), Refusal> {
        let invalid = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
        if self.limits.is_empty() || self.limits.len() > LIMITS_MAX {
            return invalid("limits", format!("a budget has from 1 to {LIMITS_MAX} limits"));
        }
        if !(1..=100).contains(&self.warn_percent) {
            return invalid("warn_percent", "it is from 1 to 100".to_owned());
        }
        if self.note.as_ref().is_some_and(|note| note.len() > 1024) {
            return invalid("note", "it is at most 1024 bytes long".to_owned());
        }
        for (place, limit) in self.limits.iter().enumerate() {
            if let Err(why) = limit.window.check() {
                return invalid("limits", why);
            }
            if limit.most > MOST_MAX {
                return invalid("limits", format!("a limit is at most {MOST_MAX}"));
            }
            let same = |other: &Limit| (other.measure, other.window) == (limit.measure, limit.window);
            if self.limits[..place].iter().any(same) {
                return invalid(
                    "limits",
                    format!("{} in a {} is limited twice", limit.measure, limit.window),
                );
            }
        }
        Ok(())
    }
}
