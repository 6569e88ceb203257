//! What a waiting task may be held back by although its turn has come.
//!
//! Such a task is *parked*: it holds no agent and no place in its mailbox, keeps its lane and its sequence, and goes back
//! to its place when what held it back lets it go. It costs nothing meanwhile: nobody looks at it with a claim.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::TaskId;
use crate::name::Name;
use crate::time::Timestamp;

/// What holds a task back. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ParkedOn {
    /// Another task has to complete first.
    Task(TaskId),
    /// Somebody has to approve it. The text names the approval.
    Approval(Arc<str>),
    /// A budget has nothing left for it.
    Budget(Name),
    /// The account of a provider takes nothing for a while.
    Account(Name),
    /// A circuit breaker is open.
    Breaker(Guarded),
    /// Its key is used as much as a limit set allows.
    Limit {
        /// Which limit set.
        set: Name,
        /// The key that its expression gave.
        key: Arc<str>,
    },
    /// A resource that it asks for is in the hands of others.
    Resource(Name),
    /// Its workspace has as much in hand as its quota allows.
    Quota(Name),
    /// A policy does not let the agent have it whose turn it was.
    Policy(Name),
    /// A budget is less, as a whole, than what it is expected to use: it never has as much, whatever comes free.
    Beyond(Name),
}

/// What a circuit breaker stands before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Guarded {
    /// The work of a pool.
    Pool(Name),
    /// The work of a type.
    Kind(Name),
}

/// How a parked task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parking {
    /// What holds it back.
    pub on: ParkedOn,
    /// Since when.
    pub at: Timestamp,
    /// Since when it is in its lane; it ages while it is parked.
    pub lane_since: Timestamp,
}

impl ParkedOn {
    /// Returns the stable word for what holds it back.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::Approval(_) => "approval",
            Self::Budget(_) | Self::Beyond(_) => "budget",
            Self::Account(_) => "account",
            Self::Breaker(_) => "breaker",
            Self::Limit { .. } => "limit",
            Self::Resource(_) => "resource",
            Self::Quota(_) => "quota",
            Self::Policy(_) => "policy",
        }
    }
}

impl fmt::Display for ParkedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(f, "{task}"),
            Self::Approval(approval) => write!(f, "{approval}"),
            Self::Budget(budget) | Self::Beyond(budget) => write!(f, "budget {budget}"),
            Self::Account(account) => write!(f, "account {account}"),
            Self::Breaker(guarded) => write!(f, "the breaker of {guarded}"),
            Self::Limit { set, key } => write!(f, "limit {set} for key {key:?}"),
            Self::Resource(resource) => write!(f, "resource {resource}"),
            Self::Quota(workspace) => write!(f, "the quota of workspace {workspace}"),
            Self::Policy(policy) => write!(f, "policy {policy}"),
        }
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(pool) => write!(f, "pool {pool}"),
            Self::Kind(kind) => write!(f, "type {kind}"),
        }
    }
}

/// The text form for serde, where people read it.
pub(crate) mod text {
    use serde::Serializer;

    use super::ParkedOn;

    pub(crate) fn serialize<S: Serializer>(on: &ParkedOn, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(on)
    }
}
