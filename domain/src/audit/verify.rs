//! Checking a chain of records: where it begins, each link, and where it ends.

use std::fmt;

use crate::audit::{AuditRecord, Link};

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The record was changed: it does not have the hash that it says.
    Edited,
    /// The record says another number than its place has: some were swapped, put in or left out.
    Misplaced,
    /// The record cannot be read.
    Unreadable,
    /// The record is not there.
    Missing,
    /// The record fits into no chain with the one before it.
    Unlinked,
    /// The chain ends with another record than it should.
    WrongEnd,
}

/// Where a chain is broken, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// The number of the first record that is not as it must be.
    pub seq: u64,
    /// What is wrong with it.
    pub flaw: Flaw,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.flaw {
            Flaw::Edited => write!(f, "record {seq} was changed: its hash does not fit its content"),
            Flaw::Misplaced => write!(f, "another record stands in the place of record {seq}"),
            Flaw::Unreadable => write!(f, "record {seq} cannot be read"),
            Flaw::Missing => write!(f, "record {seq} is missing"),
            Flaw::Unlinked => write!(f, "record {seq} does not continue the record before it"),
            Flaw::WrongEnd => write!(f, "record {seq} is not the one that the chain ends with"),
        }
    }
}

/// Walks a chain in order.
#[derive(Debug, Clone, Copy)]
pub struct Verifier {
    last: Link,
}

impl Verifier {
    /// Begins behind a link that is known to be right.
    pub const fn behind(anchor: Link) -> Self {
        Self { last: anchor }
    }

    /// Returns the number of the record that comes next.
    pub const fn next_seq(&self) -> u64 {
        self.last.seq + 1
    }

    /// Returns the link that was reached.
    pub const fn reached(&self) -> Link {
        self.last
    }

    /// Takes the record that stands in the next place.
    ///
    /// # Errors
    /// When it is not the one that belongs there.
    pub fn take(&mut self, record: &AuditRecord) -> Result<(), Broken> {
        let seq = self.next_seq();
        let broken = |flaw| Err(Broken { seq, flaw });
        if record.seq != seq {
            return broken(Flaw::Misplaced);
        }
        if record.computed() != record.hash {
            return broken(Flaw::Edited);
        }
        if record.previous != self.last.hash {
            return broken(Flaw::Unlinked);
        }
        self.last = record.link();
        Ok(())
    }

    /// Says that nothing follows, where `last` must have been reached.
    ///
    /// # Errors
    /// When records are missing, or the last one is another.
    pub fn end(&self, last: Link) -> Result<(), Broken> {
        if self.last.seq < last.seq {
            return Err(Broken { seq: self.next_seq(), flaw: Flaw::Missing });
        }
        if self.last != last {
            return Err(Broken { seq: self.last.seq, flaw: Flaw::WrongEnd });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audit::{Actor, AuditVerdict, Audited};
    use crate::id::RequestId;
    use crate::time::Timestamp;

    const RECORDS: u64 = 12;

    fn chain() -> Vec<AuditRecord> {
        let mut last = Link::default();
        let mut make = |number: u64| {
            let said = Audited {
                request: RequestId::from_raw(number.into()),
                actor: Arc::new(Actor::local()),
                action: "pool.put".into(),
                resource: format!("pool/p{number}").into(),
                workspace: None,
                verdict: AuditVerdict::Accepted,
                before: None,
                after: None,
            };
            let record = AuditRecord::behind(last, Timestamp::from_millis(number), said);
            last = record.link();
            record
        };
        (1..=RECORDS).map(&mut make).collect()
    }

    fn judge(records: &[AuditRecord], last: Link) -> Result<(), Broken> {
        let mut verifier = Verifier::behind(Link::default());
        for record in records {
            verifier.take(record)?;
        }
        verifier.end(last)
    }

    #[test]
    fn a_chain_that_nobody_touched_holds() {
        let chain = chain();
        assert_eq!(judge(&chain, chain[chain.len() - 1].link()), Ok(()));
        assert_eq!(judge(&[], Link::default()), Ok(()));
    }

    #[test]
    fn tampering_is_found_at_each_record() {
        let chain = chain();
        let last = chain[chain.len() - 1].link();
        for place in 0..chain.len() {
            let seq = place as u64 + 1;
            let mut edited = chain.clone();
            edited[place].said.resource = "pool/other".into();
            assert_eq!(judge(&edited, last), Err(Broken { seq, flaw: Flaw::Edited }));
            // Whoever changes a record and computes its hash anew breaks the next link, or the end.
            edited[place].hash = edited[place].computed();
            let found = judge(&edited, last).expect_err("a forged record");
            let (next, flaw) = if seq == RECORDS { (seq, Flaw::WrongEnd) } else { (seq + 1, Flaw::Unlinked) };
            assert_eq!(found, Broken { seq: next, flaw });

            let mut dropped = chain.clone();
            dropped.remove(place);
            let flaw = if seq == RECORDS { Flaw::Missing } else { Flaw::Misplaced };
            assert_eq!(judge(&dropped, last), Err(Broken { seq, flaw }));

            if place > 0 {
                let mut swapped = chain.clone();
                swapped.swap(place - 1, place);
                assert_eq!(judge(&swapped, last), Err(Broken { seq: seq - 1, flaw: Flaw::Misplaced }));
            }

            assert_eq!(judge(&chain[..place], last), Err(Broken { seq, flaw: Flaw::Missing }));
        }
    }

    #[test]
    fn a_chain_forged_from_the_start_ends_with_another_hash() {
        let chain = chain();
        let last = chain[chain.len() - 1].link();
        let (mut link, mut forged) = (Link::default(), Vec::new());
        for record in &chain {
            let said = Audited { resource: "pool/other".into(), ..record.said.clone() };
            let record = AuditRecord::behind(link, record.at, said);
            link = record.link();
            forged.push(record);
        }
        assert_eq!(judge(&forged, last), Err(Broken { seq: RECORDS, flaw: Flaw::WrongEnd }));
    }
}
