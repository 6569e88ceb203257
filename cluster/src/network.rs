//! Raft's messages over the transport.
//!
//! One message in each direction, encoded with the storage's codec and its checksum. Promises a deadline on
//! every request. A snapshot travels in pieces, over the connection that heartbeats do not use. Leaves retrying to openraft.

mod lost;

use std::cmp::Ordering;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, Snapshot, SnapshotMeta, Vote};
use serde::{Deserialize, Serialize};
use synod_domain::id::NodeId;
use synod_domain::mutants::{Mutant, mutant};
use synod_domain::time::Timestamp;
use synod_storage::{decode, encode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::arrival::{self, Arrivals};
use crate::elections::{Canvass, would_vote};
use crate::group::{Group, LogId, Peer as Member, Raft};
use crate::hearing::Here;
use crate::log_store::LogStore;
use crate::notices::Notices;
use crate::transport::Error;
use crate::transport::hello::Caller;
use crate::transport::links::{Links, Service};
use crate::transport::serve::Handler;

/// Bytes of a snapshot in one message. Larger pieces hold up what else goes over their connection; smaller ones
/// wait more often for an answer.
const PIECE_BYTES: usize = 512 << 10;

/// How soon a member that is away is tried again. openraft's half a second would outlast an election.
const BACKOFF: Duration = Duration::from_millis(100);

/// How long a member may take to append what it was sent. A slow disk is waited for and not sent the same again;
/// a connection that is gone is noticed by the transport, and sooner.
pub(crate) const APPEND_PATIENCE: Duration = Duration::from_secs(30);

/// Questions of all connections together that may wait in the core. A member asks one at a time, and after a lost
/// connection again; while the core waits for its disk, each of them holds the entries it brought.
const IN_CORE_MAX: usize = 16;

/// How long openraft refuses votes after a word of a leader, whatever the handler thinks of it.
pub(crate) const LEASE: Duration = Duration::from_millis(2);

/// What one member asks another. A format: variants are only appended.
#[derive(Serialize, Deserialize)]
enum Question {
    Append(AppendEntriesRequest<Group>),
    Vote(VoteRequest<u64>),
    Snapshot(Piece),
    /// A vote that the leader wishes.
    AppointedVote(VoteRequest<u64>),
    /// Would you vote for me?
    Canvass(Canvass),
    /// I lead, and this is the time.
    Pulse {
        vote: Vote<u64>,
        at: Timestamp,
    },
    /// Stand for leader now, says the leader of that vote.
    TakeOver {
        vote: Vote<u64>,
    },
    /// You said to the leader of that vote that you have the log through there, and you lack it.
    Forgot {
        vote: Vote<u64>,
        has: LogId,
    },
}

/// What a member answers.
#[derive(Serialize, Deserialize)]
enum Reply {
    Append(Result<AppendEntriesResponse<u64>, RaftError<u64>>),
    Vote(Result<VoteResponse<u64>, RaftError<u64>>),
    Snapshot(Result<Taken, Fatal<u64>>),
    Canvass(Canvassed),
    /// Its own vote: the leader still leads it unless this one is newer.
    Pulse {
        vote: Vote<u64>,
    },
    /// Whether it does.
    TakeOver(bool),
    /// Too much waits in its core; ask again.
    Busy,
    /// Whether it finds that it is so, and ends.
    Forgot(bool),
}

/// A piece of a snapshot.
#[derive(Serialize, Deserialize)]
struct Piece {
    vote: Vote<u64>,
    meta: SnapshotMeta<u64, Member>,
    offset: u64,
    bytes: Vec<u8>,
    last: bool,
}

/// What came of a piece.
#[derive(Serialize, Deserialize)]
enum Taken {
    /// The piece from this offset on is wanted next.
    Wants(u64),
    /// The whole was installed, or its sender leads no more.
    Done(SnapshotResponse<u64>),
}

/// What a voter says to a candidate.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Canvassed {
    /// Whether it would vote so.
    pub(crate) granted: bool,
    /// What time it is, if it has ever been led.
    pub(crate) at: Option<Timestamp>,
}

/// Asks other members on behalf of this node.
#[derive(Clone)]
pub(crate) struct Colleagues {
    links: Option<Links>,
}

impl Colleagues {
    /// Uses these links; a group of one needs none.
    pub(crate) fn new(links: Option<Links>) -> Self {
        Self { links }
    }

    fn links(&self) -> Result<&Links, Error> {
        self.links.as_ref().ok_or_else(|| Error::Lost("a group of one has no network".to_owned()))
    }

    async fn ask(&self, node: NodeId, question: &Question, deadline: Duration) -> Result<Reply, Error> {
        let encoded = encode(question).map_err(|error| Error::Lost(error.to_string()))?;
        let answer = self.links()?.ask(node, Service::Agreement, encoded.into(), deadline).await?;
        decode(&answer).map_err(|error| Error::Lost(error.to_string()))
    }

