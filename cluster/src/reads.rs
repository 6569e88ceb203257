//! Reads that see everything acknowledged before them.
//!
//! The leader asks a quorum whether it still leads; an index that it had committed when it asked is new enough for
//! whoever asked before. Promises that however many ask, one question is on its way at a time: those who come
//! while it is share the next one. Leaves waiting until the index is applied to the caller.

use std::time::Duration;

use openraft::error::{CheckIsLeaderError, RaftError};
use synod_domain::mutants::{Mutant, mutant};
use tokio::sync::{mpsc, oneshot};

use crate::group::Raft;
use crate::lasting::Lasting;

/// Callers that may wait for the next round; one that comes later is told to try again.
const WAITING_MAX: usize = 16 * 1024;

/// Why a read cannot be sure to be new enough.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Another node leads, or nobody.
    #[error("this node does not lead")]
    NotLeader,
    /// No quorum said that this node still leads.
    #[error("no majority confirms that this node leads: {0}")]
    Unconfirmed(String),
}

type Told = Result<u64, ReadError>;

/// Asks for rounds. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reads {
    waiting: mpsc::Sender<oneshot::Sender<Told>>,
}

impl Reads {
    /// Starts the task that asks; it ends with the last handle.
    pub(crate) fn start(raft: Raft, patience: Duration, lasting: &Lasting) -> Self {
        let (waiting, mut callers) = mpsc::channel::<oneshot::Sender<Told>>(WAITING_MAX);
        lasting.spawn("confirming reads", async move {
            let mut round = Vec::new();
            while callers.recv_many(&mut round, WAITING_MAX).await > 0 {
                let told = ask(&raft, patience).await;
                for caller in round.drain(..) {
                    // Whoever went away does not mind.
                    let _ = caller.send(told.clone());
                }
            }
        });
        Self { waiting }
    }

    /// Returns an index that is new enough.
    pub(crate) async fn index(&self) -> Told {
        let (caller, told) = oneshot::channel();
        let unconfirmed = |why: &str| ReadError::Unconfirmed(why.to_owned());
        self.waiting.try_send(caller).map_err(|_| unconfirmed("too many reads wait"))?;
        told.await.unwrap_or_else(|_| Err(unconfirmed("the node is stopping")))
    }
}

async fn ask(raft: &Raft, patience: Duration) -> Told {
    if mutant(Mutant::StaleRead) {
        let known = raft.metrics().borrow().clone();
        let leads = known.current_leader == Some(known.id); // as it believes
        return if leads {
            Ok(known.last_applied.map_or(0, |id| id.index))
        } else {
            Err(ReadError::NotLeader)
        };
    }
    match tokio::time::timeout(patience, raft.get_read_log_id()).await {
        Ok(Ok((read, _))) => Ok(read.map_or(0, |id| id.index)),
        Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(_)))) => Err(ReadError::NotLeader),
        Ok(Err(error)) => Err(ReadError::Unconfirmed(error.to_string())),
        Err(_) => Err(ReadError::Unconfirmed("no answer came in time".to_owned())),
    }
}
