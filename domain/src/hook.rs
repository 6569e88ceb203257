//! Hooks: work that is pinned to an agent and kept in a git repository.
//!
//! ```text
//!            start                 complete
//!  PENDING ────────► ACTIVE ─────────────────► COMPLETED
//!     ▲  │              │ │ fail, no retry left
//!     │  │ silent, gone │ └──────────────────► FAILED
//!     │  ▼              ▼
//!     └── ABANDONED ◄───┘        fail with a retry left, reassign: PENDING under the next attempt
//! ```
//!
//! The attempt is the fencing token: whoever writes under an earlier one is refused, here and at the ref of the
//! repository. A hook that is abandoned has not ended: it waits for somebody to take it up, and its agent may still
//! come back to it as long as nobody has. What happens to a hook is judged in [`crate::state`]; worktrees and refs are
//! left to the node that has the repository.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::{Agent, Host, Standing};
use crate::id::{AgentId, HookId, NodeId, RunId, TaskId};
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::payload::Payload;
use crate::terms::Terms;
use crate::time::Timestamp;

/// How often a hook's work is tried again after it failed or was abandoned, unless its maker says otherwise.
pub const RETRIES_DEFAULT: u32 = 3;

/// The most retries that a hook may ask for.
pub const RETRIES_MAX: u32 = 100;

/// How long a hook may be silent before it is abandoned, unless its maker says otherwise.
pub const STALE_AFTER_DEFAULT: Duration = Duration::from_secs(300);

/// The shortest silence that may be asked for: nodes look at their hooks some times within it.
pub const STALE_AFTER_MIN: Duration = Duration::from_secs(1);

/// The most hooks that have not ended, in all. Each has a worktree on a disk and some kilobytes on every replica.
pub const HOOKS_MAX: usize = 10_000;

/// The most ended hooks that are remembered; the record in the repository stays.
pub const ENDED_HOOKS_MAX: usize = 1_000;

/// How long an ended hook is remembered.
pub const ENDED_HOOK_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The longest path of a repository and the longest name of a branch, in bytes.
pub const PATH_BYTES_MAX: usize = 4096;

/// What a hook is. Never changes after it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSpec {
    /// The hook's id.
    pub id: HookId,
    /// Whose it is.
    pub workspace: Name,
    /// Who it is made for; [`Hook::agent`] says who has it.
    pub agent: AgentId,
    /// The node that has the repository. Nobody else touches it.
    pub node: NodeId,
    /// The repository's folder there, absolute.
    pub repository: Arc<str>,
    /// The branch that the work is done on.
    pub branch: Arc<str>,
    /// The commit that the branch begins at, as hexadecimal digits.
    pub base: Arc<str>,
    /// What sort of work it is: the kind of the tasks that its agent gets.
    pub kind: Name,
    /// What is to be done, for the agent.
    pub work: Payload,
    /// How often it is tried again.
    pub max_retries: u32,
    /// How long it may be silent before it is abandoned.
    pub stale_after: Duration,
}

/// On which terms the tasks of a hook are done; of one without any, on the default ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookTerms {
    /// The run that it was made for: what its tasks use counts as what the run does.
    pub run: Option<RunId>,
    /// The terms of each task.
    pub terms: Option<Arc<Terms>>,
}

/// Where a hook stands in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookState {
    /// Its agent has not begun.
    Pending,
    /// Its agent works on it.
    Active,
    /// It is done.
    Completed {
        /// What came out.
        result: Payload,
    },
    /// It failed for good.
    Failed {
        /// Why the last attempt failed.
        reason: Arc<str>,
    },
    /// Its agent is silent or gone, and nobody has taken it up yet.
    Abandoned {
        /// What became of the agent.
        reason: Arc<str>,
    },
}

/// The states of a hook, as people see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HookStatus {
    /// Its agent has not begun.
    Pending,
    /// Its agent works on it.
    Active,
    /// It is done.
    Completed,
    /// It failed for good.
    Failed,
    /// Its agent is silent or gone.
    Abandoned,
}

impl HookStatus {
    /// All of them, in order of a hook's life.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Active, Self::Completed, Self::Failed, Self::Abandoned];

    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Active => "ACTIVE",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Abandoned => "ABANDONED",
        }
    }

    /// Tells whether nothing more happens to a hook that has it.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

