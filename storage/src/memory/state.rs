//! The state in memory.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;

use super::{
    Session,
    disk::{Cell, Part},
};
use crate::{
    error::{Error, Place},
    state_store::{Batch, Row, StateStore, check_batch, check_row},
};

/// The rows of a disk.
#[derive(Debug, Default)]
pub(super) struct StateData {
    rows: BTreeMap<Vec<u8>, Cell>,
    pub(super) applied: u64,
    /// Whether its files are gone.
    lost: bool,
    ended: Option<Error>,
}

impl StateData {
    pub(super) fn cells(&mut self) -> impl Iterator<Item = &mut Bytes> {
        self.rows.values_mut().map(Cell::raw)
    }

    /// Forgets a failed sync, as a restart does.
    pub(super) fn revive(&mut self) {
        self.ended = None;
    }

    /// Loses its files.
    pub(super) fn lose(&mut self) -> bool {
        let was_there = !self.rows.is_empty();
        *self = Self { lost: was_there, ..Self::default() };
        was_there
    }

    pub(super) fn verify(&self) -> Result<(), Error> {
        if self.lost {
            return Err(Error::damaged(Place::State, "its files are missing"));
        }
        self.rows.iter().try_for_each(|(key, cell)| value(key, cell).map(drop))
    }

    /// Swaps the whole content, or nothing.
    pub(super) fn replace(
        &mut self,
        applied: u64,
        rows: impl Iterator<Item = Result<Row, Error>>,
    ) -> Result<(), Error> {
        let mut next = BTreeMap::new();
        for row in rows {
            let (key, value) = row?;
            check_row(&value)?;
            next.insert(key, Cell::new(value));
        }
        self.rows = next;
        self.lost = false;
        self.applied = applied;
        Ok(())
    }

    fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
        back: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let range =
            self.rows.range::<[u8], _>((Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded)));
        let row = |(key, cell): (&Vec<u8>, &Cell)| Ok((Bytes::copy_from_slice(key), value(key, cell)?));
        if back { range.rev().take(limit).map(row).collect() } else { range.take(limit).map(row).collect() }
    }
}

fn value(key: &[u8], cell: &Cell) -> Result<Bytes, Error> {
    cell.get().ok_or_else(|| Error::damaged(Place::Row(key.to_vec()), "its checksum does not match"))
}

/// A state on a memory disk.
pub(super) struct MemoryState(pub(super) Session);

impl StateStore for MemoryState {
    fn applied(&self) -> u64 {
        self.0.with(|disk| Ok(disk.state.applied)).unwrap_or_default()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.0.with(|disk| {
            disk.faults.read(Part::State)?;
            disk.state.rows.get(key).map(|cell| value(key, cell)).transpose()
        })
    }

    fn scan(
        &self,
        from: &[u8],
        to_exclusive: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.0.with(|disk| {
            disk.faults.read(Part::State)?;
            disk.state.scan(from, to_exclusive, limit, false)
        })
    }

    fn scan_back(
        &self,
        from: &[u8],
        to_exclusive: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.0.with(|disk| {
            disk.faults.read(Part::State)?;
            disk.state.scan(from, to_exclusive, limit, true)
        })
    }

    fn commit(&self, batch: Batch) -> Result<(), Error> {
        self.0.with(|disk| {
            if let Some(error) = &disk.state.ended {
                return Err(error.clone());
            }
            let bytes = check_batch(&batch, disk.state.applied)?;
            disk.faults.take_space(usize::try_from(bytes).unwrap_or(usize::MAX))?;
            if let Err(error) = disk.faults.sync() {
                disk.state.ended = Some(error.clone());
                return Err(error);
            }
            disk.write(Part::State, |disk| {
                for key in &batch.deletes {
                    disk.state.rows.remove(key);
                }
                for (key, value) in batch.puts {
                    disk.state.rows.insert(key, Cell::new(value));
                }
                disk.state.applied = batch.applied;
                Ok(())
            })
        })
    }

    fn replace(&self, applied: u64, rows: &mut dyn Iterator<Item = Result<Row, Error>>) -> Result<(), Error> {
        // Collected before the disk is locked: the rows may come from it.
        let rows = rows.collect::<Result<Vec<Row>, Error>>()?;
        self.0.with(|disk| {
            if let Some(error) = &disk.state.ended {
                return Err(error.clone());
            }
            disk.faults.take_space(rows.iter().map(|(key, value)| key.len() + value.len()).sum())?;
            if let Err(error) = disk.faults.sync() {
                disk.state.ended = Some(error.clone());
                return Err(error);
            }
            disk.write(Part::State, |disk| disk.state.replace(applied, rows.into_iter().map(Ok)))
        })
    }
}
