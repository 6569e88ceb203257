//! Asks members that may have lost what they acknowledged, and tells them. What that means, and why nothing else is
//! said to them, is in [`forgetting`](crate::forgetting).

use openraft::Vote;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};

use super::{APPEND_PATIENCE, Error, Question, RaftPeer, Reply, RpcError, busy, failed, forgetful, odd};
use crate::forgetting::what_to_do;
use crate::group::LogId;

impl RaftPeer {
    /// Asks a member that has lost what it had acknowledged whether it has it again; it is sent nothing else until then.
    /// `None` for one that has it.
    pub(super) async fn ask_what_it_has(
        &self,
        vote: Vote<u64>,
    ) -> Option<Result<AppendEntriesResponse<u64>, RpcError>> {
        let has = self.here.memory.lost(self.node, vote)?;
        match self.ask_whether_it_has(vote, has).await {
            Ok(None) => None,
            Ok(Some(higher)) => Some(Ok(AppendEntriesResponse::HigherVote(higher))),
            Err(error) => Some(Err(failed(&error))),
        }
    }

    /// Asks a member whether it has what it had acknowledged, and tells it if it has not; returns a later vote that it
    /// has given instead.
    ///
    /// # Errors
    /// When it has not, or does not say.
    pub(super) async fn ask_whether_it_has(
        &self,
        vote: Vote<u64>,
        has: LogId,
    ) -> Result<Option<Vote<u64>>, Error> {
        let rpc =
            AppendEntriesRequest { vote, prev_log_id: Some(has), entries: Vec::new(), leader_commit: None };
        match self.ask(&Question::Append(rpc), APPEND_PATIENCE).await? {
            Reply::Append(Ok(AppendEntriesResponse::Success)) => {
                if self.here.memory.found(self.node) {
                    tracing::warn!(node = %self.node, "a member has what it had lost; its own disk is back");
                }
                Ok(None)
            }
            Reply::Append(Ok(AppendEntriesResponse::HigherVote(higher))) => Ok(Some(higher)),
            Reply::Append(Ok(AppendEntriesResponse::Conflict)) => {
                self.note_what_it_lacks(vote, Some(has));
                self.tell_what_it_lacks(vote, has).await;
                Err(forgetful())
            }
            Reply::Busy => Err(busy()),
            _ => Err(odd()),
        }
    }

    /// Notes that a member lacks an entry, if it had acknowledged that one.
    pub(super) fn note_what_it_lacks(&self, vote: Vote<u64>, entry: Option<LogId>) {
        let memory = &self.here.memory;
        let is_known = memory.lost(self.node, vote).is_some();
        let Some(has) = entry.and_then(|entry| memory.lacks(self.node, vote, entry)) else { return };
        if !is_known {
            let why = what_to_do(has.index);
            tracing::error!(node = %self.node, why, "a member has lost what it had acknowledged");
        }
    }

    async fn tell_what_it_lacks(&self, vote: Vote<u64>, has: LogId) {
        // One that does not hear it is told again with the next question.
        let _ = self.ask(&Question::Forgot { vote, has }, self.here.timing.election.1).await;
    }
}
