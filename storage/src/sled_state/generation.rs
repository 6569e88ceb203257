//! One sled database: the rows of one generation of the state.
//!
//! With one tree. Keys begin with a byte that tells rows from our own bookkeeping, and values end with
//! a CRC-32 over key and value, because sled's own checks do not cover everything it can hand out after
//! a crash.

use std::{
    collections::BTreeSet,
    fs::File,
    ops::{Bound, Deref},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    durable,
    error::{Error, Place},
    folder,
    state_store::Row,
};

/// sled's main file.
pub(super) const DB_FILE: &str = "db";

/// Memory for cached pages. The live state is in memory elsewhere; this serves history, and sled goes
/// beyond it anyway.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Keys of rows begin with this.
const ROW: u8 = 1;
/// The key of the applied index.
const APPLIED: &[u8] = &[0, b'a'];

/// Length of the checksum at the end of each value.
const CRC: usize = 4;

/// An open generation.
pub(super) struct Generation {
    db: Database,
    db_file: File,
    path: PathBuf,
    /// Files that sled put large nodes into and that were synced already.
    synced_blobs: Mutex<BTreeSet<String>>,
    number: u64,
}

impl Generation {
    /// Opens or creates the generation in `path`.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let created = !path.exists();
        durable::create_folder(path)?;
        // No timer that flushes behind our back, and none that costs when idle.
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let mut outcome = Err(Error::Closed);
        // The folder is ours already, so a conflict about sled's own lock is a passing one.
        folder::patiently(|| {
            outcome = guard(|| config.open());
            (!outcome.as_ref().is_err_and(is_locked)).then_some(())
        });
        let db = outcome?;
        let db_path = path.join(DB_FILE);
        let db_file = File::open(&db_path).map_err(|error| Error::io("open", &db_path, error))?;
        if created {
            sync_once(path)?;
        }
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit('-').next());
        let number = number.and_then(|number| number.parse().ok()).unwrap_or(0);
        let db = Database { db: Some(db), file: db_path, failed: AtomicBool::new(false) };
        Ok(Self { db, db_file, path: path.to_owned(), synced_blobs: Mutex::default(), number })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the applied index; `None` for a generation that was never committed to.
    pub(super) fn applied(&self) -> Result<Option<u64>, Error> {
        let Some(stored) = guard(|| self.db.get(APPLIED))? else { return Ok(None) };
        let value = checked(APPLIED, &stored)
            .ok_or_else(|| Error::damaged(Place::State, "its applied index does not check out"))?;
        let number = value.first_chunk().copied().map(u64::from_le_bytes);
        number.map(Some).ok_or_else(|| Error::damaged(Place::State, "its applied index is too short"))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let stored_key = row_key(key);
        guard(|| self.db.get(&stored_key))?.map(|stored| row_value(&stored_key, &stored)).transpose()
    }

    pub(super) fn scan(
        &self,
        from: &[u8],
        to_exclusive: Option<&[u8]>,
        limit: usize,
        back: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let from = row_key(from);
        let to = to_exclusive.map_or_else(|| vec![ROW + 1], row_key);
        if from >= to {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        guard(|| {
            let rows = self.db.range::<Vec<u8>, _>((Bound::Included(from), Bound::Excluded(to)));
            let rows: &mut dyn Iterator<Item = sled::Result<_>> =
                if back { &mut rows.rev() } else { &mut { rows } };
            for row in rows.take(limit) {
                found.push(row?);
            }
            Ok(())
        })?;
        let rows = found
            .iter()
            .map(|(key, stored)| Ok((Bytes::copy_from_slice(&key[1..]), row_value(key, stored)?)));
        rows.collect()
    }

    /// Reads through all rows whose key begins with `prefix`.
    pub(super) fn verify(&self, prefix: &[u8]) -> Result<(), Error> {
        let damaged = guard(|| {
            for row in self.db.scan_prefix(row_key(prefix)) {
                let (key, stored) = row?;
                if checked(&key, &stored).is_none() {
                    return Ok(Some(key));
                }
            }
            Ok(None)
        })?;
        damaged.map_or(Ok(()), |key| Err(damaged_row(&key)))
    }

    /// Applies changes in one atomic step, in memory; [`Generation::sync`] makes them durable.
    pub(super) fn apply(&self, puts: &[Row], deletes: &[Vec<u8>], applied: Option<u64>) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for key in deletes {
            batch.remove(row_key(key));
        }
        for (key, value) in puts {
            let key = row_key(key);
            let stored = stored(&key, value);
            batch.insert(key, stored);
        }
        if let Some(applied) = applied {
            batch.insert(APPLIED, stored(APPLIED, &applied.to_le_bytes()));
        }
        guard(|| self.db.apply_batch(batch)).inspect_err(|_| self.db.note_failure())
    }

    /// Makes everything applied so far durable. Nothing else may call sled's `flush`.
    ///
    /// On Linux `flush` only calls `sync_file_range`, which orders no disk cache and no metadata: 13 of
    /// 14 simulated power cuts after it lost acknowledged rows, half of them by opening empty without an
    /// error. With the `fdatasync` behind it 18 of 18 kept everything. Nodes above a quarter of sled's
    /// segment (128 KiB) go to files of their own, which sled syncs neither; so they are synced here.
    pub(super) fn sync(&self) -> Result<(), Error> {
        guard(|| {
            #[expect(clippy::disallowed_methods, reason = "followed by the fdatasync that makes it durable")]
            let flushed = self.db.flush();
            flushed
        })
        .inspect_err(|_| self.db.note_failure())?;
        self.sync_blobs()?;
        self.db_file.sync_data().map_err(|error| Error::io("sync", self.path.join(DB_FILE), error))
    }

    /// Gives the database up without a last flush, which could wait for ever.
    pub(super) fn let_go(&self) {
        self.db.note_failure();
    }

    fn sync_blobs(&self) -> Result<(), Error> {
        let folder = self.path.join("blobs");
        let names: BTreeSet<String> = durable::names(&folder)?.into_iter().collect();
        let mut synced = self.synced_blobs.lock();
        let mut added = false;
        for name in names.difference(&synced) {
            let path = folder.join(name);
            match File::open(&path) {
                Ok(file) => file.sync_all().map_err(|error| Error::io("sync", &path, error))?,
                // Replaced since it was listed; the node that replaced it is in the main file.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io("open", path, error)),
            }
            added = true;
        }
        if added {
            durable::sync_folder(&folder)?;
        }
        *synced = names;
        Ok(())
    }
}