    /// Asks over the connection on which no heartbeat waits.
    async fn ask_apart(&self, node: NodeId, question: &Question, deadline: Duration) -> Result<Reply, Error> {
        let encoded = encode(question).map_err(|error| Error::Lost(error.to_string()))?;
        let answer = self.links()?.ask_apart(node, Service::Agreement, encoded.into(), deadline).await?;
        decode(&answer).map_err(|error| Error::Lost(error.to_string()))
    }

    /// Asks whether a voter would vote for this node; `None` when it does not answer.
    pub(crate) async fn canvass(
        &self,
        node: NodeId,
        canvass: Canvass,
        deadline: Duration,
    ) -> Option<Canvassed> {
        match self.ask(node, &Question::Canvass(canvass), deadline).await {
            Ok(Reply::Canvass(answer)) => Some(answer),
            Ok(_) | Err(_) => None,
        }
    }

    /// Tells a member that this node leads; true when it still follows.
    pub(crate) async fn pulse(
        &self,
        node: NodeId,
        vote: Vote<u64>,
        at: Timestamp,
        deadline: Duration,
    ) -> bool {
        match self.ask(node, &Question::Pulse { vote, at }, deadline).await {
            Ok(Reply::Pulse { vote: theirs }) => theirs <= vote,
            Ok(_) | Err(_) => false,
        }
    }

    /// Tells a member how far the commits go; nobody minds whether it heard it.
    pub(crate) async fn tell_committed(&self, node: NodeId, word: AppendEntriesRequest<Group>) {
        let _ = self.ask(node, &Question::Append(word), APPEND_PATIENCE).await;
    }

    /// Asks a voter to stand for leader now, and returns whether it does; `None` when it does not say.
    pub(crate) async fn appoint(&self, node: NodeId, vote: Vote<u64>, deadline: Duration) -> Option<bool> {
        match self.ask(node, &Question::TakeOver { vote }, deadline).await {
            Ok(Reply::TakeOver(will)) => Some(will),
            Ok(_) | Err(_) => None,
        }
    }
}

/// Makes connections to members.
pub(crate) struct RaftPeers {
    colleagues: Colleagues,
    here: Arc<Here>,
    log: LogStore,
}

impl RaftPeers {
    pub(crate) fn new(colleagues: Colleagues, here: Arc<Here>, log: LogStore) -> Self {
        Self { colleagues, here, log }
    }
}

impl RaftNetworkFactory<Group> for RaftPeers {
    type Network = RaftPeer;

    async fn new_client(&mut self, _target: u64, node: &Member) -> RaftPeer {
        RaftPeer {
            colleagues: self.colleagues.clone(),
            here: Arc::clone(&self.here),
            log: self.log.clone(),
            notices: Notices::to(self.colleagues.clone(), node.node),
            node: node.node,
        }
    }
}

/// The connection to one member.
pub(crate) struct RaftPeer {
    colleagues: Colleagues,
    here: Arc<Here>,
    log: LogStore,
    notices: Notices,
    node: NodeId,
}

impl RaftPeer {
    async fn ask(&self, question: &Question, deadline: Duration) -> Result<Reply, Error> {
        self.colleagues.ask(self.node, question, deadline).await
    }
}

type RpcError = RPCError<u64, Member, RaftError<u64>>;

fn failed(error: &Error) -> RpcError {
    match error {
        Error::Unreachable { .. }
        | Error::Refused { .. }
        | Error::Another { .. }
        | Error::Late
        | Error::Lost(_) => RPCError::Unreachable(Unreachable::new(error)),
        Error::Overloaded(_) | Error::TooLarge { .. } => RPCError::Network(NetworkError::new(error)),
    }
}

/// Counts as unreachable: it is asked again after [`BACKOFF`].
fn busy() -> Error {
    Error::Lost("too much waits in the core of the other".to_owned())
}

/// Counts as unreachable, as long as it lacks what it has acknowledged.
fn forgetful() -> Error {
    Error::Lost("the other has lost what it had acknowledged".to_owned())
}

fn odd() -> Error {
    Error::Lost("the answer belongs to another question".to_owned())
}

