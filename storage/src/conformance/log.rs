//! The suite of [`Log`].

use std::{
    ops::Range,
    sync::{Arc, Mutex, mpsc},
};

use bytes::Bytes;

use super::Disks;
use crate::{Bounds, Error, Log, Record, Room, Storage};

/// Runs the suite.
pub fn log(disks: Disks<'_>) {
    appended_records_are_read_back(disks);
    read_stops_at_its_limits(disks);
    queued_records_are_seen_at_once(disks);
    gaps_are_refused_and_change_nothing(disks);
    callbacks_run_in_the_order_of_the_calls(disks);
    empty_append_is_a_barrier(disks);
    notes_survive(disks);
    truncated_records_are_gone_for_good(disks);
    truncated_log_is_overwritten(disks);
    log_truncated_to_nothing_takes_any_start(disks);
    purged_records_are_gone_for_good(disks);
    log_purged_beyond_its_end_takes_any_start(disks);
    notes_survive_purges(disks);
    log_may_begin_at_zero(disks);
}

/// Returns records of `range` whose content tells their index.
#[must_use]
pub fn records(range: Range<u64>) -> Vec<Record> {
    range.map(|index| Record { index, bytes: Bytes::from(format!("record {index}")) }).collect()
}

/// Appends and waits for the disk.
///
/// # Errors
///
/// What the callback was told.
pub fn append(log: &dyn Log, records: Vec<Record>) -> Result<(), Error> {
    let (send, receive) = mpsc::channel();
    log.append(records, Box::new(move |outcome| send.send(outcome).unwrap()));
    receive.recv().unwrap()
}

/// Puts a note and waits for the disk.
///
/// # Errors
///
/// What the callback was told.
pub fn note(log: &dyn Log, key: &'static str, value: &str) -> Result<(), Error> {
    let (send, receive) = mpsc::channel();
    log.put_note(key, Bytes::from(value.to_owned()), Box::new(move |outcome| send.send(outcome).unwrap()));
    receive.recv().unwrap()
}

/// Returns the indexes of all records, after checking their content.
#[must_use]
pub fn indexes(log: &dyn Log) -> Vec<u64> {
    let read = log.read(0, u64::MAX, usize::MAX).unwrap();
    let indexes: Vec<u64> = read.iter().map(|record| record.index).collect();
    for record in &read {
        assert!(record.bytes.starts_with(format!("record {}", record.index).as_bytes()), "{record:?}");
    }
    let bounds = Bounds { first: indexes.first().copied(), last: indexes.last().copied() };
    assert_eq!(log.bounds(), bounds, "bounds and records differ");
    indexes
}

/// Keeps a snapshot and a state far ahead, as after an installed snapshot, so that the checks between
/// the parts let the log begin and end anywhere.
fn cover(storage: &Storage) {
    const THROUGH: u64 = 1000;
    storage.snapshots.save(THROUGH, Bytes::new(), &mut std::iter::empty()).unwrap();
    storage.state.replace(THROUGH, &mut std::iter::empty()).unwrap();
}

fn all(range: Range<u64>) -> Vec<u64> {
    range.collect()
}

fn appended_records_are_read_back(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    assert_eq!(storage.log.bounds(), Bounds::default());
    assert_eq!(storage.log.read(0, 100, 1000).unwrap(), []);
    assert_eq!(storage.log.room(), Room::Ample);
    append(&*storage.log, records(1..4)).unwrap();
    append(&*storage.log, records(4..5)).unwrap();
    assert_eq!(storage.log.read(1, 5, usize::MAX).unwrap(), records(1..5));
    drop(storage);
    let storage = open();
    assert_eq!(storage.log.read(1, 5, usize::MAX).unwrap(), records(1..5));
    append(&*storage.log, records(5..8)).unwrap();
    assert_eq!(indexes(&*storage.log), all(1..8));
}

