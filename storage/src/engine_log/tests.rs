//! The committer on a disk that fails; the suite and the damage tests are in `tests/`.

#![allow(clippy::disallowed_methods, reason = "real threads, and waits that are bounded")]

use std::sync::{Arc, atomic::Ordering, mpsc};

use super::{faults::Faults, *};
use crate::{
    conformance::{append, indexes, note, records},
    room::RoomOptions,
};

struct Bench {
    log: EngineLog,
    faults: Arc<Faults>,
    folder: Folder,
    _temporary: tempfile::TempDir,
}

fn bench() -> Bench {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::open(temporary.path()).unwrap();
    let files = Files::default();
    let faults = Arc::clone(&files.faults);
    let log = open(&folder, files).unwrap();
    Bench { log, faults, folder, _temporary: temporary }
}

fn open(folder: &Folder, files: Files) -> Result<EngineLog, Error> {
    let options = RoomOptions { reserve_bytes: 1, ballast_bytes: 0 };
    let room = Arc::new(RoomWatch::open(folder.path().to_owned(), folder.ballast(), options));
    EngineLog::open_on(folder, room, LogOptions { file_bytes: 64 * 1024 }, files)
}

/// Queues one record for each index and returns what their callbacks will hear.
fn queue(log: &EngineLog, range: std::ops::Range<u64>) -> mpsc::Receiver<(u64, Result<(), Error>)> {
    let (send, receive) = mpsc::channel();
    for index in range {
        let send = send.clone();
        log.append(records(index..index + 1), Box::new(move |outcome| send.send((index, outcome)).unwrap()));
    }
    receive
}

/// Waits until the committer is inside of a held sync.
fn wait_for_sync(faults: &Faults) {
    let started = std::time::Instant::now();
    while !faults.waiting.load(Ordering::SeqCst) {
        assert!(started.elapsed().as_secs() < 10, "nothing is synced");
        thread::yield_now();
    }
}

#[test]
fn nothing_is_acknowledged_before_its_sync() {
    let Bench { log, faults, .. } = &bench();
    let held = faults.hold();
    let heard = queue(log, 1..2);
    wait_for_sync(faults);
    assert_eq!(indexes(log), [1], "queued records are read");
    assert!(heard.recv_timeout(std::time::Duration::from_millis(30)).is_err(), "acknowledged too early");
    assert_eq!(Floor::read(&log._folder.floor()).unwrap(), Some(0));
    drop(held);
    assert!(matches!(heard.recv().unwrap(), (1, Ok(()))));
}

#[test]
fn what_queues_up_during_a_sync_shares_the_next_one() {
    let Bench { log, faults, .. } = &bench();
    append(log, records(1..2)).unwrap();
    let before = faults.syncs.load(Ordering::SeqCst);
    let held = faults.hold();
    let first = queue(log, 2..3);
    wait_for_sync(faults);
    let others = queue(log, 3..203);
    drop(held);
    assert!(matches!(first.recv().unwrap(), (2, Ok(()))));
    let order: Vec<u64> =
        others.iter().take(200).map(|(index, outcome)| outcome.map(|()| index).unwrap()).collect();
    assert_eq!(order, (3..203).collect::<Vec<_>>());
    assert_eq!(faults.syncs.load(Ordering::SeqCst) - before, 2);
}

#[test]
fn failed_sync_closes_the_log_for_ever() {
    let Bench { log, faults, .. } = &bench();
    append(log, records(1..3)).unwrap();
    let held = faults.hold();
    let first = queue(log, 3..4);
    wait_for_sync(faults);
    let behind = queue(log, 4..10);
    faults.fail_next_sync.store(true, Ordering::SeqCst);
    drop(held);
    let after = faults.syncs.load(Ordering::SeqCst);
    let order: Vec<u64> = first
        .iter()
        .chain(behind.iter())
        .map(|(index, outcome)| {
            assert!(matches!(outcome, Err(Error::Fatal { .. })), "{index}: {outcome:?}");
            index
        })
        .collect();
    assert_eq!(order, (3..10).collect::<Vec<_>>());
    // The disk works again, and the log does not care.
    assert!(matches!(append(log, records(10..11)), Err(Error::Fatal { .. })));
    assert!(matches!(append(log, records(3..4)), Err(Error::Fatal { .. })));
    assert!(matches!(note(log, "vote", "x"), Err(Error::Fatal { .. })));
    assert!(matches!(log.truncate_from(1), Err(Error::Fatal { .. })));
    assert!(matches!(log.read(1, 3, 100), Err(Error::Fatal { .. })));
    assert!(faults.syncs.load(Ordering::SeqCst) <= after + 1, "a failed sync was tried again");
    assert_eq!(Floor::read(&log._folder.floor()).unwrap(), Some(2));
}

