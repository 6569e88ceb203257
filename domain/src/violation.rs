//! Violations: what was asked for that a policy does not allow, and what people make of it.
//!
//! The same thing asked for again is counted and not noted anew, so one agent that never tires does not drive the others
//! out of the list.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, TaskId, ViolationId};
use crate::name::Name;
use crate::policy::Decider;
use crate::time::Timestamp;

/// The most violations that are kept. Those that are settled go first, then the oldest.
pub const VIOLATIONS_MAX: usize = 10_000;

/// How long an override lets what it is about pass.
pub const OVERRIDE: Duration = Duration::from_secs(60 * 60);

/// What is the same about two violations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Offence {
    /// Against which policy; none where a default denied it.
    pub policy: Option<Name>,
    /// What was to be done.
    pub action: Arc<str>,
    /// Whose work it was.
    pub workspace: Option<Name>,
    /// The type of the task, or the name of the agent.
    pub subject: Arc<str>,
}

/// Something that was asked for and that a policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Names it.
    pub id: ViolationId,
    /// What it is.
    pub offence: Offence,
    /// The rule that does not allow it; none where a default denied it.
    pub by: Option<Decider>,
    /// Whether it was done all the same, because the policy only warns.
    pub allowed: bool,
    /// The task it was last about.
    pub task: Option<TaskId>,
    /// The agent that asked last.
    pub agent: Option<AgentId>,
    /// Why it is not allowed, for a person.
    pub why: Arc<str>,
    /// How often it was asked for.
    pub count: u64,
    /// When it was asked for first.
    pub first_at: Timestamp,
    /// When it was asked for last.
    pub last_at: Timestamp,
    /// What people make of it.
    pub status: ViolationStatus,
    /// Who said so, when, and why.
    pub settled: Option<Settled>,
}

/// Who said what becomes of a violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Who.
    pub by: Name,
    /// When.
    pub at: Timestamp,
    /// Why, for a person.
    pub note: Arc<str>,
}

/// What people make of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationStatus {
    /// Nobody has looked at it.
    Open,
    /// Somebody looks at it.
    Investigating,
    /// It was dealt with.
    Resolved,
    /// It was none.
    FalsePositive,
    /// What a soft policy denied may be done for a while.
    Overridden,
}

impl ViolationStatus {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Investigating, Self::Resolved, Self::FalsePositive, Self::Overridden];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Investigating => "investigating",
            Self::Resolved => "resolved",
            Self::FalsePositive => "false_positive",
            Self::Overridden => "overridden",
        }
    }

    /// Tells whether nobody needs to look at it any more.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Resolved | Self::FalsePositive | Self::Overridden)
    }
}

impl fmt::Display for ViolationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Violation {
    /// Tells whether somebody lets what it is about pass, for the time being.
    pub fn is_overridden(&self, now: Timestamp) -> bool {
        self.status == ViolationStatus::Overridden
            && self.settled.as_ref().is_some_and(|settled| now < settled.at.after(OVERRIDE))
    }
}
