//! Approvals: what people are asked to agree to, who may, who did, and what came of it.
//!
//! An approval is durable from the moment it is asked for. What holds a task back holds no agent. Time passing without
//! enough of a yes is a no; so is a single no of somebody who may say it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, ApprovalId, TaskId, TokenId};
use crate::name::Name;
use crate::policy::{ApprovalDemand, Attributes, Decider};
use crate::time::Timestamp;

/// The most approvals that may be pending; each takes up to 20 KiB on every replica.
pub const PENDING_MAX: usize = 10_000;

/// How many approvals are kept after they were decided; the oldest go first.
pub const DECIDED_MAX: usize = 1_000;

/// The longest text that is shown to approvers beside the attributes, in bytes.
pub const CONTENT_BYTES_MAX: usize = 4096;

/// What somebody is asked to agree to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Names it.
    pub id: ApprovalId,
    /// What is to be done.
    pub action: Arc<str>,
    /// Whose work it is.
    pub workspace: Option<Name>,
    /// The task that waits for it, or in whose name it is asked for.
    pub task: Option<TaskId>,
    /// The agent that asks.
    pub agent: Option<AgentId>,
    /// What is said of the action; exactly this is agreed to.
    pub attributes: Attributes,
    /// More of what is to be done, as text: the payload of a task, or its beginning.
    pub content: Option<Arc<str>>,
    /// Who has to agree.
    pub demand: ApprovalDemand,
    /// The rule that asks for it.
    pub by: Decider,
    /// Why, for a person.
    pub why: Arc<str>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Until when it is waited for.
    pub expires_at: Timestamp,
    /// What was said so far, oldest first.
    pub votes: Vec<Vote>,
    /// What came of it.
    pub status: ApprovalStatus,
    /// When that was clear.
    pub decided_at: Option<Timestamp>,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub voter: Voter,
    /// Whether they agree.
    pub approve: bool,
    /// Why, for a person.
    pub reason: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// Who says something to an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    /// By which token; none for whoever runs the node.
    pub token: Option<TokenId>,
    /// What they are called.
    pub name: Name,
}

/// What came of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// It is waited for.
    Pending,
    /// As many agreed as have to.
    Approved,
    /// Somebody said no.
    Denied,
    /// Too few agreed in time.
    Expired,
    /// What it was for is over.
    Withdrawn,
}

impl ApprovalStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Denied, Self::Expired, Self::Withdrawn];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl fmt::Display for ApprovalStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Approval {
    /// Returns how many have agreed.
    pub fn agreed(&self) -> usize {
        self.votes.iter().filter(|vote| vote.approve).count()
    }

    /// Tells whether a token of this name and id, with these roles, may say something to it.
    pub fn is_for(&self, voter: &Voter, roles: &BTreeSet<Name>) -> bool {
        let ApprovalDemand { approvers, roles: wanted, .. } = &self.demand;
        if voter.token.is_none() || approvers.is_empty() && wanted.is_empty() {
            return true;
        }
        let id = voter.token.map(|token| token.to_string()).unwrap_or_default();
        approvers.contains(&voter.name) || approvers.contains(id.as_str()) || !wanted.is_disjoint(roles)
    }

    /// Says whom it waits for: `1 of 2 approvals by ann, ben`.
    pub fn waits_for(&self) -> String {
        let missing = (self.demand.quorum as usize).saturating_sub(self.agreed());
        let mut who: Vec<String> = self.demand.approvers.iter().map(ToString::to_string).collect();
        who.extend(self.demand.roles.iter().map(|role| format!("role {role}")));
        let who = if who.is_empty() { "anybody who may".to_owned() } else { who.join(", ") };
        format!("{missing} of {} approvals by {who}", self.demand.quorum)
    }
}

/// Shortens a text to [`CONTENT_BYTES_MAX`] bytes, keeping its beginning and saying how long it was.
pub fn bounded_content(text: &str) -> Arc<str> {
    if text.len() <= CONTENT_BYTES_MAX {
        return text.into();
    }
    let mut end = CONTENT_BYTES_MAX - 40;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… ({} bytes)", &text[..end], text.len()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_content_keeps_its_beginning_and_says_its_length() {
        let long = bounded_content(&"ä".repeat(4000));
        assert!(long.len() <= CONTENT_BYTES_MAX && long.ends_with("… (8000 bytes)"), "{long}");
        assert_eq!(&*bounded_content("short"), "short");
    }
}
