//! Raft's messages over the transport.
//!
//! One message in each direction, encoded with the storage's codec and its checksum. Promises a deadline on
//! every request. A snapshot travels in pieces, the last of which installs it. Leaves retrying to openraft.

use std::future::Future;
use std::sync::Arc;
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
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use synod_storage::{decode, encode};

use crate::group::{Group, Peer as Member, Raft};
use crate::snapshot::SnapshotData;
use crate::transport::peer::Peer;
use crate::transport::serve::Handler;
use crate::transport::{Error, Network};

/// Bytes of a snapshot in one message. Larger pieces hold up the heartbeats that share the connection.
const PIECE_BYTES: usize = 1 << 20;

/// The largest snapshot that is received: its pieces wait in memory until the last has come.
pub const RECEIVED_SNAPSHOT_BYTES_MAX: usize = 1 << 30;

/// What one member asks another. A format: variants are only appended.
#[derive(Serialize, Deserialize)]
enum Question {
    Append(AppendEntriesRequest<Group>),
    Vote(VoteRequest<u64>),
    Snapshot { vote: Vote<u64>, meta: SnapshotMeta<u64, Member>, offset: u64, piece: Vec<u8>, last: bool },
}

/// What a member answers.
#[derive(Serialize, Deserialize)]
enum Reply {
    Append(Result<AppendEntriesResponse<u64>, RaftError<u64>>),
    Vote(Result<VoteResponse<u64>, RaftError<u64>>),
    /// `None` asks for the next piece.
    Snapshot(Result<Option<SnapshotResponse<u64>>, Fatal<u64>>),
}

/// Makes connections to members.
pub struct RaftPeers {
    network: Option<Arc<dyn Network>>,
}

impl RaftPeers {
    /// Uses that network; a group of one needs none.
    pub fn new(network: Option<Arc<dyn Network>>) -> Self {
        Self { network }
    }
}

impl RaftNetworkFactory<Group> for RaftPeers {
    type Network = RaftPeer;

    async fn new_client(&mut self, _target: u64, node: &Member) -> RaftPeer {
        RaftPeer { peer: self.network.as_ref().map(|network| Peer::new(Arc::clone(network), &node.address)) }
    }
}

/// The connection to one member.
pub struct RaftPeer {
    peer: Option<Peer>,
}

impl RaftPeer {
    async fn ask(&self, question: &Question, deadline: Duration) -> Result<Reply, Error> {
        let Some(peer) = &self.peer else {
            return Err(Error::Lost("a group of one has no network".to_owned()));
        };
        let encoded = encode(question).map_err(|error| Error::Lost(error.to_string()))?;
        let answer = peer.ask(encoded.into(), deadline).await?;
        decode(&answer).map_err(|error| Error::Lost(error.to_string()))
    }
}

type RpcError = RPCError<u64, Member, RaftError<u64>>;

fn failed(error: &Error) -> RpcError {
    match error {
        Error::Unreachable { .. } | Error::Late | Error::Lost(_) => {
            RPCError::Unreachable(Unreachable::new(error))
        }
        Error::Overloaded(_) | Error::TooLarge { .. } => RPCError::Network(NetworkError::new(error)),
    }
}

fn odd() -> Error {
    Error::Lost("the answer belongs to another question".to_owned())
}

impl RaftNetwork<Group> for RaftPeer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Group>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RpcError> {
        match self.ask(&Question::Append(rpc), option.hard_ttl()).await {
            Ok(Reply::Append(result)) => result.map_err(|error| RemoteError::new(0, error).into()),
            Ok(Reply::Vote(_) | Reply::Snapshot(_)) => Err(failed(&odd())),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RpcError> {
        match self.ask(&Question::Vote(rpc), option.hard_ttl()).await {
            Ok(Reply::Vote(result)) => result.map_err(|error| RemoteError::new(0, error).into()),
            Ok(Reply::Append(_) | Reply::Snapshot(_)) => Err(failed(&odd())),
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
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(vote, snapshot, option.hard_ttl()) => sent,
        }
    }

    /// A peer that is away is tried again soon: the default half second would outlast an election.
    fn backoff(&self) -> openraft::network::Backoff {
        openraft::network::Backoff::new(std::iter::repeat(Duration::from_millis(100)))
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
        loop {
            let piece = snapshot.snapshot.read_at(offset, PIECE_BYTES);
            let piece = piece.map_err(|error| {
                let signature = Some(snapshot.meta.signature());
                let error = openraft::StorageIOError::read_snapshot(signature, AnyError::new(&error));
                StreamingError::StorageError(error.into())
            })?;
            let last = piece.len() < PIECE_BYTES;
            let size = piece.len() as u64;
            let meta = snapshot.meta.clone();
            let question = Question::Snapshot { vote, meta, offset, piece: piece.to_vec(), last };
            match self.ask(&question, deadline).await {
                Ok(Reply::Snapshot(Ok(Some(done)))) => return Ok(done),
                Ok(Reply::Snapshot(Ok(None))) => offset += size,
                Ok(Reply::Snapshot(Err(fatal))) => {
                    return Err(StreamingError::RemoteError(RemoteError::new(0, fatal)));
                }
                Ok(Reply::Append(_) | Reply::Vote(_)) => {
                    return Err(StreamingError::Unreachable(Unreachable::new(&odd())));
                }
                Err(error) => return Err(StreamingError::Unreachable(Unreachable::new(&error))),
            }
        }
    }
}

/// Answers what other members ask.
pub struct RaftHandler {
    raft: Raft,
    arriving: Mutex<Vec<u8>>,
}

impl RaftHandler {
    /// Answers for that group.
    pub fn new(raft: Raft) -> Self {
        Self { raft, arriving: Mutex::default() }
    }

    /// Takes a piece; returns the whole once it has come. A piece out of place begins anew.
    fn gather(&self, offset: u64, piece: &[u8], last: bool) -> Option<Bytes> {
        let mut arriving = self.arriving.lock();
        if offset == 0 {
            arriving.clear();
        }
        let fits =
            arriving.len() as u64 == offset && arriving.len() + piece.len() <= RECEIVED_SNAPSHOT_BYTES_MAX;
        if !fits {
            arriving.clear();
            return None;
        }
        arriving.extend_from_slice(piece);
        last.then(|| std::mem::take(&mut *arriving).into())
    }

    async fn reply(&self, question: Question) -> Reply {
        match question {
            Question::Append(rpc) => Reply::Append(self.raft.append_entries(rpc).await),
            Question::Vote(rpc) => Reply::Vote(self.raft.vote(rpc).await),
            Question::Snapshot { vote, meta, offset, piece, last } => match self.gather(offset, &piece, last)
            {
                None => Reply::Snapshot(Ok(None)),
                Some(whole) => {
                    let snapshot = Snapshot { meta, snapshot: Box::new(SnapshotData::Received(whole)) };
                    Reply::Snapshot(self.raft.install_full_snapshot(vote, snapshot).await.map(Some))
                }
            },
        }
    }
}

#[async_trait]
impl Handler for RaftHandler {
    async fn answer(&self, request: Bytes) -> Option<Bytes> {
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
