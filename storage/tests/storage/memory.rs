//! The faults of the memory disk.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use synod_storage::{
    Bounds, Error, MemoryDisk, Part, Room, Storage,
    conformance::{append, batch, indexes, note, pairs, records},
    rows,
};

type Heard = Arc<Mutex<Vec<(u64, bool)>>>;

/// Queues records one by one and notes what their callbacks hear.
fn queue(storage: &Storage, range: std::ops::Range<u64>) -> Heard {
    let heard = Heard::default();
    for index in range {
        let seen = Arc::clone(&heard);
        let done = move |outcome: Result<(), Error>| seen.lock().unwrap().push((index, outcome.is_ok()));
        storage.log.append(records(index..index + 1), Box::new(done));
    }
    heard
}

#[test]
fn crash_loses_what_was_not_synced_and_keeps_what_the_caller_says() {
    for kept in 0..=5_u64 {
        let disk = MemoryDisk::new();
        let storage = disk.open();
        append(&*storage.log, records(1..3)).unwrap();
        disk.hold_syncs();
        let heard = queue(&storage, 3..8);
        assert_eq!(indexes(&*storage.log), [1, 2, 3, 4, 5, 6, 7]);
        disk.crash(|unsynced| {
            assert_eq!(unsynced, 5);
            usize::try_from(kept).unwrap()
        });
        assert!(heard.lock().unwrap().is_empty(), "a callback ran although the machine was gone");
        assert_eq!(indexes(&*disk.open().log), (1..3 + kept).collect::<Vec<_>>());
    }
}

#[test]
fn crash_tears_a_batch_in_the_middle() {
    let disk = MemoryDisk::new();
    let storage = disk.open();
    disk.hold_syncs();
    storage.log.append(records(1..10), Box::new(|_| panic!("never acknowledged")));
    disk.crash(|unsynced| unsynced / 2);
    assert_eq!(indexes(&*disk.open().log), [1, 2, 3, 4]);
}

#[test]
fn storage_of_before_the_crash_refuses_every_call() {
    let disk = MemoryDisk::new();
    let old = disk.open();
    append(&*old.log, records(1..3)).unwrap();
    let id = old.blobs.put(b"blob").unwrap();
    disk.crash(|_| 0);
    let new = disk.open();
    let closed = |outcome: Result<(), Error>| assert!(matches!(outcome, Err(Error::Closed)));
    closed(append(&*old.log, records(3..4)));
    closed(note(&*old.log, "vote", "x"));
    closed(old.log.note("vote").map(drop));
    closed(old.log.read(1, 2, 1).map(drop));
    closed(old.log.truncate_from(1));
    closed(old.log.purge_through(1));
    closed(old.state.commit(batch(1, &[], &[])));
    closed(old.state.get(b"a").map(drop));
    closed(old.state.replace(1, &mut std::iter::empty()));
    closed(old.snapshots.latest().map(drop));
    closed(old.snapshots.save(1, Bytes::new(), &mut std::iter::empty()).map(drop));
    closed(old.blobs.get(&id).map(drop));
    closed(old.blobs.put(b"other").map(drop));
    assert_eq!(old.log.bounds(), Bounds::default());
    assert_eq!(old.log.room(), Room::Exhausted);
    assert_eq!(indexes(&*new.log), [1, 2]);
    assert_eq!(new.blobs.get(&id).unwrap(), "blob");
}

#[test]
fn held_callbacks_run_in_order_when_released() {
    let disk = MemoryDisk::new();
    let storage = disk.open();
    disk.hold_syncs();
    let heard = queue(&storage, 1..5);
    assert!(heard.lock().unwrap().is_empty());
    assert_eq!(disk.unsynced(), 4);
    disk.release();
    assert_eq!(*heard.lock().unwrap(), [(1, true), (2, true), (3, true), (4, true)]);
    assert_eq!(disk.unsynced(), 0);
    assert_eq!(*queue(&storage, 5..6).lock().unwrap(), [(5, true)]);
}

