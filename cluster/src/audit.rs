//! The audit log on disk: read in pages, and checked from one agreed end to the other.
//!
//! The checkpointer writes the records as it writes history; until then they are in the state. Promises that a record
//! is found from the moment its change was answered, and that a check says which record is the first that is not as it
//! must be, whatever became of the rows. Leaves the rule of the chain to [`synod_domain::audit`].

use std::sync::Arc;

use parking_lot::RwLock;
use synod_domain::audit::{AuditHead, AuditRecord, Broken, Flaw, Link, Verifier};
use synod_domain::row::{AUDIT_PREFIX, Row, RowKey};
use synod_domain::state::State;
use synod_storage::{Error, StateStore, decode};

/// The most records that are read at once.
pub const AUDIT_PAGE_MAX: usize = 1000;

/// What stands in one place of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The place.
    pub seq: u64,
    /// What stands there; none when it cannot be read.
    pub record: Option<Arc<AuditRecord>>,
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// The first record that was checked.
    pub from: u64,
    /// The last one that was to be.
    pub to: u64,
    /// The first that is not as it must be.
    pub broken: Option<Broken>,
}

/// Reads the audit log. Cheap to clone.
#[derive(Clone)]
pub struct AuditLog {
    state: Arc<RwLock<State>>,
    store: Arc<dyn StateStore>,
}

impl AuditLog {
    pub(crate) fn new(state: Arc<RwLock<State>>, store: Arc<dyn StateStore>) -> Self {
        Self { state, store }
    }

    /// Returns the agreed ends.
    pub fn head(&self) -> AuditHead {
        self.state.read().audit_head()
    }

    /// Returns what stands from one number through another, in order; at most [`AUDIT_PAGE_MAX`]. A place where nothing
    /// stands is left out.
    ///
    /// # Errors
    /// When the disk does not give them.
    pub fn page(&self, from: u64, to: u64, limit: usize) -> Result<Vec<Kept>, Error> {
        let limit = limit.min(AUDIT_PAGE_MAX);
        // The state first: a record leaves it only after it stands on disk.
        let (from, unstored) = {
            let state = self.state.read();
            let from = from.max(state.audit_head().anchor.seq + 1);
            let unstored = state.audit_unstored(from).take_while(|record| record.seq <= to).take(limit);
            (from, unstored.cloned().collect::<Vec<_>>())
        };
        let end = unstored.first().map_or(to.saturating_add(1), |first| first.seq);
        let mut found = if from < end { self.stored(from, end, limit)? } else { Vec::new() };
        found.extend(unstored.into_iter().map(|record| Kept { seq: record.seq, record: Some(record) }));
        found.truncate(limit);
        Ok(found)
    }

    /// Returns what stands before a number, the latest first; from the end without one.
    ///
    /// # Errors
    /// When the disk does not give them.
    pub fn latest(&self, before: Option<u64>, limit: usize) -> Result<Vec<Kept>, Error> {
        let head = self.head();
        let end = before.map_or(head.last.seq, |before| before.saturating_sub(1).min(head.last.seq));
        let limit = limit.clamp(1, AUDIT_PAGE_MAX);
        // Without gaps, numbers tell where a page begins; where there are some, the page is shorter.
        let from = end.saturating_sub(limit as u64 - 1).max(head.anchor.seq + 1);
        let mut found = if from <= end { self.page(from, end, limit)? } else { Vec::new() };
        found.reverse();
        Ok(found)
    }

    /// Checks up to a page of the chain: what was agreed of its ends, where the page holds one of them, and every link
    /// between.
    fn check_page(
        &self,
        verifier: &mut Verifier,
        to: u64,
        head: &AuditHead,
    ) -> Result<Option<Broken>, Error> {
        let from = verifier.next_seq();
        let page_end = to.min(from + AUDIT_PAGE_MAX as u64 - 1);
        for kept in self.page(from, page_end, AUDIT_PAGE_MAX)? {
            let seq = verifier.next_seq();
            let taken = match &kept.record {
                _ if kept.seq != seq => Err(Broken { seq, flaw: Flaw::Missing }),
                None => Err(Broken { seq, flaw: Flaw::Unreadable }),
                Some(record) => verifier.take(record),
            };
            if let Err(broken) = taken {
                return Ok(Some(broken));
            }
        }
        if verifier.next_seq() <= page_end {
            return Ok(Some(Broken { seq: verifier.next_seq(), flaw: Flaw::Missing }));
        }
        let ends_there = page_end == head.last.seq;
        Ok(if ends_there { verifier.end(head.last).err() } else { None })
    }