impl fmt::Display for HookStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A hook: what it is and how it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// What it is.
    pub spec: Arc<HookSpec>,
    /// Who has it.
    pub agent: AgentId,
    /// The pool of whoever has it: another agent of it may take it over.
    pub pool: Option<Name>,
    /// Where it stands.
    pub state: HookState,
    /// The fencing token: grows when the work begins anew, and never goes back.
    pub attempt: u32,
    /// How many of its retries are used.
    pub retries: u32,
    /// Counts what happened to it; says which of two records of it is later.
    pub revision: u64,
    /// Why the attempt before this one ended.
    pub last_error: Option<Arc<str>>,
    /// When it was last heard of.
    pub heard_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its state, agent or attempt last changed.
    pub updated_at: Timestamp,
}

impl Hook {
    /// Returns where it stands, as people see it.
    pub const fn status(&self) -> HookStatus {
        match self.state {
            HookState::Pending => HookStatus::Pending,
            HookState::Active => HookStatus::Active,
            HookState::Completed { .. } => HookStatus::Completed,
            HookState::Failed { .. } => HookStatus::Failed,
            HookState::Abandoned { .. } => HookStatus::Abandoned,
        }
    }

    /// Tells whether its agent should be at work on it.
    pub const fn is_held(&self) -> bool {
        matches!(self.state, HookState::Pending | HookState::Active)
    }

    /// Returns why it failed or was abandoned.
    pub const fn reason(&self) -> Option<&Arc<str>> {
        match &self.state {
            HookState::Failed { reason } | HookState::Abandoned { reason } => Some(reason),
            HookState::Pending | HookState::Active | HookState::Completed { .. } => None,
        }
    }

    /// Returns what came out of it.
    pub const fn result(&self) -> Option<&Payload> {
        match &self.state {
            HookState::Completed { result } => Some(result),
            _ => None,
        }
    }

    /// Returns the task under which its agent does the present attempt.
    pub fn task(&self) -> TaskId {
        self.spec.id.task_of(self.attempt)
    }

    /// Tells whether an agent can reach its worktree, going by where it runs. Of one that runs outside nobody knows
    /// it; it is believed.
    pub fn fits(&self, agent: &Agent) -> bool {
        match agent.spec.host {
            Host::Node(node) => node == self.spec.node,
            Host::External => true,
        }
    }

    /// Returns when it is taken for abandoned unless something is heard of it; `agent` is the one that has it.
    ///
    /// An agent that serves may let it wait for its turn as long as it likes; one that began has to be heard of. Neither
    /// is held against an agent that came back later than that.
    pub(crate) fn stale_at(&self, agent: Option<&Agent>) -> Option<Timestamp> {
        let served = agent.is_some_and(|agent| self.fits(agent) && agent.standing == Standing::Ready);
        match self.state {
            HookState::Pending if served => None,
            HookState::Pending | HookState::Active => {
                let since = agent.map_or(Timestamp::ZERO, |agent| agent.since);
                let hurry = if mutant(Mutant::HurryThePatrol) { 2 } else { 1 };
                Some(self.heard_at.max(since).after(self.spec.stale_after / hurry))
            }
            HookState::Completed { .. } | HookState::Failed { .. } | HookState::Abandoned { .. } => None,
        }
    }
}

impl HookId {
    /// Returns the task under which an attempt at the hook is done: always the same, so that it is made once.
    ///
    /// The time of the hook's id, and its chance counted on by the attempt.
    pub const fn task_of(self, attempt: u32) -> TaskId {
        let (high, low) = halves(self.raw());
        TaskId::from_raw((high << 64) | low.wrapping_add(attempt as u64) as u128)
    }

