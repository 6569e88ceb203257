//! What openraft passes around as "the snapshot": a handle, never its bytes.
//!
//! The content is the storage's: rows of the state and of history, and as meta our [`Bookkeeping`].

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use openraft::SnapshotMeta;
use synod_storage::decode;
use synod_storage::{RawSnapshot, SnapshotInfo, Spool};

use crate::group::Peer;
use crate::records::Bookkeeping;

/// Bytes read from a snapshot at once.
const PIECE_BYTES: usize = 256 * 1024;

/// A snapshot on its way.
#[derive(Clone, Default)]
pub enum SnapshotData {
    /// Nothing yet.
    #[default]
    Empty,
    /// One that is stored here.
    Stored(Arc<dyn RawSnapshot>),
    /// The raw form of one that came over the network.
    Received(Arc<dyn Spool>),
}

impl std::fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Stored(raw) => write!(f, "Stored({:?})", raw.info()),
            Self::Received(spool) => write!(f, "Received({} bytes)", spool.size()),
        }
    }
}

impl SnapshotData {
    /// Returns up to `max` bytes of its raw form from `offset` on; empty at the end.
    ///
    /// # Errors
    /// When the disk does not give them.
    pub fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, synod_storage::Error> {
        match self {
            Self::Empty => Ok(Bytes::new()),
            Self::Stored(raw) => raw.read_at(offset, max),
            Self::Received(spool) => spool.read_at(offset, max),
        }
    }

    /// Returns a reader of its raw form.
    pub(crate) fn reader(self) -> impl Read {
        Reader { data: self, offset: 0 }
    }
}

struct Reader {
    data: SnapshotData,
    offset: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(PIECE_BYTES);
        let piece = self.data.read_at(self.offset, wanted).map_err(io::Error::other)?;
        buffer[..piece.len()].copy_from_slice(&piece);
        self.offset += piece.len() as u64;
        Ok(piece.len())
    }
}

/// Returns what openraft wants to know of a stored snapshot.
pub(crate) fn meta_of(info: &SnapshotInfo) -> Result<SnapshotMeta<u64, Peer>, synod_storage::Error> {
    let bookkeeping: Bookkeeping = decode(&info.meta)?;
    Ok(SnapshotMeta {
        last_log_id: bookkeeping.applied_id(),
        last_membership: bookkeeping.membership(),
        // The same content has the same id on every node and in every run.
        snapshot_id: format!("through-{}", info.applied),
    })
}