    /// Checks the records from one number through another, or all. What is dropped for its age meanwhile is left out.
    ///
    /// # Errors
    /// When the disk does not give them.
    pub async fn check(&self, from: Option<u64>, to: Option<u64>) -> Result<Checked, Error> {
        let head = self.head();
        let to = to.unwrap_or(head.last.seq).min(head.last.seq);
        let mut anchor = head.anchor;
        let mut from = from.unwrap_or(0).max(anchor.seq + 1);
        let mut verifier = match self.link_before(from, anchor)? {
            Ok(link) => Verifier::behind(link),
            Err(broken) => return Ok(Checked { from, to, broken: Some(broken) }),
        };
        while verifier.next_seq() <= to {
            let broken = self.check_page(&mut verifier, to, &head)?;
            let now = self.head().anchor;
            if now.seq >= verifier.next_seq() && now != anchor {
                // It was dropped while it was read.
                anchor = now;
                from = from.max(anchor.seq + 1);
                verifier = Verifier::behind(anchor);
                continue;
            }
            if broken.is_some() {
                return Ok(Checked { from, to, broken });
            }
            // A long check shares the thread with everybody else.
            tokio::task::yield_now().await;
        }
        Ok(Checked { from, to, broken: None })
    }

    /// Returns the link that a check beginning at `from` continues: the agreed one at the beginning, else what the record
    /// before it says of itself.
    fn link_before(&self, from: u64, anchor: Link) -> Result<Result<Link, Broken>, Error> {
        if from == anchor.seq + 1 {
            return Ok(Ok(anchor));
        }
        let seq = from - 1;
        let before = self.page(seq, seq, 1)?.into_iter().next();
        Ok(match before {
            Some(Kept { record: Some(record), .. }) if record.seq == seq => Ok(record.link()),
            Some(Kept { record: Some(_), .. }) => Err(Broken { seq, flaw: Flaw::Misplaced }),
            Some(Kept { record: None, .. }) => Err(Broken { seq, flaw: Flaw::Unreadable }),
            None => Err(Broken { seq, flaw: Flaw::Missing }),
        })
    }

    fn stored(&self, from: u64, end: u64, limit: usize) -> Result<Vec<Kept>, Error> {
        let key = |seq| RowKey::Audit(seq).to_bytes();
        match self.store.scan(&key(from), Some(&key(end)), limit) {
            Ok(rows) => Ok(rows.iter().map(|(key, row)| kept(key, row)).collect()),
            // One row is enough for that; the others are asked for one by one.
            Err(Error::Damaged { .. }) => (from..end.min(from + limit as u64))
                .map(|seq| match self.store.get(&key(seq)) {
                    Ok(row) => Ok(row.map(|row| kept(&key(seq), &row))),
                    Err(Error::Damaged { .. }) => Ok(Some(Kept { seq, record: None })),
                    Err(error) => Err(error),
                })
                .filter_map(Result::transpose)
                .collect(),
            Err(error) => Err(error),
        }
    }
}

fn kept(key: &[u8], row: &[u8]) -> Kept {
    let seq =
        key.strip_prefix(&[AUDIT_PREFIX]).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
    let record = match decode::<Row>(row) {
        Ok(Row::Audit(record)) => Some(record),
        Ok(_) | Err(_) => None,
    };
    Kept { seq: seq.unwrap_or_default(), record }
}

#[cfg(test)]
mod tests {
    use synod_domain::command::{Command, Entry, Request};
    use synod_domain::id::RequestId;
    use synod_domain::name::Name;
    use synod_domain::time::Timestamp;
    use synod_storage::{Batch, encode};

    use super::*;

    const RECORDS: u64 = 9;

