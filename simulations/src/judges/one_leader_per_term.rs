//! A term has one leader at most, and one life of it: who leads and dies has to be elected again.
//!
//! Source: Raft, election safety (Ongaro, "Consensus: Bridging Theory and Practice", 2014, figure 3.2). That a leader which
//! starts again must not lead on in its old term is the same property: its vote is on its disk, and the others may have
//! gone on without it.

use std::collections::BTreeMap;

use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "one leader per term",
    says: "no two nodes, nor two lives of one, say that they lead a term",
    look,
};

/// A node, and which of its lives.
type Life = (u64, u32);

fn look(history: &[Record]) -> Verdict {
    let mut lives = BTreeMap::<u64, u32>::new();
    let mut leaders = BTreeMap::<u64, Life>::new();
    let mut alone = false;
    for (place, record) in history.iter().enumerate() {
        let node = record.node.unwrap_or_default();
        match record.fact {
            // A node that needs nobody's vote leads on where it was.
            Fact::Began { nodes, .. } => alone = nodes == 1,
            Fact::Starting { life } if !alone => drop(lives.insert(node, life)),
            Fact::Leads { term: Some(term) } => {
                let leader = (node, lives.get(&node).copied().unwrap_or_default());
                let (first, life) = *leaders.entry(term).or_insert(leader);
                if (first, life) != leader {
                    return broken(
                        place,
                        None,
                        format!("n{first} led term {term} before, in its life {life}"),
                    );
                }
            }
            _ => {}
        }
    }
    Ok(leaders.len())
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    fn leads(node: u64, term: u64) -> Record {
        of(node, Fact::Leads { term: Some(term) })
    }

    fn starts(node: u64, life: u32) -> Record {
        of(node, Fact::Starting { life })
    }

    #[test]
    fn two_leaders_of_a_term_are_found() {
        assert_eq!(look(&[leads(1, 1), leads(2, 2), leads(1, 3)]), Ok(3));
        assert!(look(&[leads(1, 1), leads(2, 2), leads(1, 2)]).is_err());
    }

    #[test]
    fn a_leader_may_lose_and_find_its_quorum_and_may_not_lead_on_after_a_restart() {
        let lost = || of(1, Fact::Leads { term: None });
        assert_eq!(look(&[starts(1, 1), leads(1, 4), lost(), leads(1, 4)]), Ok(1));
        assert!(look(&[starts(1, 1), leads(1, 4), starts(1, 2), leads(1, 4)]).is_err());
        assert_eq!(look(&[starts(1, 1), leads(1, 4), starts(1, 2), leads(1, 5)]), Ok(2));
    }
}
