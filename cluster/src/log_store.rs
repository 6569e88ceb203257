//! openraft's log on the storage's log.
//!
//! Promises that openraft hears of an append only after its sync, or, on a leader who needs others to commit it,
//! beside it, and then nobody's answer for it counts before ([`Ahead`]); that a vote, a truncation and a purge find
//! everything synced; that a full disk delays an append and
//! does not end the node, and that records leave the disk only behind the latest snapshot, whatever is
//! asked. Recent entries are kept as they came: openraft reads back what it appended in order to apply it,
//! and a decoded copy would have lost its [`Ticket`](crate::group::Ticket). Leaves the bytes to the storage.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, EntryPayload, LogState, OptionalSend, RaftLogReader, StorageIOError, Vote};
use parking_lot::Mutex;
use synod_domain::mutants::{Mutant, mutant};
use synod_storage::{Log, Record};
use synod_storage::{decode, encode};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::ahead::Ahead;
use crate::group::{Group, LogEntry, LogId, Proposal, StorageError};
use crate::offload::Offload;
use crate::records::{
    COMMITTED_NOTE, LogRecord, PURGED_NOTE, PlaceRecord, VOTE_NOTE, VoteRecord, logical, stored,
};

/// Entries kept decoded behind the end of the log, and their bytes. Openraft reads at most the last few.
const RECENT_ENTRIES_MAX: usize = 256;
const RECENT_BYTES_MAX: usize = 16 << 20;

/// Bytes read from the disk at once. A follower that is behind gets this much in a message, so it stays
/// well under a frame; an entry that is larger is sent alone.
const READ_BYTES_MAX: usize = 2 << 20;

/// How far the note of what is committed lags behind. It only shortens a replay; each costs a sync.
const COMMITTED_EVERY: u64 = 1024;

/// How long to wait before a write is tried again on a full disk.
pub(crate) const FULL_DISK_PAUSE: Duration = Duration::from_millis(100);

/// Numbers that others need of the log.
#[derive(Debug, Default)]
pub(crate) struct LogMeter {
    /// Bytes appended since the start.
    pub(crate) appended_bytes: AtomicU64,
    /// The storage's number of the latest snapshot: nothing behind it may be removed. 0 for none.
    pub(crate) purge_limit: AtomicU64,
    /// Through which index the state is applied, where there is a state.
    pub(crate) applied: OnceLock<watch::Receiver<u64>>,
    /// A snapshot that came from elsewhere could not be kept.
    pub(crate) install_failed: CancellationToken,
}

/// openraft's log. Clones share everything.
#[derive(Clone)]
pub struct LogStore {
    log: Arc<dyn Log>,
    offload: Offload,
    meter: Arc<LogMeter>,
    stop: CancellationToken,
    inner: Arc<Mutex<Inner>>,
    ahead: Arc<Ahead>,
}

#[derive(Default)]
struct Inner {
    purged: Option<LogId>,
    last: Option<LogId>,
    committed: Option<LogId>,
    committed_noted: u64,
    vote: Option<Vote<u64>>,
    /// Whether this node leads by that vote, and commits nothing without another's answer.
    needs_others: bool,
    recent: VecDeque<(LogEntry, usize)>,
    recent_bytes: usize,
}

impl LogStore {
    /// Reads the notes and the end of the log.
    ///
    /// # Errors
    /// When one of them is damaged.
    pub fn open(log: Arc<dyn Log>, offload: Offload) -> Result<Self, synod_storage::Error> {
        Self::open_with(log, offload, Arc::default(), CancellationToken::new())
    }

    pub(crate) fn open_with(
        log: Arc<dyn Log>,
        offload: Offload,
        meter: Arc<LogMeter>,
        stop: CancellationToken,
    ) -> Result<Self, synod_storage::Error> {
        let note = |key| log.note(key)?.map(|bytes| decode::<PlaceRecord>(&bytes)).transpose();
        let vote = log.note(VOTE_NOTE)?.map(|bytes| decode::<VoteRecord>(&bytes)).transpose()?;
        let purged = note(PURGED_NOTE)?.map(LogId::from);
        let committed = note(COMMITTED_NOTE)?.map(LogId::from);
        let last = match log.bounds().last {
            Some(number) => {
                let found = log.read(number, number + 1, READ_BYTES_MAX)?;
                found.first().map(|record| decode::<LogRecord>(&record.bytes)).transpose()?
            }
            None => None,
        };
        let last = last.map(|record| PlaceRecord { term: record.term, index: record.index }.into());
        let inner = Inner {
            last: last.max(purged),
            purged,
            committed_noted: committed.map_or(0, |id: LogId| id.index),
            committed,
            vote: vote.map(Vote::from),
            ..Inner::default()
        };
        Ok(Self { log, offload, meter, stop, inner: Arc::new(Mutex::new(inner)), ahead: Arc::default() })
    }

