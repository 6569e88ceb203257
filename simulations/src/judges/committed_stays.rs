//! What was applied once is what stands there for ever: on every node, and in every life of it.
//!
//! Source: Raft, state machine safety and leader completeness (Ongaro, "Consensus: Bridging Theory and Practice", 2014,
//! figure 3.2): an entry that is applied was decided, and no later leader lacks it or has another in its place.

use std::collections::BTreeMap;

use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "committed stays",
    says: "an index that was applied anywhere has that entry everywhere and for ever",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut entries = BTreeMap::<u64, (u64, u64)>::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        let Fact::Applied { index, term, hash } = record.fact else { continue };
        checked += 1;
        let first = *entries.entry(index).or_insert((term, hash));
        if first != (term, hash) {
            let what = format!(
                "entry {index} is {hash:016x} of term {term}, and was {:016x} of term {} before",
                first.1, first.0
            );
            return broken(place, None, what);
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    #[test]
    fn an_index_with_two_entries_is_found() {
        assert_eq!(look(&[applied(1, 1, 1, 7), applied(2, 1, 1, 7)]), Ok(2));
        assert!(look(&[applied(1, 1, 1, 7), applied(2, 1, 2, 8)]).is_err());
    }

    #[test]
    fn an_entry_that_is_another_in_a_later_life_is_found() {
        let again = of(1, Fact::Starting { life: 2 });
        assert!(look(&[applied(1, 9, 1, 7), again, applied(1, 9, 2, 7)]).is_err());
    }
}
