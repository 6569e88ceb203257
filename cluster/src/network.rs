//! Raft's messages over the transport.
//!
//! One message in each direction, encoded with the storage's codec and its checksum. Promises a deadline on
//! every request. A snapshot travels in pieces, over the connection that heartbeats do not use. Entries leave before
//! openraft asks for them ([`pipeline`]); openraft is told what was answered. Leaves retrying to openraft.

mod answering;
mod installing;
mod lost;
mod pipeline;
mod window;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{Snapshot, SnapshotMeta, Vote};
use serde::{Deserialize, Serialize};
use synod_domain::id::NodeId;
use synod_domain::mutants::{Mutant, mutant};
use synod_domain::time::Timestamp;
use synod_storage::{decode, encode};

use crate::elections::Canvass;
use crate::group::{Group, LogId, Peer as Member};
use crate::hearing::Here;
use crate::log_store::LogStore;
use crate::notices::Notices;
use crate::transport::Error;
use crate::transport::links::{Links, Service};

pub(crate) use answering::RaftHandler;
use pipeline::{Course, Stream};
pub(crate) use window::BATCHES_MAX;

/// Bytes of a snapshot in one message. Larger pieces hold up what else goes over their connection; smaller ones
/// wait more often for an answer.
const PIECE_BYTES: usize = 512 << 10;

/// How soon a member that is away is tried again. openraft's half a second would outlast an election.
const BACKOFF: Duration = Duration::from_millis(100);

/// How long a member may take to append what it was sent. A slow disk is waited for and not sent the same again;
/// a connection that is gone is noticed by the transport, and sooner.
pub(crate) const APPEND_PATIENCE: Duration = Duration::from_secs(30);

/// How long the last of several batches on their way may take: a disk that takes its time takes it for each.
const STREAM_PATIENCE: Duration = Duration::from_secs(4 * 30);

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
        self.ask_encoded(node, encoded.into(), deadline).await
    }

    async fn ask_encoded(&self, node: NodeId, encoded: Bytes, deadline: Duration) -> Result<Reply, Error> {
        let answer = self.links()?.ask(node, Service::Agreement, encoded, deadline).await?;
        decode(&answer).map_err(|error| Error::Lost(error.to_string()))
    }

    /// Returns how many bytes an append takes, and what sends it when it is first polled and waits for the answer.
    fn append(
        &self,
        node: NodeId,
        rpc: AppendEntriesRequest<Group>,
    ) -> Result<(usize, impl Future<Output = Result<Reply, Error>> + Send + 'static), Error> {
        let encoded = encode(&Question::Append(rpc)).map_err(|error| Error::Lost(error.to_string()))?;
        let (bytes, colleagues) = (encoded.len(), self.clone());
        Ok((bytes, async move { colleagues.ask_encoded(node, encoded.into(), STREAM_PATIENCE).await }))
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
            stream: None,
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
    /// What leaves before openraft asks for it, once the member has said what it has.
    stream: Option<Stream>,
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
        if self.here.memory.lost(self.node, rpc.vote).is_some() {
            // What a stream knows of it may be of the disk that it lost.
            self.stream = None;
            if let Some(answer) = self.ask_what_it_has(rpc.vote).await {
                return answer;
            }
        }
        if self.notices.take_over(&rpc) {
            return Ok(AppendEntriesResponse::Success);
        }
        if let Some((through, answer)) = self.streamed(&rpc).await {
            self.take_in(rpc.vote, through).await?;
            return Ok(answer);
        }
        let answer = self.append(rpc).await;
        if answer.is_err() {
            self.stream = None;
        }
        answer
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
    /// Waits for what a stream has sent already of what openraft asks, and says what the member has answered; `None` when
    /// openraft's own request is to go.
    async fn streamed(
        &mut self,
        rpc: &AppendEntriesRequest<Group>,
    ) -> Option<(LogId, AppendEntriesResponse<u64>)> {
        let last = rpc.entries.last()?.log_id;
        let prev = rpc.prev_log_id?;
        let stream = self.stream.as_mut().filter(|stream| stream.goes_on(rpc.vote, prev))?;
        self.notices.tell_beside(rpc, stream.told());
        let has = stream.has_more_than(prev).await?;
        // The log of the leader with a vote has one entry in each place: what comes before another is had with it.
        Some(if has < last {
            (has, AppendEntriesResponse::PartialSuccess(Some(has)))
        } else {
            (last, AppendEntriesResponse::Success)
        })
    }

    /// Sends openraft's own request.
    async fn append(
        &mut self,
        rpc: AppendEntriesRequest<Group>,
    ) -> Result<AppendEntriesResponse<u64>, RpcError> {
        let has_entries = !rpc.entries.is_empty();
        if has_entries {
            // It has ended, or never was for this.
            self.stream = None;
        }
        self.notices.leaves(&rpc);
        let prev = rpc.prev_log_id;
        let (vote, last) = (rpc.vote, rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id));
        match self.ask(&Question::Append(rpc), APPEND_PATIENCE).await {
            Ok(Reply::Append(Ok(answer))) => {
                let through = match &answer {
                    AppendEntriesResponse::Success => last,
                    AppendEntriesResponse::PartialSuccess(through) => *through,
                    AppendEntriesResponse::Conflict | AppendEntriesResponse::HigherVote(_) => None,
                };
                match through {
                    Some(through) => {
                        self.take_in(vote, through).await?;
                        // A sign of life may be the only word of a connection that was made for it.
                        if has_entries {
                            self.send_on(vote, through);
                        }
                    }
                    None => self.stream = None,
                }
                if matches!(answer, AppendEntriesResponse::Conflict) {
                    // openraft hears of it too, so that it counts none of these entries as held there. The
                    // member is told with the next question, for this answer may not wait for that one.
                    self.note_what_it_lacks(vote, prev);
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

    async fn synced_through(&self, last: Option<LogId>) -> Result<(), RpcError> {
        let synced = self.log.synced_through(last).await;
        synced.map_err(|error| failed(&Error::Lost(error.to_string())))
    }

    /// Notes that the member has the log through there, before openraft hears of it.
    async fn take_in(&mut self, vote: Vote<u64>, through: LogId) -> Result<(), RpcError> {
        // This node counts itself among those who have it: it shall be true before another's word can
        // make a quorum with its own.
        self.synced_through(Some(through)).await?;
        self.notices.has(vote, through);
        self.here.memory.has(self.node, vote, through);
        Ok(())
    }

    /// Sends what comes after that before openraft asks for it.
    fn send_on(&mut self, vote: Vote<u64>, has: LogId) {
        let batches_max = self.here.timing.batches_on_the_way.min(BATCHES_MAX);
        if batches_max < 2 || self.stream.as_ref().is_some_and(|stream| stream.goes_on(vote, has)) {
            return;
        }
        let course = Course {
            colleagues: self.colleagues.clone(),
            here: Arc::clone(&self.here),
            log: self.log.clone(),
            node: self.node,
            vote,
        };
        self.stream = Some(Stream::begin(course, has, batches_max));
    }
}

#[cfg(test)]
mod tests;
