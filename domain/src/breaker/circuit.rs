//! The machine of a breaker.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{BreakerSpec, Ring};
use crate::id::TaskId;
use crate::mutants::{Mutant, mutant};
use crate::time::Timestamp;

/// One attempt at a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Try {
    /// Which task.
    pub task: TaskId,
    /// Under which lease.
    pub attempt: u32,
}

/// How a breaker stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Circuit {
    /// Work goes through.
    Closed {
        /// How many attempts have failed in a row.
        in_a_row: u32,
        /// How the last attempts ended.
        last: Ring,
    },
    /// Nothing goes through.
    Open {
        /// Since when.
        since: Timestamp,
        /// Until when; never by itself if somebody tripped it for good.
        until: Timestamp,
        /// How often it has opened since it was closed last.
        times: u32,
        /// Why, for a person.
        cause: Arc<str>,
    },
    /// A few attempts go through, to see how they fare.
    HalfOpen {
        /// Since when.
        since: Timestamp,
        /// How often it has opened since it was closed last.
        times: u32,
        /// Why it was open.
        cause: Arc<str>,
        /// The attempts on their way.
        probes: BTreeSet<Try>,
        /// How many of them have succeeded.
        succeeded: u32,
    },
}

/// What a breaker is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// An attempt has begun.
    Granted(Try),
    /// An attempt gave its result.
    Succeeded(Try),
    /// An attempt failed by itself, or took too long.
    Failed(Try, Arc<str>),
    /// An attempt ended in a way that says nothing of the work: its agent was lost, its task was called off.
    Gone(Try),
    /// Time has passed.
    Elapsed,
    /// Somebody opens it by hand.
    Tripped {
        /// Until when; [`Timestamp::NEVER`] for until it is reset.
        until: Timestamp,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Somebody closes it by hand.
    Reset,
}

/// What a breaker has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Open.
    Opened,
    /// Half-open.
    HalfOpened,
    /// Closed.
    Closed,
}

impl Default for Circuit {
    /// Closed, and nothing seen.
    fn default() -> Self {
        Self::Closed { in_a_row: 0, last: Ring::default() }
    }
}

impl Circuit {
    /// Returns the word for how it stands.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }

    /// Tells whether another attempt may begin.
    pub fn admits(&self, spec: &BreakerSpec) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Open { .. } => false,
            Self::HalfOpen { probes, succeeded, .. } => room(spec, probes, *succeeded) > 0,
        }
    }

    /// Returns how many more attempts may begin; `None` for as many as come.
    pub fn probes_left(&self, spec: &BreakerSpec) -> Option<u32> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { .. } => Some(0),
            Self::HalfOpen { probes, succeeded, .. } => Some(room(spec, probes, *succeeded)),
        }
    }

    /// Returns when it does something by itself next.
    pub fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Open { until, .. } if *until < Timestamp::NEVER => Some(*until),
            Self::Open { .. } | Self::Closed { .. } | Self::HalfOpen { .. } => None,
        }
    }

    pub(super) const fn turned(&self) -> Turn {
        match self {
            Self::Closed { .. } => Turn::Closed,
            Self::Open { .. } => Turn::Opened,
            Self::HalfOpen { .. } => Turn::HalfOpened,
        }
    }

    /// Returns how it stands after an input; the whole machine.
    pub(super) fn next(self, spec: &BreakerSpec, input: &Input, now: Timestamp) -> Self {
        match (self, input) {
            (closed @ Self::Closed { .. }, Input::Granted(_) | Input::Gone(_) | Input::Elapsed) => closed,
            (Self::Closed { mut last, .. }, Input::Succeeded(_)) => {
                last.push(false, spec.window);
                Self::Closed { in_a_row: 0, last }
            }
            (Self::Closed { in_a_row, mut last }, Input::Failed(_, reason)) => {
                last.push(true, spec.window);
                let before = if mutant(Mutant::ForgetTheFailures) { 0 } else { in_a_row };
                let in_a_row = before.saturating_add(1);
                match too_many(spec, in_a_row, last) {
                    Some(failures) => open(spec, 1, format!("{failures}, the last: {reason}"), now),
                    None => Self::Closed { in_a_row, last },
                }
            }

            // What began before it opened tells nothing that is not known.
            (
                open @ Self::Open { .. },
                Input::Granted(_) | Input::Succeeded(_) | Input::Failed(..) | Input::Gone(_),
            ) => open,
            (Self::Open { until, times, cause, .. }, Input::Elapsed) if until <= now => {
                Self::HalfOpen { since: now, times, cause, probes: BTreeSet::new(), succeeded: 0 }
            }
            (open @ Self::Open { .. }, Input::Elapsed) => open,

            (Self::HalfOpen { since, times, cause, mut probes, succeeded }, Input::Granted(one)) => {
                probes.insert(*one);
                Self::HalfOpen { since, times, cause, probes, succeeded }
            }
            (Self::HalfOpen { since, times, cause, mut probes, succeeded }, Input::Gone(one)) => {
                probes.remove(one);
                Self::HalfOpen { since, times, cause, probes, succeeded }
            }
            (Self::HalfOpen { since, times, cause, mut probes, succeeded }, Input::Succeeded(one)) => {
                let succeeded = succeeded + u32::from(probes.remove(one));
                if succeeded >= spec.probes {
                    return Self::default();
                }
                Self::HalfOpen { since, times, cause, probes, succeeded }
            }
            (Self::HalfOpen { times, probes, .. }, Input::Failed(one, reason)) if probes.contains(one) => {
                open(spec, times.saturating_add(1), format!("its probe failed: {reason}"), now)
            }
            (half_open @ Self::HalfOpen { .. }, Input::Failed(..) | Input::Elapsed) => half_open,

            (Self::Closed { .. }, Input::Tripped { until, reason }) => tripped(1, *until, reason, now),
            (Self::Open { times, .. } | Self::HalfOpen { times, .. }, Input::Tripped { until, reason }) => {
                tripped(times, *until, reason, now)
            }
            (Self::Closed { .. } | Self::Open { .. } | Self::HalfOpen { .. }, Input::Reset) => {
                Self::default()
            }
        }
    }
}

fn room(spec: &BreakerSpec, probes: &BTreeSet<Try>, succeeded: u32) -> u32 {
    let on_their_way = u32::try_from(probes.len()).unwrap_or(u32::MAX);
    spec.probes.saturating_sub(succeeded).saturating_sub(on_their_way)
}

/// Says in words which bound is reached, if one is.
fn too_many(spec: &BreakerSpec, in_a_row: u32, last: Ring) -> Option<String> {
    if spec.failures > 0 && in_a_row >= spec.failures {
        return Some(format!("{in_a_row} failures in a row"));
    }
    last.reaches(spec.rate_percent, spec.at_least)
        .then(|| format!("{} of the last {} attempts failed", last.failures(), last.len()))
}

fn open(spec: &BreakerSpec, times: u32, cause: String, now: Timestamp) -> Circuit {
    let until = now.after(spec.open_time(times));
    Circuit::Open { since: now, until, times, cause: crate::task::bounded_reason(&cause) }
}

fn tripped(times: u32, until: Timestamp, reason: &str, now: Timestamp) -> Circuit {
    let cause = crate::task::bounded_reason(&format!("tripped by hand: {reason}"));
    Circuit::Open { since: now, until, times, cause }
}
