//! Where voters of other regions are: by the rumours of regions alone.
//!
//! A rumour proves nothing. Whoever shall be talked to proves its region by its certificate, and its cluster too once it
//! is agreed which one that region is. Until then a region is found by [`FirstSight`] alone, for what may be said to
//! whoever has a certificate of that name.

use std::sync::Arc;

use parking_lot::RwLock;
use synod_cluster::gossip::Gossip;
use synod_cluster::transport::links::AddressBook;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::state::State;

/// What is rumoured and what is agreed of other regions. Knows nobody while there is no gossip.
pub(super) struct Pages {
    gossip: RwLock<Option<Gossip>>,
    state: Arc<RwLock<State>>,
}

impl Pages {
    pub(super) fn new(state: Arc<RwLock<State>>) -> Self {
        Self { gossip: RwLock::default(), state }
    }

    pub(super) fn gossip(&self) -> Option<Gossip> {
        self.gossip.read().clone()
    }

    pub(super) fn set(&self, gossip: Option<Gossip>) {
        *self.gossip.write() = gossip;
    }

    fn region_of(&self, node: NodeId) -> Option<Name> {
        self.gossip()?.member(node).map(|member| member.rumour.region)
    }

    fn cluster_of(&self, node: NodeId) -> Option<Arc<str>> {
        let region = self.region_of(node)?;
        self.state.read().federation().cluster_of(&region).cloned()
    }
}

/// The address book of regions of which it is agreed which clusters they are.
pub(super) struct Identified(pub(super) Arc<Pages>);

impl AddressBook for Identified {
    fn address_of(&self, node: NodeId) -> Option<String> {
        self.0.cluster_of(node)?;
        self.0.gossip()?.address_of(node)
    }

    fn region_of(&self, node: NodeId) -> Option<Name> {
        self.0.region_of(node)
    }

    fn cluster_of(&self, node: NodeId) -> Option<Arc<str>> {
        // Nobody has none, should its rumour have changed meanwhile.
        Some(self.0.cluster_of(node).unwrap_or_default())
    }
}

/// The address book of regions of which that is not agreed.
pub(super) struct FirstSight(pub(super) Arc<Pages>);

impl AddressBook for FirstSight {
    fn address_of(&self, node: NodeId) -> Option<String> {
        match self.0.cluster_of(node) {
            None => self.0.gossip()?.address_of(node),
            Some(_) => None,
        }
    }

    fn region_of(&self, node: NodeId) -> Option<Name> {
        self.0.region_of(node)
    }
}
