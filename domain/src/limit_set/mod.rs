//! Limit sets: how many tasks of one key run at once, how many begin in a while, how many tokens they use a minute.
//!
//! A set has an [expression](Expression) that makes a key of each task that it is about: its workspace, its type, a
//! field of its payload, or several of these. What is limited is each key for itself. A task that would pass a limit
//! waits parked, apart from its mailbox, until a slot of its key is free or time has made room.
//!
//! Promises: never more tasks of a key at once than its concurrency; never more begin in any stretch of time as long
//! as the window than the rate says; and what is parked goes on in the order of its mailbox when there is room. Here is
//! what follows from a set and a key alone; who is parked and woken is left to [`crate::state`].

mod expression;
mod flow;
mod pointer;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::refusal::Refusal;
use crate::task::TaskSpec;
use crate::time::Timestamp;

pub use expression::{Expression, ExpressionError, KEY_BYTES_MAX};
pub use flow::Flow;

/// The most limit sets. Each is held against every task that is submitted.
pub const LIMIT_SETS_MAX: usize = 256;

/// The most types that a set may name.
const KINDS_MAX: usize = 64;

/// The longest window of a rate: what is counted in it is kept as long.
const WINDOW_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Over how long tokens are counted.
pub const TOKENS_WINDOW: Duration = Duration::from_secs(60);

/// How many may begin in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// In any stretch of time of this length.
    pub window: Duration,
}

/// A limit set, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitSetSpec {
    /// Its name.
    pub name: Name,
    /// What makes a key of a task.
    pub key: Expression,
    /// Whose tasks it is about; everybody's without it.
    pub workspace: Option<Name>,
    /// Which types of tasks it is about; all without any.
    pub kinds: BTreeSet<Name>,
    /// How many tasks of a key may run at once.
    pub concurrency: Option<u32>,
    /// How many tasks of a key may begin in which time.
    pub rate: Option<Rate>,
    /// How many tokens the tasks of a key may use in a minute.
    pub tokens_per_minute: Option<u64>,
}

/// A limit set in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitSet {
    /// What was asked for.
    pub spec: LimitSetSpec,
    /// How many tokens an attempt uses, as those before it did on average; 0 while nobody has said.
    pub average: u64,
}

/// The key that a set made of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOf {
    /// Which set.
    pub set: Name,
    /// The [digest](LimitSetSpec::digest) of what made the key.
    pub made_by: u64,
    /// The key.
    pub key: Arc<str>,
    /// How many tokens were noted for the attempt that runs, or ran last.
    pub tokens: u64,
}

/// What went through a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// How many tasks began.
    pub began: Flow,
    /// How many tokens were used.
    pub tokens: Flow,
}

/// One change of a limit set that somebody asks for. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitSetCommand {
    /// Makes a limit set, or changes it, at once for what waits. Work in hand goes on.
    Put {
        /// What it shall be.
        spec: Arc<LimitSetSpec>,
    },
    /// Removes a limit set; what it held back goes on.
    Remove {
        /// Which one.
        set: Name,
    },
}

/// What one key of a set uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The key.
    pub key: Arc<str>,
    /// How many of its tasks run.
    pub running: u64,
    /// How many of its tasks began within the window of the rate.
    pub began: u64,
    /// How many tokens were used within the last minute, what is expected of running attempts among them.
    pub tokens: u64,
    /// How many of its tasks wait for it.
    pub waiting: usize,
    /// When time makes room, if it waits for that.
    pub opens_at: Option<Timestamp>,
}

impl LimitSet {
    /// Makes a set that has seen nothing.
    pub const fn new(spec: LimitSetSpec) -> Self {
        Self { spec, average: 0 }
    }

    /// Takes what an attempt used into the average; each counts an eighth.
    pub fn learn(&mut self, tokens: u64) {
        self.average = if self.average == 0 {
            tokens
        } else {
            (self.average - self.average / 8).saturating_add(tokens / 8).max(1)
        };
    }
}