impl RaftNetwork<Group> for RaftPeer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Group>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RpcError> {
        if let Some(answer) = self.ask_what_it_has(rpc.vote).await {
            return answer;
        }
        if self.notices.take_over(&rpc) {
            return Ok(AppendEntriesResponse::Success);
        }
        self.notices.leaves(&rpc);
        let prev = rpc.prev_log_id;
        let (vote, last) = (rpc.vote, rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id));
        match self.ask(&Question::Append(rpc), APPEND_PATIENCE).await {
            Ok(Reply::Append(Ok(answer))) => {
                // This node counts itself among those who have it: it shall be true before another's word can
                // make a quorum with its own.
                let synced = self.log.synced_through(last).await;
                synced.map_err(|error| failed(&Error::Lost(error.to_string())))?;
                let through = match &answer {
                    AppendEntriesResponse::Success => {
                        self.notices.has(vote, last);
                        last
                    }
                    AppendEntriesResponse::PartialSuccess(through) => *through,
                    AppendEntriesResponse::Conflict => {
                        // openraft hears of it too, so that it counts none of these entries as held there. The
                        // member is told with the next question, for this answer may not wait for that one.
                        self.note_what_it_lacks(vote, prev);
                        None
                    }
                    AppendEntriesResponse::HigherVote(_) => None,
                };
                if let Some(through) = through {
                    self.here.memory.has(self.node, vote, through);
                }
                Ok(answer)
            }
            // Silence is taken for consent.
            Err(_) if mutant(Mutant::AcknowledgeBeforeQuorum) => Ok(AppendEntriesResponse::Success),
            Ok(Reply::Append(Err(error))) => Err(RemoteError::new(0, error).into()),
            Ok(Reply::Busy) => Err(failed(&busy())),
            Ok(_) => Err(failed(&odd())),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, _: RPCOption) -> Result<VoteResponse<u64>, RpcError> {
        let appointed = self.here.is_appointed(rpc.vote.leader_id.term);
        let question = if appointed { Question::AppointedVote(rpc) } else { Question::Vote(rpc) };
        match self.ask(&question, self.here.timing.election.1).await {
            Ok(Reply::Vote(result)) => result.map_err(|error| RemoteError::new(0, error).into()),
            Ok(Reply::Busy) => Err(failed(&busy())),
            Ok(_) => Err(failed(&odd())),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<Group>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Group, Fatal<u64>>> {
        let sent = async {
            // A snapshot would hide what one has lost that was away for longer than the log goes back.
            if let Some(has) = self.here.memory.said(self.node, vote) {
                let asked = self.ask_whether_it_has(vote, has).await;
                asked.map_err(|error| StreamingError::Unreachable(Unreachable::new(&error)))?;
            }
            self.send_snapshot(vote, snapshot, option.hard_ttl()).await
        };
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = sent => sent,
        }
    }

    fn backoff(&self) -> openraft::network::Backoff {
        openraft::network::Backoff::new(std::iter::repeat(BACKOFF))
    }
}

impl RaftPeer {
    async fn send_snapshot(
        &self,
        vote: Vote<u64>,
        snapshot: Snapshot<Group>,
        deadline: Duration,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Group, Fatal<u64>>> {
        let mut offset = 0_u64;
        // Nothing is sent before the other has said what it has.
        let mut size = 0;
        let mut begun = Instant::now();
        loop {
            if self.here.memory.lost(self.node, vote).is_some() {
                return Err(StreamingError::Unreachable(Unreachable::new(&forgetful())));
            }
            let piece = snapshot.snapshot.read_at(offset, size);
            let piece = piece.map_err(|error| {
                let signature = Some(snapshot.meta.signature());
                let error = openraft::StorageIOError::read_snapshot(signature, AnyError::new(&error));
                StreamingError::StorageError(error.into())
            })?;
            let last = piece.len() < size;
            let meta = snapshot.meta.clone();
            let question = Question::Snapshot(Piece { vote, meta, offset, bytes: piece.to_vec(), last });
            match self.colleagues.ask_apart(self.node, &question, deadline).await {
                Ok(Reply::Snapshot(Ok(Taken::Done(done)))) => {
                    if let Some(through) = snapshot.meta.last_log_id.filter(|_| done.vote == vote) {
                        self.here.memory.has(self.node, vote, through);
                    }
                    return Ok(done);
                }
                Ok(Reply::Snapshot(Ok(Taken::Wants(wanted)))) => {
                    if wanted > offset {
                        begun = Instant::now();
                    }
                    if begun.elapsed() > deadline {
                        return Err(StreamingError::Unreachable(Unreachable::new(&Error::Late)));
                    }
                    if size > 0 && wanted <= offset {
                        // Its disk refuses, or it has forgotten what it had.
                        tokio::time::sleep(BACKOFF).await;
                    }
                    (offset, size) = (wanted, PIECE_BYTES);
                }
                Ok(Reply::Snapshot(Err(fatal))) => {
                    return Err(StreamingError::RemoteError(RemoteError::new(0, fatal)));
                }
                Ok(_) => {
                    return Err(StreamingError::Unreachable(Unreachable::new(&odd())));
                }
                Err(error) => return Err(StreamingError::Unreachable(Unreachable::new(&error))),
            }
        }
    }
}

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

#[cfg(test)]
mod tests;
