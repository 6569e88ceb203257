//! How much of each thing that budgets count.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::task::Usage;

/// The largest figure of one estimate or one report: a million dollars, a billion tokens, 34 years. A greater one
/// counts as this one, so that a mistaken report cannot fill a sum of 64 bits.
pub const FIGURE_MAX: u64 = 1 << 40;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Tokens read and written by models.
    Tokens,
    /// Money, in millionths of a US dollar.
    Cost,
    /// Time that attempts worked, in milliseconds. It is measured, never reported.
    Compute,
    /// Requests to a model or a provider; an attempt that says nothing made one.
    Requests,
}

impl Measure {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Tokens, Self::Cost, Self::Compute, Self::Requests];

    /// Returns the measure's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Compute => "compute",
            Self::Requests => "requests",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A figure of a measure as people write it: `1500 tokens`, `$0.05`, `2.5 s`, `3 requests`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure(pub Measure, pub u64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(measure, figure) = *self;
        match measure {
            Measure::Tokens => write!(f, "{figure} tokens"),
            Measure::Requests => write!(f, "{figure} requests"),
            Measure::Cost if figure % 10_000 == 0 => {
                write!(f, "${}.{:02}", figure / 1_000_000, figure % 1_000_000 / 10_000)
            }
            Measure::Cost => write!(f, "${}.{:06}", figure / 1_000_000, figure % 1_000_000),
            Measure::Compute if figure % 1000 == 0 => write!(f, "{} s", figure / 1000),
            Measure::Compute => write!(f, "{}.{:03} s", figure / 1000, figure % 1000),
        }
    }
}

/// A figure for each measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Tokens, in and out.
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub cost_microusd: u64,
    /// Milliseconds of work.
    pub compute_ms: u64,
    /// Requests.
    pub requests: u64,
}

impl Amount {
    /// Returns the figure of a measure.
    pub const fn of(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Tokens => self.tokens,
            Measure::Cost => self.cost_microusd,
            Measure::Compute => self.compute_ms,
            Measure::Requests => self.requests,
        }
    }

    /// Returns it with each figure at most [`FIGURE_MAX`].
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            tokens: self.tokens.min(FIGURE_MAX),
            cost_microusd: self.cost_microusd.min(FIGURE_MAX),
            compute_ms: self.compute_ms.min(FIGURE_MAX),
            requests: self.requests.min(FIGURE_MAX),
        }
    }

    /// Returns the sum of both.
    #[must_use]
    pub const fn plus(self, other: &Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            cost_microusd: self.cost_microusd.saturating_add(other.cost_microusd),
            compute_ms: self.compute_ms.saturating_add(other.compute_ms),
            requests: self.requests.saturating_add(other.requests),
        }
    }
}

/// What somebody says was used, as sums since the attempt began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Tokens read by models.
    pub tokens_in: u64,
    /// Tokens written by models.
    pub tokens_out: u64,
    /// Millionths of a US dollar.
    pub cost_microusd: u64,
    /// Requests to a model or a provider.
    pub requests: u64,
}

impl Report {
    /// Tells whether every figure is zero: whoever writes so may have said nothing.
    pub const fn is_zero(&self) -> bool {
        self.tokens_in == 0 && self.tokens_out == 0 && self.cost_microusd == 0 && self.requests == 0
    }

    /// Returns it with each figure at most half of [`FIGURE_MAX`], so that both sorts of tokens are within it.
    #[must_use]
    pub fn bounded(self) -> Self {
        let most = FIGURE_MAX / 2;
        Self {
            tokens_in: self.tokens_in.min(most),
            tokens_out: self.tokens_out.min(most),
            cost_microusd: self.cost_microusd.min(most),
            requests: self.requests.min(most),
        }
    }

    /// Returns the greater figure of each: sums do not become smaller.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self {
            tokens_in: self.tokens_in.max(other.tokens_in),
            tokens_out: self.tokens_out.max(other.tokens_out),
            cost_microusd: self.cost_microusd.max(other.cost_microusd),
            requests: self.requests.max(other.requests),
        }
    }

    /// Returns it as budgets count it, without the time.
    pub const fn amount(&self) -> Amount {
        Amount {
            tokens: self.tokens_in.saturating_add(self.tokens_out),
            cost_microusd: self.cost_microusd,
            compute_ms: 0,
            requests: self.requests,
        }
    }
}

impl From<&Usage> for Report {
    fn from(usage: &Usage) -> Self {
        let Usage { tokens_in, tokens_out, cost_microusd } = *usage;
        Self { tokens_in, tokens_out, cost_microusd, requests: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_people_write_them() {
        let text = |measure, figure| Figure(measure, figure).to_string();
        assert_eq!(text(Measure::Tokens, 1500), "1500 tokens");
        assert_eq!(text(Measure::Cost, 50_000), "$0.05");
        assert_eq!(text(Measure::Cost, 12_000_001), "$12.000001");
        assert_eq!(text(Measure::Compute, 2500), "2.500 s");
        assert_eq!(text(Measure::Compute, 60_000), "60 s");
        assert_eq!(text(Measure::Requests, 3), "3 requests");
    }
}
