//! A full disk refuses new work, lets running work finish, and heals without a restart.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use bytes::Bytes;
use synod_storage::{
    Error, LogOptions, Options, Room, RoomOptions,
    conformance::{append, batch, indexes, records},
};

/// A small file system that is gone with the test.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one, where this process may.
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let option = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &option, "synod-test"])
            .arg(folder.path())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("SKIPPED: this test needs to mount a tmpfs, and that was refused");
            return None;
        }
        Some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Waits longer than the answer about the free space is kept.
fn look_again() {
    thread::sleep(Duration::from_millis(80));
}

const MIB: u64 = 1024 * 1024;

#[test]
fn full_disk_refuses_and_heals() {
    let Some(disk) = SmallDisk::mount("24m") else { return };
    let options = Options {
        room: RoomOptions { reserve_bytes: 8 * MIB, ballast_bytes: 4 * MIB },
        log: LogOptions { file_bytes: MIB },
        ..Options::default()
    };
    let path = disk.path().join("data");
    let storage = synod_storage::open(&path, &options).unwrap().storage;
    let filler = disk.path().join("filler");
    let fill = |bytes: u64| fs::write(&filler, vec![1; usize::try_from(bytes).unwrap()]);
    append(&*storage.log, records(1..10)).unwrap();
    storage.state.commit(batch(9, &[("a", "1")], &[])).unwrap();
    assert_eq!(storage.log.room(), Room::Ample);
    assert!(path.join("ballast").exists());

    // Somebody else takes the space: no new work, and running work goes on.
    fill(14 * MIB).unwrap();
    look_again();
    assert_eq!(storage.log.room(), Room::Reserve);
    assert!(!path.join("ballast").exists(), "the ballast was not given up");
    append(&*storage.log, records(10..20)).unwrap();
    storage.state.commit(batch(19, &[("b", "1")], &[])).unwrap();

    // All of it.
    let _ = fill(24 * MIB);
    look_again();
    assert_eq!(storage.log.room(), Room::Exhausted);
    for _ in 0..3 {
        let refused = append(&*storage.log, records(20..21));
        assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
    }
    let refused = storage.state.commit(batch(19, &[("c", "1")], &[]));
    assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
    assert!(matches!(storage.blobs.put(b"blob"), Err(Error::NoSpace { .. })));
    let refused = storage.snapshots.save(19, Bytes::new(), &mut std::iter::empty());
    assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
    assert_eq!(storage.log.bounds().last, Some(19));

    // Freed, but not enough for new work.
    fill(14 * MIB).unwrap();
    look_again();
    assert_eq!(storage.log.room(), Room::Reserve);
    append(&*storage.log, records(20..22)).unwrap();

    fs::remove_file(&filler).unwrap();
    look_again();
    assert_eq!(storage.log.room(), Room::Ample);
    assert!(path.join("ballast").exists(), "the ballast did not come back");
    append(&*storage.log, records(22..24)).unwrap();
    storage.state.commit(batch(23, &[("c", "1")], &[])).unwrap();
    storage.blobs.put(b"blob").unwrap();
    drop(storage);
    let opened = synod_storage::open(&path, &options).unwrap();
    assert_eq!(opened.repaired, None);
    assert_eq!(indexes(&*opened.storage.log), (1..24).collect::<Vec<_>>());
    assert_eq!(opened.storage.state.applied(), 23);
}

#[test]
fn state_whose_disk_fills_up_in_the_middle_of_a_commit_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("32m") else { return };
    let options = Options {
        room: RoomOptions { reserve_bytes: 2 * MIB, ballast_bytes: MIB },
        log: LogOptions { file_bytes: MIB },
        ..Options::default()
    };
    let path = disk.path().join("data");
    let storage = synod_storage::open(&path, &options).unwrap().storage;
    let filler = disk.path().join("filler");
    let generations =
        || fs::read_dir(&path).unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let generation = || generations().find(|name| name.starts_with("state-")).unwrap();
    let (first, large) = (generation(), "x".repeat(100_000));
    append(&*storage.log, records(1..2)).unwrap();
    storage.state.commit(batch(1, &[("kept", "1")], &[])).unwrap();
    let (mut applied, mut hit) = (1, false);
    // Whether the disk is full between the look at it and the write is a matter of some milliseconds.
    for _ in 0..100 {
        look_again();
        assert_eq!(storage.log.room(), Room::Ample);
        applied += 1;
        append(&*storage.log, records(applied..applied + 1)).unwrap();
        fs::write(&filler, vec![1; 32 * 1024 * 1024]).unwrap_err();
        let committed = storage.state.commit(batch(applied, &[("row", &large)], &[]));
        hit = committed.is_err() && matches!(storage.state.get(b"kept"), Err(Error::NoSpace { .. }));
        fs::remove_file(&filler).unwrap();
        if hit {
            break;
        }
    }
    assert!(hit, "the disk was never full at the right moment");
    look_again();
    storage.state.commit(batch(applied, &[("row", "2")], &[])).unwrap();
    assert_ne!(generation(), first);
    assert_eq!(generations().filter(|name| name.starts_with("state-")).count(), 1);
    let value =
        |storage: &synod_storage::Storage, key: &str| storage.state.get(key.as_bytes()).unwrap().unwrap();
    assert_eq!((value(&storage, "kept").as_ref(), value(&storage, "row").as_ref()), (&b"1"[..], &b"2"[..]));
    drop(storage);
    let opened = synod_storage::open(&path, &options).unwrap();
    assert_eq!((opened.repaired, opened.storage.state.applied()), (None, applied));
    assert_eq!(value(&opened.storage, "row").as_ref(), b"2");
}

#[test]
fn disk_filled_by_the_log_itself_keeps_every_acknowledged_record() {
    let Some(disk) = SmallDisk::mount("6m") else { return };
    let options = Options {
        room: RoomOptions { reserve_bytes: MIB, ballast_bytes: MIB },
        log: LogOptions { file_bytes: MIB },
        ..Options::default()
    };
    let path = disk.path().join("data");
    let storage = synod_storage::open(&path, &options).unwrap().storage;
    let big = |index| {
        let mut bytes = format!("record {index} ").into_bytes();
        bytes.resize(50_000, b'x');
        vec![synod_storage::Record { index, bytes: Bytes::from(bytes) }]
    };
    let mut acknowledged = 0;
    let mut refused = 0;
    for _ in 0..300 {
        match append(&*storage.log, big(acknowledged + 1)) {
            Ok(()) => acknowledged += 1,
            Err(Error::NoSpace { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(acknowledged > 20 && refused > 20, "{acknowledged} acknowledged, {refused} refused");
    assert_eq!(indexes(&*storage.log).len() as u64, acknowledged);
    // Purging is what frees the space, so it works on a full disk.
    storage.log.purge_through(acknowledged - 5).unwrap();
    look_again();
    append(&*storage.log, big(acknowledged + 1)).unwrap();
    drop(storage);
    fs::remove_file(path.join("ballast")).unwrap_or_default();
    // Nothing was applied, so the purge would be refused as a hole; the log itself is what counts here.
    let refused = synod_storage::open(&path, &options).unwrap_err();
    assert!(matches!(refused, Error::LogHole { applied: 0, first } if first == acknowledged - 4));
}
