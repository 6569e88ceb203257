//! What can go wrong between a caller and the fabric.

use std::sync::Arc;

use synod_domain::id::TaskId;
use synod_domain::name::{Name, NameError};

use crate::fabric::TaskStatus;
use crate::node;

/// Why the fabric did not do what was asked. Unless the text says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node below refuses it or could not do it; a limit that was reached is among this, with what to do.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// A limit or time of the configuration makes no sense.
    #[error("{field} is too small: {why}; raise it")]
    Config {
        /// Which field.
        field: &'static str,
        /// What would come of it.
        why: &'static str,
    },
    /// An agent cannot be made so.
    #[error("agent {agent} cannot be made: {why}")]
    Agent {
        /// What it was to be called.
        agent: String,
        /// Why, and what to do.
        why: String,
    },
    /// The agents of a pool do not come into service. The pool is there, and goes on trying.
    #[error("the agents of pool {pool} do not start: {why}")]
    NotStarted {
        /// Which pool.
        pool: Name,
        /// Why, for a person.
        why: String,
    },
    /// There is no agent that takes work.
    #[error(
        "no agent {of} takes work: {agents} are there and none of them is in service; wait, or spawn one", of = of(.pool.as_ref())
    )]
    NoneAvailable {
        /// The pool that was looked at; all of the fabric when `None`.
        pool: Option<Name>,
        /// How many agents were looked at.
        agents: usize,
    },
    /// A task ended without a result.
    #[error("{task} is {status}: {reason}")]
    Ended {
        /// Which task.
        task: TaskId,
        /// How it ended.
        status: TaskStatus,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// A result is not JSON of the expected form.
    #[error("the result of {task} is not what was expected: {error}")]
    Result {
        /// Which task.
        task: TaskId,
        /// Why.
        error: serde_json::Error,
    },
}

fn of(pool: Option<&Name>) -> String {
    pool.map_or_else(|| "of the fabric".to_owned(), |pool| format!("of pool {pool}"))
}

impl Error {
    /// Returns why the rules refused it, if they did.
    pub const fn refusal(&self) -> Option<&synod_domain::refusal::Refusal> {
        match self {
            Self::Node(node::Error::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::Node(error.into())
    }
}

impl From<synod_domain::refusal::Refusal> for Error {
    fn from(refusal: synod_domain::refusal::Refusal) -> Self {
        Self::Node(refusal.into())
    }
}
