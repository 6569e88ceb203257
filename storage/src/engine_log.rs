//! The log on a disk.
//!
//! ```text
//!  append, put_note, truncate, purge ──► queue ──► committer thread ──► engine (write + sync)
//!                                          │                               ▲
//!  read ──► tail in memory ────────────────┘     reader thread ────────────┘  what is older
//! ```
//!
//! One committer takes everything that queued up while the last sync ran, within
//! [`committer::BATCH_CALLS`] and [`committer::BATCH_BYTES`], writes it as one atomic batch, syncs
//! once, and answers in order. It waits on a condition variable: no timer, no polling. It keeps the
//! newest records in memory, because what was just appended is what followers and the state want next.
//! Ends for good after a failed write or sync; a full disk only refuses.

mod committer;
mod engine;
mod entry;
#[cfg(test)]
mod faults;
mod files;
mod queue;
mod reader;
mod request;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use self::{
    committer::Committer, engine::Engine, files::Files, queue::Queue, reader::Reader, request::Request,
};
use crate::{
    error::Error,
    floor::Floor,
    folder::Folder,
    log::{Bounds, Done, Log, Record, Room},
    room::RoomWatch,
};

/// How a log on a disk is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Size of one log file. Space is given back file by file; a new file costs two syncs.
    pub file_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { file_bytes: engine::FILE_BYTES }
    }
}

/// A log in one data folder.
pub(crate) struct EngineLog {
    shared: Arc<Shared>,
    reader: Reader,
    committer: Option<JoinHandle<()>>,
    _folder: Folder,
}

/// What callers and the committer share.
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    room: Arc<RoomWatch>,
}

impl EngineLog {
    /// Opens the log of `folder`, unless it ends before what was synced.
    pub(crate) fn open(folder: &Folder, room: Arc<RoomWatch>, options: LogOptions) -> Result<Self, Error> {
        let files = Files::on(Arc::clone(&room));
        Self::open_on(folder, room, options, files)
    }

    fn open_on(
        folder: &Folder,
        room: Arc<RoomWatch>,
        options: LogOptions,
        files: Files,
    ) -> Result<Self, Error> {
        let path = folder.log();
        check_floor(&path, &folder.floor(), options)?;
        crate::durable::create_folder(&path)?;
        let engine = Arc::new(Engine::open(&path, options.file_bytes, files)?);
        let bounds = engine.bounds();
        let floor = Floor::open(&folder.floor(), bounds.last.unwrap_or(0))?;
        let queue = Mutex::new(Queue::new(bounds, engine.notes()?));
        let shared = Arc::new(Shared { queue, wake: Condvar::new(), room });

        let reader = Reader::start(Arc::clone(&engine))?;
        let committer = Committer::new(Arc::clone(&shared), engine, floor);
        let committer = thread::Builder::new()
            .name("synod-log".to_owned())
            .spawn(move || committer.run())
            .map_err(|error| Error::io("start the committer of", &path, error))?;
        Ok(Self { shared, reader, committer: Some(committer), _folder: folder.clone() })
    }

    fn push(&self, request: Request) {
        let refused = self.shared.queue.lock().push(request);
        match refused {
            Ok(()) => {
                self.shared.wake.notify_one();
            }
            // Outside of the lock: the callback may call the log.
            Err((error, done)) => done(Err(error)),
        }
    }

    /// Queues a request and waits for its end.
    fn push_and_wait(&self, request: impl FnOnce(Done) -> Request) -> Result<(), Error> {
        let (send, receive) = mpsc::sync_channel(1);
        self.push(request(Box::new(move |outcome| {
            // The other end waits; it cannot be gone.
            let _ = send.send(outcome);
        })));
        receive.recv().unwrap_or(Err(Error::Closed))
    }
}

/// Refuses a log that ends before its floor, before anything in it is changed.
fn check_floor(path: &Path, floor: &Path, options: LogOptions) -> Result<(), Error> {
    let floor = Floor::read(floor)?.unwrap_or(0);
    if floor == 0 {
        return Ok(());
    }
    let last = Engine::last_on_disk(path, options.file_bytes)?;
    if last.unwrap_or(0) < floor {
        return Err(Error::LogShort { floor, last });
    }
    Ok(())
}

impl Log for EngineLog {
    fn append(&self, records: Vec<Record>, done: Done) {
        self.push(Request::Append { records, done });
    }

    fn put_note(&self, key: &'static str, value: Bytes, done: Done) {
        self.push(Request::Note { key, value, done });
    }

    fn note(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let queue = self.shared.queue.lock();
        queue.check_open()?;
        Ok(queue.note(key))
    }

    fn read(&self, from: u64, to_exclusive: u64, bytes_max: usize) -> Result<Vec<Record>, Error> {
        let (older, mut newer) = {
            let queue = self.shared.queue.lock();
            queue.check_open()?;
            queue.read(from, to_exclusive, bytes_max)
        };
        if older.is_empty() {
            return Ok(newer);
        }
        let mut records = self.reader.read(older.clone(), bytes_max)?;
        if records.last().is_some_and(|last| last.index + 1 == older.end) {
            let used: usize = records.iter().map(|record| record.bytes.len()).sum();
            request::keep_within(&mut newer, bytes_max.saturating_sub(used));
            records.append(&mut newer);
        }
        Ok(records)
    }

    fn bounds(&self) -> Bounds {
        self.shared.queue.lock().bounds()
    }

    fn truncate_from(&self, index: u64) -> Result<(), Error> {
        self.push_and_wait(|done| Request::Truncate { index, done })
    }

    fn purge_through(&self, index: u64) -> Result<(), Error> {
        self.push_and_wait(|done| Request::Purge { index, done })
    }

    fn room(&self) -> Room {
        self.shared.room.room()
    }
}

impl Drop for EngineLog {
    /// Lets the committer finish what is queued, and waits for it.
    fn drop(&mut self) {
        self.shared.queue.lock().close();
        self.shared.wake.notify_one();
        if let Some(committer) = self.committer.take()
            // The last handle may go away inside of a callback, which runs on the committer itself.
            && committer.thread().id() != thread::current().id()
        {
            let _ = committer.join();
        }
    }
}