#[test]
fn failed_sync_is_fatal_until_the_restart() {
    let disk = MemoryDisk::new();
    let storage = disk.open();
    append(&*storage.log, records(1..3)).unwrap();
    disk.fail_next_sync();
    assert!(matches!(append(&*storage.log, records(3..4)), Err(Error::Fatal { .. })));
    assert!(matches!(append(&*storage.log, records(4..5)), Err(Error::Fatal { .. })));
    assert!(matches!(append(&*storage.log, records(3..4)), Err(Error::Fatal { .. })));
    assert!(matches!(storage.log.truncate_from(1), Err(Error::Fatal { .. })));
    // Whether the record is there is for the crash to say; it was never acknowledged.
    disk.crash(|unsynced| unsynced);
    let storage = disk.open();
    assert_eq!(indexes(&*storage.log), [1, 2, 3]);
    disk.fail_next_sync();
    assert!(matches!(storage.state.commit(batch(1, &[("a", "1")], &[])), Err(Error::Fatal { .. })));
    assert!(matches!(storage.state.commit(batch(1, &[("a", "1")], &[])), Err(Error::Fatal { .. })));
    let storage = disk.open();
    assert_eq!(storage.state.applied(), 0);
    storage.state.commit(batch(1, &[("a", "1")], &[])).unwrap();
}

#[test]
fn full_disk_refuses_and_heals() {
    let disk = MemoryDisk::new();
    let storage = disk.open();
    assert_eq!(storage.log.room(), Room::Ample);
    disk.limit_space(Some(10));
    assert_eq!(storage.log.room(), Room::Reserve);
    append(&*storage.log, records(1..2)).unwrap();
    assert!(matches!(append(&*storage.log, records(2..3)), Err(Error::NoSpace { available: 2, .. })));
    assert_eq!(storage.log.room(), Room::Exhausted);
    assert!(matches!(storage.state.commit(batch(1, &[("key", "value")], &[])), Err(Error::NoSpace { .. })));
    assert!(matches!(storage.blobs.put(b"blob"), Err(Error::NoSpace { .. })));
    disk.limit_space(None);
    assert_eq!(storage.log.room(), Room::Ample);
    append(&*storage.log, records(2..3)).unwrap();
    assert_eq!(indexes(&*storage.log), [1, 2]);
}

#[test]
fn flipped_bits_are_found_and_the_state_is_rebuilt() {
    let disk = MemoryDisk::new();
    let storage = disk.open();
    append(&*storage.log, records(1..4)).unwrap();
    storage.state.commit(batch(1, &[("a", "1")], &[])).unwrap();
    storage.snapshots.save(1, Bytes::new(), &mut rows(&*storage.state)).unwrap();
    storage.state.commit(batch(3, &[("b", "2")], &[])).unwrap();
    let id = storage.blobs.put(b"blob").unwrap();
    assert!(disk.flip_bit(Part::Log, 8 * "record 1".len() + 3));
    assert!(matches!(storage.log.read(1, 4, usize::MAX), Err(Error::Damaged { .. })));
    assert_eq!(storage.log.read(1, 2, 1).unwrap(), records(1..2));
    assert!(disk.flip_bit(Part::Blobs, 0));
    assert!(matches!(storage.blobs.get(&id), Err(Error::Damaged { .. })));
    assert!(disk.flip_bit(Part::State, 0));
    assert!(matches!(storage.state.get(b"a"), Err(Error::Damaged { .. })));
    let opened = disk.open_checked().unwrap();
    assert_eq!(opened.repaired.unwrap().restored_through, 1);
    assert_eq!(opened.storage.state.applied(), 1);
    assert_eq!(pairs(&*opened.storage.state), [("a".to_owned(), "1".to_owned())]);
    assert!(disk.flip_bit(Part::Snapshots, 300));
    assert!(opened.storage.snapshots.latest().unwrap().is_none());
    assert!(!disk.flip_bit(Part::Blobs, 1_000_000));
}

#[test]
fn truncation_syncs_what_is_held_because_it_is_durable_on_return() {
    let disk = MemoryDisk::new();
    let storage = disk.open();
    disk.hold_syncs();
    let heard = queue(&storage, 1..5);
    storage.log.truncate_from(3).unwrap();
    assert_eq!(heard.lock().unwrap().len(), 4);
    disk.crash(|_| 0);
    assert_eq!(indexes(&*disk.open().log), [1, 2]);
}

