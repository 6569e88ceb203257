//! What can go wrong between a caller and a node.

use synod_actors::desk::ClaimError;
use synod_actors::ports::JournalError;
use synod_actors::system::RestartError;
use synod_domain::id::TaskId;
use synod_domain::name::NameError;
use synod_domain::refusal::Refusal;
use synod_domain::region::NoWay;

use crate::node::elsewhere::ElsewhereError;

/// Why a node did not do what was asked. Unless the text says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rules refuse it.
    #[error("{0}; {hint}", hint = .0.hint())]
    Refused(#[from] Refusal),
    /// The log did not take it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Storage(#[from] synod_storage::Error),
    /// This node cannot take part in its group.
    #[error(transparent)]
    Consensus(#[from] synod_cluster::consensus::Error),
    /// The actors did not start.
    #[error(transparent)]
    System(#[from] synod_actors::system::Error),
    /// A claim was not answered.
    #[error(transparent)]
    Claim(ClaimError),
    /// An agent was not restarted.
    #[error(transparent)]
    Restart(RestartError),
    /// A name is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A payload or result is not JSON of the expected form.
    #[error("the {what} cannot be read or written as JSON: {error}")]
    Json {
        /// Payload or result.
        what: &'static str,
        /// Why.
        error: serde_json::Error,
    },
    /// A payload or result cannot be stored or fetched.
    #[error("{0}")]
    Blob(String),
    /// There is no such task, here or in history.
    #[error("there is no task {0}, neither unfinished nor in history")]
    NoTask(TaskId),
    /// The task has not ended, or ended without a result.
    #[error("{0} has no result: it is {1}")]
    NoResult(TaskId, synod_domain::task::Phase),
    /// The system does not give what a node needs.
    #[error("the node cannot start: {0}")]
    Start(String),
    /// The node cannot be who it should be.
    #[error(transparent)]
    Identity(#[from] synod_cluster::identity::Error),
    /// Gossip does not start.
    #[error(transparent)]
    Gossip(#[from] synod_cluster::gossip::Error),
    /// The cluster is not so that this can be done; the text says what to do.
    #[error("{0}")]
    Cluster(String),
    /// The task's route leads nowhere.
    #[error(transparent)]
    NoWay(#[from] NoWay),
    /// Another region did not answer.
    #[error(transparent)]
    Elsewhere(#[from] ElsewhereError),
    /// A repository cannot be used for hooks.
    #[error(transparent)]
    Hook(#[from] crate::hooks::Error),
    /// The node failed while it was asked.
    #[error("the node has failed: {0}")]
    Failed(String),
}

impl Error {
    /// Tells whether nobody answered who had to be asked, so that asking again is safe and may help.
    pub fn is_unanswered(&self) -> bool {
        use synod_cluster::identity::Error::{NoAuthority, Unanswered};
        matches!(self, Self::Identity(Unanswered(_) | NoAuthority(_)))
    }
}

impl From<ClaimError> for Error {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Refused(refusal) => Self::Refused(refusal),
            ClaimError::Journal(error) => Self::Journal(error),
            ClaimError::Crowded | ClaimError::Superseded => Self::Claim(error),
        }
    }
}

impl From<RestartError> for Error {
    fn from(error: RestartError) -> Self {
        match error {
            RestartError::Refused(refusal) => Self::Refused(refusal),
            RestartError::Failed { .. } => Self::Restart(error),
        }
    }
}
