//! What becomes of a task that is submitted to a pool, before it waits there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// How many pools a task may be passed on through. Pools that delegate to each other in a ring end here, and the task
/// waits in the last.
pub const DELEGATIONS_MAX: usize = 8;

/// How a pool assigns the tasks that are submitted to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Assignment {
    /// They wait in the pool's mailbox until an agent is free.
    #[default]
    Queued,
    /// A submit is refused unless an agent is free for it.
    Immediate,
    /// They are passed on to another pool while no agent of this one is free for them.
    Delegated {
        /// Which pool.
        to: Name,
    },
    /// They wait as with `Queued`, and go to agents that hold work already before they go to others: so as few agents
    /// as possible work, and the others can leave.
    Consolidated,
}

impl Assignment {
    /// Returns its word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Immediate => "immediate",
            Self::Delegated { .. } => "delegated",
            Self::Consolidated => "consolidated",
        }
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