#[test]
fn power_that_goes_in_a_write_leaves_it_done_or_not_and_nothing_after_it() {
    for counts in [false, true] {
        let disk = MemoryDisk::new();
        let storage = disk.open();
        disk.cut_next_write(Some((Part::Blobs, counts)));
        append(&*storage.log, records(1..3)).unwrap();
        assert!(!disk.has_lost_power());
        assert!(matches!(storage.blobs.put(b"blob"), Err(Error::Closed)));
        assert!(disk.has_lost_power());
        assert!(matches!(append(&*storage.log, records(3..4)), Err(Error::Closed)));
        disk.crash(|_| 0);
        assert!(!disk.has_lost_power());
        let storage = disk.open_checked().unwrap().storage;
        assert_eq!(storage.blobs.list().unwrap().len(), usize::from(counts));
        storage.blobs.put(b"another").unwrap();
        assert_eq!(indexes(&*storage.log), [1, 2]);
    }
}

#[test]
fn power_that_goes_when_the_log_is_cut_off_leaves_all_of_it_or_what_is_left() {
    for (counts, left) in [(false, vec![1, 2, 3]), (true, vec![3])] {
        let disk = MemoryDisk::new();
        let storage = disk.open();
        append(&*storage.log, records(1..4)).unwrap();
        storage.state.commit(batch(2, &[("a", "2")], &[])).unwrap();
        disk.cut_next_write(Some((Part::Log, counts)));
        assert!(matches!(storage.log.purge_through(2), Err(Error::Closed)));
        disk.crash(|_| 0);
        assert_eq!(indexes(&*disk.open_checked().unwrap().storage.log), left);
    }
}

#[test]
fn a_read_fails_once_and_where_it_was_said() {
    let disk = MemoryDisk::new();
    let storage = disk.open();
    append(&*storage.log, records(1..3)).unwrap();
    disk.fail_next_read(Some(Part::Log));
    storage.state.get(b"row").unwrap();
    assert!(matches!(storage.log.read(1, 3, 100), Err(Error::Io { .. })));
    assert_eq!(storage.log.read(1, 3, 100).unwrap().len(), 2);
    disk.fail_next_read(Some(Part::State));
    disk.fail_next_read(None);
    storage.state.get(b"row").unwrap();
}

#[test]
fn a_log_whose_end_is_lost_is_refused_and_everything_else_is_made_good() {
    let disk = MemoryDisk::new();
    let storage = disk.open();
    append(&*storage.log, records(1..10)).unwrap();
    storage.state.commit(batch(4, &[("a", "4")], &[])).unwrap();
    storage.snapshots.save(4, Bytes::new(), &mut rows(&*storage.state)).unwrap();
    storage.log.purge_through(4).unwrap();

    assert!(disk.lose_files(Part::State, 0));
    assert_eq!(disk.open_checked().unwrap().repaired.map(|repair| repair.restored_through), Some(4));
    assert!(disk.lose_files(Part::Snapshots, 0));
    assert!(!disk.lose_files(Part::Snapshots, 0));
    assert_eq!(disk.open_checked().unwrap().repaired, None);

    assert!(disk.lose_files(Part::Log, 7));
    assert!(matches!(disk.open_checked(), Err(Error::LogShort { floor: 9, last: Some(6) })));
}

#[test]
fn a_flipped_note_is_found_at_the_next_start() {
    let disk = MemoryDisk::new();
    let storage = disk.open();
    note(&*storage.log, "vote", "me").unwrap();
    assert_eq!(disk.bits(Part::Log), 16);
    assert!(disk.flip_bit(Part::Log, 3));
    assert!(matches!(disk.open_checked(), Err(Error::Damaged { .. })));
}

#[test]
fn a_file_whose_removal_was_not_synced_is_there_again_after_a_loss() {
    let disk = MemoryDisk::new();
    let storage = disk.open();
    let id = storage.blobs.put(b"blob").unwrap();
    storage.blobs.remove(&id).unwrap();
    disk.crash(|_| 0);
    let storage = disk.open();
    assert!(!storage.blobs.contains(&id).unwrap(), "nothing was lost with it");
    storage.blobs.put(b"blob").unwrap();
    storage.blobs.remove(&id).unwrap();
    disk.hold_syncs();
    storage.log.append(records(1..2), Box::new(drop));
    disk.crash(|_| 0);
    assert!(disk.open().blobs.contains(&id).unwrap());
}
