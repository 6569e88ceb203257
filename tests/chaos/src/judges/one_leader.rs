//! In one term at most one node says that it leads.
//!
//! Source: reliability plan T14 and T15; Raft, election safety.

use std::collections::BTreeMap;

use super::{Judge, Verdict, broken};
use crate::history::{Fact, Record};

pub(super) const JUDGE: Judge =
    Judge { name: "one leader", says: "no two nodes say that they lead in the same term", look };

fn look(history: &[Record]) -> Verdict {
    let mut leaders: BTreeMap<u64, usize> = BTreeMap::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        let Fact::Leads { node, term } = record.fact else { continue };
        checked += 1;
        let first = *leaders.entry(term).or_insert(node);
        if first != node {
            return broken(place, None, format!("nodes {first} and {node} both led in term {term}"));
        }
    }
    Ok(checked)
}
