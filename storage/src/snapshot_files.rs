//! Snapshots as files, `snapshot-<applied>.rows`, one of them at rest.
//!
//! A file gets its name only when it is whole and synced, and the older one goes after that. A reader
//! keeps its file open, so it is not disturbed by the next snapshot.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    durable,
    error::Error,
    folder::Folder,
    room::RoomWatch,
    snapshot_format::{self, Decoder},
    snapshots::{RawSnapshot, SnapshotInfo, SnapshotReader, Snapshots},
    spool::{self, FileSpool, Spool},
    state_store::Row,
};

/// What a snapshot asks of the disk before it begins; it grows while it is written, so this only
/// keeps it from starting on a full disk.
const START_BYTES: u64 = 1024 * 1024;

/// Snapshots in one folder.
pub(crate) struct SnapshotFiles {
    path: PathBuf,
    room: Arc<RoomWatch>,
    /// One writer at a time: two would remove each other's files.
    writing: Mutex<()>,
    _folder: Folder,
}

impl SnapshotFiles {
    /// Opens the folder and removes what a crash left half written.
    pub(crate) fn open(folder: &Folder, room: Arc<RoomWatch>) -> Result<Self, Error> {
        let path = folder.snapshots();
        durable::create_folder(&path)?;
        for name in durable::names(&path)? {
            if name.ends_with(durable::TEMPORARY) {
                durable::remove_file(&path.join(name))?;
            }
        }
        Ok(Self { path, room, writing: Mutex::new(()), _folder: folder.clone() })
    }

    /// The snapshots that are there, oldest first, by name only.
    fn stored(&self) -> Result<Vec<u64>, Error> {
        let names = durable::names(&self.path)?;
        let mut stored: Vec<u64> = names.iter().filter_map(|name| parse_name(name)).collect();
        stored.sort_unstable();
        Ok(stored)
    }

    fn file(&self, applied: u64) -> PathBuf {
        self.path.join(format!("snapshot-{applied:020}.rows"))
    }

    /// Opens the newest file that checks out from its first to its last byte.
    fn newest_whole(&self) -> Result<Option<(File, SnapshotInfo)>, Error> {
        for applied in self.stored()?.into_iter().rev() {
            let path = self.file(applied);
            let file = File::open(&path).map_err(|error| Error::io("open", &path, error))?;
            let checked = Decoder::open(BufReader::new(ReadAt::new(&file)))
                .and_then(Decoder::verify)
                .and_then(|info| named_as(applied, info));
            match checked {
                Ok(info) => return Ok(Some((file, info))),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "snapshot is passed over");
                }
            }
        }
        Ok(None)
    }

    /// Writes one file and removes all others once it is durable.
    fn write(
        &self,
        applied: u64,
        fill: impl FnOnce(&mut File) -> Result<SnapshotInfo, Error>,
    ) -> Result<SnapshotInfo, Error> {
        let info = durable::write_file_with(&self.file(applied), fill)?;
        for other in self.stored()?.into_iter().filter(|other| *other != applied) {
            durable::remove_file(&self.file(other))?;
        }
        Ok(info)
    }
}

impl Snapshots for SnapshotFiles {
    fn save(
        &self,
        applied: u64,
        meta: Bytes,
        rows: &mut dyn Iterator<Item = Result<Row, Error>>,
    ) -> Result<SnapshotInfo, Error> {
        let _writing = self.writing.lock();
        self.room.admit(START_BYTES)?;
        self.write(applied, |file| {
            let mut out = BufWriter::new(file);
            let info = snapshot_format::write(&mut out, applied, meta, rows)?;
            out.flush().map_err(|error| Error::io("write", "a snapshot", error))?;
            Ok(info)
        })
    }

    fn receive(&self, raw: &mut dyn Read) -> Result<SnapshotInfo, Error> {
        let _writing = self.writing.lock();
        self.room.admit(START_BYTES)?;
        // The index is inside, so the bytes wait under a name of their own until they are checked.
        let arriving = self.path.join(format!("arriving.{}", durable::TEMPORARY));
        let received = receive_into(&arriving, raw);
        let result = received.and_then(|info| {
            let path = self.file(info.applied);
            std::fs::rename(&arriving, &path).map_err(|error| Error::io("rename", &arriving, error))?;
            durable::sync_folder(&self.path)?;
            for other in self.stored()?.into_iter().filter(|other| *other != info.applied) {
                durable::remove_file(&self.file(other))?;
            }
            Ok(info)
        });
        if result.is_err() {
            let _ = durable::remove_file(&arriving);
        }
        result
    }

    fn spool(&self) -> Result<Box<dyn Spool>, Error> {
        let _writing = self.writing.lock();
        self.room.admit(START_BYTES)?;
        let path = self.path.join(format!("spool.{}", durable::TEMPORARY));
        Ok(Box::new(FileSpool::create(&path)?))
    }

    fn latest(&self) -> Result<Option<SnapshotReader>, Error> {
        let Some((file, info)) = self.newest_whole()? else {
            return Ok(None);
        };
        let rows = Decoder::open(BufReader::new(ReadAt::new(Arc::new(file))))?;
        Ok(Some(SnapshotReader { info, rows: Box::new(rows) }))
    }

    fn latest_raw(&self) -> Result<Option<Box<dyn RawSnapshot>>, Error> {
        let raw = self.newest_whole()?.map(|(file, info)| RawFile { file, info });
        Ok(raw.map(|raw| Box::new(raw) as Box<dyn RawSnapshot>))
    }
}

fn receive_into(path: &std::path::Path, raw: &mut dyn Read) -> Result<SnapshotInfo, Error> {
    let mut file = durable::create_private(path).map_err(|error| Error::io("create", path, error))?;
    io::copy(raw, &mut file).map_err(|error| Error::io("receive", path, error))?;
    file.sync_all().map_err(|error| Error::io("sync", path, error))?;
    Decoder::open(BufReader::new(ReadAt::new(&file)))?.verify()
}

fn parse_name(name: &str) -> Option<u64> {
    name.strip_prefix("snapshot-")?.strip_suffix(".rows")?.parse().ok()
}

/// A whole snapshot under the name of another index is not what its name promises.
fn named_as(applied: u64, info: SnapshotInfo) -> Result<SnapshotInfo, Error> {
    if info.applied != applied {
        let reason = format!("it holds snapshot {}", info.applied);
        return Err(Error::damaged(crate::error::Place::Snapshot(applied), reason));
    }
    Ok(info)
}

/// Reads a shared file from its start without moving a cursor that others use.
struct ReadAt<F> {
    file: F,
    offset: u64,
}

impl<F> ReadAt<F> {
    fn new(file: F) -> Self {
        Self { file, offset: 0 }
    }
}

impl<F: std::ops::Deref<Target = File>> Read for ReadAt<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

struct RawFile {
    file: File,
    info: SnapshotInfo,
}

impl RawSnapshot for RawFile {
    fn info(&self) -> &SnapshotInfo {
        &self.info
    }

    fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, Error> {
        spool::read_at(&self.file, offset, max)
    }
}
