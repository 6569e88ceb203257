//! Circuit breakers: a pool, or a type of task, whose attempts fail again and again gets no more work for a while.
//!
//! ```text
//!              too many failures                  the time is over
//!   closed ─────────────────────────► open ─────────────────────────► half-open
//!     ▲                                 ▲                               │    │
//!     │                                 └─────────── one failed ────────┘    │
//!     └──────────────────── as many probes succeeded as were asked for ──────┘
//! ```
//!
//! There is a breaker where somebody asked for one and nowhere else. It judges attempts that succeeded, failed by
//! themselves or took too long; a lost lease and a cancelled task say nothing about the work. The machine is
//! [`Circuit`], one `match` over state and input; what becomes of the work that waits is left to [`crate::state`].

mod circuit;
#[cfg(test)]
mod laws;
mod ring;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::refusal::Refusal;
use crate::time::Timestamp;

pub use crate::parking::Guarded;
pub use circuit::{Circuit, Input, Try, Turn};
pub use ring::Ring;

/// The most breakers. Each is looked at by every attempt of its pool or type only, so this bounds memory alone.
pub const BREAKERS_MAX: usize = 1024;

/// The most attempts that a failure rate looks back at: a bit for each in one number.
pub const WINDOW_MAX: u32 = 128;

/// The most probes: more would be work and not a question.
pub const PROBES_MAX: u32 = 64;

/// When a breaker opens and closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerSpec {
    /// What it is about.
    pub of: Guarded,
    /// It opens at this many failures in a row; 0 for never.
    pub failures: u32,
    /// It opens when this share of the attempts it looks back at has failed, in percent; 0 for never.
    pub rate_percent: u32,
    /// At how many attempts it looks back for that.
    pub window: u32,
    /// How many attempts must have ended before their rate counts.
    pub at_least: u32,
    /// How long it stays open the first time; twice as long each time that a probe fails.
    pub open_for: Duration,
    /// How long it stays open at most.
    pub open_max: Duration,
    /// How many attempts it lets through when half-open, and how many of them must succeed: all.
    pub probes: u32,
}

impl BreakerSpec {
    /// The settings of who names none: five failures in a row, or half of the last fifty if there were twenty;
    /// open for half a minute, up to ten minutes; one probe.
    pub const fn of(of: Guarded) -> Self {
        Self {
            of,
            failures: 5,
            rate_percent: 50,
            window: 50,
            at_least: 20,
            open_for: Duration::from_secs(30),
            open_max: Duration::from_secs(600),
            probes: 1,
        }
    }

    /// Checks that the numbers make sense together.
    ///
    /// # Errors
    /// A refusal that names the field.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
        if self.failures == 0 && self.rate_percent == 0 {
            return refuse("failures", "it or rate_percent must be above 0, else it never opens".to_owned());
        }
        if self.rate_percent > 100 {
            return refuse("rate_percent", "it must be from 0 to 100".to_owned());
        }
        if self.window == 0 || self.window > WINDOW_MAX {
            return refuse("window", format!("it must be from 1 to {WINDOW_MAX}"));
        }
        if self.at_least == 0 || self.at_least > self.window {
            return refuse("at_least", format!("it must be from 1 to the window, {}", self.window));
        }
        if self.probes == 0 || self.probes > PROBES_MAX {
            return refuse("probes", format!("it must be from 1 to {PROBES_MAX}"));
        }
        if self.open_for < Duration::from_millis(1) || self.open_for > self.open_max {
            return refuse("open_for", "it must be from a millisecond to open_max".to_owned());
        }
        Ok(())
    }

    /// Returns how long it stays open when it has opened `times` in a row.
    pub fn open_time(&self, times: u32) -> Duration {
        let doubled = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
        self.open_for.checked_mul(doubled).map_or(self.open_max, |time| time.min(self.open_max))
    }
}