    /// Returns the end of the log.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.inner.lock().last
    }

    /// Makes a node that led before it stopped ask for votes again. Otherwise openraft would lead on in the same
    /// term without asking anybody, though the others may have gone on without it.
    pub(crate) fn lead_no_more(&self) {
        if let Some(vote) = &mut self.inner.lock().vote {
            vote.committed = false;
        }
    }

    /// Notes whether the leader with that vote, which is this node, needs others to commit anything. It is asked
    /// for again after every change of members and every vote: until then each append waits for its sync.
    pub(crate) fn note_lead(&self, vote: &Vote<u64>, needs_others: bool) {
        let mut inner = self.inner.lock();
        inner.needs_others = needs_others && vote.committed && inner.vote.as_ref() == Some(vote);
    }

    /// Waits until everything through this entry is on the disk.
    ///
    /// # Errors
    /// When it never will be.
    pub(crate) async fn synced_through(&self, id: Option<LogId>) -> Result<(), synod_storage::Error> {
        self.ahead.synced_through(id.map_or(0, |id| id.index)).await
    }

    /// Writes a note and waits until it is durable.
    async fn note(&self, key: &'static str, bytes: Vec<u8>) -> Result<(), synod_storage::Error> {
        loop {
            let (sender, done) = oneshot::channel();
            let told = Box::new(move |result| drop(sender.send(result)));
            self.log.put_note(key, bytes.clone().into(), told);
            match done.await.unwrap_or(Err(synod_storage::Error::Closed)) {
                Err(error) if self.may_wait(&error).await => {}
                result => return result,
            }
        }
    }

    /// Writes records and waits until they are durable.
    async fn write(&self, records: Vec<Record>) -> Result<(), synod_storage::Error> {
        loop {
            let (sender, done) = oneshot::channel();
            let told = Box::new(move |result| drop(sender.send(result)));
            // Cloning records clones handles to their bytes.
            self.log.append(records.clone(), told);
            match done.await.unwrap_or(Err(synod_storage::Error::Closed)) {
                Err(error) if self.may_wait(&error).await => {}
                result => return result,
            }
        }
    }

    /// Writes records and returns at once; who must know when they are durable asks [`Ahead`].
    fn write_ahead(&self, first: u64, records: Vec<Record>) {
        self.ahead.begin(first);
        let (sender, done) = oneshot::channel();
        let ahead = Arc::clone(&self.ahead);
        // Told on the thread that syncs: those who wait are woken without another hand-over.
        let told = Box::new(move |result: Result<(), _>| {
            if result.is_ok() {
                ahead.end(Ok(()));
            }
            drop(sender.send(result));
        });
        self.log.append(records.clone(), told);
        let store = self.clone();
        tokio::spawn(async move {
            let outcome = match done.await.unwrap_or(Err(synod_storage::Error::Closed)) {
                Ok(()) => return,
                Err(error) if store.may_wait(&error).await => store.write(records).await,
                Err(error) => Err(error),
            };
            store.ahead.end(outcome);
        });
    }

    /// Waits a little when the disk is full or busy; false when waiting cannot help or the node stops.
    async fn may_wait(&self, error: &synod_storage::Error) -> bool {
        use synod_storage::Error as E;
        if !matches!(error, E::NoSpace { .. } | E::Busy { .. }) {
            return false;
        }
        tracing::warn!(%error, "the log waits for the disk");
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(FULL_DISK_PAUSE) => true,
        }
    }

    /// Waits until the state has what the log is to forget. Openraft purges behind a snapshot from elsewhere while
    /// that is still being installed; after a crash in between nobody would have what stood in the log.
    async fn wait_for_state(&self, index: u64) -> Result<(), StorageError> {
        let Some(mut applied) = self.meter.applied.get().cloned() else { return Ok(()) };
        let reached = async { applied.wait_for(|applied| *applied >= index).await.is_ok() };
        let reached = tokio::select! {
            biased;
            reached = reached => reached,
            () = self.meter.install_failed.cancelled() => false,
            () = self.stop.cancelled() => false,
        };
        if reached {
            return Ok(());
        }
        let error = AnyError::error("the state does not have what the log is to forget");
        Err(StorageIOError::write_logs(error).into())
    }

    fn read(&self, from: u64, to_exclusive: u64, all: bool) -> Result<Vec<LogEntry>, synod_storage::Error> {
        if let Some(entries) = self.inner.lock().recent(from, to_exclusive) {
            return Ok(entries);
        }
        let mut entries = Vec::new();
        let mut next = stored(from);
        let end = to_exclusive.saturating_add(1);
        while next < end {
            let records = self.log.read(next, end, READ_BYTES_MAX)?;
            let Some(last) = records.last() else { break };
            next = last.index + 1;
            for record in &records {
                entries.push(decode::<LogRecord>(&record.bytes)?.into());
            }
            if !all {
                break;
            }
        }
        Ok(entries)
    }

    fn range(&self, range: &impl RangeBounds<u64>) -> (u64, u64) {
        let inner = self.inner.lock();
        let first = inner.purged.map_or(0, |id| id.index + 1);
        let end = inner.last.map_or(0, |id| id.index + 1);
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => end,
        };
        (from.max(first), to.min(end))
    }
}