    /// A state with so many records, all but the last two of which stand on disk.
    fn log() -> (AuditLog, Arc<dyn StateStore>) {
        let store: Arc<dyn StateStore> = synod_storage::MemoryDisk::new().open().state;
        let mut state = State::default();
        for number in 1..=RECORDS {
            let workspace = Name::new(&format!("w{number}")).expect("a name");
            let command = Command::SetWeight { workspace, weight: 2 };
            let request = Request { id: RequestId::from_raw(number.into()), command };
            let at = Timestamp::from_millis(number);
            state.apply(&Entry { at, seed: 1, commands: vec![request] });
            if number == RECORDS - 2 {
                let puts = state
                    .take_changes()
                    .rows
                    .into_iter()
                    .filter_map(|(key, row)| Some((key.to_bytes(), encode(&row?).expect("a row"))));
                store
                    .commit(Batch { applied: number, puts: puts.collect(), deletes: Vec::new() })
                    .expect("stored");
                state.changes_stored();
            }
        }
        (AuditLog::new(Arc::new(RwLock::new(state)), Arc::clone(&store)), store)
    }

    fn put(store: &dyn StateStore, puts: Vec<(u64, Vec<u8>)>, deletes: Vec<u64>) {
        let key = |seq| RowKey::Audit(seq).to_bytes();
        let batch = Batch {
            applied: store.applied() + 1,
            puts: puts.into_iter().map(|(seq, row)| (key(seq), row)).collect(),
            deletes: deletes.into_iter().map(key).collect(),
        };
        store.commit(batch).expect("stored");
    }

    fn broken(log: &AuditLog) -> Option<Broken> {
        futures::executor::block_on(log.check(None, None)).expect("read").broken
    }

    #[test]
    fn records_are_found_whether_they_are_stored_or_not() {
        let (log, _) = log();
        let seqs = |found: Vec<Kept>| found.iter().map(|kept| kept.seq).collect::<Vec<_>>();
        assert_eq!(seqs(log.page(1, u64::MAX, 100).expect("read")), (1..=RECORDS).collect::<Vec<_>>());
        assert_eq!(seqs(log.page(6, 8, 2).expect("read")), [6, 7]);
        assert_eq!(seqs(log.latest(None, 3).expect("read")), [9, 8, 7]);
        assert_eq!(seqs(log.latest(Some(3), 5).expect("read")), [2, 1]);
        assert_eq!(broken(&log), None);
    }

    #[test]
    fn tampering_with_rows_is_found_at_each_of_them() {
        for seq in 1..=RECORDS - 2 {
            let row = |store: &dyn StateStore, seq| {
                store.get(&RowKey::Audit(seq).to_bytes()).expect("read").expect("a row").to_vec()
            };
            let (log, store) = log();
            let mut record = match decode::<Row>(&row(&*store, seq)).expect("a row") {
                Row::Audit(record) => AuditRecord::clone(&record),
                other => panic!("{other:?}"),
            };
            record.said.resource = "pool/other".into();
            put(&*store, vec![(seq, encode(&Row::Audit(record.into())).expect("a row"))], Vec::new());
            assert_eq!(broken(&log), Some(Broken { seq, flaw: Flaw::Edited }));

            let (log, store) = self::log();
            put(&*store, Vec::new(), vec![seq]);
            assert_eq!(broken(&log), Some(Broken { seq, flaw: Flaw::Missing }));

            let (log, store) = self::log();
            put(&*store, vec![(seq, b"no record".to_vec())], Vec::new());
            assert_eq!(broken(&log), Some(Broken { seq, flaw: Flaw::Unreadable }));

            if seq > 1 {
                let (log, store) = self::log();
                let swapped = vec![(seq - 1, row(&*store, seq)), (seq, row(&*store, seq - 1))];
                put(&*store, swapped, Vec::new());
                assert_eq!(broken(&log), Some(Broken { seq: seq - 1, flaw: Flaw::Misplaced }));
            }

            let (log, store) = self::log();
            put(&*store, Vec::new(), (seq..=RECORDS - 2).collect());
            assert_eq!(broken(&log), Some(Broken { seq, flaw: Flaw::Missing }));
        }
    }

    #[test]
    fn a_part_is_checked_behind_the_record_before_it() {
        let (log, store) = log();
        let check = |from, to| futures::executor::block_on(log.check(Some(from), Some(to))).expect("read");
        assert_eq!(check(3, 5), Checked { from: 3, to: 5, broken: None });
        put(&*store, Vec::new(), vec![2]);
        assert_eq!(check(3, 5).broken, Some(Broken { seq: 2, flaw: Flaw::Missing }));
        assert_eq!(check(4, 99), Checked { from: 4, to: RECORDS, broken: None });
    }
}
