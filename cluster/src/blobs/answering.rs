//! The answering side: takes pieces of blobs, and gives pieces of blobs and logs.
//!
//! Promises that a blob is kept only whole and under its own hash, and that what is half taken has bounds:
//! [`HALF_TAKEN_MAX`] blobs at a time, the oldest of them given up first.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use synod_domain::id::{NodeId, TaskId};
use synod_storage::{BLOB_MAX, BlobId, Blobs, decode, encode};

use crate::blobs::PIECE_BYTES;
use crate::blobs::wire::{Question, Word};
use crate::offload::Offload;
use crate::transport::hello::Caller;
use crate::transport::serve::Handler;

/// Blobs that are half taken at a time; each holds its bytes in memory.
const HALF_TAKEN_MAX: usize = 8;

/// The logs of attempts that ran on this node.
#[async_trait]
pub trait Logs: Send + Sync + 'static {
    /// Returns the whole log of an attempt; `None` when there is none here.
    ///
    /// # Errors
    /// With a text for people, when it cannot be read.
    async fn read(&self, task: TaskId, attempt: u32) -> Result<Option<Bytes>, String>;
}

/// Answers [`Service::Blobs`](crate::transport::links::Service::Blobs).
pub struct Answering {
    blobs: Arc<dyn Blobs>,
    logs: Arc<dyn Logs>,
    offload: Offload,
    half: Mutex<HalfTaken>,
}

/// What was taken of blobs that are not whole yet, by who sends it and its hash.
#[derive(Default)]
struct HalfTaken {
    pieces: BTreeMap<(NodeId, [u8; 32]), (u64, BytesMut)>,
    count: u64,
}

impl Answering {
    /// Answers from these blobs and logs.
    pub fn new(blobs: Arc<dyn Blobs>, logs: Arc<dyn Logs>, offload: Offload) -> Self {
        Self { blobs, logs, offload, half: Mutex::default() }
    }

    async fn put(&self, from: NodeId, hash: [u8; 32], size: u64, offset: u64, piece: Bytes) -> Word {
        let size = match usize::try_from(size) {
            Ok(size) if size <= BLOB_MAX => size,
            Ok(_) | Err(_) => return Word::Failed(format!("{size} bytes are too many for a blob")),
        };
        let id = BlobId::from_digest(hash);
        if offset == 0 {
            let blobs = Arc::clone(&self.blobs);
            match self.offload.run(move || blobs.contains(&id)).await {
                Ok(Ok(true)) => return Word::Kept,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => return Word::Failed(error.to_string()),
                Err(error) => return Word::Failed(error.to_string()),
            }
        }
        let whole = match self.half.lock().add((from, hash), size, offset, &piece) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Word::Taken,
            Err(why) => return Word::Failed(why),
        };
        let blobs = Arc::clone(&self.blobs);
        let kept = self.offload.run(move || {
            if BlobId::of(&whole) != id {
                return Err("the bytes are not what their name says".to_owned());
            }
            blobs.put(&whole).map(drop).map_err(|error| error.to_string())
        });
        match kept.await {
            Ok(Ok(())) => Word::Kept,
            Ok(Err(why)) => Word::Failed(why),
            Err(error) => Word::Failed(error.to_string()),
        }
    }

    async fn get(&self, hash: [u8; 32], offset: u64) -> Word {
        let blobs = Arc::clone(&self.blobs);
        match self.offload.run(move || blobs.get(&BlobId::from_digest(hash))).await {
            Ok(Ok(bytes)) => piece(&bytes, offset),
            Ok(Err(synod_storage::Error::Missing { .. })) => Word::Missing,
            Ok(Err(error)) => Word::Failed(error.to_string()),
            Err(error) => Word::Failed(error.to_string()),
        }
    }

    async fn log(&self, task: TaskId, attempt: u32, offset: u64) -> Word {
        match self.logs.read(task, attempt).await {
            Ok(Some(bytes)) => piece(&bytes, offset),
            Ok(None) => Word::Missing,
            Err(why) => Word::Failed(why),
        }
    }
}

impl HalfTaken {
    /// Adds a piece, and returns the blob when it is whole.
    fn add(
        &mut self,
        key: (NodeId, [u8; 32]),
        size: usize,
        offset: u64,
        piece: &[u8],
    ) -> Result<Option<Bytes>, String> {
        let (_, mut taken) = match offset {
            0 => (0, BytesMut::with_capacity(size)),
            _ => self.pieces.remove(&key).ok_or("its first pieces were given up; begin anew")?,
        };
        if u64::try_from(taken.len()) != Ok(offset) || taken.len() + piece.len() > size {
            return Err("a piece is missing; begin anew".to_owned());
        }
        taken.extend_from_slice(piece);
        if taken.len() == size {
            return Ok(Some(taken.freeze()));
        }
        if piece.is_empty() {
            return Err("a piece is empty".to_owned());
        }
        self.count += 1;
        self.pieces.insert(key, (self.count, taken));
        if self.pieces.len() > HALF_TAKEN_MAX {
            let oldest = self.pieces.iter().min_by_key(|(_, (count, _))| *count).map(|(key, _)| *key);
            oldest.and_then(|key| self.pieces.remove(&key));
        }
        Ok(None)
    }
}

/// Cuts the piece out that begins there.
fn piece(bytes: &Bytes, offset: u64) -> Word {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let end = bytes.len().min(start.saturating_add(PIECE_BYTES));
    Word::Piece { size: bytes.len() as u64, bytes: bytes.slice(start..end) }
}

#[async_trait]
impl Handler for Answering {
    async fn answer(&self, caller: &Caller, request: Bytes) -> Option<Bytes> {
        let word = match decode::<Question>(&request) {
            Ok(Question::Put { hash, size, offset, piece }) => {
                self.put(caller.hello.node, hash, size, offset, piece).await
            }
            Ok(Question::Get { hash, offset }) => self.get(hash, offset).await,
            Ok(Question::Log { task, attempt, offset }) => self.log(task, attempt, offset).await,
            Err(error) => Word::Failed(format!("the question is not understood: {error}")),
        };
        encode(&word).ok().map(Bytes::from)
    }
}
