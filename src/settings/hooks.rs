//! Settings of hooks.

use serde::{Deserialize, Serialize};

use crate::hooks;
use crate::period::Period;

/// Hooks: work that is kept in git.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HookSettings {
    /// How often the node looks at its hooks that have not ended. More often costs some runs of git for each.
    pub patrol: Period,
    /// How long a hook may be silent before it is abandoned, unless it says otherwise. Longer notices a dead agent
    /// later; shorter takes a slow one for dead.
    pub stale_after: Period,
    /// How long one run of git may take. Longer lets a slow disk finish, and a dead one hold the others up.
    pub git_deadline: Period,
}

impl Default for HookSettings {
    fn default() -> Self {
        let hooks::HookSettings { patrol, stale_after, git_deadline } = hooks::HookSettings::default();
        Self { patrol: Period(patrol), stale_after: Period(stale_after), git_deadline: Period(git_deadline) }
    }
}

impl HookSettings {
    /// Returns them as a node takes them.
    pub fn node(&self) -> hooks::HookSettings {
        hooks::HookSettings {
            patrol: self.patrol.0,
            stale_after: self.stale_after.0,
            git_deadline: self.git_deadline.0,
        }
    }
}
