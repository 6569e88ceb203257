//! The log in memory.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::{
    Session,
    disk::{Answer, Cell, Disk, Part, answer},
};
use crate::{
    error::{Error, Place},
    log::{Bounds, Done, Log, Record, Room},
};

/// The records and notes of a disk, and what waits to become part of them.
#[derive(Default)]
pub(super) struct LogData {
    records: BTreeMap<u64, Cell>,
    notes: BTreeMap<String, Cell>,
    /// How far it was synced, kept beside it.
    floor: u64,
    waiting: VecDeque<Waiting>,
    ended: Option<Error>,
}

/// One step that waits for a sync, in the order of the calls.
enum Waiting {
    Record(u64, Cell),
    Note(&'static str, Cell),
    /// A callback for everything before it.
    Done(Done),
}

impl LogData {
    /// Returns how many records and notes wait for a sync.
    pub(super) fn unsynced(&self) -> usize {
        self.waiting.iter().filter(|waiting| !matches!(waiting, Waiting::Done(_))).count()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    pub(super) fn cells(&mut self) -> impl Iterator<Item = &mut Bytes> {
        self.records.values_mut().chain(self.notes.values_mut()).map(Cell::raw)
    }

    /// Finds what an opening finds: notes are read then, and a log that ends before its floor has lost records.
    /// Records are checked when they are read.
    pub(super) fn verify(&self) -> Result<(), Error> {
        if self.notes.values().any(|note| note.get().is_none()) {
            return Err(Error::damaged(Place::Log, "the checksum of a note does not match"));
        }
        let last = self.records.keys().next_back().copied();
        if last.unwrap_or(0) < self.floor {
            return Err(Error::LogShort { floor: self.floor, last });
        }
        Ok(())
    }

    /// Loses records from the end, one at least, as if its last file had been cut.
    pub(super) fn lose_end(&mut self, position: usize) -> bool {
        let Some(kept) = position.checked_rem(self.records.len()) else { return false };
        if let Some(first) = self.records.keys().nth(kept).copied() {
            self.records.split_off(&first);
        }
        true
    }

    fn set_floor(&mut self) {
        self.floor = self.records.keys().next_back().copied().unwrap_or(0);
    }

    /// Makes everything that waits durable.
    pub(super) fn sync(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(waiting) = self.waiting.pop_front() {
            match waiting {
                Waiting::Record(index, cell) => {
                    self.records.insert(index, cell);
                }
                Waiting::Note(key, value) => {
                    self.notes.insert(key.to_owned(), value);
                }
                Waiting::Done(done) => answers.push((done, Ok(()))),
            }
        }
        self.set_floor();
        answers
    }

    /// Ends the log after a failed sync. What waited may or may not be there after the next crash.
    pub(super) fn end(&mut self, error: &Error) -> Vec<Answer> {
        self.ended = Some(error.clone());
        let mut answers = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Done(done) => answers.push((done, Err(error.clone()))),
                write => self.waiting.push_back(write),
            }
        }
        answers
    }

    /// Keeps the first `kept` writes that waited, and gives back the callbacks that never run.
    pub(super) fn lose(&mut self, mut kept: usize) -> Vec<Done> {
        self.ended = None;
        let mut never = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Done(done) => never.push(done),
                Waiting::Record(index, cell) if kept > 0 => {
                    kept -= 1;
                    self.records.insert(index, cell);
                }
                Waiting::Note(key, value) if kept > 0 => {
                    kept -= 1;
                    self.notes.insert(key.to_owned(), value);
                }
                Waiting::Record(..) | Waiting::Note(..) => {}
            }
        }
        never
    }

    pub(super) fn bounds(&self) -> Bounds {
        let queued = |waiting: &Waiting| match waiting {
            Waiting::Record(index, _) => Some(*index),
            Waiting::Note(..) | Waiting::Done(_) => None,
        };
        let first_queued = self.waiting.iter().find_map(queued);
        let last_queued = self.waiting.iter().rev().find_map(queued);
        Bounds {
            first: self.records.keys().next().copied().or(first_queued),
            last: last_queued.or_else(|| self.records.keys().next_back().copied()),
        }
    }

    fn check_open(&self) -> Result<(), Error> {
        self.ended.clone().map_or(Ok(()), Err)
    }

    fn check_next(&self, records: &[Record]) -> Result<(), Error> {
        let Some(first) = records.first() else { return Ok(()) };
        let expected = self.bounds().last.map_or(first.index, |last| last + 1);
        for (expected, record) in (expected..).zip(records) {
            if record.index != expected {
                return Err(Error::Gap { expected, got: record.index });
            }
        }
        Ok(())
    }

    pub(super) fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Record>, Error> {
        let queued = self.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::Record(index, cell) => Some((index, cell)),
            Waiting::Note(..) | Waiting::Done(_) => None,
        });
        let wanted = self.records.iter().chain(queued).filter(|(index, _)| (from..to).contains(index));
        let (mut records, mut used) = (Vec::new(), 0_usize);
        for (&index, cell) in wanted {
            let bytes = cell
                .get()
                .ok_or_else(|| Error::damaged(Place::Record(index), "its checksum does not match"))?;
            used = used.saturating_add(bytes.len());
            if used > bytes_max && !records.is_empty() {
                break;
            }
            records.push(Record { index, bytes });
        }
        Ok(records)
    }
}