#[test]
fn full_disk_refuses_a_batch_and_what_is_behind_it_and_nothing_else() {
    let Bench { log, faults, folder, _temporary } = bench();
    append(&log, records(1..3)).unwrap();
    note(&log, "vote", "before").unwrap();
    for writes_refused in [1, 2, 3, 10] {
        let held = faults.hold();
        let last = log.bounds().last.unwrap();
        let first = queue(&log, last + 1..last + 2);
        wait_for_sync(&faults);
        let refused = queue(&log, last + 2..last + 5);
        faults.full_writes.store(writes_refused, Ordering::SeqCst);
        drop(held);
        assert!(matches!(first.recv().unwrap().1, Ok(())));
        let outcomes: Vec<_> = refused.iter().take(3).map(|(_, outcome)| outcome).collect();
        faults.full_writes.store(0, Ordering::SeqCst);
        // One refused write is made up for by the engine in a new file; the others are refused.
        let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(written == 3 || written == 0, "{outcomes:?}");
        if written == 0 {
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::NoSpace { .. }))));
            assert_eq!(log.bounds().last, Some(last + 1));
            assert_eq!(log.room(), Room::Exhausted);
        }
    }
    let last = log.bounds().last.unwrap();
    append(&log, records(last + 1..last + 2)).unwrap();
    note(&log, "vote", "after").unwrap();
    drop(log);
    let log = open(&folder, Files::default()).unwrap();
    assert_eq!(indexes(&log), (1..last + 2).collect::<Vec<_>>());
    assert_eq!(log.note("vote").unwrap().unwrap(), "after");
}

#[test]
fn appends_behind_a_refused_batch_are_refused_too() {
    let Bench { log, faults, .. } = &bench();
    let held = faults.hold();
    let first = queue(log, 1..2);
    wait_for_sync(faults);
    // As large as a batch, so that what is behind it is in another one.
    let (send, refused) = mpsc::channel();
    let bytes = Bytes::from(vec![0; committer::BATCH_BYTES]);
    let large = vec![Record { index: 2, bytes }];
    let disk = Arc::clone(faults);
    let done = move |outcome| {
        // There is space again before the committer looks at what is behind.
        disk.full_writes.store(0, Ordering::SeqCst);
        send.send(outcome).unwrap();
    };
    log.append(large, Box::new(done));
    let behind = queue(log, 3..5);
    // The sync that is held already has its write behind it.
    faults.full_writes.store(1000, Ordering::SeqCst);
    drop(held);
    assert!(matches!(first.recv().unwrap(), (1, Ok(()))));
    assert!(matches!(refused.recv().unwrap(), Err(Error::NoSpace { .. })));
    for (index, outcome) in behind.iter().take(2) {
        assert!(matches!(outcome, Err(Error::NoSpace { .. })), "{index}: {outcome:?}");
    }
    assert_eq!(indexes(log), [1]);
    append(log, records(2..4)).unwrap();
    assert_eq!(indexes(log), [1, 2, 3]);
}

#[test]
fn last_handle_may_go_away_inside_of_a_callback() {
    let Bench { log, folder, _temporary, .. } = bench();
    let log = Arc::new(log);
    let (send, receive) = mpsc::channel();
    let held = Arc::clone(&log);
    let (dropped, wait) = mpsc::channel::<()>();
    log.append(
        records(1..2),
        Box::new(move |outcome| {
            // Until the test has let go of its handle.
            let _ = wait.recv();
            drop(held);
            send.send(outcome).unwrap();
        }),
    );
    drop(log);
    dropped.send(()).unwrap();
    receive.recv().unwrap().unwrap();
    // The committer closes the engine on its own time.
    for _ in 0..200 {
        if let Ok(log) = open(&folder, Files::default()) {
            assert_eq!(indexes(&log), [1]);
            return;
        }
        thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("the log stays locked");
}

#[test]
fn panicking_callback_harms_no_other_caller() {
    let Bench { log, .. } = &bench();
    log.append(records(1..2), Box::new(|_| panic!("on purpose")));
    append(log, records(2..3)).unwrap();
    append(log, records(3..4)).unwrap();
    assert_eq!(indexes(log), [1, 2, 3]);
}

#[test]
fn two_logs_of_one_process_do_not_see_each_others_blocks() {
    // The same sizes at the same offsets of files with the same number: one cache key for both.
    let benches = [bench(), bench()];
    for (number, Bench { log, .. }) in benches.iter().enumerate() {
        let text = format!("record of log {number}");
        let record = Record { index: 1, bytes: Bytes::from(text) };
        append(log, vec![record]).unwrap();
    }
    let reopened = benches.map(|Bench { log, folder, _temporary, .. }| {
        drop(log);
        (open(&folder, Files::default()).unwrap(), folder, _temporary)
    });
    for _ in 0..3 {
        for (number, (log, ..)) in reopened.iter().enumerate() {
            let read = log.read(1, 2, 100).unwrap();
            assert_eq!(read[0].bytes, format!("record of log {number}"));
        }
    }
}
