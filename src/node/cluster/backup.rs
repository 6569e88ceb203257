//! Backups: everything that is agreed, as of one moment, in one file, with the large payloads that it asks for.
//!
//! ```text
//!  head     "SYNODBKP" · version u8 · bytes of the snapshot u64
//!           the snapshot, as nodes send it to each other, with its own checksums
//!  payload  1 u8 · SHA-256 · length u32 · bytes
//!  ...
//!  end      0 u8 · payloads u64 · how many are lacking u64
//! ```
//!
//! Numbers are little endian; nothing may follow the end. Promises that a payload is what its name says, when it is
//! written and when it is read, and that no more than one of them is in memory. A backup from before there were
//! payloads in it is a snapshot alone; it is still read. Leaves out the logs of attempts, and what ended tasks were
//! given.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use synod_actors::ports::Blobs;
use synod_cluster::backup::{Backup, names_in};
use synod_cluster::consensus::Consensus;
use synod_storage::{BLOB_MAX, BlobId, Spool, Storage, Verify};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::clock::{SeededEntropy, SystemClock};
use crate::node::Error;
use crate::node::cluster::Restored;
use crate::node::home::{self, Home};

const MAGIC: &[u8; 8] = b"SYNODBKP";

/// How the backups begin that are a snapshot alone.
const MAGIC_BEFORE: &[u8; 8] = b"SYNODSNP";

const VERSION: u8 = 1;

const PAYLOAD: u8 = 1;
const END: u8 = 0;

/// Bytes of the end.
const END_BYTES: usize = 17;

/// Bytes read from the disk at once.
const PIECE_BYTES: usize = 1 << 20;

fn u64_at(bytes: &[u8; END_BYTES], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

/// What the end of a backup says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// How many large payloads are in it.
    pub payloads: u64,
    /// How many it should have, and no node gave them.
    pub lacking: u64,
}

impl Contents {
    /// Looks at the beginning and the end of a file; nothing between is checked.
    ///
    /// # Errors
    /// When it cannot be read, or does not begin or end as a backup.
    pub fn look(file: &mut std::fs::File) -> std::io::Result<Self> {
        let (mut magic, mut end) = ([0; MAGIC.len()], [0; END_BYTES]);
        file.rewind()?;
        file.read_exact(&mut magic)?;
        if magic == *MAGIC_BEFORE {
            return Ok(Self { payloads: 0, lacking: 0 });
        }
        file.seek(SeekFrom::End(-i64::try_from(END_BYTES).unwrap_or(i64::MAX)))?;
        file.read_exact(&mut end)?;
        let (payloads, lacking) = (u64_at(&end, 1), u64_at(&end, 9));
        let is_whole = magic == *MAGIC && end[0] == END;
        is_whole
            .then_some(Self { payloads, lacking })
            .ok_or_else(|| std::io::Error::other("it is no whole backup"))
    }

    fn to_bytes(self) -> [u8; END_BYTES] {
        let mut bytes = [END; END_BYTES];
        bytes[1..9].copy_from_slice(&self.payloads.to_le_bytes());
        bytes[9..].copy_from_slice(&self.lacking.to_le_bytes());
        bytes
    }
}

fn not_made(why: impl std::fmt::Display) -> Error {
    Error::Cluster(format!("the backup could not be made: {why}"))
}

fn not_restored(why: impl std::fmt::Display) -> Error {
    Error::Cluster(format!("the backup was not restored: {why}"))
}

/// Writes a backup, and returns through which index of the log it goes. A payload that no node gives is counted and
/// left out: a backup without it is better than none.
///
/// # Errors
/// When it cannot be made, read or written.
pub(super) async fn write(
    consensus: &Consensus,
    blobs: &dyn Blobs,
    into: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<u64, Error> {
    let Backup { snapshot, payloads } = consensus.backup().await.map_err(not_made)?;
    let bytes = snapshot.info().bytes;
    into.write_all(MAGIC).await.map_err(not_made)?;
    into.write_all(&[VERSION]).await.map_err(not_made)?;
    into.write_all(&bytes.to_le_bytes()).await.map_err(not_made)?;
    let mut offset = 0_u64;
    while offset < bytes {
        let piece = snapshot.read_at(offset, PIECE_BYTES)?;
        if piece.is_empty() {
            return Err(not_made("its snapshot ends too early"));
        }
        into.write_all(&piece).await.map_err(not_made)?;
        offset += piece.len() as u64;
    }
    let mut contents = Contents { payloads: 0, lacking: 0 };
    for hash in payloads {
        // Checked against its name by whoever gives it.
        match blobs.get(&hash).await {
            Ok(content) => {
                let length = u32::try_from(content.len()).map_err(not_made)?;
                into.write_all(&[PAYLOAD]).await.map_err(not_made)?;
                into.write_all(&hash).await.map_err(not_made)?;
                into.write_all(&length.to_le_bytes()).await.map_err(not_made)?;
                into.write_all(&content).await.map_err(not_made)?;
                contents.payloads += 1;
            }
            Err(why) => {
                let payload = BlobId::from_digest(hash);
                tracing::warn!(%payload, why, "a large payload is not in the backup: no node gave it");
                contents.lacking += 1;
            }
        }
    }
    into.write_all(&contents.to_bytes()).await.map_err(not_made)?;
    into.flush().await.map_err(not_made)?;
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
    let is_empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(not_restored(format!("{}: {error}", folder.display()))),
    };
    if !is_empty {
        return Err(not_restored(format!("{} is not empty; name a new folder", folder.display())));
    }
    let made = make(folder, from).await;
    if made.is_err()
        && let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, folder = %folder.display(), "what was begun of a folder is left");
    }
    made
}

