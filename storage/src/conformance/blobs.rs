//! The suite of [`crate::Blobs`].

use super::Disks;
use crate::{BLOB_MAX, BlobId, Error};

/// Runs the suite.
pub fn blobs(disks: Disks<'_>) {
    stored_blob_survives(disks);
    removed_blob_is_missing(disks);
    oversized_blob_is_refused(disks);
    name_reads_as_it_prints();
}

fn stored_blob_survives(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    let large = vec![9; 300_000];
    let id = storage.blobs.put(&large).unwrap();
    assert_eq!(id, BlobId::of(&large));
    assert_eq!(storage.blobs.put(&large).unwrap(), id);
    let empty = storage.blobs.put(b"").unwrap();
    drop(storage);
    let storage = open();
    assert_eq!(storage.blobs.get(&id).unwrap(), large);
    assert_eq!(storage.blobs.get(&empty).unwrap(), "");
    assert!(storage.blobs.contains(&id).unwrap());
    let mut both = vec![id, empty];
    both.sort_unstable();
    assert_eq!(storage.blobs.list().unwrap(), both);
}

fn removed_blob_is_missing(disks: Disks<'_>) {
    let storage = disks()();
    let id = storage.blobs.put(b"gone soon").unwrap();
    storage.blobs.remove(&id).unwrap();
    storage.blobs.remove(&id).unwrap();
    assert!(matches!(storage.blobs.get(&id), Err(Error::Missing { .. })));
    assert!(!storage.blobs.contains(&id).unwrap());
    assert!(storage.blobs.list().unwrap().is_empty());
}

fn oversized_blob_is_refused(disks: Disks<'_>) {
    let storage = disks()();
    let refused = storage.blobs.put(&vec![0; BLOB_MAX + 1]);
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
    assert!(storage.blobs.list().unwrap().is_empty());
}

fn name_reads_as_it_prints() {
    let id = BlobId::of(b"synod");
    let text = id.to_string();
    assert_eq!(text.len(), 64);
    assert_eq!(text.parse::<BlobId>().unwrap(), id);
    for wrong in ["", "abc", &text[1..], &text.to_uppercase(), &text.replace(&text[..1], "g")] {
        assert!(wrong.parse::<BlobId>().is_err(), "{wrong}");
    }
}
