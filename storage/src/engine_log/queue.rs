//! What waits for the committer, and what the log looks like including it.
//!
//! Pure bookkeeping under one lock. The bounds and the tail move when a request is queued, so that a
//! caller sees its own appends at once; the notes move when they are durable.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

use bytes::Bytes;

use super::request::{Budget, RECORD_OVERHEAD, Request, size};
use crate::{
    error::Error,
    log::{Bounds, Done, Record},
};

/// Bytes that may wait for the disk: some seconds of a slow one. More costs memory, and makes those who
/// wait wait longer without making the disk faster.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of durable records that stay in memory for readers. More spares followers that lag a read from
/// the disk.
const TAIL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The state of the log as its callers see it.
pub(super) struct Queue {
    pub(super) requests: VecDeque<Request>,
    queued_bytes: usize,
    bounds: Bounds,
    /// The newest records, without gaps, ending at `bounds.last`; all that wait for their sync are here.
    tail: VecDeque<Record>,
    tail_bytes: usize,
    /// Through here records are in the engine.
    durable: Option<u64>,
    /// Queued requests that remove; while there are any, what is durable may not stay so.
    removals: usize,
    notes: BTreeMap<String, Bytes>,
    ended: Option<Error>,
    closing: bool,
}

impl Queue {
    pub(super) fn new(bounds: Bounds, notes: Vec<(String, Bytes)>) -> Self {
        Self {
            requests: VecDeque::new(),
            queued_bytes: 0,
            bounds,
            tail: VecDeque::new(),
            tail_bytes: 0,
            durable: bounds.last,
            removals: 0,
            notes: notes.into_iter().collect(),
            ended: None,
            closing: false,
        }
    }

    /// Takes a request, or gives its callback back with the reason it is refused.
    pub(super) fn push(&mut self, request: Request) -> Result<(), (Error, Done)> {
        if let Err(error) = self.check_open().and_then(|()| self.admit(&request)) {
            return Err((error, request.into_done()));
        }
        match &request {
            Request::Append { records, .. } => self.extend(records),
            Request::Note { .. } => {}
            Request::Truncate { index, .. } => self.cut_from(*index),
            Request::Purge { index, .. } => self.cut_through(*index),
        }
        self.queued_bytes += request.bytes();
        self.removals += usize::from(request.removes());
        self.requests.push_back(request);
        Ok(())
    }

    fn admit(&self, request: &Request) -> Result<(), Error> {
        let Request::Append { records, .. } = request else { return Ok(()) };
        let Some(first) = records.first() else { return Ok(()) };
        let expected = self.bounds.last.map_or(first.index, |last| last + 1);
        for (expected, record) in (expected..).zip(records) {
            if record.index != expected {
                return Err(Error::Gap { expected, got: record.index });
            }
        }
        if self.queued_bytes > 0 && self.queued_bytes + request.bytes() > QUEUE_BYTES_MAX {
            return Err(Error::Busy { queued_bytes: self.queued_bytes });
        }
        Ok(())
    }

    /// Takes the next request off the queue.
    pub(super) fn pop(&mut self) -> Option<Request> {
        let request = self.requests.pop_front()?;
        self.queued_bytes -= request.bytes();
        self.removals -= usize::from(request.removes());
        Some(request)
    }

    /// Takes everything that adds, and leaves what removes; for when space ran out.
    pub(super) fn take_additions(&mut self) -> Vec<Request> {
        let (removals, additions): (Vec<_>, Vec<_>) = self.requests.drain(..).partition(Request::removes);
        self.queued_bytes = removals.iter().map(Request::bytes).sum();
        self.requests = removals.into();
        additions
    }

    /// Notes that `notes` and the records through `last` are durable.
    pub(super) fn synced(&mut self, last: Option<u64>, notes: Vec<(&'static str, Bytes)>) {
        for (key, value) in notes {
            self.notes.insert(key.to_owned(), value);
        }
        if self.removals > 0 {
            return;
        }
        self.durable = last.or(self.durable);
        while self.tail_bytes > TAIL_BYTES_MAX
            && let Some(oldest) = self.tail.front()
            && self.durable.is_some_and(|durable| oldest.index <= durable)
        {
            self.tail_bytes -= oldest.bytes.len() + RECORD_OVERHEAD;
            self.tail.pop_front();
        }
    }

    /// Goes back to what the engine holds, after it refused what was queued; removals that wait still
    /// count.
    pub(super) fn reset(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.durable = bounds.last;
        self.tail.clear();
        self.tail_bytes = 0;
        let removals: Vec<(bool, u64)> = self.requests.iter().filter_map(Request::removal).collect();
        for (truncates, index) in removals {
            if truncates { self.cut_from(index) } else { self.cut_through(index) }
        }
    }

    /// Returns what must come from the engine, and what is in memory and follows it.
    pub(super) fn read(&self, from: u64, to: u64, bytes_max: usize) -> (Range<u64>, Vec<Record>) {
        let Bounds { first: Some(first), last: Some(last) } = self.bounds else {
            return (0..0, Vec::new());
        };
        let (from, to) = (from.max(first), to.min(last + 1));
        if from >= to {
            return (0..0, Vec::new());
        }
        let in_memory = self.tail.front().map_or(last + 1, |record| record.index);
        let older = from..to.min(in_memory).max(from);
        let start = usize::try_from(from.max(in_memory) - in_memory).unwrap_or(usize::MAX);
        let mut budget = Budget::new(bytes_max);
        let newer =
            self.tail.iter().skip(start).take_while(|record| record.index < to && budget.take(record));
        (older, newer.cloned().collect())
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(super) fn note(&self, key: &str) -> Option<Bytes> {
        self.notes.get(key).cloned()
    }

    pub(super) fn check_open(&self) -> Result<(), Error> {
        match &self.ended {
            Some(error) => Err(error.clone()),
            None if self.closing => Err(Error::Closed),
            None => Ok(()),
        }
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Refuses everything from here on, and gives back what waits.
    pub(super) fn end(&mut self, error: Error) -> Vec<Request> {
        self.ended.get_or_insert(error);
        self.queued_bytes = 0;
        self.removals = 0;
        self.requests.drain(..).collect()
    }

    fn extend(&mut self, records: &[Record]) {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
        self.bounds.first.get_or_insert(first.index);
        self.bounds.last = Some(last.index);
        self.tail_bytes += size(records);
        self.tail.extend(records.iter().cloned());
    }

    fn cut_from(&mut self, index: u64) {
        self.drop_tail_from(index);
        // `None` is less than any index.
        self.durable = self.durable.min(index.checked_sub(1));
        if let Bounds { first: Some(first), last: Some(last) } = self.bounds {
            if index <= first {
                self.bounds = Bounds::default();
            } else if index <= last {
                self.bounds.last = Some(index - 1);
            }
        }
    }

    fn cut_through(&mut self, index: u64) {
        while let Some(oldest) = self.tail.front()
            && oldest.index <= index
        {
            self.tail_bytes -= oldest.bytes.len() + RECORD_OVERHEAD;
            self.tail.pop_front();
        }
        if let Bounds { first: Some(first), last: Some(last) } = self.bounds {
            if index >= last {
                self.bounds = Bounds::default();
            } else if index >= first {
                self.bounds.first = Some(index + 1);
            }
        }
    }

    fn drop_tail_from(&mut self, index: u64) {
        while let Some(newest) = self.tail.back()
            && newest.index >= index
        {
            self.tail_bytes -= newest.bytes.len() + RECORD_OVERHEAD;
            self.tail.pop_back();
        }
    }
}
