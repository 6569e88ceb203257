//! Other regions: who is there, and how to have something done there.
//!
//! ```text
//!  agreed ring ─► Wan: gossip of voters of all regions ─► reachable(), address book
//!                                                              │
//!  offer, submit_direct, ask ─► OtherRegions ══ TLS, as a voter of this region ══► Answering ─► its journal, its API
//!                                    └─ on a node that does not vote: through a voter of its region
//! ```
//!
//! Promises that nothing listens and nothing is sent before a ring is agreed, which a cluster of one region never has;
//! that nobody but voters of the wanted region is talked to, and of the one cluster that this region is agreed to be;
//! that rumours alone make no region known or reachable; that what may have been done and was not confirmed is said to be
//! unknown. Leaves to the rules what a task may do, and who else is asked.

mod answering;
mod asking;
mod book;
mod large;
mod parcels;
mod through;
mod wan;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use synod_actors::ports::Blobs;
use synod_cluster::gossip::{Counters, Gossip, Health};
use synod_cluster::transport::Network;
use synod_cluster::transport::hello::Hello;
use synod_cluster::transport::links::Links;
use synod_domain::federation::REGION_NAME_BYTES_MAX;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::state::State;
use tokio::sync::watch;

pub(super) use answering::Answering;
pub(super) use through::{Own, Seen};
pub(super) use wan::{Ground, Wan};

use book::{FirstSight, Identified, Pages};
use large::Large;

/// The other regions, as this node reaches them.
pub(super) struct OtherRegions {
    here: Name,
    state: Arc<RwLock<State>>,
    pages: Arc<Pages>,
    /// To regions of which it is agreed which clusters they are.
    links: Links,
    /// To those of which it is not.
    first_sight: Links,
    /// Nodes that turned out to be of another cluster than their region, by the start in which they did.
    others: Mutex<BTreeMap<NodeId, u64>>,
    large: Large,
    /// The way to voters of this region, for a node that does not talk to others itself.
    own: Own,
    /// Whom such a voter hears, as it told last.
    told: RwLock<Vec<Seen>>,
    changes: watch::Sender<u64>,
    /// Where payloads of offered tasks come from, once there is such a place.
    blobs: std::sync::OnceLock<Arc<dyn Blobs>>,
}

impl OtherRegions {
    /// Knows nobody yet. `network` proves who is there; `own` leads to voters of this region.
    pub(super) fn new(
        here: Name,
        state: Arc<RwLock<State>>,
        network: Arc<dyn Network>,
        hello: Hello,
        own: Own,
    ) -> Arc<Self> {
        let pages = Arc::new(Pages::new(state.clone()));
        let links = Links::new(network.clone(), hello.clone(), Arc::new(Identified(pages.clone())));
        let first_sight = Links::new(network, hello, Arc::new(FirstSight(pages.clone())));
        let (changes, blobs) = (watch::Sender::new(0), std::sync::OnceLock::new());
        let (others, large, told) = (Mutex::default(), Large::new(), RwLock::default());
        Arc::new(Self { here, state, pages, links, first_sight, others, large, own, told, changes, blobs })
    }

    /// Says where payloads of offered tasks come from.
    pub(super) fn know_blobs(&self, blobs: Arc<dyn Blobs>) {
        let _ = self.blobs.set(blobs);
    }

    /// Returns the gossip between regions, while there is one.
    pub(super) fn gossip(&self) -> Option<Gossip> {
        self.pages.gossip()
    }

    /// Returns what became of datagrams between regions, while there are any.
    pub(super) fn counters(&self) -> Option<Counters> {
        self.gossip().map(|gossip| gossip.counters())
    }

    /// Tells whether this node gossips with other regions itself.
    fn talks(&self) -> bool {
        self.gossip().is_some()
    }

    /// Returns the voters of all regions as gossip knows them, or as a voter has told, in order of id.
    fn seen(&self) -> Vec<Seen> {
        let Some(gossip) = self.gossip() else { return self.told.read().clone() };
        let mut seen: Vec<Seen> = gossip.members().into_iter().map(Seen::from).collect();
        seen.sort_by_key(|seen| seen.node);
        seen
    }

    /// Returns the members of each region, this one too, as they are rumoured; those of removed regions are none, nor those
    /// of names that no region has. Nobody has proven anything by that.
    pub(super) fn members(&self) -> BTreeMap<Name, Vec<Seen>> {
        let mut members: BTreeMap<Name, Vec<Seen>> = BTreeMap::new();
        for seen in self.seen() {
            if seen.region.as_str().len() <= REGION_NAME_BYTES_MAX {
                members.entry(seen.region.clone()).or_default().push(seen);
            }
        }
        let state = self.state.read();
        members.retain(|region, _| !state.federation().is_removed(region));
        members
    }

    /// Returns the voters of a region that are alive, in order of id.
    fn alive(&self, region: &Name) -> Vec<NodeId> {
        let members = self.members().remove(region).unwrap_or_default();
        members.iter().filter(|seen| self.is_there(seen)).map(|seen| seen.node).collect()
    }

    fn is_there(&self, seen: &Seen) -> bool {
        seen.health == Health::Alive && self.others.lock().get(&seen.node) != Some(&seen.generation)
    }

    /// Returns the other regions that are heard; whether they are what they say is not known.
    fn heard_now(&self) -> BTreeSet<Name> {
        let regions = self.members().into_iter();
        regions
            .filter(|(name, members)| {
                *name != self.here && members.iter().any(|member| self.is_there(member))
            })
            .map(|(name, _)| name)
            .collect()
    }

    /// Returns those of them of which it is agreed which clusters they are.
    fn reachable_now(&self) -> BTreeSet<Name> {
        let mut heard = self.heard_now();
        let state = self.state.read();
        heard.retain(|region| state.federation().cluster_of(region).is_some());
        heard
    }

    fn is_identified(&self, region: &Name) -> bool {
        self.state.read().federation().cluster_of(region).is_some()
    }

    /// Notes that a node is of another cluster than the region that it says: it is not tried again until it starts anew.
    fn is_another(&self, region: &Name, node: NodeId, why: &str) {
        let members = self.gossip().map(|gossip| gossip.members()).unwrap_or_default();
        let mut others = self.others.lock();
        others.retain(|known, _| members.iter().any(|member| member.rumour.node == *known));
        let Some(member) = members.iter().find(|member| member.rumour.node == node) else { return };
        if others.insert(node, member.rumour.generation) != Some(member.rumour.generation) {
            tracing::warn!(
                %region, %node, why,
                "two clusters go by the name of one region; found one of them anew under another name"
            );
        }
        drop(others);
        self.changed();
    }

    /// Takes up the gossip between regions, or gives it up.
    fn know_gossip(&self, gossip: Option<Gossip>) {
        self.pages.set(gossip);
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|number| *number += 1);
    }

    /// Tells the other regions that this node goes.
    pub(super) async fn leave(&self) {
        if let Some(gossip) = self.gossip() {
            gossip.leave().await;
        }
    }

    /// Ends every connection without a word.
    pub(super) fn sever(&self) {
        if let Some(gossip) = self.gossip() {
            gossip.stop();
            for member in gossip.members() {
                self.links.forget(member.rumour.node);
                self.first_sight.forget(member.rumour.node);
            }
        }
        self.know_gossip(None);
    }
}
