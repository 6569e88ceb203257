//! Damaged snapshots and blobs are refused.

use std::fs;

use bytes::Bytes;
use synod_storage::{Error, Place, Storage};

use crate::support::{Folder, entries, flip};

fn save(storage: &Storage, applied: u64) {
    let mut rows = (0..3_u8).map(|number| Ok((vec![number], vec![9; 40])));
    storage.snapshots.save(applied, Bytes::from_static(b"meta"), &mut rows).unwrap();
}

fn latest(storage: &Storage) -> Option<u64> {
    let snapshot = storage.snapshots.latest().unwrap()?;
    let applied = snapshot.info.applied;
    assert_eq!(snapshot.map(Result::unwrap).count(), 3);
    Some(applied)
}

#[test]
fn damaged_snapshot_gives_way_to_the_one_before() {
    let folder = Folder::new();
    let storage = folder.open();
    let path = |applied: u64| folder.join(&format!("snapshots/snapshot-{applied:020}.rows"));
    save(&storage, 9);
    let older = fs::read(path(9)).unwrap();
    save(&storage, 10);
    assert!(!path(9).exists());
    let newer = fs::read(path(10)).unwrap();
    // A crash before the older one was removed.
    fs::write(path(9), &older).unwrap();
    assert_eq!(latest(&storage), Some(10));
    for length in 0..newer.len() {
        fs::write(path(10), &newer[..length]).unwrap();
        assert_eq!(latest(&storage), Some(9), "cut to {length}");
    }
    for position in 0..newer.len() {
        fs::write(path(10), &newer).unwrap();
        flip(&path(10), position, 0x20);
        assert_eq!(latest(&storage), Some(9), "byte {position}");
    }
    fs::write(path(9), b"garbage").unwrap();
    assert_eq!(latest(&storage), None);
    // The name is part of what is checked.
    fs::write(path(10), &older).unwrap();
    assert_eq!(latest(&storage), None);
}

#[test]
fn half_written_snapshots_are_removed_at_the_start() {
    let folder = Folder::new();
    drop(folder.open());
    let rubbish = folder.join("snapshots/snapshot-00000000000000000009.rows.tmp");
    fs::write(&rubbish, b"half").unwrap();
    assert_eq!(latest(&folder.open()), None);
    assert!(!rubbish.exists());
}

#[test]
fn damaged_blob_is_an_error_and_putting_it_again_heals_it() {
    let folder = Folder::new();
    let storage = folder.open();
    let content = b"a result that somebody waits for";
    let id = storage.blobs.put(content).unwrap();
    let name = id.to_string();
    let path = folder.join(&format!("blobs/{}/{}", &name[..2], &name[2..]));
    for position in 0..content.len() {
        flip(&path, position, 2);
        let refused = storage.blobs.get(&id).unwrap_err();
        assert!(matches!(refused, Error::Damaged { place: Place::Blob(named), .. } if named == id));
        assert_eq!(storage.blobs.put(content).unwrap(), id);
        assert_eq!(storage.blobs.get(&id).unwrap(), content.as_slice());
    }
    fs::write(&path, b"").unwrap();
    assert!(storage.blobs.get(&id).is_err());
    storage.blobs.put(content).unwrap();
    assert_eq!(storage.blobs.get(&id).unwrap(), content.as_slice());
    fs::write(path.with_extension("tmp"), b"half").unwrap();
    assert_eq!(storage.blobs.list().unwrap(), [id]);
    assert_eq!(entries(path.parent().unwrap()), [path]);
}
