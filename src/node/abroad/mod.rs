//! Other regions: who is there, and how to have something done there.
//!
//! ```text
//!  agreed ring ─► Wan: gossip of voters of all regions ─► reachable(), address book
//!                                                              │
//!  offer, submit_direct, ask ─► OtherRegions ══ TLS, as a voter of this region ══► Answering ─► its journal, its API
//! ```
//!
//! Promises that nothing listens and nothing is sent before a ring is agreed, which a cluster of one region never has;
//! that nobody but voters of the wanted region is talked to; that what may have been done and was not confirmed is
//! said to be unknown. Leaves to the rules what a task may do, and who else is asked.

mod answering;
mod asking;
mod book;
mod parcels;
mod wan;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;
use synod_actors::ports::Blobs;
use synod_cluster::gossip::{Counters, Gossip, Health, Member};
use synod_cluster::transport::Network;
use synod_cluster::transport::hello::Hello;
use synod_cluster::transport::links::Links;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::state::State;
use tokio::sync::watch;

pub(super) use answering::Answering;
pub(super) use wan::{Ground, Wan};

use book::Pages;

/// The other regions, as this node reaches them.
pub(super) struct OtherRegions {
    here: Name,
    state: Arc<RwLock<State>>,
    pages: Arc<Pages>,
    links: Links,
    changes: watch::Sender<u64>,
    /// Where payloads of offered tasks come from, once there is such a place.
    blobs: std::sync::OnceLock<Arc<dyn Blobs>>,
}

impl OtherRegions {
    /// Knows nobody yet. `network` proves who is there.
    pub(super) fn new(
        here: Name,
        state: Arc<RwLock<State>>,
        network: Arc<dyn Network>,
        hello: Hello,
    ) -> Arc<Self> {
        let pages = Arc::<Pages>::default();
        let links = Links::new(network, hello, pages.clone());
        let (changes, blobs) = (watch::Sender::new(0), std::sync::OnceLock::new());
        Arc::new(Self { here, state, pages, links, changes, blobs })
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

    /// Returns the members of each region, this one too, as gossip knows them; those of removed regions are none.
    pub(super) fn members(&self) -> BTreeMap<Name, Vec<Member>> {
        let mut members: BTreeMap<Name, Vec<Member>> = BTreeMap::new();
        for member in self.gossip().map(|gossip| gossip.members()).unwrap_or_default() {
            members.entry(member.rumour.region.clone()).or_default().push(member);
        }
        let state = self.state.read();
        members.retain(|region, _| !state.federation().is_removed(region));
        members
    }

    /// Returns the voters of a region that are alive, in order of id.
    fn alive(&self, region: &Name) -> Vec<NodeId> {
        let members = self.members().remove(region).unwrap_or_default();
        let alive = members.into_iter().filter(|member| member.health == Health::Alive);
        alive.map(|member| member.rumour.node).collect()
    }

    fn reachable_now(&self) -> BTreeSet<Name> {
        let is_there = |members: &Vec<Member>| members.iter().any(|member| member.health == Health::Alive);
        let regions = self.members().into_iter();
        regions
            .filter(|(name, members)| *name != self.here && is_there(members))
            .map(|(name, _)| name)
            .collect()
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
            }
        }
        self.know_gossip(None);
    }
}
