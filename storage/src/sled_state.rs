//! The state on a disk, in sled.
//!
//! ```text
//!  commit   rows + applied index ─► one sled batch ─► flush + fdatasync ─► marker: "applied through n"
//!  replace  rows ─► a new generation ─► flush + fdatasync ─► marker: "generation g, through n" ─► old removed
//! ```
//!
//! The only file that knows sled. It promises that a commit is durable on return and atomic with its
//! applied index, and that each row reads as it was written or as damaged. Three things it makes up for:
//! sled's `flush` is not durable ([`Generation::sync`]); sled can open empty, or behind, without an
//! error after a power cut (the [`marker`] beside it says how far it must be); and it can panic on
//! damaged files (everything runs guarded). It never repairs: a damaged state is moved aside and
//! rebuilt from the latest snapshot and the log by [`crate::open()`].
//!
//! A disk that fills up in the middle of a commit leaves sled with an error that it never gets over, and with rows in
//! memory that no disk holds. Such a store is *cut off*: it answers "no space" until the next commit finds room for a copy
//! of its files, and goes on from that as a start would.

mod folders;
mod generation;
pub(crate) mod marker;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use self::{generation::Generation, marker::Marker};
use crate::{
    durable,
    error::{Error, Place},
    folder::Folder,
    room::RoomWatch,
    state_store::{Batch, Row, StateStore, check_batch, check_row},
};

/// How much of the state is read through when it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Every row.
    #[default]
    Everything,
    /// Rows whose key begins with one of these; damage elsewhere shows when it is read.
    Prefixes(Vec<Vec<u8>>),
}

/// Bytes of rows in one step of a replacement. sled holds a batch in memory twice.
const REPLACE_BYTES: usize = 1024 * 1024;

/// What a batch may take on the disk for each of its bytes: sled writes whole nodes.
const AMPLIFICATION: u64 = 5;

/// The state of one data folder.
pub(crate) struct SledState {
    folder: Folder,
    room: Arc<RoomWatch>,
    current: RwLock<Generation>,
    applied: AtomicU64,
    /// One writer at a time, and the reason why there will be none again.
    writing: Mutex<Option<Error>>,
    /// Set while what sled holds is ahead of a disk that filled up.
    cut_off: RwLock<Option<Error>>,
}

/// What was found at a start.
pub(crate) enum Found {
    /// A state that is whole, as far as was asked.
    Whole(Box<SledState>),
    /// One that is not; it was left where it is.
    Damaged(String),
}

impl SledState {
    /// Opens the state of `folder`, or creates an empty one where there never was any.
    pub(crate) fn open(folder: &Folder, room: &Arc<RoomWatch>, verify: &Verify) -> Result<Found, Error> {
        let marker = match Marker::read(folder.path()) {
            Ok(Some(marker)) => marker,
            Ok(None) => return Self::open_without_marker(folder, room),
            Err(error) => return damaged_or(error),
        };
        folders::remove_others(folder, marker.generation)?;
        let path = folders::path(folder, marker.generation);
        if !path.join(generation::DB_FILE).is_file() {
            return Ok(Found::Damaged("its files are missing".to_owned()));
        }
        match open_checked(&path, marker, verify) {
            Ok((current, applied)) => Ok(Found::Whole(Box::new(Self::new(folder, room, current, applied)))),
            Err(error) => damaged_or(error),
        }
    }

    /// No marker: the first start, one that died before its marker, or a marker that was lost.
    fn open_without_marker(folder: &Folder, room: &Arc<RoomWatch>) -> Result<Found, Error> {
        for number in folders::generations(folder)? {
            let path = folders::path(folder, number);
            match Generation::open(&path).and_then(|generation| generation.applied()) {
                // Killed between its creation and its marker: nothing in it was ever acknowledged.
                Ok(None | Some(0)) => {}
                Ok(Some(_)) => return Ok(Found::Damaged("its marker is missing".to_owned())),
                Err(error) => return damaged_or(error),
            }
            durable::remove_folder(&path)?;
        }
        let rows = &mut std::iter::empty();
        Ok(Found::Whole(Box::new(Self::create(folder, room, 1, 0, rows)?)))
    }

