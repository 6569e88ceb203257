//! What entries of the log are, worked out once for all nodes that have them.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;
use synod::node::LogRecord;
use synod::node::storage::{Record, decode};

use crate::trace;

/// How many of the last entries are remembered: more than nodes are apart that follow each other closely.
const KEPT: usize = 1024;

/// The last entries that anybody looked at.
#[derive(Debug, Default)]
pub(crate) struct Entries(Mutex<BTreeMap<u64, Known>>);

#[derive(Debug)]
struct Known {
    bytes: Bytes,
    entry: Entry,
}

/// An entry of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its place.
    pub(crate) index: u64,
    /// The term of the leader who proposed it.
    pub(crate) term: u64,
    /// Of its bytes.
    pub(crate) hash: u64,
}

impl Entries {
    /// Says what a record is. Reading it costs more than applying it, and most nodes have the same one at a place.
    pub(crate) fn look(&self, record: &Record) -> Entry {
        let mut known = self.0.lock();
        if let Some(known) = known.get(&record.index).filter(|known| known.bytes == record.bytes) {
            return known.entry;
        }
        let term = decode::<LogRecord>(&record.bytes).map_or(0, |entry| entry.term);
        // The storage numbers records from 1, Raft from 0.
        let entry = Entry { index: record.index - 1, term, hash: trace::hash(&record.bytes) };
        known.insert(record.index, Known { bytes: record.bytes.clone(), entry });
        if known.len() > KEPT {
            known.pop_first();
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(index: u64, bytes: &'static str) -> Record {
        Record { index, bytes: bytes.into() }
    }

    #[test]
    fn an_entry_is_what_its_bytes_say_whatever_was_at_its_place_before() {
        let entries = Entries::default();
        let of = |bytes: &str| Entry { index: 6, term: 0, hash: trace::hash(bytes.as_bytes()) };
        assert_eq!(entries.look(&record(7, "one")), of("one"));
        assert_eq!(entries.look(&record(7, "two")), of("two"));
        for index in 8..8 + 2 * KEPT as u64 {
            entries.look(&record(index, "more"));
        }
        assert_eq!(entries.0.lock().len(), KEPT);
        assert_eq!(entries.look(&record(7, "one")), of("one"));
    }
}
