//! What can be asked about policies, violations and approvals. A format: variants are only appended.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::approval::{ApprovalStatus, Voter};
use crate::id::{AgentId, ApprovalId, TaskId, ViolationId};
use crate::name::Name;
use crate::policy::spec::{Defaults, PolicySpec};
use crate::policy::value::Attributes;
use crate::policy::verdict::Verdict;
use crate::violation::ViolationStatus;

/// One durable change of what governs actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PolicyCommand {
    /// Makes a policy or changes it; its version goes up.
    Put {
        /// What it shall be.
        spec: Arc<PolicySpec>,
    },
    /// Lets a policy be asked, or not.
    Enable {
        /// Which.
        policy: Name,
        /// Whether it is asked from now on.
        enabled: bool,
    },
    /// Removes a policy.
    Remove {
        /// Which.
        policy: Name,
    },
    /// Sets what holds where no rule matches.
    SetDefaults {
        /// What holds.
        defaults: Defaults,
    },
    /// Asks whether something may be done, and notes what comes of it: a violation, or an approval that is asked for.
    Ask {
        /// Names the approval or the violation, if it comes to one.
        id: ApprovalId,
        /// What is asked.
        ask: Arc<Ask>,
    },
    /// Notes that something was refused because of a policy.
    Note {
        /// Names the violation.
        id: ViolationId,
        /// What was refused.
        ask: Arc<Ask>,
        /// What was said to it.
        verdict: Arc<Verdict>,
    },
    /// Says what becomes of a violation.
    Settle {
        /// Which.
        violation: ViolationId,
        /// What becomes of it.
        status: ViolationStatus,
        /// Who says so.
        by: Name,
        /// Why, for a person.
        note: Arc<str>,
    },
    /// Says yes or no to an approval.
    Vote {
        /// Which.
        approval: ApprovalId,
        /// Who.
        voter: Voter,
        /// Yes or no.
        approve: bool,
        /// Why, for a person.
        reason: Arc<str>,
    },
}

/// A question as somebody asks it who is not the node itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// What is to be done.
    pub action: Name,
    /// Whose work it is, where no task says so.
    pub workspace: Option<Name>,
    /// The task it is done for.
    pub task: Option<TaskId>,
    /// The type of the task, where the task is not known here.
    pub task_type: Option<Name>,
    /// The agent that wants to do it.
    pub agent: Option<AgentId>,
    /// What is said of it.
    pub attributes: Attributes,
    /// More of it for those who may have to agree, as text.
    pub content: Option<Arc<str>>,
}

/// What came of an [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    /// What policies say.
    pub verdict: Verdict,
    /// The approval that it waits for, or that was given or refused before.
    pub approval: Option<(ApprovalId, ApprovalStatus)>,
}

impl Ruled {
    /// Tells whether it may be done now.
    pub fn allows(&self) -> bool {
        match (&self.verdict.ruling, self.approval) {
            (crate::policy::Ruling::Allow, _) => true,
            (_, Some((_, status))) => status == ApprovalStatus::Approved,
            (_, None) => false,
        }
    }
}