/// One change of a breaker that somebody asks for. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BreakerCommand {
    /// Makes a breaker, or changes when it opens and closes.
    Put {
        /// What it shall be.
        spec: Arc<BreakerSpec>,
    },
    /// Removes a breaker; what it held back goes on.
    Remove {
        /// What it is about.
        of: Guarded,
    },
    /// Closes a breaker by hand, and forgets what it has counted towards opening.
    Reset {
        /// What it is about.
        of: Guarded,
    },
    /// Opens a breaker by hand.
    Trip {
        /// What it is about.
        of: Guarded,
        /// For how long; until it is reset when `None`.
        period: Option<Duration>,
        /// Why, for a person.
        reason: Arc<str>,
    },
}

/// A breaker: its settings, how it stands, and what it has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// When it opens and closes.
    pub spec: BreakerSpec,
    /// How it stands.
    pub circuit: Circuit,
    /// How many attempts failed since it was made.
    pub failed: u64,
    /// How many attempts succeeded since it was made.
    pub succeeded: u64,
    /// When an attempt failed last, and why.
    pub last_failure: Option<(Timestamp, Arc<str>)>,
}

impl Breaker {
    /// Makes a closed breaker that has seen nothing.
    pub fn new(spec: BreakerSpec) -> Self {
        Self { spec, circuit: Circuit::default(), failed: 0, succeeded: 0, last_failure: None }
    }

    /// Changes its settings; how it stands and what it has seen stay, as far as they fit.
    pub fn change(&mut self, spec: BreakerSpec) -> Option<Turn> {
        self.spec = spec;
        // Fewer probes may be asked for than have succeeded: no further one would come to close it.
        let enough = matches!(
            &self.circuit,
            Circuit::HalfOpen { succeeded, .. } if *succeeded >= self.spec.probes
        );
        if !enough {
            return None;
        }
        self.circuit = Circuit::default();
        Some(Turn::Closed)
    }

    /// Tells whether another attempt may begin.
    pub fn admits(&self) -> bool {
        self.circuit.admits(&self.spec)
    }

    /// Takes in what happened; returns how it turned, if it did.
    pub fn take(&mut self, input: &Input, now: Timestamp) -> Option<Turn> {
        match input {
            Input::Succeeded(_) => self.succeeded = self.succeeded.saturating_add(1),
            Input::Failed(_, reason) => {
                self.failed = self.failed.saturating_add(1);
                self.last_failure = Some((now, reason.clone()));
            }
            Input::Granted(_) | Input::Gone(_) | Input::Elapsed | Input::Tripped { .. } | Input::Reset => {}
        }
        let circuit = std::mem::take(&mut self.circuit);
        let before = circuit.word();
        self.circuit = circuit.next(&self.spec, input, now);
        // Opened anew counts as a turn: somebody waits for another time from here on. So does room for another probe.
        let turn = self.circuit.turned();
        let again = matches!(
            (&turn, input),
            (Turn::Opened, Input::Tripped { .. }) | (Turn::HalfOpened, Input::Gone(_))
        );
        (before != self.circuit.word() || again).then_some(turn)
    }
}

/// Says that a text names nothing that can have a breaker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names nothing that can have a breaker; use pool/NAME or type/NAME")]
pub struct GuardedUnknown(pub String);

impl Guarded {
    /// Returns the text form: `pool/NAME` or `type/NAME`.
    pub fn path(&self) -> String {
        match self {
            Self::Pool(pool) => format!("pool/{pool}"),
            Self::Kind(kind) => format!("type/{kind}"),
        }
    }
}

impl FromStr for Guarded {
    type Err = GuardedUnknown;

    fn from_str(text: &str) -> Result<Self, GuardedUnknown> {
        let known = match text.split_once('/') {
            Some(("pool", pool)) => Name::new(pool).ok().map(Self::Pool),
            Some(("type", kind)) => Name::new(kind).ok().map(Self::Kind),
            Some(_) | None => None,
        };
        known.ok_or_else(|| GuardedUnknown(text.to_owned()))
    }
}