    /// Moves a damaged state aside and fills a new one. Returns where the old one went.
    pub(crate) fn rebuild(
        folder: &Folder,
        room: &Arc<RoomWatch>,
        applied: u64,
        rows: &mut dyn Iterator<Item = Result<Row, Error>>,
    ) -> Result<(Self, Option<PathBuf>), Error> {
        let found = folders::generations(folder)?;
        let named = Marker::read(folder.path()).ok().flatten().map(|marker| marker.generation);
        let damaged = folders::damaged(folder)?;
        let highest = found.iter().chain(&damaged).copied().chain(named).max().unwrap_or(0);
        // The new one first, under a number of its own: a crash in between leaves the damaged one named
        // by the marker, and the next start does all of this again.
        let state = Self::create(folder, room, highest + 1, applied, rows)?;
        let moved_to = folders::move_aside(folder, &found)?;
        Ok((state, moved_to))
    }

    fn create(
        folder: &Folder,
        room: &Arc<RoomWatch>,
        number: u64,
        applied: u64,
        rows: &mut dyn Iterator<Item = Result<Row, Error>>,
    ) -> Result<Self, Error> {
        let current = fill(folder, room, number, applied, rows)?;
        Marker { generation: number, applied }.write(folder.path())?;
        Ok(Self::new(folder, room, current, applied))
    }

    fn new(folder: &Folder, room: &Arc<RoomWatch>, current: Generation, applied: u64) -> Self {
        Self {
            folder: folder.clone(),
            room: Arc::clone(room),
            current: RwLock::new(current),
            applied: AtomicU64::new(applied),
            writing: Mutex::new(None),
            cut_off: RwLock::new(None),
        }
    }

    /// Refuses reads of what the disk may not hold.
    fn check_read(&self) -> Result<(), Error> {
        self.cut_off.read().clone().map_or(Ok(()), Err)
    }

    /// Takes note that the disk filled up in the middle of a commit of so many bytes.
    fn cut_off(&self, bytes: u64) -> Error {
        let error = self.room.refused(bytes);
        self.current.read().let_go();
        tracing::warn!(%error, "the disk filled up in a commit; the state is opened anew when there is room");
        *self.cut_off.write() = Some(error.clone());
        error
    }

    /// Opens a copy of what is on the disk, as a start would: sled does not let go of files before the process ends.
    fn open_anew(&self, ended: &mut Option<Error>) -> Result<(), Error> {
        let old = self.current.read().number();
        let marker = Marker { generation: old + 1, applied: self.applied() };
        let (from, to) = (folders::path(&self.folder, old), folders::path(&self.folder, marker.generation));
        let opened = folders::bytes(&from)
            .and_then(|bytes| self.room.admit(bytes))
            .and_then(|()| folders::copy(&from, &to))
            .and_then(|()| open_checked(&to, marker, &Verify::Everything));
        let (next, applied) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let _ = durable::remove_folder(&to);
                let waits = matches!(error, Error::NoSpace { .. });
                return Err(if waits { error } else { self.end(ended, error) });
            }
        };
        if let Err(error) = (Marker { applied, ..marker }).write(self.folder.path()) {
            // The marker may name either; only a start can tell.
            return Err(self.end(ended, error));
        }
        *self.current.write() = next;
        self.applied.store(applied, Ordering::Release);
        *self.cut_off.write() = None;
        tracing::info!(applied, "the state was opened anew after the disk was full");
        if let Err(error) = folders::discard(&from) {
            tracing::warn!(%error, "the state from before the disk was full cannot be removed");
        }
        Ok(())
    }

    /// Ends the store: what sled and the disk hold is unknown.
    fn end(&self, ended: &mut Option<Error>, error: Error) -> Error {
        let error = if error.is_fatal() { error } else { Error::fatal(error) };
        tracing::error!(%error, "the state is closed");
        *ended = Some(error.clone());
        error
    }
}

