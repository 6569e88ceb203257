//! A log whose files were cut or changed is found out.

use std::{collections::BTreeMap, fs, path::PathBuf};

use synod_storage::{
    Error, Place, Storage,
    conformance::{append, indexes, note, records},
};

use crate::support::{Folder, files, flip};

/// A closed folder with `records`, and the length of the log file.
fn filled(folder: &Folder, range: std::ops::Range<u64>) -> u64 {
    let storage = folder.open();
    for index in range {
        append(&*storage.log, records(index..index + 1)).unwrap();
    }
    drop(storage);
    fs::metadata(folder.log_file()).unwrap().len()
}

#[test]
fn log_cut_at_each_byte_of_its_last_record_opens_with_all_before_it() {
    let folder = Folder::new();
    let before = filled(&folder, 1..6);
    // The crash came before the sync of the last record, so its floor is the one before.
    let floor = fs::read(folder.join("log.floor")).unwrap();
    let after = filled(&folder, 6..7);
    let whole = fs::read(folder.log_file()).unwrap();
    assert!(after > before + 40, "{before} {after}");
    for cut in before..after {
        // The engine allocates ahead, so a torn write leaves zeros or nothing behind it.
        for zeros in [0, 4096] {
            let copy = folder.copy();
            let mut torn = whole[..usize::try_from(cut).unwrap()].to_vec();
            torn.resize(torn.len() + zeros, 0);
            fs::write(copy.log_file(), torn).unwrap();
            fs::write(copy.join("log.floor"), &floor).unwrap();
            let storage = copy.open();
            assert_eq!(indexes(&*storage.log), [1, 2, 3, 4, 5], "cut at {cut}");
            if cut % 16 == 0 {
                append(&*storage.log, records(6..8)).unwrap();
                drop(storage);
                assert_eq!(indexes(&*copy.open().log), [1, 2, 3, 4, 5, 6, 7], "cut at {cut}");
            }
        }
    }
}

#[test]
fn log_that_lost_an_acknowledged_record_is_refused_and_left_alone() {
    let folder = Folder::new();
    let before = filled(&folder, 1..6);
    let after = filled(&folder, 6..7);
    for cut in (before..after).step_by(7) {
        let copy = folder.copy();
        fs::File::options().write(true).open(copy.log_file()).unwrap().set_len(cut).unwrap();
        let untouched = contents(&copy);
        let refused = copy.try_open().unwrap_err();
        assert!(matches!(refused, Error::LogShort { floor: 6, last: Some(5) }), "{refused}");
        assert_eq!(contents(&copy), untouched, "the evidence was changed");
    }
}

#[test]
fn log_that_vanished_is_refused() {
    let folder = Folder::new();
    filled(&folder, 1..6);
    fs::remove_dir_all(folder.join("log")).unwrap();
    assert!(matches!(folder.try_open(), Err(Error::LogShort { floor: 5, last: None })));
    fs::create_dir(folder.join("log")).unwrap();
    assert!(matches!(folder.try_open(), Err(Error::LogShort { floor: 5, last: None })));
}

#[test]
fn log_behind_the_state_is_refused_even_without_its_floor() {
    let folder = Folder::new();
    let storage = folder.open();
    append(&*storage.log, records(1..6)).unwrap();
    storage.state.commit(synod_storage::conformance::batch(5, &[], &[])).unwrap();
    drop(storage);
    fs::remove_dir_all(folder.join("log")).unwrap();
    fs::remove_file(folder.join("log.floor")).unwrap();
    assert!(matches!(folder.try_open(), Err(Error::LogShort { floor: 5, last: None })));
}

#[test]
fn no_flipped_byte_gives_wrong_data() {
    let folder = Folder::new();
    let storage = folder.open();
    // Several records in one write, so that damage hits the middle of a block, too.
    append(&*storage.log, records(1..4)).unwrap();
    append(&*storage.log, records(4..8)).unwrap();
    note(&*storage.log, "vote", "seven").unwrap();
    append(&*storage.log, records(8..10)).unwrap();
    drop(storage);
    let length = fs::metadata(folder.log_file()).unwrap().len();
    let mut seen = BTreeMap::<&str, u32>::new();
    for position in 0..usize::try_from(length).unwrap() {
        let copy = folder.copy();
        flip(&copy.log_file(), position, 1 << (position % 8));
        let outcome = match copy.try_open() {
            Err(Error::LogShort { .. } | Error::Damaged { .. }) => "refused at the start",
            Err(error) => panic!("byte {position}: {error}"),
            Ok(opened) => examine(&opened.storage, position),
        };
        *seen.entry(outcome).or_default() += 1;
    }
    // A check that cannot fail is a defect: both ways of finding out must have been used.
    assert!(seen["refused at the start"] > 20 && seen["damaged when read"] > 20, "{seen:?}");
}

fn examine(storage: &Storage, position: usize) -> &'static str {
    assert_eq!(storage.log.note("vote").unwrap().unwrap(), "seven", "byte {position}");
    assert_eq!(storage.log.bounds().last, Some(9), "byte {position}");
    let mut damaged = false;
    for index in 1..10 {
        match storage.log.read(index, index + 1, 1) {
            Ok(read) => assert_eq!(read, records(index..index + 1), "byte {position}"),
            Err(Error::Damaged { place, .. }) => {
                assert_eq!(place, Place::Record(index), "byte {position}");
                damaged = true;
            }
            Err(error) => panic!("byte {position}: {error}"),
        }
    }
    if damaged { "damaged when read" } else { "without effect" }
}

#[test]
fn older_copy_of_the_log_under_a_newer_floor_is_refused() {
    let folder = Folder::new();
    filled(&folder, 1..6);
    let older = folder.copy();
    filled(&folder, 6..9);
    fs::copy(folder.join("log.floor"), older.join("log.floor")).unwrap();
    assert!(matches!(older.try_open(), Err(Error::LogShort { floor: 8, last: Some(5) })));
}

fn contents(folder: &Folder) -> BTreeMap<PathBuf, Vec<u8>> {
    let log = files(&folder.join("log"));
    let content = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    log.into_iter().chain([folder.join("log.floor")]).map(content).collect()
}
