//! What opening a data folder refuses, repairs and promises.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Instant};

use bytes::Bytes;
use synod_storage::{
    Batch, Error, Options, Verify,
    conformance::{append, batch, pairs, records},
};

use crate::support::{Folder, entries, files, options};

#[test]
fn second_opening_is_refused_and_says_who_holds_the_folder() {
    let folder = Folder::new();
    let storage = folder.open();
    let refused = folder.try_open().unwrap_err();
    let text = refused.to_string();
    assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    assert!(matches!(refused, Error::Locked { holder: Some(pid), .. } if pid == std::process::id()));
    // Any part that is still in use keeps the folder locked.
    let log = storage.log.clone();
    drop(storage);
    assert!(matches!(folder.try_open(), Err(Error::Locked { .. })));
    drop(log);
    folder.open();
}

#[test]
fn everything_is_readable_by_its_owner_only() {
    let folder = Folder::new();
    let path = folder.join("new/data");
    let storage = synod_storage::open(&path, &options()).unwrap().storage;
    append(&*storage.log, records(1..2)).unwrap();
    storage.blobs.put(b"secret").unwrap();
    storage.snapshots.save(1, Bytes::new(), &mut std::iter::empty()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    for file in files(&path) {
        // sled and the lock of the log engine create their own; the folder keeps others out of those.
        let foreign = file.to_string_lossy().contains("state-") || file.ends_with("LOCK");
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert!(foreign || mode == 0o600, "{} has mode {mode:o}", file.display());
    }
}

#[test]
fn nested_data_folder_is_made_for_its_owner_only() {
    let folder = Folder::new();
    synod_storage::open(&folder.join("a/b/c"), &options()).unwrap();
    for made in ["a", "a/b", "a/b/c"] {
        assert_eq!(mode(&folder.join(made)), 0o700, "{made}");
    }
}

#[test]
fn folder_of_somebody_else_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    fs::write(folder.join("theirs"), "precious").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let refused = folder.try_open().unwrap_err();
    assert!(matches!(&refused, Error::Foreign { folder: named, .. } if named == folder.path()));
    let text = refused.to_string();
    for part in [folder.path().to_str().unwrap(), "theirs", "choose an empty or new folder with --data"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(mode(folder.path()), 0o1777);
    assert_eq!(entries(folder.path()), [folder.join("theirs")]);
}

#[test]
fn folder_that_is_empty_or_has_only_what_is_ours_is_taken() {
    let empty = Folder::new();
    fs::set_permissions(empty.path(), fs::Permissions::from_mode(0o755)).unwrap();
    empty.open();
    assert_eq!(mode(empty.path()), 0o700);
    for ours in [".doctor", "logs", "state.damaged-3", "lost+found"] {
        let folder = Folder::new();
        fs::write(folder.join(ours), "").unwrap();
        folder.open();
    }
}

#[test]
fn strangers_files_are_tolerated_beside_our_lock_and_not_beside_a_name_like_ours() {
    let folder = Folder::new();
    folder.open();
    fs::write(folder.join("theirs"), "").unwrap();
    folder.open();
    let like_ours = Folder::new();
    fs::create_dir(like_ours.join("log")).unwrap();
    fs::create_dir(like_ours.join("lock")).unwrap();
    fs::write(like_ours.join("theirs"), "").unwrap();
    assert!(matches!(like_ours.try_open().unwrap_err(), Error::Foreign { .. }));
}

#[test]
fn refusal_of_the_system_names_its_cause() {
    let folder = Folder::new();
    fs::write(folder.join("file"), "").unwrap();
    let refused = synod_storage::open(&folder.join("file/data"), &options()).unwrap_err();
    let text = refused.to_string();
    assert!(text.ends_with("file/data: Not a directory (os error 20)"), "{text}");
    assert!(std::error::Error::source(&refused).is_none(), "the cause would be printed twice");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn crash_between_keeping_and_installing_a_snapshot_is_made_good() {
    let folder = Folder::new();
    let storage = folder.open();
    append(&*storage.log, records(1..6)).unwrap();
    storage.state.commit(batch(5, &[("old", "1")], &[])).unwrap();
    let mut rows = [Ok((b"new".to_vec(), b"2".to_vec()))].into_iter();
    storage.snapshots.save(50, Bytes::new(), &mut rows).unwrap();
    // First crash: kept only. The parts still belong together, and the cluster installs it again.
    let kept = folder.copy();
    assert_eq!(kept.open().state.applied(), 5);
    // Second crash: installed, and the log not yet purged.
    let mut snapshot = storage.snapshots.latest().unwrap().unwrap();
    storage.state.replace(50, &mut snapshot).unwrap();
    assert_eq!(folder.copy().open().state.applied(), 50);
    // Third crash: purged and continued, and the state is the one of before.
    storage.log.purge_through(50).unwrap();
    append(&*storage.log, records(51..53)).unwrap();
    drop(storage);
    fs::remove_dir_all(folder.state()).unwrap();
    fs::rename(kept.state(), folder.join("state-1")).unwrap();
    fs::copy(kept.join("applied.marker"), folder.join("applied.marker")).unwrap();
    let opened = folder.try_open().unwrap();
    assert_eq!(opened.repaired.unwrap().restored_through, 50);
    assert_eq!(opened.storage.state.applied(), 50);
    assert_eq!(pairs(&*opened.storage.state), [("new".to_owned(), "2".to_owned())]);
}

#[test]
fn files_of_purged_records_are_given_back() {
    let folder = Folder::new();
    let storage = folder.open();
    let size =
        || files(&folder.join("log")).iter().map(|file| fs::metadata(file).unwrap().len()).sum::<u64>();
    let mut largest = 0;
    for round in 0..20_u64 {
        for index in round * 20..(round + 1) * 20 {
            let bytes = Bytes::from(vec![b'x'; 10_000]);
            append(&*storage.log, vec![synod_storage::Record { index, bytes }]).unwrap();
        }
        largest = largest.max(size());
        storage.snapshots.save(round * 20 + 10, Bytes::new(), &mut std::iter::empty()).unwrap();
        storage.log.purge_through(round * 20 + 10).unwrap();
    }
    assert!(size() < 700_000, "{} bytes are left of 4 million", size());
    assert!(largest < 1_000_000, "{largest}");
}

#[test]
fn large_state_opens_fast() {
    let folder = Folder::on_disk();
    let storage = folder.open();
    append(&*storage.log, records(1..102)).unwrap();
    for round in 0..100_u64 {
        let key = |row: u64| [b"task/".as_slice(), &(round * 1000 + row).to_be_bytes()].concat();
        let puts = (0..1000).map(|row| (key(row), vec![b'v'; 200])).collect();
        storage.state.commit(Batch { applied: round + 1, puts, deletes: Vec::new() }).unwrap();
    }
    storage.state.commit(batch(101, &[("live/1", "x")], &[])).unwrap();
    drop(storage);
    for verify in [Verify::Prefixes(vec![b"live/".to_vec()]), Verify::Everything] {
        let started = Instant::now();
        let options = Options { verify: verify.clone(), ..options() };
        let opened = synod_storage::open(folder.path(), &options).unwrap();
        let took = started.elapsed();
        assert_eq!(opened.repaired, None);
        assert_eq!(opened.storage.state.applied(), 101);
        eprintln!("opening 100 000 rows with {verify:?} took {took:?}");
        // Ten times what an optimised build takes: this one is not, and shares its machine.
        assert!(took.as_secs() < 10, "{took:?}");
    }
}
