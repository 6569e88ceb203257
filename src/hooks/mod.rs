//! Hooks in git: the worktrees, branches and records of the hooks whose repositories this node has.
//!
//! ```text
//!  log: what happened ─► keeper ─► save what lies about ─► worktree ─► record ─► task for the agent
//!                          ▲                                             │
//!                          └──────── at the start, by events, by patrol ◄┘
//! ```
//!
//! The log comes first, git after it: whatever a crash leaves undone is found again by comparing the two, and doing it
//! again changes nothing. Promises that nobody gets a worktree before all that its last holder left there is on the
//! branch, and that a record is never followed by one of an earlier attempt. Left to others: who has a hook
//! ([`synod_domain::hook`]), and doing its work.

mod command;
mod error;
pub(crate) mod keeper;
mod record;
mod repository;
mod saving;
mod worktrees;

pub use error::Error;
pub use record::{Found, Record};
pub use worktrees::Worktrees;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use synod_domain::hook::{Hook, STALE_AFTER_DEFAULT};
use synod_domain::id::HookId;

/// How hooks are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSettings {
    /// How often a node looks at its hooks that have not ended. More often notices damage sooner and costs some runs of
    /// git for each hook.
    pub patrol: Duration,
    /// How long a hook may be silent before it is abandoned, unless it says otherwise.
    pub stale_after: Duration,
    /// How long one run of git may take. Longer lets a slow disk finish and a dead one hold the others up.
    pub git_deadline: Duration,
}

impl Default for HookSettings {
    fn default() -> Self {
        Self {
            patrol: Duration::from_secs(60),
            stale_after: STALE_AFTER_DEFAULT,
            git_deadline: Duration::from_secs(120),
        }
    }
}

/// Where a hook can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The repository, as an absolute path without links.
    pub repository: String,
    /// The commit that the branch is at, or begins at.
    pub base: String,
}

/// What a hook carries that is not in its row.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// What is to be done.
    pub work: Vec<u8>,
    /// What came out of it.
    pub result: Option<Vec<u8>>,
}

/// The repositories of a node, as the keeper needs them.
#[async_trait]
pub trait Repositories: Send + Sync + 'static {
    /// Looks whether a hook can be made on a branch of a repository; changes nothing.
    async fn examine(&self, repository: &Path, branch: &str, base: Option<&str>) -> Result<Ground, Error>;

    /// Brings worktree, branch and record to where a hook stands, and returns the worktree. What is as it should be stays
    /// untouched.
    async fn bring_up(&self, hook: &Hook, load: &Load) -> Result<PathBuf, Error>;

    /// Returns where the worktree of a hook is, or would be.
    fn worktree(&self, hook: HookId) -> PathBuf;

    /// Tells whether the worktree of a hook is there.
    async fn is_there(&self, hook: HookId) -> bool;

    /// Saves what lies in a worktree that nobody needs any more, and removes it. The branch and the record stay.
    async fn forget(&self, hook: HookId) -> Result<(), Error>;

    /// Returns the hooks whose folders here may go if the log does not know them: those that have ended, and those whose
    /// worktree never was whole.
    async fn over(&self) -> Vec<HookId>;

    /// Returns the hooks that are on record in a repository, and the repository's path.
    async fn find(&self, repository: &Path) -> Result<(String, Vec<Found>), Error>;
}
