//! The reader: the only thread that reads records back from the engine.
//!
//! One thread, because the engine's cache belongs to a thread and not to an engine; see
//! [`super::engine`]. Recent records come from memory, so this is for restarts and for followers that
//! are far behind, where a read moves many records.

use std::{
    ops::Range,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use super::engine::Engine;
use crate::{error::Error, log::Record};

/// Reads that may wait; a caller above that waits to be let in.
const WAITING_MAX: usize = 64;

struct Read {
    range: Range<u64>,
    bytes_max: usize,
    answer: mpsc::SyncSender<Result<Vec<Record>, Error>>,
}

/// A handle on the thread, which ends with it.
pub(super) struct Reader {
    reads: Option<mpsc::SyncSender<Read>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    pub(super) fn start(engine: Arc<Engine>) -> Result<Self, Error> {
        let (send, receive) = mpsc::sync_channel::<Read>(WAITING_MAX);
        let thread = thread::Builder::new()
            .name("synod-log-read".to_owned())
            .spawn(move || {
                while let Ok(Read { range, bytes_max, answer }) = receive.recv() {
                    // A caller that is gone needs no answer.
                    let _ = answer.send(engine.read(range.start, range.end, bytes_max));
                }
            })
            .map_err(|error| Error::io("start the reader of", "the log", error))?;
        Ok(Self { reads: Some(send), thread: Some(thread) })
    }

    pub(super) fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<Record>, Error> {
        let (answer, receive) = mpsc::sync_channel(1);
        let reads = self.reads.as_ref().ok_or(Error::Closed)?;
        reads.send(Read { range, bytes_max, answer }).map_err(|_| Error::Closed)?;
        receive.recv().map_err(|_| Error::Closed)?
    }
}

impl Drop for Reader {
    /// Waits for the thread, because it holds the files of the engine open.
    fn drop(&mut self) {
        self.reads = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