impl std::fmt::Debug for LogData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogData").field("bounds", &self.bounds()).finish_non_exhaustive()
    }
}

/// A log on a memory disk.
pub(super) struct MemoryLog(pub(super) Session);

impl MemoryLog {
    /// Queues writes and their callback, and syncs them unless syncs are held.
    fn write(&self, records: Vec<Record>, note: Option<(&'static str, Bytes)>, done: Done) {
        let mut done = Some(done);
        let written = self.0.with(|disk| {
            disk.log.check_open()?;
            disk.log.check_next(&records)?;
            let bytes = records.iter().map(|record| record.bytes.len()).sum::<usize>();
            disk.faults.take_space(bytes + note.as_ref().map_or(0, |(_, value)| value.len()))?;
            let waiting = &mut disk.log.waiting;
            waiting.extend(
                records.into_iter().map(|record| Waiting::Record(record.index, Cell::new(record.bytes))),
            );
            waiting.extend(note.map(|(key, value)| Waiting::Note(key, Cell::new(value))));
            waiting.extend(done.take().map(Waiting::Done));
            Ok(disk.settle())
        });
        match written {
            Ok(answers) => answer(answers),
            Err(error) => answer(done.map(|done| (done, Err(error))).into_iter().collect()),
        }
    }

    fn remove(&self, wanted: impl Fn(u64) -> bool) -> Result<(), Error> {
        let (answers, outcome) = self.0.with(|disk| {
            disk.log.check_open()?;
            let answers = disk.settle_now();
            let remove = |disk: &mut Disk| {
                disk.log.check_open()?;
                disk.log.records.retain(|index, _| wanted(*index));
                disk.log.set_floor();
                Ok(())
            };
            Ok((answers, disk.write(Part::Log, remove)))
        })?;
        answer(answers);
        outcome
    }
}

impl Log for MemoryLog {
    fn append(&self, records: Vec<Record>, done: Done) {
        self.write(records, None, done);
    }

    fn put_note(&self, key: &'static str, value: Bytes, done: Done) {
        self.write(Vec::new(), Some((key, value)), done);
    }

    fn note(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.0.with(|disk| {
            disk.log.check_open()?;
            let read = |note: &Cell| {
                note.get().ok_or_else(|| Error::damaged(Place::Log, "the checksum of a note does not match"))
            };
            disk.log.notes.get(key).map(read).transpose()
        })
    }

    fn read(&self, from: u64, to_exclusive: u64, bytes_max: usize) -> Result<Vec<Record>, Error> {
        self.0.with(|disk| {
            disk.log.check_open()?;
            disk.faults.read(Part::Log)?;
            disk.log.read(from, to_exclusive, bytes_max)
        })
    }

    fn bounds(&self) -> Bounds {
        self.0.with(|disk| Ok(disk.log.bounds())).unwrap_or_default()
    }

    fn truncate_from(&self, index: u64) -> Result<(), Error> {
        self.remove(|stored| stored < index)
    }

    fn purge_through(&self, index: u64) -> Result<(), Error> {
        self.remove(|stored| stored > index)
    }

    fn room(&self) -> Room {
        self.0.with(|disk| Ok(disk.faults.room())).unwrap_or(Room::Exhausted)
    }
}
