//! Where voters of other regions are: by the rumours of regions alone.

use parking_lot::RwLock;
use synod_cluster::gossip::Gossip;
use synod_cluster::transport::links::AddressBook;
use synod_domain::id::NodeId;
use synod_domain::name::Name;

/// The address book of other regions. Knows nobody while there is no gossip.
#[derive(Default)]
pub(super) struct Pages(RwLock<Option<Gossip>>);

impl Pages {
    pub(super) fn gossip(&self) -> Option<Gossip> {
        self.0.read().clone()
    }

    pub(super) fn set(&self, gossip: Option<Gossip>) {
        *self.0.write() = gossip;
    }
}

impl AddressBook for Pages {
    fn address_of(&self, node: NodeId) -> Option<String> {
        self.gossip()?.address_of(node)
    }

    fn region_of(&self, node: NodeId) -> Option<Name> {
        self.gossip()?.member(node).map(|member| member.rumour.region)
    }
}
