//! Backups: everything that is agreed, as of one moment, in one file.
//!
//! A backup is a snapshot as nodes send them to each other, with its own checksums. It has neither blobs nor logs of
//! attempts.

use std::path::Path;

use synod_cluster::consensus::Consensus;
use synod_storage::Verify;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::clock::{SeededEntropy, SystemClock};
use crate::node::Error;
use crate::node::cluster::Restored;
use crate::node::home::{self, Home};

/// Bytes read from the disk at once.
const PIECE_BYTES: usize = 1 << 20;

/// Writes a backup, and returns through which index of the log it goes.
///
/// # Errors
/// When it cannot be made, read or written.
pub(super) async fn write(
    consensus: &Consensus,
    into: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<u64, Error> {
    let failed = |why: String| Error::Cluster(format!("the backup could not be made: {why}"));
    let snapshot = consensus.backup().await.map_err(|error| failed(error.to_string()))?;
    let mut offset = 0_u64;
    loop {
        let piece = snapshot.read_at(offset, PIECE_BYTES)?;
        if piece.is_empty() {
            break;
        }
        into.write_all(&piece).await.map_err(|error| failed(error.to_string()))?;
        offset += piece.len() as u64;
    }
    into.flush().await.map_err(|error| failed(error.to_string()))?;
    Ok(snapshot.info().applied.saturating_sub(1))
}

/// Makes a data folder out of a backup.
///
/// # Errors
/// When the folder is in use or the backup is damaged; a folder that was made is removed again.
pub(super) async fn read(
    folder: &Path,
    from: &mut (dyn AsyncRead + Send + Unpin),
) -> Result<Restored, Error> {
    let failed = |why: String| Error::Cluster(format!("the backup was not restored: {why}"));
    let is_empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(failed(format!("{}: {error}", folder.display()))),
    };
    if !is_empty {
        return Err(failed(format!("{} is not empty; name a new folder", folder.display())));
    }
    // The state fits the memory of every node that holds it, and so does its backup.
    let mut backup = Vec::new();
    from.read_to_end(&mut backup).await.map_err(|error| failed(error.to_string()))?;
    let made = make(folder, &backup).await;
    if made.is_err()
        && let Err(error) = std::fs::remove_dir_all(folder)
    {
        tracing::warn!(%error, folder = %folder.display(), "what was begun of a folder is left");
    }
    made
}

async fn make(folder: &Path, backup: &[u8]) -> Result<Restored, Error> {
    let entropy = SeededEntropy::from_system().map_err(Error::Start)?;
    let (storage, _, _) = home::open(&Home::Folder(folder.to_owned()), Verify::Prefixes(Vec::new()))?;
    let node = home::node_id(&storage, &SystemClock, &entropy).await?;
    // What leads to it is done, and nothing else runs: the disk is waited for here.
    let applied = synod_cluster::restore::restore(&storage, backup, node).await;
    let applied = applied.map_err(|error| Error::Cluster(format!("the backup was not restored: {error}")))?;
    Ok(Restored { applied })
}
