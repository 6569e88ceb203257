//! The suite of [`crate::Snapshots`].

use bytes::Bytes;

use super::Disks;
use crate::{Error, Row, Storage};

/// Runs the suite.
pub fn snapshots(disks: Disks<'_>) {
    saved_snapshot_survives(disks);
    newer_snapshot_takes_the_place_of_the_older(disks);
    failed_save_keeps_the_older(disks);
    raw_snapshot_travels_in_chunks(disks);
    damaged_raw_snapshot_is_refused(disks);
    open_reader_is_not_disturbed(disks);
    spooled_snapshot_is_received_and_a_spool_leaves_nothing(disks);
}

fn many(count: u32) -> Vec<Row> {
    (0..count).map(|number| (number.to_be_bytes().to_vec(), vec![7; (number % 300) as usize])).collect()
}

fn save(storage: &Storage, applied: u64, rows: Vec<Row>) {
    let info = storage.snapshots.save(applied, meta(applied), &mut rows.clone().into_iter().map(Ok)).unwrap();
    assert_eq!((info.applied, info.rows), (applied, rows.len() as u64));
}

fn meta(applied: u64) -> Bytes {
    Bytes::from(format!("meta of {applied}"))
}

fn assert_latest(storage: &Storage, applied: u64, rows: &[Row]) {
    let reader = storage.snapshots.latest().unwrap().unwrap();
    let info = reader.info.clone();
    assert_eq!((info.applied, info.rows), (applied, rows.len() as u64));
    assert_eq!(info.meta, meta(applied));
    assert_eq!(reader.collect::<Result<Vec<_>, _>>().unwrap(), rows);
}

fn raw(storage: &Storage) -> Vec<u8> {
    let raw = storage.snapshots.latest_raw().unwrap().unwrap();
    let mut bytes = Vec::new();
    loop {
        let chunk = raw.read_at(bytes.len() as u64, 1000).unwrap();
        if chunk.is_empty() {
            assert_eq!(raw.info().bytes, bytes.len() as u64);
            return bytes;
        }
        bytes.extend_from_slice(&chunk);
    }
}

fn spooled_snapshot_is_received_and_a_spool_leaves_nothing(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    save(&storage, 9, many(5000));
    let bytes = raw(&storage);
    let spool = storage.snapshots.spool().unwrap();
    for piece in bytes.chunks(777) {
        spool.append(piece).unwrap();
    }
    assert_eq!(spool.size(), bytes.len() as u64);
    assert_eq!(spool.read_at(1000, 10).unwrap(), bytes[1000..1010]);
    assert_eq!(spool.read_at(bytes.len() as u64, 10).unwrap(), "");
    let whole = spool.read_at(0, bytes.len() + 1).unwrap();
    save(&storage, 10, many(3));
    assert_eq!(storage.snapshots.receive(&mut &whole[..]).unwrap().applied, 9);
    // Half of another one is gone with the crash.
    storage.snapshots.spool().unwrap().append(&bytes[..100]).unwrap();
    drop((storage, spool));
    let storage = open();
    assert_latest(&storage, 9, &many(5000));
    assert_eq!(storage.snapshots.spool().unwrap().size(), 0);
}

fn saved_snapshot_survives(disks: Disks<'_>) {
    for count in [0, 1, 5000] {
        let mut open = disks();
        let storage = open();
        assert!(storage.snapshots.latest().unwrap().is_none());
        assert!(storage.snapshots.latest_raw().unwrap().is_none());
        save(&storage, 9, many(count));
        assert_latest(&storage, 9, &many(count));
        drop(storage);
        assert_latest(&open(), 9, &many(count));
    }
}

fn newer_snapshot_takes_the_place_of_the_older(disks: Disks<'_>) {
    let mut open = disks();
    let storage = open();
    save(&storage, 9, many(10));
    save(&storage, 10, many(20));
    save(&storage, 10, many(21));
    drop(storage);
    assert_latest(&open(), 10, &many(21));
}

fn failed_save_keeps_the_older(disks: Disks<'_>) {
    let storage = disks()();
    save(&storage, 9, many(10));
    let mut broken = [Ok(many(1).remove(0)), Err(Error::Closed)].into_iter();
    assert!(storage.snapshots.save(10, meta(10), &mut broken).is_err());
    assert_latest(&storage, 9, &many(10));
}

fn raw_snapshot_travels_in_chunks(disks: Disks<'_>) {
    let (from, to) = (disks()(), disks()());
    save(&from, 9, many(5000));
    save(&to, 3, many(1));
    let sent = raw(&from);
    let info = to.snapshots.receive(&mut sent.as_slice()).unwrap();
    assert_eq!(info, from.snapshots.latest().unwrap().unwrap().info);
    assert_latest(&to, 9, &many(5000));
}

fn damaged_raw_snapshot_is_refused(disks: Disks<'_>) {
    let storage = disks()();
    save(&storage, 9, many(3));
    let sent = raw(&storage);
    save(&storage, 10, many(4));
    for cut in 0..sent.len() {
        assert!(storage.snapshots.receive(&mut &sent[..cut]).is_err(), "cut at {cut}");
    }
    for byte in 0..sent.len() {
        let mut flipped = sent.clone();
        flipped[byte] ^= 0x10;
        assert!(storage.snapshots.receive(&mut flipped.as_slice()).is_err(), "flipped at {byte}");
    }
    let longer = [sent.as_slice(), b"x"].concat();
    assert!(storage.snapshots.receive(&mut longer.as_slice()).is_err());
    assert_latest(&storage, 10, &many(4));
}

fn open_reader_is_not_disturbed(disks: Disks<'_>) {
    let storage = disks()();
    save(&storage, 9, many(5000));
    let reader = storage.snapshots.latest().unwrap().unwrap();
    save(&storage, 10, many(1));
    assert_eq!(reader.collect::<Result<Vec<_>, _>>().unwrap(), many(5000));
}
