//! A damaged state is noticed, moved aside, and rebuilt from the snapshot and the log.

use std::{fs, path::Path};

use bytes::Bytes;
use synod_storage::{
    Error, Opened, Row,
    conformance::{append, batch, pairs, records},
    rows,
};

use crate::support::{Folder, files, flip};

/// Something that happens to a file.
type Damage = Box<dyn Fn(&Path)>;

/// Log 1..=20, a snapshot at 10, a state at 20 that was committed after each record.
fn filled() -> Folder {
    let folder = Folder::new();
    let storage = folder.open();
    append(&*storage.log, records(1..21)).unwrap();
    for applied in 1..21 {
        let key = format!("key {applied:02}");
        storage.state.commit(batch(applied, &[(&key, "value")], &[])).unwrap();
        if applied == 10 {
            storage.snapshots.save(10, Bytes::new(), &mut rows(&*storage.state)).unwrap();
        }
    }
    folder
}

fn expected(through: u64) -> Vec<(String, String)> {
    (1..=through).map(|applied| (format!("key {applied:02}"), "value".to_owned())).collect()
}

/// Checks that a folder opens with the whole state, or with the state of the snapshot and a report.
fn examine(folder: &Folder, what: &str) -> bool {
    let Opened { storage, repaired } = folder.try_open().unwrap();
    let through = if let Some(repair) = &repaired {
        assert_eq!(repair.restored_through, 10, "{what}");
        assert!(!repair.reason.is_empty(), "{what}");
        10
    } else {
        20
    };
    assert_eq!(storage.state.applied(), through, "{what}");
    assert_eq!(pairs(&*storage.state), expected(through), "{what}");
    // The log has everything that the rebuilt state lacks, and the state takes it.
    assert!(storage.log.bounds().first.unwrap() <= through + 1);
    storage.state.commit(batch(20, &[("key 20", "value")], &[])).unwrap();
    drop(storage);
    assert_eq!(folder.open().state.applied(), 20, "{what}");
    repaired.is_some()
}

/// Makes a record of it that another format would have written: another version under a checksum that holds.
fn rewrite_as_version(record: &mut [u8], version: u8) {
    record[0] = version;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version]);
    hasher.update(&record[5..]);
    record[1..5].copy_from_slice(&hasher.finalize().to_le_bytes());
}

#[test]
fn state_of_another_format_is_refused_and_neither_put_aside_nor_rebuilt() {
    let folder = filled();
    let (state, marker) = (folder.state(), folder.join("applied.marker"));
    for version in [synod_storage::VERSION - 1, synod_storage::VERSION + 1] {
        let mut record = fs::read(&marker).unwrap();
        rewrite_as_version(&mut record, version);
        fs::write(&marker, &record).unwrap();
        let error = folder.try_open().unwrap_err();
        assert!(matches!(error, Error::UnknownVersion { found, .. } if found == version), "{error}");
        assert_eq!((folder.state(), fs::read(&marker).unwrap()), (state.clone(), record));
    }
}

#[test]
fn whole_state_is_not_repaired() {
    assert!(!examine(&filled(), "nothing was damaged"));
}

#[test]
fn each_file_of_the_state_may_be_deleted_cut_or_overwritten() {
    let folder = filled();
    let names: Vec<_> = files(&folder.state()).iter().map(|file| relative(&folder, file)).collect();
    assert!(names.len() >= 2, "{names:?}");
    let mut repairs = 0;
    for name in &names {
        let length = usize::try_from(fs::metadata(folder.join(name)).unwrap().len()).unwrap();
        let damages: [(&str, Damage); 6] = [
            ("deleted", Box::new(|file| fs::remove_file(file).unwrap())),
            ("emptied", Box::new(|file| fs::write(file, b"").unwrap())),
            ("cut", Box::new(move |file| cut(file, length / 2))),
            ("cut by a byte", Box::new(move |file| cut(file, length - 1))),
            ("zeroed", Box::new(move |file| fs::write(file, vec![0; length]).unwrap())),
            ("garbage", Box::new(move |file| fs::write(file, vec![0xa5; length]).unwrap())),
        ];
        for (damage, apply) in damages {
            let copy = folder.copy();
            apply(&copy.join(name));
            repairs += u32::from(examine(&copy, &format!("{name} {damage}")));
        }
    }
    assert!(repairs >= 5, "only {repairs} damages were noticed");
}