impl Inner {
    /// Returns the entries of the range when all of them are at hand.
    fn recent(&self, from: u64, to_exclusive: u64) -> Option<Vec<LogEntry>> {
        let (first, _) = self.recent.front()?;
        let skip = usize::try_from(from.checked_sub(first.log_id.index)?).ok()?;
        let take = usize::try_from(to_exclusive.checked_sub(from)?).ok()?;
        let found = self.recent.iter().skip(skip).take(take).map(|(entry, _)| entry.clone());
        let entries: Vec<_> = found.collect();
        (entries.len() == take).then_some(entries)
    }

    fn remember(&mut self, entry: LogEntry, bytes: usize) {
        self.last = Some(entry.log_id);
        self.recent_bytes += bytes;
        self.recent.push_back((entry, bytes));
        while self.recent.len() > RECENT_ENTRIES_MAX
            || (self.recent_bytes > RECENT_BYTES_MAX && self.recent.len() > 1)
        {
            let Some((_, bytes)) = self.recent.pop_front() else { break };
            self.recent_bytes -= bytes;
        }
    }

    fn forget_recent(&mut self, keep: impl Fn(u64) -> bool) {
        self.recent.retain(|(entry, _)| keep(entry.log_id.index));
        self.recent_bytes = self.recent.iter().map(|(_, bytes)| bytes).sum();
    }
}

fn reading(error: synod_storage::Error) -> StorageError {
    StorageIOError::read_logs(AnyError::new(&error)).into()
}

fn writing(error: synod_storage::Error) -> StorageError {
    StorageIOError::write_logs(AnyError::new(&error)).into()
}

impl RaftLogReader<Group> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<LogEntry>, StorageError> {
        self.ahead.check().map_err(writing)?;
        let (from, to) = self.range(&range);
        if from >= to { Ok(Vec::new()) } else { self.read(from, to, true).map_err(reading) }
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<LogEntry>, StorageError> {
        // Whoever sends entries to others asks here again and again, and so hears that the disk has failed.
        self.ahead.check().map_err(writing)?;
        let (from, to) = self.range(&(start..end));
        if from >= to {
            return Ok(Vec::new());
        }
        let mut size = 0;
        let recent = self
            .inner
            .lock()
            .recent
            .iter()
            .map(|(entry, bytes)| (entry.log_id.index, *bytes))
            .collect::<Vec<_>>();
        // Recent entries are bounded in the same way as those from the disk.
        let mut until = to;
        for (index, bytes) in recent.into_iter().filter(|(index, _)| (from..to).contains(index)) {
            size += bytes;
            if size > READ_BYTES_MAX && index > from {
                until = index;
                break;
            }
        }
        self.read(from, until, false).map_err(reading)
    }
}

