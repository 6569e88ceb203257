//! The committer: the only thread that writes to the log.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    Shared,
    engine::{Engine, Refused, Writes},
    request::Request,
};
use crate::{
    error::Error,
    floor::Floor,
    log::{Bounds, Done},
};

/// Calls that one sync covers. Far above what queues up during one sync; it bounds how long the first
/// of them waits for the encoding of the others.
pub(super) const BATCH_CALLS: usize = 4096;

/// Bytes that one sync covers. One millisecond or two of writing; more makes the first call wait longer
/// for little gain.
pub(super) const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Owns the writing side of the engine.
pub(super) struct Committer {
    shared: Arc<Shared>,
    engine: Arc<Engine>,
    floor: Floor,
}

/// What the next round does.
enum Round {
    Write { writes: Writes, bytes: usize, done: Vec<Done> },
    Truncate { index: u64, done: Done },
    Purge { index: u64, done: Done },
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, engine: Arc<Engine>, floor: Floor) -> Self {
        Self { shared, engine, floor }
    }

    /// Runs until the log is closed and everything queued is answered, or until a failure.
    pub(super) fn run(self) {
        // A defect here must not leave callers waiting for ever.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            while let Some(round) = self.next_round() {
                if let Err(error) = self.work(round) {
                    return Some(error);
                }
            }
            None
        }));
        let error = match ended {
            Ok(None) => return,
            Ok(Some(error)) => error,
            Err(_) => Error::fatal("the committer of the log panicked"),
        };
        tracing::error!(%error, "the log is closed");
        // Closing the engine would sync again, and a second sync may claim what the first one lost.
        std::mem::forget(Arc::clone(&self.engine));
        let waiting = self.shared.queue.lock().end(error.clone());
        for request in waiting {
            answer(request.into_done(), Err(error.clone()));
        }
    }

    /// Waits for requests and takes as many as one sync should cover.
    fn next_round(&self) -> Option<Round> {
        let mut queue = self.shared.queue.lock();
        while queue.requests.is_empty() {
            if queue.is_closing() {
                return None;
            }
            self.shared.wake.wait(&mut queue);
        }
        let mut writes = Writes::default();
        let (mut bytes, mut done) = (0, Vec::new());
        while let Some(next) = queue.requests.front() {
            let over = bytes + next.bytes() > BATCH_BYTES || done.len() >= BATCH_CALLS;
            if !done.is_empty() && (over || next.removes()) {
                break;
            }
            bytes += next.bytes();
            match queue.pop()? {
                Request::Append { records, done: call } => {
                    writes.records.extend(records);
                    done.push(call);
                }
                Request::Note { key, value, done: call } => {
                    writes.notes.push((key, value));
                    done.push(call);
                }
                Request::Truncate { index, done } => return Some(Round::Truncate { index, done }),
                Request::Purge { index, done } => return Some(Round::Purge { index, done }),
            }
        }
        Some(Round::Write { writes, bytes, done })
    }

    /// Does one round and answers its callers. An error ends the log.
    fn work(&self, round: Round) -> Result<(), Error> {
        match round {
            Round::Write { writes, bytes, done } => self.write(writes, bytes, done),
            Round::Truncate { index, done } => {
                let outcome = self.truncate_from(index);
                self.answer_removal(outcome, done)
            }
            Round::Purge { index, done } => {
                let outcome = self.purge_through(index);
                self.answer_removal(outcome, done)
            }
        }
    }

    fn write(&self, writes: Writes, bytes: usize, done: Vec<Done>) -> Result<(), Error> {
        let nothing = writes.records.is_empty() && writes.notes.is_empty();
        let written = match self.shared.room.admit(bytes as u64) {
            _ if nothing => Ok(()),
            Ok(()) => self.engine.write(&writes),
            Err(_) => Err(Refused::NoSpace),
        };
        match written {
            Ok(()) => {
                let last = writes.records.last().map(|record| record.index);
                self.shared.queue.lock().synced(last, writes.notes);
                if let Some(last) = last {
                    self.floor.raise(last);
                }
                for done in done {
                    answer(done, Ok(()));
                }
                Ok(())
            }
            Err(Refused::NoSpace) => {
                self.refuse_additions(bytes, done);
                Ok(())
            }
            Err(Refused::Unknown(cause)) => {
                let error = Error::fatal(cause);
                // Before the callbacks: a caller that hears of the failure must find the log closed.
                let waiting = self.shared.queue.lock().end(error.clone());
                for done in done.into_iter().chain(waiting.into_iter().map(Request::into_done)) {
                    answer(done, Err(error.clone()));
                }
                Err(error)
            }
        }
    }

    /// Refuses a batch and every append behind it, which would leave a gap.
    fn refuse_additions(&self, bytes: usize, done: Vec<Done>) {
        let error = self.shared.room.refused(bytes as u64);
        tracing::warn!(%error, "the log refuses records");
        let waiting = {
            let mut queue = self.shared.queue.lock();
            let waiting = queue.take_additions();
            queue.reset(self.engine.bounds());
            waiting
        };
        for done in done.into_iter().chain(waiting.into_iter().map(Request::into_done)) {
            answer(done, Err(error.clone()));
        }
    }

    fn truncate_from(&self, index: u64) -> Result<(), Refused> {
        if let Bounds { first: Some(first), last: Some(last) } = self.engine.bounds()
            && index <= last
        {
            // An empty log has no floor.
            self.lower_floor(if index > first { index - 1 } else { 0 })?;
        }
        self.engine.truncate_from(index)
    }

    fn purge_through(&self, index: u64) -> Result<(), Refused> {
        if let Bounds { last: Some(last), .. } = self.engine.bounds()
            && index >= last
        {
            self.lower_floor(0)?;
        }
        self.engine.purge_through(index)
    }

    fn lower_floor(&self, last: u64) -> Result<(), Refused> {
        self.floor.lower(last).map_err(|error| match error {
            Error::NoSpace { .. } => Refused::NoSpace,
            other => Refused::Unknown(other.to_string()),
        })
    }

    fn answer_removal(&self, outcome: Result<(), Refused>, done: Done) -> Result<(), Error> {
        match outcome {
            Ok(()) => {
                self.shared.queue.lock().synced(self.engine.bounds().last, Vec::new());
                answer(done, Ok(()));
                Ok(())
            }
            Err(Refused::NoSpace) => {
                let error = self.shared.room.refused(0);
                // What queued up behind the removal was checked against a log without the records.
                self.refuse_additions(0, Vec::new());
                answer(done, Err(error));
                Ok(())
            }
            Err(Refused::Unknown(cause)) => {
                let error = Error::fatal(cause);
                let waiting = self.shared.queue.lock().end(error.clone());
                answer(done, Err(error.clone()));
                for request in waiting {
                    answer(request.into_done(), Err(error.clone()));
                }
                Err(error)
            }
        }
    }
}

/// Runs a callback. One that panics is its owner's loss, and nobody else's.
fn answer(done: Done, outcome: Result<(), Error>) {
    if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
        tracing::error!("a callback of the log panicked");
    }
}