    /// Returns the ids among which that of the hook stands that a task may belong to.
    pub(crate) const fn range_of(task: TaskId) -> (Self, Self) {
        let (high, _) = halves(task.raw());
        (Self::from_raw(high << 64), Self::from_raw((high << 64) | u64::MAX as u128))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
const fn halves(raw: u128) -> (u128, u64) {
    (raw >> 64, raw as u64)
}

/// What may be asked about hooks. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HookCommand {
    /// Makes a hook.
    Create {
        /// What it shall be.
        spec: Arc<HookSpec>,
    },
    /// Says that work on it has begun, or goes on.
    Start {
        /// Which hook.
        hook: HookId,
        /// Under which attempt.
        attempt: u32,
    },
    /// Says that work on it goes on.
    Touch {
        /// Which hook.
        hook: HookId,
        /// Under which attempt.
        attempt: u32,
    },
    /// Ends it with its result.
    Complete {
        /// Which hook.
        hook: HookId,
        /// Under which attempt.
        attempt: u32,
        /// What came out.
        result: Payload,
    },
    /// Ends an attempt without a result; the hook waits for the next, or fails when its retries are used.
    Fail {
        /// Which hook.
        hook: HookId,
        /// Under which attempt.
        attempt: u32,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Says that its agent does not work on it any more. Another one of the same pool takes it over if there is one.
    Abandon {
        /// Which hook.
        hook: HookId,
        /// Under which attempt.
        attempt: u32,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Gives it to an agent, under the next attempt; that may be the one that has it.
    Reassign {
        /// Which hook.
        hook: HookId,
        /// To whom; to a fitting one of the same pool when `None`.
        agent: Option<AgentId>,
    },
    /// Forgets one that nobody works on.
    Remove {
        /// Which hook.
        hook: HookId,
    },
    /// Takes a hook in that was found in a repository, as it stands there. If it has not ended it begins anew, under the
    /// next attempt.
    Adopt {
        /// The hook.
        hook: Arc<Hook>,
    },
    /// Makes a hook whose tasks are given out on terms of its own.
    CreateWith {
        /// What it shall be.
        spec: Arc<HookSpec>,
        /// The terms.
        terms: Arc<HookTerms>,
    },
}

/// Why a command about a hook was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum HookRefusal {
    /// There is no such hook, or it ended long ago.
    #[error("there is no hook {0}")]
    Unknown(HookId),
    /// A hook of that id exists.
    #[error("{0} exists already")]
    Exists(HookId),
    /// The writer's attempt is not the present one.
    #[error("attempt {attempt} has lost {hook}: attempt {present} has it")]
    Fenced {
        /// Which hook.
        hook: HookId,
        /// The attempt that wrote.
        attempt: u32,
        /// The attempt that has it.
        present: u32,
    },
    /// The hook is over.
    #[error("{hook} has already ended: it is {status}")]
    Ended {
        /// Which hook.
        hook: HookId,
        /// How it ended.
        status: HookStatus,
    },
    /// Somebody works on it.
    #[error("{hook} is {status}")]
    InUse {
        /// Which hook.
        hook: HookId,
        /// How it stands.
        status: HookStatus,
    },
    /// Another hook works on the branch.
    #[error("branch {branch} of {repository} belongs to {hook}")]
    BranchTaken {
        /// The branch.
        branch: String,
        /// The repository.
        repository: String,
        /// The hook that has it.
        hook: HookId,
    },
    /// The agent runs on a node that does not have the repository.
    #[error("{agent} does not run where {repository} is")]
    OutOfReach {
        /// Which agent.
        agent: AgentId,
        /// The repository.
        repository: String,
    },
    /// There is no other agent to give it to.
    #[error("there is no other agent in service that {0} could be given to")]
    Nobody(HookId),
}

impl HookRefusal {
    /// Returns the stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "hook_unknown",
            Self::Exists(_) => "hook_exists",
            Self::Fenced { .. } => "hook_fenced",
            Self::Ended { .. } => "hook_ended",
            Self::InUse { .. } => "hook_in_use",
            Self::BranchTaken { .. } => "hook_branch_taken",
            Self::OutOfReach { .. } => "hook_out_of_reach",
            Self::Nobody(_) => "hook_without_agent",
        }
    }

    /// Returns what to do about it, for a person.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "check the id; an old hook is found in its repository under refs/synod/hooks",
            Self::Exists(_) => "make a new id for new work",
            Self::Fenced { .. } => {
                "stop this attempt; its work is on the branch, and another attempt goes on"
            }
            Self::Ended { .. } => "nothing is left to do; read the hook to see how it ended",
            Self::InUse { .. } => "wait until it has ended, or fail it first",
            Self::BranchTaken { .. } => "give the hook another branch, or wait until the other one has ended",
            Self::OutOfReach { .. } => "choose an agent of the node that has the repository",
            Self::Nobody(_) => "name an agent, or start one in the pool of the hook",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_has_a_task_of_its_own_from_which_the_hook_is_found() {
        let hook = HookId::from_raw((7 << 64) | u128::from(u64::MAX));
        let tasks: Vec<TaskId> = (1..=3).map(|attempt| hook.task_of(attempt)).collect();
        assert!(tasks.windows(2).all(|pair| pair[0] != pair[1]));
        for task in tasks {
            let (first, last) = HookId::range_of(task);
            assert!(first <= hook && hook <= last);
        }
        assert_eq!(hook.task_of(2), hook.task_of(2));
    }
}