#[test]
fn flipped_bytes_of_the_state_never_give_wrong_rows() {
    let folder = filled();
    let db = relative(&folder, &folder.state().join("db"));
    let bytes = fs::read(folder.join(&db)).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let mut repairs = 0;
    for position in used.iter().step_by(used.len() / 150 + 1) {
        let copy = folder.copy();
        flip(&copy.join(&db), *position, 0x41);
        repairs += u32::from(examine(&copy, &format!("byte {position}")));
    }
    assert!(repairs > 0, "no flip was noticed");
}

#[test]
fn missing_folder_of_the_state_is_noticed() {
    let folder = filled();
    fs::remove_dir_all(folder.state()).unwrap();
    assert!(examine(&folder, "folder removed"));
}

#[test]
fn state_behind_its_marker_is_noticed() {
    // What a power cut does to an unsynced sled: it opens without an error, as it was some time ago.
    let folder = Folder::new();
    let storage = folder.open();
    append(&*storage.log, records(1..21)).unwrap();
    storage.state.commit(batch(10, &[("key 10", "value")], &[])).unwrap();
    let older = folder.copy();
    storage.state.commit(batch(20, &[("key 20", "value")], &[])).unwrap();
    drop(storage);
    fs::copy(folder.join("applied.marker"), older.join("applied.marker")).unwrap();
    let opened = older.try_open().unwrap();
    let repair = opened.repaired.expect("the lost rows were not noticed");
    assert!(repair.reason.contains("10") && repair.reason.contains("20"), "{}", repair.reason);
    assert_eq!((repair.restored_through, opened.storage.state.applied()), (0, 0));
    assert!(repair.moved_to.unwrap().join("db").is_file(), "the damaged files are kept");
}

#[test]
fn lost_or_damaged_marker_is_noticed() {
    for length in [None, Some(0), Some(3), Some(100)] {
        let folder = filled();
        let marker = folder.join("applied.marker");
        match length {
            None => fs::remove_file(&marker).unwrap(),
            Some(length) => fs::write(&marker, vec![7; length]).unwrap(),
        }
        assert!(examine(&folder, &format!("marker {length:?}")));
    }
    let length = fs::read(filled().join("applied.marker")).unwrap().len();
    for position in 0..length {
        let folder = filled();
        flip(&folder.join("applied.marker"), position, 1);
        assert!(examine(&folder, &format!("marker byte {position}")));
    }
}

#[test]
fn damaged_state_with_a_purged_log_and_no_snapshot_is_refused() {
    let folder = filled();
    let storage = folder.open();
    storage.log.purge_through(10).unwrap();
    drop(storage);
    fs::remove_dir_all(folder.join("snapshots")).unwrap();
    fs::write(folder.state().join("db"), b"garbage").unwrap();
    let refused = folder.try_open().unwrap_err();
    assert!(matches!(refused, Error::LogHole { applied: 0, first: 11 }), "{refused}");
}

#[test]
fn damaged_states_do_not_pile_up() {
    let folder = filled();
    for _ in 0..5 {
        fs::write(folder.state().join("db"), b"garbage").unwrap();
        assert!(folder.try_open().unwrap().repaired.is_some());
    }
    let kept = crate::support::entries(folder.path());
    let kept = kept.iter().filter(|path| path.to_string_lossy().contains("damaged")).count();
    assert_eq!(kept, 2);
}

#[test]
fn crash_in_the_middle_of_a_replacement_leaves_the_old_state() {
    let folder = filled();
    let storage = folder.open();
    let mut copies = Vec::new();
    let mut count = 0_u32;
    let mut new = std::iter::from_fn(|| {
        if count.is_multiple_of(400) {
            copies.push(folder.copy());
        }
        count += 1;
        (count < 2000).then(|| Ok::<Row, Error>((count.to_be_bytes().to_vec(), vec![1; 2000])))
    });
    storage.state.replace(20, &mut new).unwrap();
    assert_eq!(copies.len(), 5);
    for copy in copies {
        assert!(!examine(&copy, "in the middle of a replacement"));
    }
    // A crash after the marker, before the old state is removed.
    let old = filled();
    let leftover = old.state();
    let copy = folder.copy();
    let back = copy.join(leftover.file_name().unwrap().to_str().unwrap());
    fs::rename(&leftover, &back).unwrap();
    let opened = copy.open();
    assert_eq!(pairs(&*opened.state).len(), 1999);
    assert!(!back.exists(), "the replaced state takes space for ever");
}

fn relative(folder: &Folder, file: &Path) -> String {
    file.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned()
}

fn cut(file: &Path, length: usize) {
    let file = fs::File::options().write(true).open(file).unwrap();
    file.set_len(length as u64).unwrap();
}
