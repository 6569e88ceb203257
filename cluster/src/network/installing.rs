//! Sends a snapshot, piece by piece, over the connection that heartbeats do not use.

use std::time::Duration;

use openraft::error::{Fatal, RemoteError, StreamingError, Unreachable};
use openraft::raft::SnapshotResponse;
use openraft::{AnyError, Snapshot, Vote};
use tokio::time::Instant;

use super::{BACKOFF, Error, PIECE_BYTES, Piece, Question, RaftPeer, Reply, Taken, forgetful, odd};
use crate::group::Group;

impl RaftPeer {
    pub(super) async fn send_snapshot(
        &self,
        vote: Vote<u64>,
        snapshot: Snapshot<Group>,
        deadline: Duration,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Group, Fatal<u64>>> {
        let mut offset = 0_u64;
        // Nothing is sent before the other has said what it has.
        let mut size = 0;
        let mut begun = Instant::now();
        let mut under_way = None;
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
                    under_way.get_or_insert_with(|| self.here.sending.begin());
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