fn read_stops_at_its_limits(disks: Disks<'_>) {
    let mut open = disks();
    let mut storage = open();
    append(&*storage.log, records(1..10)).unwrap();
    for round in ["from memory", "from the disk", "from both"] {
        let read = |from, to, max| {
            let read = storage.log.read(from, to, max).unwrap();
            read.iter().map(|record| record.index).collect::<Vec<_>>()
        };
        assert_eq!(read(3, 6, usize::MAX), all(3..6), "{round}");
        assert_eq!(read(0, 3, usize::MAX), all(1..3), "{round}");
        assert_eq!(read(8, 100, usize::MAX).first(), Some(&8), "{round}");
        assert_eq!(read(6, 6, usize::MAX), [], "{round}");
        assert_eq!(read(7, 6, usize::MAX), [], "{round}");
        assert_eq!(read(100, 200, usize::MAX), [], "{round}");
        assert_eq!(read(2, 9, 0), [2], "{round}");
        let some = read(2, 9, 30);
        assert!(!some.is_empty() && some.len() <= 3 && some[0] == 2, "{round}: {some:?}");
        if round == "from memory" {
            drop(storage);
            storage = open();
        } else if round == "from the disk" {
            append(&*storage.log, records(10..12)).unwrap();
        }
    }
    assert_eq!(indexes(&*storage.log), all(1..12));
}

fn queued_records_are_seen_at_once(disks: Disks<'_>) {
    let storage = disks()();
    for index in 1..200 {
        storage.log.append(records(index..index + 1), Box::new(|outcome| outcome.unwrap()));
        assert_eq!(storage.log.bounds().last, Some(index));
        assert_eq!(storage.log.read(index, index + 1, 1).unwrap(), records(index..index + 1));
    }
    assert_eq!(indexes(&*storage.log), all(1..200));
}

fn gaps_are_refused_and_change_nothing(disks: Disks<'_>) {
    let storage = disks()();
    append(&*storage.log, records(5..8)).unwrap();
    for wrong in [records(9..10), records(7..9), records(1..2), [records(8..9), records(10..11)].concat()] {
        assert!(matches!(append(&*storage.log, wrong), Err(Error::Gap { .. })));
    }
    assert_eq!(indexes(&*storage.log), all(5..8));
    append(&*storage.log, records(8..9)).unwrap();
}

fn callbacks_run_in_the_order_of_the_calls(disks: Disks<'_>) {
    let storage = disks()();
    let order = Arc::new(Mutex::new(Vec::new()));
    for call in 0..100_u64 {
        let seen = Arc::clone(&order);
        let done = Box::new(move |outcome: Result<(), Error>| {
            outcome.unwrap();
            seen.lock().unwrap().push(call);
        });
        if call % 3 == 0 {
            storage.log.put_note("call", Bytes::from(call.to_string()), done);
        } else {
            let next = storage.log.bounds().last.unwrap_or(0) + 1;
            storage.log.append(records(next..next + 1), done);
        }
    }
    append(&*storage.log, Vec::new()).unwrap();
    assert_eq!(*order.lock().unwrap(), all(0..100));
    assert_eq!(storage.log.note("call").unwrap().unwrap(), "99");
}

fn empty_append_is_a_barrier(disks: Disks<'_>) {
    let storage = disks()();
    append(&*storage.log, Vec::new()).unwrap();
    assert_eq!(storage.log.bounds(), Bounds::default());
}

fn notes_survive(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    assert_eq!(storage.log.note("vote").unwrap(), None);
    note(&*storage.log, "vote", "one").unwrap();
    note(&*storage.log, "other", "").unwrap();
    note(&*storage.log, "vote", "two").unwrap();
    assert_eq!(storage.log.note("vote").unwrap().unwrap(), "two");
    drop(storage);
    let storage = open();
    assert_eq!(storage.log.note("vote").unwrap().unwrap(), "two");
    assert_eq!(storage.log.note("other").unwrap().unwrap(), "");
    assert_eq!(storage.log.note("missing").unwrap(), None);
    assert_eq!(storage.log.bounds(), Bounds::default());
}

fn truncated_records_are_gone_for_good(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    append(&*storage.log, records(1..10)).unwrap();
    storage.log.truncate_from(20).unwrap();
    storage.log.truncate_from(6).unwrap();
    assert_eq!(indexes(&*storage.log), all(1..6));
    drop(storage);
    assert_eq!(indexes(&*open().log), all(1..6));
}

