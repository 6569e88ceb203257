//! What nodes ask the leader, and what it says.
//!
//! Formats: variants are only appended. An answer travels as what is remembered of it
//! ([`Applied`]): leases carry payloads, and the asker has the same tasks once it has applied the entry.

use serde::{Deserialize, Serialize};
use synod_domain::command::Request;
use synod_domain::id::{AgentId, NodeId};
use synod_domain::refusal::Refusal;
use synod_domain::reply::Applied;

/// A question for the leader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Question {
    /// Write this into the log.
    Propose(Request),
    /// Let time pass in the log.
    Tick,
    /// Through which index is everything that was acknowledged so far?
    ReadIndex,
    /// These agents were heard.
    Heard(Vec<AgentId>),
    /// Let another voter lead: this one, or the one that is least behind.
    Transfer(Option<NodeId>),
}

/// What is said to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Word {
    /// The command was judged, by the entry of that index.
    Settled {
        /// How.
        answer: Result<Applied, Refusal>,
        /// Where.
        index: u64,
    },
    /// The index that was asked for.
    Index(u64),
    /// It is done.
    Done,
    /// That node leads now.
    Leads(NodeId),
    /// Nothing was done: this node does not lead, and as far as it knows this one does.
    NotLeader(Option<NodeId>),
    /// Nothing was done: too much waits.
    Overloaded,
    /// Nothing was done: the leader's disk has no room for new work.
    NoSpace,
    /// It may have been done or not.
    Unknown(String),
    /// It was not done, for this reason.
    Failed(String),
}
