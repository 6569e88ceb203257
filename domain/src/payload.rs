//! What a task carries and what it gives back: bytes, here or in the blob store.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Payloads and results up to this size travel in the log; larger ones go to the blob store.
///
/// A higher number makes every replica hold more in memory and every sync write more.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// The largest payload or result. A higher number lets one task fill a disk and a reader's memory.
pub const PAYLOAD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The most bytes of metadata that a task or an agent may carry for its owner. It is held in memory on every
/// replica, so what is larger belongs into the payload.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a payload or result: JSON text unless the sender says otherwise.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// The bytes themselves, at most [`INLINE_BYTES_MAX`].
    Inline(Arc<[u8]>),
    /// A reference to the blob store, by SHA-256 of the content.
    Blob {
        /// SHA-256 of the content.
        hash: [u8; 32],
        /// Size of the content in bytes.
        size: u64,
    },
}

impl Payload {
    /// Wraps bytes that are small enough to travel in the log; the caller has checked the size.
    pub fn inline(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Inline(bytes.into())
    }

    /// Returns the size of the content in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Blob { size, .. } => *size,
        }
    }

    /// Returns the name of its content in the blob store; `None` when it is not there.
    pub const fn blob(&self) -> Option<[u8; 32]> {
        match self {
            Self::Inline(_) => None,
            Self::Blob { hash, .. } => Some(*hash),
        }
    }

    /// Returns how many bytes it takes in memory and in the log.
    pub fn weight(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Blob { .. } => 40,
        }
    }
}

impl Default for Payload {
    /// An empty payload.
    fn default() -> Self {
        Self::Inline(Arc::from([]))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Blob { size, .. } => write!(f, "Blob({size} bytes)"),
        }
    }
}
