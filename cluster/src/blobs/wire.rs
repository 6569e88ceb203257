//! What nodes ask each other about blobs and logs. Formats: variants are only appended.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use synod_domain::id::TaskId;

/// A question to a node about its blobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Question {
    /// Take this piece. The first of a blob asks whether it is there already.
    Put {
        /// The blob.
        hash: [u8; 32],
        /// Its size.
        size: u64,
        /// Where the piece begins.
        offset: u64,
        /// The piece.
        piece: Bytes,
    },
    /// Give the piece that begins there.
    Get {
        /// The blob.
        hash: [u8; 32],
        /// Where the piece begins.
        offset: u64,
    },
    /// Give the piece of a log that begins there.
    Log {
        /// The task.
        task: TaskId,
        /// Which attempt.
        attempt: u32,
        /// Where the piece begins.
        offset: u64,
    },
}

/// What is said to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Word {
    /// The piece was taken; the next one is wanted.
    Taken,
    /// The blob is there, whole and durable.
    Kept,
    /// The piece, and the size of the whole.
    Piece {
        /// The size of the whole.
        size: u64,
        /// The piece.
        bytes: Bytes,
    },
    /// There is no such blob or log.
    Missing,
    /// It is not done, for this reason.
    Failed(String),
}
