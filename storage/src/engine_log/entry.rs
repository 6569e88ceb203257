//! A record as the engine stores it: `index u64 · CRC-32 · bytes` in a protobuf bytes value.
//!
//! The engine checks its blocks; this checks that the block was the right one.

use bytes::Bytes;
use protobuf::well_known_types::BytesValue;
use raft_engine::MessageExt;

use crate::{
    error::{Error, Place},
    log::Record,
};

/// The index and the checksum before the bytes of each record.
const RECORD_HEADER: usize = 8 + 4;

/// Tells the engine the index of an entry.
pub(super) struct Entry;

impl MessageExt for Entry {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        // Too short happens for damaged records only; no record has this index.
        entry.value.first_chunk().map_or(u64::MAX, |index| u64::from_le_bytes(*index))
    }
}

/// Wraps a record.
pub(super) fn entry(record: &Record) -> BytesValue {
    let mut value = Vec::with_capacity(RECORD_HEADER + record.bytes.len());
    value.extend_from_slice(&record.index.to_le_bytes());
    value.extend_from_slice(&checksum(record.index, &record.bytes).to_le_bytes());
    value.extend_from_slice(&record.bytes);
    BytesValue { value, ..BytesValue::default() }
}

/// Unwraps a record, if it is the one that was asked for.
pub(super) fn record(index: u64, entry: BytesValue) -> Result<Record, Error> {
    let value = Bytes::from(entry.value);
    let damaged = |reason: &str| Error::damaged(Place::Record(index), reason);
    if value.len() < RECORD_HEADER {
        return Err(damaged("it is shorter than its header"));
    }
    let bytes = value.slice(RECORD_HEADER..);
    if value[..8] != index.to_le_bytes() {
        return Err(damaged("it holds another record"));
    }
    if value[8..RECORD_HEADER] != checksum(index, &bytes).to_le_bytes() {
        return Err(damaged("its checksum does not match"));
    }
    Ok(Record { index, bytes })
}

fn checksum(index: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&index.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}