impl fmt::Display for LimitSetSpec {
    /// Its figures, as events tell them: `concurrency=2 rate=10/60000 tokens_per_minute=40000 key=label:vendor`. The window
    /// of a rate is in milliseconds; the key comes last, because it may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(most) = self.concurrency {
            write!(f, "concurrency={most} ")?;
        }
        if let Some(Rate { count, window }) = self.rate {
            write!(f, "rate={count}/{} ", window.as_millis())?;
        }
        if let Some(most) = self.tokens_per_minute {
            write!(f, "tokens_per_minute={most} ")?;
        }
        if let Some(workspace) = &self.workspace {
            write!(f, "workspace={workspace} ")?;
        }
        for kind in &self.kinds {
            write!(f, "type={kind} ")?;
        }
        write!(f, "key={}", self.key)
    }
}

impl LimitSetSpec {
    /// Returns a digest of what makes its keys: sets of one name whose digests differ have other keys.
    ///
    /// FNV-1a, 64 bits: it tells a changed expression from the one before, and nobody gains by forging one.
    pub fn digest(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut feed = |text: &str| {
            for byte in text.as_bytes().iter().chain(&[0xff]) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        feed(self.key.as_str());
        feed(self.workspace.as_ref().map_or("", Name::as_str));
        for kind in &self.kinds {
            feed(kind.as_str());
        }
        hash
    }

    /// Tells whether it is about a task.
    pub fn is_about(&self, task: &TaskSpec) -> bool {
        self.workspace.as_ref().is_none_or(|workspace| *workspace == task.workspace)
            && (self.kinds.is_empty() || self.kinds.contains(&task.kind))
    }

    /// Checks that it limits something, and that its numbers make sense.
    ///
    /// # Errors
    /// A refusal that names the field.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
        if self.concurrency.is_none() && self.rate.is_none() && self.tokens_per_minute.is_none() {
            let why = "name one of concurrency, rate and tokens_per_minute".to_owned();
            return refuse("concurrency", why);
        }
        if self.concurrency == Some(0) {
            return refuse("concurrency", "it must be at least 1; to stop work, pause it".to_owned());
        }
        if self.rate.is_some_and(|rate| rate.count == 0) {
            return refuse("rate", "it must be at least 1; to stop work, pause it".to_owned());
        }
        if self.rate.is_some_and(|rate| rate.window < Duration::from_millis(1) || rate.window > WINDOW_MAX) {
            return refuse("rate", "its window must be from a millisecond to seven days".to_owned());
        }
        if self.tokens_per_minute == Some(0) {
            return refuse("tokens_per_minute", "it must be at least 1; to stop work, pause it".to_owned());
        }
        if self.kinds.len() > KINDS_MAX {
            return refuse("types", format!("at most {KINDS_MAX} may be named"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> LimitSetSpec {
        LimitSetSpec {
            name: Name::default(),
            key: "{workspace}".parse().expect("an expression"),
            workspace: None,
            kinds: BTreeSet::new(),
            concurrency: Some(1),
            rate: None,
            tokens_per_minute: None,
        }
    }

    #[test]
    fn a_set_that_limits_nothing_or_everything_is_refused() {
        assert_eq!(spec().check(), Ok(()));
        let rate = |count, window| Some(Rate { count, window });
        let wrong = [
            LimitSetSpec { concurrency: None, ..spec() },
            LimitSetSpec { concurrency: Some(0), ..spec() },
            LimitSetSpec { rate: rate(0, Duration::from_secs(1)), ..spec() },
            LimitSetSpec { rate: rate(1, Duration::ZERO), ..spec() },
            LimitSetSpec { rate: rate(1, WINDOW_MAX + Duration::from_secs(1)), ..spec() },
            LimitSetSpec { tokens_per_minute: Some(0), ..spec() },
        ];
        for spec in wrong {
            assert!(matches!(spec.check(), Err(Refusal::Invalid { .. })), "{spec:?}");
        }
    }
}
