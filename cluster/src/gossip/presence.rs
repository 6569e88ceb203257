//! Who gossips: a node, which start of it, and where.

use std::cmp::Ordering;

use synod_domain::id::NodeId;

/// One presence of a node, as SWIM knows it. Of two of the same node the later wins: the higher generation, then the
/// more often renewed.
///
/// A node that others took for dead cannot deny it any more; it comes back as a renewed presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Presence {
    /// Who.
    pub(super) node: NodeId,
    /// The number of its start.
    pub(super) generation: u64,
    /// How often it came back since that start.
    pub(super) renewed: u32,
    /// Where its datagrams arrive.
    pub(super) address: String,
}

impl Presence {
    /// Compares by which is the later. Addresses only make it total: two of the same start and number are one node's
    /// data folder in two places, and every member must choose the same.
    fn later(&self, other: &Self) -> Ordering {
        let key = |presence: &Self| (presence.generation, presence.renewed);
        key(self).cmp(&key(other)).then_with(|| self.address.cmp(&other.address))
    }
}

impl foca::Identity for Presence {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        let renewed = self.renewed.checked_add(1)?;
        Some(Self { renewed, ..self.clone() })
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.later(adversary) == Ordering::Greater
    }
}