impl StateStore for SledState {
    fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.check_read()?;
        self.current.read().get(key)
    }

    fn scan(
        &self,
        from: &[u8],
        to_exclusive: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.check_read()?;
        self.current.read().scan(from, to_exclusive, limit, false)
    }

    fn scan_back(
        &self,
        from: &[u8],
        to_exclusive: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.check_read()?;
        self.current.read().scan(from, to_exclusive, limit, true)
    }

    fn commit(&self, batch: Batch) -> Result<(), Error> {
        let mut ended = self.writing.lock();
        if let Some(error) = &*ended {
            return Err(error.clone());
        }
        let bytes = check_batch(&batch, self.applied())?;
        self.room.admit(bytes.saturating_mul(AMPLIFICATION))?;
        if self.cut_off.read().is_some() {
            self.open_anew(&mut ended)?;
        }
        let current = self.current.read();
        let applied = batch.applied;
        let marker = Marker { generation: current.number(), applied };
        let committed = current
            .apply(&batch.puts, &batch.deletes, Some(applied))
            .and_then(|()| current.sync())
            .and_then(|()| marker.write(self.folder.path()));
        drop(current);
        match committed {
            Err(Error::NoSpace { .. }) => return Err(self.cut_off(bytes.saturating_mul(AMPLIFICATION))),
            Err(error) => return Err(self.end(&mut ended, error)),
            Ok(()) => {}
        }
        self.applied.store(applied, Ordering::Release);
        Ok(())
    }

    fn replace(&self, applied: u64, rows: &mut dyn Iterator<Item = Result<Row, Error>>) -> Result<(), Error> {
        let mut ended = self.writing.lock();
        if let Some(error) = &*ended {
            return Err(error.clone());
        }
        let old = self.current.read().number();
        let number = old + 1;
        // Nothing of the old content is touched until the marker names the new one.
        let next = match fill(&self.folder, &self.room, number, applied, rows) {
            Ok(next) => next,
            Err(error) => {
                let _ = durable::remove_folder(&folders::path(&self.folder, number));
                return Err(error);
            }
        };
        if let Err(error) = (Marker { generation: number, applied }).write(self.folder.path()) {
            // The marker may name either; only a start can tell.
            return Err(self.end(&mut ended, error));
        }
        {
            let mut current = self.current.write();
            *current = next;
            self.applied.store(applied, Ordering::Release);
            *self.cut_off.write() = None;
        }
        // Space only; the next start removes what is left.
        if let Err(error) = durable::remove_folder(&folders::path(&self.folder, old)) {
            tracing::warn!(%error, "the replaced state cannot be removed");
        }
        Ok(())
    }
}

/// Tells damage from a system that refuses to open files at the moment: the first is rebuilt, the
/// second must not cost a state that is whole.
fn damaged_or(error: Error) -> Result<Found, Error> {
    use rustix::io::Errno;

    let refused = |cause: &std::io::Error| {
        let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::ACCESS, Errno::PERM];
        passing.iter().any(|errno| cause.raw_os_error() == Some(errno.raw_os_error()))
    };
    match &error {
        // Whole, and of another format: to put it aside would hide it from the binary that reads it.
        Error::NoSpace { .. } | Error::UnknownVersion { .. } => Err(error),
        Error::Io { cause, .. } if refused(cause) || generation::is_locked(&error) => Err(error),
        _ => Ok(Found::Damaged(error.to_string())),
    }
}

/// Opens what the marker names and checks it against the marker.
fn open_checked(path: &Path, marker: Marker, verify: &Verify) -> Result<(Generation, u64), Error> {
    let generation = Generation::open(path)?;
    let damaged = |reason: String| Error::damaged(Place::State, reason);
    let applied = generation.applied()?.ok_or_else(|| damaged("it opened empty".to_owned()))?;
    if applied < marker.applied {
        return Err(damaged(format!(
            "it is applied through {applied} but was durable through {}",
            marker.applied
        )));
    }
    match verify {
        Verify::Everything => generation.verify(&[])?,
        Verify::Prefixes(prefixes) => {
            for prefix in prefixes {
                generation.verify(prefix)?;
            }
        }
    }
    Ok((generation, applied))
}

/// Writes a whole new generation, durable but not yet named by the marker.
fn fill(
    folder: &Folder,
    room: &RoomWatch,
    number: u64,
    applied: u64,
    rows: &mut dyn Iterator<Item = Result<Row, Error>>,
) -> Result<Generation, Error> {
    let path = folders::path(folder, number);
    // A crash may have left the beginning of one.
    durable::remove_folder(&path)?;
    let next = Generation::open(&path)?;
    let (mut puts, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let (key, value) = row?;
        check_row(&value)?;
        bytes += key.len() + value.len();
        puts.push((key, value));
        if bytes >= REPLACE_BYTES {
            room.admit(bytes as u64 * AMPLIFICATION)?;
            next.apply(&puts, &[], None)?;
            puts.clear();
            bytes = 0;
        }
    }
    next.apply(&puts, &[], Some(applied))?;
    next.sync()?;
    durable::sync_folder(folder.path())?;
    Ok(next)
}
