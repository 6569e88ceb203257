//! Members that have lost what they said they have: the disk of one of them is an older copy of itself.
//!
//! ```text
//!  "I have it through 90" ... "I lack 80" ─► lost: counted for nothing, sent nothing, told so ─► it ends for good
//!                                             │
//!                                             └─ has it through 90 after all ─► as any other
//! ```
//!
//! A member that follows a leader keeps what it has acknowledged to it for as long as that one leads. One that lacks it
//! all the same, as a machine does that was set back to a snapshot of its disk, may have lost what was acknowledged to
//! clients on its word, and its votes. If it were simply given all of it again, nobody would ever know, and an election
//! in between could lose acknowledged work. So it is not: openraft is told once that it lacks the entries, so that none
//! of them counts as held by it, and it is no more than asked whether it has them, until an operator has removed it.
//! It goes by what this leader was told in its term: a leader that was elected since knows nothing of it.

use std::collections::BTreeMap;

use openraft::Vote;
use parking_lot::Mutex;
use synod_domain::id::NodeId;

use crate::group::LogId;

/// Under which name the log notes that its node has lost entries and may not start again. A format.
pub(crate) const FORGOT_NOTE: &str = "forgot";

/// What members said they have, and which of them have lost it.
#[derive(Default)]
pub(crate) struct Memory(Mutex<BTreeMap<NodeId, Said>>);

#[derive(Clone, Copy)]
struct Said {
    /// The leader that it was said to.
    vote: Vote<u64>,
    has: LogId,
    lost: bool,
}

impl Memory {
    /// Notes that a member has the log of a leader through there.
    pub(crate) fn has(&self, node: NodeId, vote: Vote<u64>, through: LogId) {
        let mut said = self.0.lock();
        let known = said.entry(node).or_insert(Said { vote, has: through, lost: false });
        if known.vote != vote {
            *known = Said { vote, has: through, lost: false };
        }
        known.has = known.has.max(through);
    }

    /// Notes that a member lacks an entry of a leader's log; returns through where it had it, if it has lost it by that.
    pub(crate) fn lacks(&self, node: NodeId, vote: Vote<u64>, entry: LogId) -> Option<LogId> {
        let mut said = self.0.lock();
        let known = said.get_mut(&node).filter(|known| known.vote == vote && entry <= known.has)?;
        known.lost = true;
        Some(known.has)
    }

    /// Returns through where a member had the log of a leader, if it has lost it.
    pub(crate) fn lost(&self, node: NodeId, vote: Vote<u64>) -> Option<LogId> {
        self.0.lock().get(&node).filter(|known| known.lost && known.vote == vote).map(|known| known.has)
    }

    /// Returns through where a member said that it has the log of a leader.
    pub(crate) fn said(&self, node: NodeId, vote: Vote<u64>) -> Option<LogId> {
        self.0.lock().get(&node).filter(|known| known.vote == vote).map(|known| known.has)
    }

    /// Notes that a member has everything after all: its own disk is back. Tells whether it had been lost.
    pub(crate) fn found(&self, node: NodeId) -> bool {
        self.0.lock().get_mut(&node).is_some_and(|known| std::mem::take(&mut known.lost))
    }

    /// Returns the members that have lost what they said they have, and through where that was.
    pub(crate) fn all_lost(&self) -> BTreeMap<NodeId, u64> {
        let said = self.0.lock();
        said.iter().filter(|(_, known)| known.lost).map(|(node, known)| (*node, known.has.index)).collect()
    }
}

/// Says what is to be done with a node that has lost the log through there.
pub(crate) fn what_to_do(through: u64) -> String {
    format!(
        "its disk is an older copy: it has lost entries through {through} that it had acknowledged; remove the node from \
         the cluster (`synod cluster remove`), delete its data folder and let it join anew"
    )
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    fn id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(3, 1), index)
    }

    #[test]
    fn who_lacks_what_it_said_it_has_has_lost_it_until_it_has_it_again() {
        let (memory, node, vote) = (Memory::default(), NodeId::from_raw(7), Vote::new_committed(3, 1));
        assert_eq!(memory.lacks(node, vote, id(5)), None, "it has said nothing");
        memory.has(node, vote, id(9));
        memory.has(node, vote, id(4));
        assert_eq!(memory.lacks(node, vote, id(10)), None, "it never said that it has this one");
        assert_eq!(memory.lost(node, vote), None);
        assert_eq!(memory.lacks(node, vote, id(9)), Some(id(9)));
        assert_eq!((memory.lost(node, vote), memory.all_lost()), (Some(id(9)), BTreeMap::from([(node, 9)])));
        assert_eq!(memory.said(node, vote), Some(id(9)), "lost or not");
        assert!(memory.found(node) && !memory.found(node), "found once");
        assert_eq!((memory.lost(node, vote), memory.all_lost()), (None, BTreeMap::new()));
    }

    #[test]
    fn what_was_said_to_another_leader_counts_for_nothing() {
        let (memory, node) = (Memory::default(), NodeId::from_raw(7));
        let (old, new) = (Vote::new_committed(3, 1), Vote::new_committed(4, 2));
        memory.has(node, old, id(9));
        assert_eq!(memory.lacks(node, new, id(5)), None, "the new leader may have other entries there");
        memory.has(node, new, id(2));
        assert_eq!(memory.lacks(node, new, id(5)), None);
        assert_eq!(memory.lacks(node, new, id(2)), Some(id(2)));
    }
}
