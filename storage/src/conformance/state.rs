//! The suite of [`StateStore`].

use super::Disks;
use crate::{Batch, Error, ROW_MAX, Row, StateStore, rows};

/// Runs the suite.
pub fn state(disks: Disks<'_>) {
    committed_rows_survive(disks);
    batch_replaces_and_deletes(disks);
    scans_are_ordered_and_bounded(disks);
    applied_index_never_goes_back(disks);
    oversized_row_is_refused_whole(disks);
    replacement_swaps_everything(disks);
    failed_replacement_changes_nothing(disks);
    walk_visits_every_row_once(disks);
    large_rows_survive(disks);
}

/// Returns a batch of textual rows.
#[must_use]
pub fn batch(applied: u64, puts: &[(&str, &str)], deletes: &[&str]) -> Batch {
    Batch {
        applied,
        puts: puts.iter().map(|(key, value)| row(key, value)).collect(),
        deletes: deletes.iter().map(|key| key.as_bytes().to_vec()).collect(),
    }
}

/// Returns all rows as text.
#[must_use]
pub fn pairs(state: &dyn StateStore) -> Vec<(String, String)> {
    let rows = state.scan(&[], None, usize::MAX).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    rows.iter().map(|(key, value)| (text(key), text(value))).collect()
}

fn row(key: &str, value: &str) -> Row {
    (key.as_bytes().to_vec(), value.as_bytes().to_vec())
}

fn assert_rows(state: &dyn StateStore, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    assert_eq!(pairs(state), expected);
}

fn committed_rows_survive(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    assert_eq!(storage.state.applied(), 0);
    assert_eq!(storage.state.get(b"a").unwrap(), None);
    // The log reaches at least as far as the state, or the next opening refuses both.
    super::append(&*storage.log, super::records(1..10)).unwrap();
    storage.state.commit(batch(3, &[("a", "1"), ("", "empty key"), ("b", "")], &[])).unwrap();
    storage.state.commit(batch(7, &[], &[])).unwrap();
    drop(storage);
    let storage = open();
    assert_eq!(storage.state.applied(), 7);
    assert_eq!(storage.state.get(b"a").unwrap().unwrap(), "1");
    assert_rows(&*storage.state, &[("", "empty key"), ("a", "1"), ("b", "")]);
}

fn batch_replaces_and_deletes(disks: Disks<'_>) {
    let storage = disks()();
    storage.state.commit(batch(1, &[("a", "1"), ("b", "1"), ("c", "1")], &[])).unwrap();
    storage.state.commit(batch(2, &[("a", "2"), ("c", "2")], &["b", "c", "missing"])).unwrap();
    assert_rows(&*storage.state, &[("a", "2"), ("c", "2")]);
}

fn scans_are_ordered_and_bounded(disks: Disks<'_>) {
    let storage = disks()();
    let puts = [("b/1", "1"), ("a", "0"), ("b/3", "3"), ("b/2", "2"), ("\u{10ffff}", "last")];
    storage.state.commit(batch(1, &puts, &[])).unwrap();
    let keys = |back: bool, from: &str, to: Option<&str>, limit| {
        let (from, to) = (from.as_bytes(), to.map(str::as_bytes));
        let state = &storage.state;
        let rows = if back { state.scan_back(from, to, limit) } else { state.scan(from, to, limit) };
        let rows = rows.unwrap();
        rows.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(false, "", None, 9), ["a", "b/1", "b/2", "b/3", "\u{10ffff}"]);
    assert_eq!(keys(true, "", None, 2), ["\u{10ffff}", "b/3"]);
    assert_eq!(keys(false, "b/", Some("b0"), 9), ["b/1", "b/2", "b/3"]);
    assert_eq!(keys(false, "b/2", Some("b/3"), 9), ["b/2"]);
    assert_eq!(keys(true, "b/", Some("b/3"), 9), ["b/2", "b/1"]);
    assert_eq!(keys(false, "b/", Some("b0"), 2), ["b/1", "b/2"]);
    assert!(keys(false, "b", Some("b"), 9).is_empty());
    assert!(keys(false, "c", Some("b"), 9).is_empty());
    assert!(keys(true, "c", Some("b"), 9).is_empty());
    assert!(keys(false, "", None, 0).is_empty());
}

