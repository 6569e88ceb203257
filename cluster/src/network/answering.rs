//! Answers what other members ask.
//!
//! Promises that so much at most waits in the core, that the rest is told so at once, that whatever is asked of the
//! core gets there in the order in which it came, and that an append is answered for what is on the disk.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic;

use async_trait::async_trait;
use bytes::Bytes;
use openraft::Vote;
use openraft::error::{Fatal, RaftError};
use openraft::raft::{SnapshotResponse, VoteRequest, VoteResponse};
use synod_storage::{decode, encode};
use tokio::sync::Semaphore;

use super::{LEASE, Piece, Question, Reply, Taken};
use crate::arrival::{self, Arrivals};
use crate::elections::{Canvass, would_vote};
use crate::group::{LogId, Raft};
use crate::hearing::Here;
use crate::log_store::LogStore;
use crate::network::Canvassed;
use crate::transport::hello::Caller;
use crate::transport::serve::Handler;

/// Questions of all connections together that may wait in the core; while it waits for its disk, each of them holds the
/// entries it brought. A leader has as many appends on their way to a member as a
/// [`Window`](super::window::Window) lets it, one that openraft asks and one that only says what is committed, and after
/// a lost connection all of that again; a vote or two fit beside it.
pub(super) const IN_CORE_MAX: usize = 16;

/// Answers what other members ask.
pub(crate) struct RaftHandler {
    raft: Raft,
    here: Arc<Here>,
    arrivals: Arc<Arrivals>,
    log: LogStore,
    in_core: Semaphore,
}

impl RaftHandler {
    /// Answers for that group.
    pub(crate) fn new(raft: Raft, here: Arc<Here>, arrivals: Arc<Arrivals>, log: LogStore) -> Self {
        Self { raft, here, arrivals, log, in_core: Semaphore::new(IN_CORE_MAX) }
    }

    /// Takes a piece of a snapshot, and installs the whole once it has come.
    async fn take(&self, piece: Piece) -> Result<Taken, Fatal<u64>> {
        let known = self.known_vote();
        if !matches!(piece.vote.partial_cmp(&known), Some(Ordering::Equal | Ordering::Greater)) {
            // Its sender leads no more, and steps down by this answer.
            return Ok(Taken::Done(SnapshotResponse::new(known)));
        }
        let Piece { vote, meta, offset, bytes, last } = piece;
        match self.arrivals.take(meta, offset, bytes, last).await {
            Ok(arrival::Taken::Wants(offset)) => Ok(Taken::Wants(offset)),
            Ok(arrival::Taken::Whole(snapshot)) => {
                self.raft.install_full_snapshot(vote, snapshot).await.map(Taken::Done)
            }
            Err(error) => {
                tracing::warn!(%error, "a snapshot that arrives cannot be kept");
                Ok(Taken::Wants(0))
            }
        }
    }

    /// Notes a word of a leader, unless this node knows a newer one.
    fn hear(&self, vote: Vote<u64>) -> bool {
        let known = self.raft.server_metrics().borrow().vote;
        vote >= known && self.here.hearing.note(vote)
    }

    /// Votes, if this node misses a leader or the leader itself wishes the election.
    async fn vote(
        &self,
        rpc: VoteRequest<u64>,
        appointed: bool,
    ) -> Result<VoteResponse<u64>, RaftError<u64>> {
        if !appointed && !self.here.misses_a_leader() {
            let (vote, last) = (self.known_vote(), self.raft.data_metrics().borrow().last_log);
            return Ok(VoteResponse::new(vote, last, false));
        }
        let mut answer = self.raft.vote(rpc.clone()).await;
        let leased = answer.as_ref().is_ok_and(|answer| {
            !answer.vote_granted && answer.vote < rpc.vote && answer.last_log_id <= rpc.last_log_id
        });
        if appointed && leased {
            // It has just heard the leader who wishes this.
            tokio::time::sleep(2 * LEASE).await;
            answer = self.raft.vote(rpc).await;
        }
        if answer.as_ref().is_ok_and(|answer| answer.vote_granted) {
            self.here.hearing.give_way();
        }
        answer
    }

    /// Votes, unless too much waits in the core.
    async fn counted_vote(&self, rpc: VoteRequest<u64>, appointed: bool) -> Reply {
        let Ok(_place) = self.in_core.try_acquire() else { return Reply::Busy };
        Reply::Vote(self.vote(rpc, appointed).await)
    }

    fn known_vote(&self) -> Vote<u64> {
        self.raft.server_metrics().borrow().vote
    }

    fn canvassed(&self, canvass: Canvass) -> Canvassed {
        let mine = self.raft.data_metrics().borrow().last_log;
        let granted = would_vote(self.here.misses_a_leader(), mine, canvass);
        Canvassed { granted, at: self.here.clock.told() }
    }

    /// Stands for leader because the leader wishes it.
    async fn take_over(&self, vote: Vote<u64>) -> bool {
        if vote != self.known_vote() || *self.here.retires.borrow() {
            return false;
        }
        self.here.appointed.store(vote.leader_id.term + 1, atomic::Ordering::Release);
        self.here.hearing.give_way();
        self.raft.trigger().elect().await.is_ok()
    }

    /// Ends this node's part if it lacks what it had acknowledged to the leader of that vote. Nobody has taken anything of
    /// its log away since: that would have been a later leader, whom it would know.
    fn forgot(&self, vote: Vote<u64>, has: LogId) -> bool {
        let forgot = vote.committed && vote == self.known_vote() && self.log.last() < Some(has);
        if forgot {
            self.here.forgot.send_replace(Some(has.index));
        }
        forgot
    }

    async fn reply(&self, question: Question) -> Reply {
        match question {
            Question::Append(rpc) => {
                self.hear(rpc.vote);
                let Ok(_place) = self.in_core.try_acquire() else { return Reply::Busy };
                let last = rpc.entries.last().map(|entry| entry.log_id);
                let answer = self.raft.append_entries(rpc).await;
                // The log of one that follows does not run ahead of its disk. This costs nothing then, and what the
                // whole group counts on shall not hang on one flag.
                match self.log.synced_through(last).await {
                    Ok(()) => Reply::Append(answer),
                    Err(_) => Reply::Busy,
                }
            }
            Question::Vote(rpc) => self.counted_vote(rpc, false).await,
            Question::AppointedVote(rpc) => self.counted_vote(rpc, true).await,
            Question::Canvass(canvass) => Reply::Canvass(self.canvassed(canvass)),
            Question::Pulse { vote, at } => {
                if self.hear(vote) {
                    self.here.clock.heard(at);
                }
                Reply::Pulse { vote: self.known_vote() }
            }
            Question::TakeOver { vote } => Reply::TakeOver(self.take_over(vote).await),
            Question::Snapshot(piece) => Reply::Snapshot(self.take(piece).await),
            Question::Forgot { vote, has } => Reply::Forgot(self.forgot(vote, has)),
        }
    }
}

#[async_trait]
impl Handler for RaftHandler {
    /// What is asked of the core gets into its queue before anything is waited for.
    fn keeps_order(&self, _: &[u8]) -> bool {
        true
    }

    async fn answer(&self, _: &Caller, request: Bytes) -> Option<Bytes> {
        let question = match decode::<Question>(&request) {
            Ok(question) => question,
            Err(error) => {
                tracing::warn!(%error, "a message of another member cannot be read");
                return None;
            }
        };
        encode(&self.reply(question).await).ok().map(Bytes::from)
    }
}