/// What leads to it is done, and nothing else runs: the disk is waited for here.
async fn make(folder: &Path, from: &mut (dyn AsyncRead + Send + Unpin)) -> Result<Restored, Error> {
    let begins = begin(from).await?;
    let entropy = SeededEntropy::from_system().map_err(Error::Start)?;
    let (storage, _, _) = home::open(&Home::Folder(folder.to_owned()), Verify::Prefixes(Vec::new()))?;
    let node = home::node_id(&storage, &SystemClock, &entropy).await?;
    let spool: Arc<dyn Spool> = storage.snapshots.spool()?.into();
    let given = match begins {
        Begins::Snapshot => {
            spool.append(MAGIC_BEFORE)?;
            copy(from, u64::MAX, &*spool).await?;
            None
        }
        Begins::Backup { snapshot } => {
            copy(from, snapshot, &*spool).await?;
            Some(take_payloads(from, &storage).await?)
        }
    };
    let named = names_in(&spool).map_err(not_restored)?;
    let applied = synod_cluster::restore::restore(&storage, spool, node).await.map_err(not_restored)?;
    let (mut payloads, mut lacking) = (0, 0);
    for hash in named {
        match storage.blobs.contains(&BlobId::from_digest(hash))? {
            true => payloads += 1,
            false => lacking += 1,
        }
    }
    let found = Contents { payloads, lacking };
    if given.is_some_and(|given| given != found) {
        return Err(not_restored("its large payloads are not the ones that it names"));
    }
    Ok(Restored { applied, payloads, lacking })
}

/// How a backup begins.
enum Begins {
    /// It is a snapshot alone.
    Snapshot,
    /// It has a snapshot of so many bytes, and payloads.
    Backup { snapshot: u64 },
}

async fn begin(from: &mut (dyn AsyncRead + Send + Unpin)) -> Result<Begins, Error> {
    let mut magic = [0; 8];
    from.read_exact(&mut magic).await.map_err(too_short)?;
    if magic == *MAGIC_BEFORE {
        return Ok(Begins::Snapshot);
    }
    if magic != *MAGIC {
        return Err(not_restored("it does not begin as a backup"));
    }
    let version = from.read_u8().await.map_err(too_short)?;
    if version != VERSION {
        return Err(not_restored(format!(
            "its format has version {version}; this synod reads version {VERSION}: restore it with the synod that \
             wrote it"
        )));
    }
    Ok(Begins::Backup { snapshot: from.read_u64_le().await.map_err(too_short)? })
}

fn too_short(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => not_restored("it ends too early"),
        _ => not_restored(error),
    }
}

/// Takes so many bytes, or those up to the end.
async fn copy(from: &mut (dyn AsyncRead + Send + Unpin), bytes: u64, into: &dyn Spool) -> Result<(), Error> {
    let mut from = from.take(bytes);
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    loop {
        piece.clear();
        let mut next = (&mut from).take(PIECE_BYTES as u64);
        if next.read_to_end(&mut piece).await.map_err(not_restored)? == 0 {
            return Ok(());
        }
        into.append(&piece)?;
    }
}

/// Keeps the payloads that come until the end, and returns what the end says.
async fn take_payloads(
    from: &mut (dyn AsyncRead + Send + Unpin),
    storage: &Storage,
) -> Result<Contents, Error> {
    loop {
        match from.read_u8().await.map_err(too_short)? {
            PAYLOAD => take_payload(from, storage).await?,
            END => break,
            other => return Err(not_restored(format!("{other} begins nothing that may be in it"))),
        }
    }
    let payloads = from.read_u64_le().await.map_err(too_short)?;
    let lacking = from.read_u64_le().await.map_err(too_short)?;
    match from.read(&mut [0]).await.map_err(not_restored)? {
        0 => Ok(Contents { payloads, lacking }),
        _ => Err(not_restored("bytes follow its end")),
    }
}

async fn take_payload(from: &mut (dyn AsyncRead + Send + Unpin), storage: &Storage) -> Result<(), Error> {
    let mut hash = [0; 32];
    from.read_exact(&mut hash).await.map_err(too_short)?;
    let id = BlobId::from_digest(hash);
    let length = usize::try_from(from.read_u32_le().await.map_err(too_short)?).map_err(not_restored)?;
    if length > BLOB_MAX {
        return Err(not_restored(format!("payload {id} has no sane length")));
    }
    let mut content = vec![0; length];
    from.read_exact(&mut content).await.map_err(too_short)?;
    let found = BlobId::of(&content);
    if found != id {
        return Err(not_restored(format!("payload {id} is damaged: its content hashes to {found}")));
    }
    storage.blobs.put(&content)?;
    Ok(())
}
