//! Where other nodes are: by rumour, as agreed, or as this node last knew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;
use synod_cluster::gossip::Gossip;
use synod_cluster::transport::links::AddressBook;
use synod_domain::id::NodeId;
use synod_domain::state::State;

/// The address book of a node. Knows nobody once it is closed.
pub(in crate::node) struct Book(RwLock<Pages>);

#[derive(Default)]
struct Pages {
    gossip: Option<Gossip>,
    state: Option<Arc<RwLock<State>>>,
    last: BTreeMap<NodeId, String>,
}

impl Book {
    /// Begins with what the node knew last.
    pub(super) fn new(last: BTreeMap<NodeId, String>) -> Self {
        Self(RwLock::new(Pages { last, ..Pages::default() }))
    }

    pub(super) fn know_state(&self, state: Arc<RwLock<State>>) {
        self.0.write().state = Some(state);
    }

    pub(super) fn know_gossip(&self, gossip: Gossip) {
        self.0.write().gossip = Some(gossip);
    }

    /// Returns all addresses that are known, agreed or from before.
    pub(super) fn addresses(&self) -> BTreeSet<String> {
        let pages = self.0.read();
        let mut addresses: BTreeSet<String> = pages.last.values().cloned().collect();
        if let Some(state) = &pages.state {
            addresses.extend(state.read().nodes().map(|node| node.spec.address.clone()));
        }
        addresses.retain(|address| !address.is_empty());
        addresses
    }

    /// Forgets everybody, and returns who was known.
    pub(super) fn close(&self) -> BTreeSet<NodeId> {
        let pages = std::mem::take(&mut *self.0.write());
        let mut nodes: BTreeSet<NodeId> = pages.last.keys().copied().collect();
        if let Some(state) = &pages.state {
            nodes.extend(state.read().nodes().map(|node| node.spec.id));
        }
        if let Some(gossip) = &pages.gossip {
            nodes.extend(gossip.members().into_iter().map(|member| member.rumour.node));
        }
        nodes
    }
}

impl AddressBook for Book {
    fn address_of(&self, node: NodeId) -> Option<String> {
        let pages = self.0.read();
        let agreed = pages.state.as_ref().and_then(|state| {
            let state = state.read();
            state.node(node).map(|node| (node.generation, node.spec.address.clone()))
        });
        let rumoured = pages.gossip.as_ref().and_then(|gossip| gossip.member(node));
        let rumoured = rumoured.map(|member| (member.rumour.generation, member.rumour.address));
        // The later start of two knows better where the node is.
        let newest = match (rumoured, agreed) {
            (Some(rumoured), Some(agreed)) => Some(if agreed.0 > rumoured.0 { agreed } else { rumoured }),
            (rumoured, agreed) => rumoured.or(agreed),
        };
        let newest = newest.map(|(_, address)| address).filter(|address| !address.is_empty());
        newest.or_else(|| pages.last.get(&node).cloned())
    }
}