fn applied_index_never_goes_back(disks: Disks<'_>) {
    let storage = disks()();
    storage.state.commit(batch(5, &[("a", "1")], &[])).unwrap();
    assert!(matches!(storage.state.commit(batch(4, &[("a", "2")], &[])), Err(Error::Gap { .. })));
    assert_rows(&*storage.state, &[("a", "1")]);
    storage.state.commit(batch(5, &[("a", "3")], &[])).unwrap();
    assert_eq!(storage.state.applied(), 5);
}

fn oversized_row_is_refused_whole(disks: Disks<'_>) {
    let storage = disks()();
    let large = vec![0; ROW_MAX + 1];
    let puts = vec![row("small", "1"), (b"large".to_vec(), large)];
    let refused = storage.state.commit(Batch { applied: 1, puts, deletes: Vec::new() });
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
    assert_rows(&*storage.state, &[]);
    assert_eq!(storage.state.applied(), 0);
}

fn replacement_swaps_everything(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    super::append(&*storage.log, super::records(1..10)).unwrap();
    storage.state.commit(batch(3, &[("old", "1"), ("both", "1")], &[])).unwrap();
    let new = [row("both", "2"), row("new", "2")];
    storage.state.replace(9, &mut new.into_iter().map(Ok)).unwrap();
    assert_eq!(storage.state.applied(), 9);
    assert_rows(&*storage.state, &[("both", "2"), ("new", "2")]);
    storage.state.commit(batch(9, &[("more", "3")], &[])).unwrap();
    drop(storage);
    let storage = open();
    assert_eq!(storage.state.applied(), 9);
    assert_rows(&*storage.state, &[("both", "2"), ("more", "3"), ("new", "2")]);
}

fn failed_replacement_changes_nothing(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    super::append(&*storage.log, super::records(1..10)).unwrap();
    storage.state.commit(batch(3, &[("old", "1")], &[])).unwrap();
    let broken = [Ok(row("new", "2")), Err(Error::Closed)];
    assert!(matches!(storage.state.replace(9, &mut broken.into_iter()), Err(Error::Closed)));
    assert_eq!(storage.state.applied(), 3);
    assert_rows(&*storage.state, &[("old", "1")]);
    storage.state.commit(batch(4, &[("next", "1")], &[])).unwrap();
    drop(storage);
    assert_rows(&*open().state, &[("next", "1"), ("old", "1")]);
}

fn walk_visits_every_row_once(disks: Disks<'_>) {
    let storage = disks()();
    for count in [0_u32, 1, 255, 256, 257, 1000] {
        let new = (0..count).map(|number| Ok((number.to_be_bytes().to_vec(), vec![1])));
        storage.state.replace(u64::from(count), &mut new.into_iter()).unwrap();
        let keys: Vec<Vec<u8>> = rows(&*storage.state).map(|row| row.unwrap().0).collect();
        assert_eq!(keys, (0..count).map(|number| number.to_be_bytes().to_vec()).collect::<Vec<_>>());
    }
}

fn large_rows_survive(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    super::append(&*storage.log, super::records(1..10)).unwrap();
    let large = |number: u8| vec![number; 200_000];
    for number in 1..6 {
        let puts = vec![(vec![number], large(number))];
        storage.state.commit(Batch { applied: u64::from(number), puts, deletes: Vec::new() }).unwrap();
    }
    drop(storage);
    let storage = open();
    for number in 1..6 {
        assert_eq!(storage.state.get(&[number]).unwrap().unwrap(), large(number));
    }
}
