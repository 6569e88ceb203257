//! Nodes that have applied the same entries have the same state, row for row.
//!
//! Source: replicated state machines (Schneider, "Implementing fault-tolerant services using the state machine approach",
//! 1990); domain, laws of determinism. It holds over lives too: a state that was made again from the disk, or came in a
//! snapshot, is the one that was applied.

use std::collections::BTreeMap;

use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "states agree",
    says: "the state after an entry has the same hash on every node and in every life",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut states = BTreeMap::<u64, (u64, Option<u64>)>::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        let (Fact::State { index, hash } | Fact::Rests { index, hash }) = record.fact else { continue };
        checked += 1;
        let (first, of) = *states.entry(index).or_insert((hash, record.node));
        if first != hash {
            let of = of.unwrap_or_default();
            return broken(
                place,
                None,
                format!("after {index} it is {hash:016x}, and was {first:016x} on n{of}"),
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
    fn states_that_differ_after_one_entry_are_found() {
        let state = |node, index, hash| of(node, Fact::State { index, hash });
        assert_eq!(look(&[state(1, 4, 7), state(2, 4, 7), state(1, 5, 8)]), Ok(3));
        assert!(look(&[state(1, 4, 7), state(2, 4, 8)]).is_err());
        assert!(look(&[state(1, 4, 7), of(1, Fact::Starting { life: 2 }), state(1, 4, 8)]).is_err());
        assert!(look(&[state(1, 4, 7), of(2, Fact::Rests { index: 4, hash: 8 })]).is_err());
    }
}