fn truncated_log_is_overwritten(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    append(&*storage.log, records(1..10)).unwrap();
    storage.log.truncate_from(6).unwrap();
    let other = Record { index: 6, bytes: Bytes::from_static(b"record 6, another one") };
    append(&*storage.log, vec![other.clone()]).unwrap();
    assert_eq!(indexes(&*storage.log), all(1..7));
    drop(storage);
    let storage = open();
    assert_eq!(indexes(&*storage.log), all(1..7));
    assert_eq!(storage.log.read(6, 7, 1).unwrap(), [other]);
    // Queued and truncated without waiting in between.
    storage.log.append(records(7..20), Box::new(|outcome| outcome.unwrap()));
    storage.log.truncate_from(9).unwrap();
    append(&*storage.log, records(9..12)).unwrap();
    assert_eq!(indexes(&*storage.log), all(1..12));
    drop(storage);
    assert_eq!(indexes(&*open().log), all(1..12));
}

fn log_truncated_to_nothing_takes_any_start(disks: Disks<'_>) {
    for start in [1, 3, 50] {
        let mut open = disks();
        let storage = open();
        cover(&storage);
        append(&*storage.log, records(3..10)).unwrap();
        storage.log.truncate_from(if start == 3 { 3 } else { 1 }).unwrap();
        assert_eq!(storage.log.bounds(), Bounds::default());
        drop(storage);
        let storage = open();
        assert_eq!(storage.log.bounds(), Bounds::default());
        append(&*storage.log, records(start..start + 2)).unwrap();
        drop(storage);
        assert_eq!(indexes(&*open().log), all(start..start + 2));
    }
}

fn purged_records_are_gone_for_good(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    cover(&storage);
    append(&*storage.log, records(1..10)).unwrap();
    storage.log.purge_through(0).unwrap();
    storage.log.purge_through(4).unwrap();
    storage.log.purge_through(2).unwrap();
    assert_eq!(indexes(&*storage.log), all(5..10));
    append(&*storage.log, records(10..11)).unwrap();
    drop(storage);
    let storage = open();
    assert_eq!(indexes(&*storage.log), all(5..11));
    storage.log.truncate_from(8).unwrap();
    storage.log.purge_through(6).unwrap();
    assert_eq!(indexes(&*storage.log), [7]);
    drop(storage);
    assert_eq!(indexes(&*open().log), [7]);
}

fn log_purged_beyond_its_end_takes_any_start(disks: Disks<'_>) {
    for (through, start) in [(9, 10), (100, 101), (9, 5), (20, 15)] {
        let mut open = disks();
        let storage = open();
        cover(&storage);
        append(&*storage.log, records(1..10)).unwrap();
        storage.log.truncate_from(8).unwrap();
        storage.log.purge_through(through).unwrap();
        assert_eq!(storage.log.bounds(), Bounds::default());
        append(&*storage.log, records(start..start + 2)).unwrap();
        drop(storage);
        let storage = open();
        assert_eq!(indexes(&*storage.log), all(start..start + 2));
        append(&*storage.log, records(start + 2..start + 3)).unwrap();
    }
}

fn notes_survive_purges(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    cover(&storage);
    note(&*storage.log, "vote", "kept").unwrap();
    append(&*storage.log, records(1..10)).unwrap();
    storage.log.purge_through(9).unwrap();
    assert_eq!(storage.log.note("vote").unwrap().unwrap(), "kept");
    drop(storage);
    assert_eq!(open().log.note("vote").unwrap().unwrap(), "kept");
}

fn log_may_begin_at_zero(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    cover(&storage);
    append(&*storage.log, records(0..3)).unwrap();
    assert_eq!(indexes(&*storage.log), all(0..3));
    storage.log.purge_through(0).unwrap();
    assert_eq!(indexes(&*storage.log), all(1..3));
    drop(storage);
    let storage = open();
    storage.log.truncate_from(0).unwrap();
    append(&*storage.log, records(0..1)).unwrap();
    drop(storage);
    assert_eq!(indexes(&*open().log), [0]);
}
