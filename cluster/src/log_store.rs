//! openraft's log on the storage's log.
//!
//! Promises that openraft hears of an append only after its sync, or, on a leader who needs others to commit it,
//! beside it, and then nobody's answer for it counts before ([`Ahead`]); that a vote, a truncation and a purge find
//! everything synced; that a full disk delays an append and
//! does not end the node, and that records leave the disk only behind the latest snapshot, whatever is
//! asked. Recent entries are kept as they came: openraft reads back what it appended in order to apply it,
//! and a decoded copy would have lost its [`Ticket`]. Leaves the bytes to the storage.

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
use crate::group::{Group, LogEntry, LogId, Proposal, StorageError, Ticket};
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
    /// Through which number the log is purged: what it has forgotten, only a snapshot has. 0 for nothing.
    pub(crate) purged: AtomicU64,
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
    end: Arc<watch::Sender<End>>,
}

/// Where the log ends, as openraft was told, and by which vote it was written: what stands there may be sent to others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct End {
    vote: Option<Vote<u64>>,
    last: Option<LogId>,
}

/// What the leader by some vote may send behind an entry.
#[derive(Debug)]
pub(crate) enum Led {
    /// These, and how far the commits go.
    Entries(Vec<LogEntry>, Option<LogId>),
    /// Nothing yet.
    Nothing,
    /// Nothing any more: another vote stands, or the entries are gone.
    Over,
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
    /// Reads the notes and the end of the log, and ends a purge that a crash has cut off.
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
        meter.purged.store(purged.map_or(0, |id| stored(id.index)), Ordering::Release);
        finish_purge(&*log, purged)?;
        let last = match log.bounds().last {
            Some(number) => {
                let found = log.read(number, number + 1, READ_BYTES_MAX)?;
                found.first().map(|record| decode::<LogRecord>(&record.bytes)).transpose()?
            }
            None => None,
        };
        let last = last.map(|record| PlaceRecord { term: record.term, index: record.index }.into());
        let vote = vote.map(Vote::from);
        let end = Arc::new(watch::Sender::new(End { vote, last: last.max(purged) }));
        let inner = Inner {
            last: last.max(purged),
            purged,
            committed_noted: committed.map_or(0, |id: LogId| id.index),
            committed,
            vote,
            ..Inner::default()
        };
        Ok(Self { log, offload, meter, stop, inner: Arc::new(Mutex::new(inner)), ahead: Arc::default(), end })
    }

    /// Follows where the log ends.
    pub(crate) fn end(&self) -> watch::Receiver<End> {
        self.end.subscribe()
    }

    /// Tells where the log ends now. For the core of the log alone, whenever openraft is told of it.
    fn tell_end(&self) {
        let end = {
            let inner = self.inner.lock();
            End { vote: inner.vote, last: inner.last }
        };
        self.end.send_if_modified(|known| std::mem::replace(known, end) != end);
    }

    /// Returns what comes after an entry, as the leader by that vote may send it: no more than openraft may by now, and
    /// about `bytes_max` at once.
    ///
    /// # Errors
    /// When the disk does not give it, or a write was lost.
    pub(crate) fn led_after(
        &self,
        vote: &Vote<u64>,
        after: LogId,
        bytes_max: usize,
    ) -> Result<Led, synod_storage::Error> {
        let end = self.end.borrow().last.map_or(0, |last| last.index + 1);
        let next = after.index + 1;
        let entries = if next < end { self.limited(next, end, bytes_max)? } else { Vec::new() };
        // Another leader's entries come only after a vote for it: while this one stands, all of that was its leader's,
        // and so is what is known to be committed.
        let inner = self.inner.lock();
        if !vote.committed || inner.vote.as_ref() != Some(vote) {
            return Ok(Led::Over);
        }
        Ok(match entries.first() {
            Some(first) if first.log_id.index == next => Led::Entries(entries, inner.committed),
            None if next >= end => Led::Nothing,
            Some(_) | None => Led::Over,
        })
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
    fn write_ahead(&self, first: u64, records: Vec<Record>, tickets: Vec<Arc<Ticket>>) {
        self.ahead.begin(first);
        let (sender, done) = oneshot::channel();
        let (ahead, synced) = (Arc::clone(&self.ahead), tickets.clone());
        // Told on the thread that syncs: those who wait are woken without another hand-over.
        let told = Box::new(move |result: Result<(), _>| {
            if result.is_ok() {
                ahead.end(Ok(()));
                synced.iter().for_each(|ticket| ticket.note_synced());
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
            let is_synced = outcome.is_ok();
            store.ahead.end(outcome);
            tickets.iter().filter(|_| is_synced).for_each(|ticket| ticket.note_synced());
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

    /// Reads entries from `start` on, at least one and about `bytes_max` at once.
    fn limited(&self, start: u64, end: u64, bytes_max: usize) -> Result<Vec<LogEntry>, synod_storage::Error> {
        // Whoever sends entries to others asks here again and again, and so hears that the disk has failed.
        self.ahead.check()?;
        let (from, to) = self.range(&(start..end));
        if from >= to {
            return Ok(Vec::new());
        }
        // Recent entries are bounded in the same way as those from the disk.
        let until = self.inner.lock().until(from, to, bytes_max);
        self.read(from, until, bytes_max, false)
    }

    fn read(
        &self,
        from: u64,
        to_exclusive: u64,
        bytes_max: usize,
        all: bool,
    ) -> Result<Vec<LogEntry>, synod_storage::Error> {
        if let Some(entries) = self.inner.lock().recent(from, to_exclusive) {
            return Ok(entries);
        }
        let mut entries = Vec::new();
        let mut next = stored(from);
        let end = to_exclusive.saturating_add(1);
        while next < end {
            let records = self.log.read(next, end, bytes_max)?;
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

/// Removes what ends before the place through which the log is purged. That is what a crash between the note and the
/// removal leaves behind a snapshot from elsewhere: the state has it, and no entry could ever follow it.
fn finish_purge(log: &dyn Log, purged: Option<LogId>) -> Result<(), synod_storage::Error> {
    let Some(through) = purged.map(|id| stored(id.index)) else { return Ok(()) };
    match log.bounds().last {
        Some(last) if last < through => log.purge_through(through),
        Some(_) | None => Ok(()),
    }
}

impl Inner {
    /// Returns where a read from `from` ends, as far as recent entries tell, so that it has about `bytes_max`.
    fn until(&self, from: u64, to: u64, bytes_max: usize) -> u64 {
        let mut size = 0;
        let wanted = self.recent.iter().map(|(entry, bytes)| (entry.log_id.index, *bytes));
        for (index, bytes) in wanted.filter(|(index, _)| (from..to).contains(index)) {
            size += bytes;
            if size > bytes_max && index > from {
                return index;
            }
        }
        to
    }

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
        if from >= to { Ok(Vec::new()) } else { self.read(from, to, READ_BYTES_MAX, true).map_err(reading) }
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<LogEntry>, StorageError> {
        self.ahead.check().map_err(writing)?;
        self.limited(start, end, READ_BYTES_MAX).map_err(reading)
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
            self.tell_end();
            return Ok(());
        }
        // What comes after this vote finds a log as if nothing had ever run ahead.
        self.inner.lock().needs_others = false;
        self.ahead.settled().await.map_err(writing)?;
        let bytes = encode(&VoteRecord::from(vote)).map_err(writing)?;
        let saved = self.note(VOTE_NOTE, bytes).await;
        saved.map_err(|error| StorageIOError::write_vote(AnyError::new(&error)))?;
        self.inner.lock().vote = Some(*vote);
        self.tell_end();
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
        let mut tickets = Vec::new();
        let mut changes_members = false;
        for entry in entries {
            changes_members |= matches!(entry.payload, EntryPayload::Membership(_));
            if let EntryPayload::Normal(Proposal { ticket: Some(ticket), .. }) = &entry.payload {
                ticket.note_written();
                tickets.push(Arc::clone(ticket));
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
            self.write_ahead(first, records, tickets);
            self.tell_end();
            callback.log_io_completed(Ok(()));
            return Ok(());
        }
        if mutant(Mutant::AcknowledgeBeforeSync) {
            self.tell_end();
            callback.log_io_completed(Ok(())); // it is not on the disk
            self.log.append(records, Box::new(drop));
            return Ok(());
        }
        // Openraft waits for the callback anyway; waiting here is what lets a full disk be waited out.
        let result = self.write(records).await;
        if result.is_ok() {
            tickets.iter().for_each(|ticket| ticket.note_synced());
            self.tell_end();
        }
        callback.log_io_completed(result.map_err(|error| io::Error::other(error.to_string())));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.ahead.settled().await.map_err(writing)?;
        let last = match log_id.index.checked_sub(1) {
            Some(index) => self
                .read(index, index + 1, READ_BYTES_MAX, false)
                .map_err(reading)?
                .first()
                .map(|entry| entry.log_id),
            None => None,
        };
        let log = Arc::clone(&self.log);
        let cut = self.offload.run(move || log.truncate_from(stored(log_id.index))).await;
        cut.map_err(|error| StorageIOError::write_logs(AnyError::new(&error)))?.map_err(writing)?;
        let mut inner = self.inner.lock();
        inner.forget_recent(|index| index < log_id.index);
        inner.last = last.max(inner.purged);
        drop(inner);
        self.tell_end();
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
        drop(inner);
        self.meter.purged.store(stored(log_id.index), Ordering::Release);
        self.tell_end();
        Ok(())
    }
}
