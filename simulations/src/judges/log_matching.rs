//! Logs that have an entry of one index and term have the same entry, and terms never fall along a log.
//!
//! Source: Raft, log matching (Ongaro, "Consensus: Bridging Theory and Practice", 2014, figure 3.2). Seen through what is
//! applied, and through what a log has beyond that whenever its node starts: what is never decided must match, too.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "log matching",
    says: "entries of one index and term are the same wherever they are stored, and terms do not fall along the log",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut stored = BTreeMap::<(u64, u64), u64>::new();
    // Along one log terms do not fall; what was decided is one log.
    let mut entries = BTreeSet::<(u64, u64)>::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        let (index, term, hash, decided) = match record.fact {
            Fact::Applied { index, term, hash } => (index, term, hash, true),
            Fact::Stored { index, term, hash } => (index, term, hash, false),
            _ => continue,
        };
        checked += 1;
        let first = *stored.entry((index, term)).or_insert(hash);
        if decided {
            entries.insert((index, term));
        }
        if first != hash {
            return broken(
                place,
                None,
                format!("entry {index} of term {term} is {hash:016x}, and was {first:016x} before"),
            );
        }
        if !decided {
            continue;
        }
        let before = entries.range(..(index, 0)).next_back().copied();
        let after = entries.range((index + 1, 0)..).next().copied();
        if let Some((other, of)) = before.filter(|(_, of)| *of > term) {
            return broken(
                place,
                None,
                format!("entry {index} is of term {term}, and {other} before it of {of}"),
            );
        }
        if let Some((other, of)) = after.filter(|(_, of)| *of < term) {
            return broken(
                place,
                None,
                format!("entry {index} is of term {term}, and {other} behind it of {of}"),
            );
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    #[test]
    fn an_entry_with_two_contents_is_found() {
        assert_eq!(look(&[applied(1, 1, 1, 7), applied(2, 1, 1, 7), applied(1, 2, 1, 8)]), Ok(3));
        assert!(look(&[applied(1, 1, 1, 7), applied(2, 1, 1, 8)]).is_err());
    }

    #[test]
    fn an_entry_that_is_not_decided_must_match_and_may_be_of_an_older_term() {
        let stored = |node, index, term, hash| of(node, Fact::Stored { index, term, hash });
        assert_eq!(look(&[applied(1, 4, 2, 7), stored(2, 5, 1, 8), applied(1, 5, 2, 9)]), Ok(3));
        assert!(look(&[stored(2, 5, 1, 8), applied(1, 5, 1, 9)]).is_err());
    }

    #[test]
    fn a_term_that_falls_along_the_log_is_found() {
        assert_eq!(look(&[applied(1, 1, 1, 7), applied(1, 2, 3, 8), applied(1, 3, 3, 9)]), Ok(3));
        assert!(look(&[applied(1, 1, 2, 7), applied(1, 2, 1, 8)]).is_err());
        // Whoever is behind applies later what is earlier in the log.
        assert!(look(&[applied(1, 5, 1, 7), applied(2, 3, 2, 8)]).is_err());
    }
}