/// The database, and how it is let go.
///
/// sled flushes once more when it is dropped. If a call of it failed or its files are gone, that may wait for
/// ever, holding a lock that all databases of the process share: then it is not dropped. What was synced is on
/// the disk all the same, and the lock on its file ends with the process.
struct Database {
    db: Option<sled::Db>,
    file: PathBuf,
    failed: AtomicBool,
}

impl Database {
    fn note_failure(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

impl Deref for Database {
    type Target = sled::Db;

    fn deref(&self) -> &sled::Db {
        match &self.db {
            Some(db) => db,
            None => unreachable!("only its drop takes it out"),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let db = self.db.take();
        if self.failed.load(Ordering::Relaxed) || !self.file.exists() {
            std::mem::forget(db);
        }
    }
}

/// Syncs what sled writes once and never syncs: its settings, and the names of its files.
fn sync_once(path: &Path) -> Result<(), Error> {
    let conf = path.join("conf");
    File::open(&conf).and_then(|file| file.sync_all()).map_err(|error| Error::io("sync", conf, error))?;
    durable::sync_folder(path)?;
    path.parent().map_or(Ok(()), durable::sync_folder)
}

/// Whether an error says that the database is in use, which is no damage.
pub(super) fn is_locked(error: &Error) -> bool {
    matches!(error, Error::Io { cause, .. } if cause.to_string().contains("could not acquire lock"))
}

fn row_key(key: &[u8]) -> Vec<u8> {
    [&[ROW], key].concat()
}

fn stored(key: &[u8], value: &[u8]) -> Vec<u8> {
    [value, &checksum(key, value).to_le_bytes()].concat()
}

/// Returns the value of what is stored, if it checks out.
fn checked<'a>(key: &[u8], stored: &'a [u8]) -> Option<&'a [u8]> {
    let (value, crc) = stored.split_last_chunk::<CRC>()?;
    (checksum(key, value).to_le_bytes() == *crc).then_some(value)
}

fn row_value(key: &[u8], stored: &[u8]) -> Result<Bytes, Error> {
    checked(key, stored).map(Bytes::copy_from_slice).ok_or_else(|| damaged_row(key))
}

fn damaged_row(key: &[u8]) -> Error {
    Error::damaged(Place::Row(key.get(1..).unwrap_or_default().to_vec()), "its checksum does not match")
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

/// Runs a call of sled and turns both its errors and its panics into ours.
fn guard<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => Err(Error::io("use", "the state", error)),
        Ok(Err(error)) => Err(Error::damaged(Place::State, error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Error::damaged(
                Place::State,
                format!("sled panicked: {}", text.unwrap_or("without a message")),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_whose_files_are_gone_is_let_go_without_waiting_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state-1");
        let gone = Generation::open(&path).unwrap();
        gone.apply(&[(b"a".to_vec(), b"1".to_vec())], &[], Some(1)).unwrap();
        drop(folder);
        drop(gone);
        // All databases of a process share a lock: this one would wait for it.
        let folder = tempfile::tempdir().unwrap();
        let next = Generation::open(&folder.path().join("state-1")).unwrap();
        next.apply(&[], &[], Some(2)).unwrap();
        assert_eq!(next.applied().unwrap(), Some(2));
    }

    #[test]
    fn row_that_sled_hands_out_wrong_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let generation = Generation::open(&folder.path().join("state-1")).unwrap();
        let rows = [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())];
        generation.apply(&rows, &[], Some(1)).unwrap();
        generation.verify(&[]).unwrap();
        // The value of one row under the key of another, whole as far as sled can tell.
        let other = generation.db.get(row_key(b"a")).unwrap().unwrap();
        generation.db.insert(row_key(b"b"), other).unwrap();
        let named = |error| matches!(error, Error::Damaged { place: Place::Row(key), .. } if key == b"b");
        assert!(named(generation.get(b"b").unwrap_err()));
        assert!(named(generation.scan(&[], None, 9, false).unwrap_err()));
        assert!(named(generation.verify(&[]).unwrap_err()));
        generation.verify(b"a").unwrap();
        generation.db.insert(APPLIED, &[7; 12]).unwrap();
        assert!(generation.applied().is_err());
    }
}