impl RaftLogStorage<Group> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Group>, StorageError> {
        let inner = self.inner.lock();
        Ok(LogState { last_purged_log_id: inner.purged, last_log_id: inner.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError> {
        if mutant(Mutant::ForgetTheVote) {
            self.inner.lock().vote = Some(*vote); // until the next start
            return Ok(());
        }
        // What comes after this vote finds a log as if nothing had ever run ahead.
        self.inner.lock().needs_others = false;
        self.ahead.settled().await.map_err(writing)?;
        let bytes = encode(&VoteRecord::from(vote)).map_err(writing)?;
        let saved = self.note(VOTE_NOTE, bytes).await;
        saved.map_err(|error| StorageIOError::write_vote(AnyError::new(&error)))?;
        self.inner.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError> {
        Ok(self.inner.lock().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let due = {
            let mut inner = self.inner.lock();
            inner.committed = committed;
            let index = committed.map_or(0, |id| id.index);
            let due = index >= inner.committed_noted + COMMITTED_EVERY;
            if due {
                inner.committed_noted = index;
            }
            due
        };
        if let (true, Some(id)) = (due, committed) {
            let bytes = encode(&PlaceRecord::from(id)).map_err(writing)?;
            // Nobody waits for it: an older note only makes a replay longer.
            self.log.put_note(COMMITTED_NOTE, bytes.into(), Box::new(drop));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.inner.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Group>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        // One at a time: what waits for a full disk stays in front of what comes after it.
        self.ahead.settled().await.map_err(writing)?;
        let mut records = Vec::new();
        let mut kept = Vec::new();
        let mut changes_members = false;
        for entry in entries {
            changes_members |= matches!(entry.payload, EntryPayload::Membership(_));
            if let EntryPayload::Normal(Proposal { ticket: Some(ticket), .. }) = &entry.payload {
                ticket.note_written();
            }
            let bytes = encode(&LogRecord::from(&entry)).map_err(writing)?;
            let size = bytes.len();
            self.meter.appended_bytes.fetch_add(size as u64, Ordering::Relaxed);
            records.push(Record { index: stored(entry.log_id.index), bytes: bytes.into() });
            kept.push((entry, size));
        }
        let first = kept.first().map(|(entry, _)| entry.log_id.index);
        let runs_ahead = {
            let mut inner = self.inner.lock();
            for (entry, size) in kept {
                inner.remember(entry, size);
            }
            inner.needs_others &= !changes_members;
            inner.needs_others
        };
        if let (true, Some(first)) = (runs_ahead, first) {
            self.write_ahead(first, records);
            callback.log_io_completed(Ok(()));
            return Ok(());
        }
        if mutant(Mutant::AcknowledgeBeforeSync) {
            callback.log_io_completed(Ok(())); // it is not on the disk
            self.log.append(records, Box::new(drop));
            return Ok(());
        }
        // Openraft waits for the callback anyway; waiting here is what lets a full disk be waited out.
        let result = self.write(records).await;
        callback.log_io_completed(result.map_err(|error| io::Error::other(error.to_string())));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.ahead.settled().await.map_err(writing)?;
        let last = match log_id.index.checked_sub(1) {
            Some(index) => {
                self.read(index, index + 1, false).map_err(reading)?.first().map(|entry| entry.log_id)
            }
            None => None,
        };
        let log = Arc::clone(&self.log);
        let cut = self.offload.run(move || log.truncate_from(stored(log_id.index))).await;
        cut.map_err(|error| StorageIOError::write_logs(AnyError::new(&error)))?.map_err(writing)?;
        let mut inner = self.inner.lock();
        inner.forget_recent(|index| index < log_id.index);
        inner.last = last.max(inner.purged);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.ahead.settled().await.map_err(writing)?;
        self.wait_for_state(log_id.index).await?;
        let bytes = encode(&PlaceRecord::from(log_id)).map_err(writing)?;
        self.note(PURGED_NOTE, bytes).await.map_err(writing)?;
        // A place behind the end of the log is one that the state has and the log never had: what the log
        // has is older, and would leave a hole before the next entry.
        let passes_end = self.log.bounds().last.is_some_and(|last| last < stored(log_id.index));
        let limit = if passes_end { u64::MAX } else { self.meter.purge_limit.load(Ordering::Acquire) };
        let mut removed = stored(log_id.index).min(limit);
        if mutant(Mutant::PurgeTooEarly) {
            removed = self.log.bounds().last.unwrap_or(removed); // all there is
        }
        if logical(removed).is_some() {
            let log = Arc::clone(&self.log);
            let purged = self.offload.run(move || log.purge_through(removed)).await;
            purged.map_err(|error| StorageIOError::write_logs(AnyError::new(&error)))?.map_err(writing)?;
        }
        let mut inner = self.inner.lock();
        inner.forget_recent(|index| index > log_id.index);
        inner.purged = Some(log_id);
        inner.last = inner.last.max(Some(log_id));
        Ok(())
    }
}
