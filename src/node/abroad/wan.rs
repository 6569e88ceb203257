//! Gossip between regions: begun once a ring is agreed, on voters alone, and what follows from what it hears.
//!
//! ```text
//!  ring agreed, votes ─► bind ─► gossip ─┬─ changes() of reachable regions
//!                                        └─ KnowRegion: addresses for later starts; ShareRing: there, when it changed here
//! ```
//!
//! Each voter agrees on where it is itself, so that the others of its region find it; whoever leads agrees on where
//! other regions are heard that were let in or have proven who they are, and gives the ring to all when it changed: who
//! has the key of gossip can make up names, and shall fill no table with them. Rests after each change that it proposes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use synod_actors::ids::Ids;
use synod_cluster::consensus::Consensus;
use synod_cluster::gossip::{self, Gossip, Health, Load, Profile, Rumour};
use synod_cluster::identity::Folder;
use synod_cluster::journal::Forwarder;
use synod_cluster::offload::Offload;
use synod_cluster::transport::Network;
use synod_domain::command::Command;
use synod_domain::federation::{Federation, REGION_ADDRESSES_MAX, REGIONS_MAX};
use synod_domain::name::Name;
use synod_domain::node::{Keyring, NodeRole, NodeSpec};
use synod_domain::sources::{Clock, Entropy};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::OtherRegions;
use crate::node::Error;
use crate::node::member::open_wan;

/// The wait before something is tried again that failed, and the rest after something was proposed.
const REST: Duration = Duration::from_secs(1);

/// What gossip between regions needs of its node.
pub(in crate::node) struct Ground {
    pub(in crate::node) spec: Arc<NodeSpec>,
    pub(in crate::node) generation: u64,
    pub(in crate::node) network: Arc<dyn Network>,
    /// Where it shall listen, if that is said.
    pub(in crate::node) listen: Option<String>,
    /// Where the node listens for others of its own region.
    pub(in crate::node) beside: String,
    pub(in crate::node) folder: Folder,
    pub(in crate::node) offload: Offload,
    pub(in crate::node) clock: Arc<dyn Clock>,
    pub(in crate::node) entropy: Arc<dyn Entropy>,
    pub(in crate::node) consensus: Arc<Consensus>,
    pub(in crate::node) forwarder: Forwarder,
    pub(in crate::node) ids: Arc<Ids>,
}

/// Gossips with other regions.
pub(in crate::node) struct Wan {
    pub(in crate::node) ground: Ground,
    pub(in crate::node) federation: watch::Receiver<Federation>,
    pub(in crate::node) role: watch::Receiver<Option<NodeRole>>,
    pub(in crate::node) regions: Arc<OtherRegions>,
}

impl Wan {
    pub(in crate::node) async fn run(mut self, stop: CancellationToken) {
        loop {
            let began = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                began = self.begin() => began,
            };
            let gossip = match began {
                Ok(Some(gossip)) => gossip,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "gossip between regions does not start; it is tried again");
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(REST) => continue,
                    }
                }
            };
            self.regions.know_gossip(Some(gossip.0.clone()));
            let mut fatal = gossip.0.fatal();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // Work of this region does not need it: it begins anew.
                why = async { fatal.wait_for(Option::is_some).await.ok().and_then(|why| why.clone()) } => {
                    tracing::error!(why, "gossip between regions begins anew");
                    tokio::time::sleep(REST).await;
                }
                () = self.announce(&gossip.0) => return,
                () = self.tend(&gossip.0, &gossip.1) => {}
            }
            self.regions.know_gossip(None);
            gossip.0.leave().await;
        }
    }

    fn is_wanted(&self) -> bool {
        *self.role.borrow() == Some(NodeRole::Voter) && self.federation.borrow().ring.used.is_some()
    }

    /// Waits until there is something to gossip with, and begins; `None` when the node stops.
    async fn begin(&mut self) -> Result<Option<(Gossip, watch::Sender<Keyring>)>, Error> {
        while !self.is_wanted() {
            let changed = tokio::select! {
                biased;
                changed = self.federation.changed() => changed,
                changed = self.role.changed() => changed,
            };
            if changed.is_err() {
                return Ok(None);
            }
        }
        let ground = &self.ground;
        let last = ground.folder.wan()?;
        let wished = ground.listen.as_deref();
        let datagrams = open_wan(&*ground.network, wished, last.as_deref(), &ground.beside).await?;
        let bound = datagrams.address();
        let (folder, kept) = (ground.folder.clone(), bound.clone());
        let kept = ground.offload.run(move || folder.keep_wan(&kept)).await;
        kept.map_err(|error| Error::Start(error.to_string()))??;
        let address = told(&ground.spec.address, &bound);
        tracing::info!(address, "listens for other regions");
        let (ring, ringing) = watch::channel(self.federation.borrow().ring.clone());
        let spec = &ground.spec;
        let gossip = Gossip::start(gossip::Options {
            datagrams,
            advertise: Some(address),
            me: Rumour {
                node: spec.id,
                generation: ground.generation,
                name: spec.name.clone(),
                address: spec.address.clone(),
                api: spec.api.clone(),
                region: self.regions.here.clone(),
                role: NodeRole::Voter,
                labels: BTreeMap::new(),
                load: Load::default(),
                version: spec.version.clone(),
                leads: None,
                applied: ground.consensus.applied(),
            },
            seeds: seeds(&self.federation.borrow()),
            keyring: ringing,
            clock: ground.clock.clone(),
            entropy: ground.entropy.clone(),
            profile: Profile::Wan,
        });
        Ok(Some((gossip.await?, ring)))
    }

    /// Says whenever another region may have come or gone, until gossip ends.
    async fn announce(&self, gossip: &Gossip) {
        let (mut members, mut federation) = (gossip.changes(), self.federation.clone());
        loop {
            let changed = tokio::select! {
                biased;
                changed = members.changed() => changed,
                changed = federation.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            self.regions.changed();
        }
    }

    /// Keeps the ring and the addresses as they must be, as long as this node votes.
    async fn tend(&self, gossip: &Gossip, ring: &watch::Sender<Keyring>) {
        let (mut federation, mut role) = (self.federation.clone(), self.role.clone());
        let (mut members, mut leadership) = (gossip.changes(), self.ground.consensus.leadership());
        let mut shared = BTreeMap::new();
        loop {
            let agreed = federation.borrow_and_update().clone();
            let leads = leadership.borrow_and_update().is_some();
            members.borrow_and_update();
            if *role.borrow_and_update() != Some(NodeRole::Voter) {
                return;
            }
            ring.send_if_modified(|ring| {
                let changed = *ring != agreed.ring;
                ring.clone_from(&agreed.ring);
                changed
            });
            gossip.seed(seeds(&agreed));
            let did =
                self.agree(&agreed, gossip, leads).await | self.share(&agreed, leads, &mut shared).await;
            if did {
                tokio::time::sleep(REST).await;
                // What failed is tried again, and what was agreed shows soon.
                if !federation.has_changed().unwrap_or(false) {
                    let _ = tokio::time::timeout(REST, federation.changed()).await;
                }
                continue;
            }
            let woken = tokio::select! {
                biased;
                changed = federation.changed() => changed,
                changed = role.changed() => changed,
                changed = leadership.changed() => changed,
                changed = members.changed() => changed,
            };
            if woken.is_err() {
                return;
            }
        }
    }

    /// Gets agreed what is news of where regions are; tells whether there was any.
    async fn agree(&self, agreed: &Federation, gossip: &Gossip, leads: bool) -> bool {
        let mut heard: BTreeMap<Name, Vec<String>> = BTreeMap::new();
        for member in gossip.members() {
            let region = &member.rumour.region;
            let is_mine = *region == self.regions.here;
            let is_me = member.rumour.node == self.ground.spec.id;
            let is_known = agreed.regions.get(region).is_some_and(|known| known.removed.is_none());
            if member.health == Health::Alive && (is_me || (leads && !is_mine && is_known)) {
                let address = if is_me { gossip.address() } else { member.datagrams };
                heard.entry(region.clone()).or_default().push(address);
            }
        }
        let mut did = false;
        for (region, addresses) in heard {
            let known = agreed.regions.get(&region);
            let before: &[String] = known.map_or(&[], |known| &known.addresses);
            let is_news =
                addresses.iter().take(REGION_ADDRESSES_MAX).any(|address| !before.contains(address));
            if is_news || !known.is_some_and(|known| known.heard) {
                let addresses = merged(addresses, before);
                self.propose(Command::KnowRegion { region, addresses, heard: true }).await;
                did = true;
            }
        }
        did
    }

    /// Gives the ring to regions that may not have it as it is now; tells whether there were any.
    async fn share(&self, agreed: &Federation, leads: bool, shared: &mut BTreeMap<Name, Keyring>) -> bool {
        if !leads {
            shared.clear();
            return false;
        }
        let heard = self.regions.heard_now();
        shared.retain(|region, _| heard.contains(region));
        let lacking = heard.into_iter().filter(|region| shared.get(region) != Some(&agreed.ring));
        // All at once: one that hangs holds up no other.
        let sharing = lacking.take(REGIONS_MAX).map(|region| async {
            let had = self.regions.share(&region, agreed.ring.clone(), agreed.ring_number).await;
            (region, had)
        });
        let had = join_all(sharing).await;
        let did = !had.is_empty();
        for (region, had) in had {
            match had {
                Ok(()) => drop(shared.insert(region, agreed.ring.clone())),
                Err(why) => tracing::info!(%region, why, "it was not given the ring between regions yet"),
            }
        }
        did
    }

    async fn propose(&self, command: Command) {
        let id = self.ground.ids.request();
        match self.ground.forwarder.propose(id, command).await {
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) => tracing::warn!(%refusal, "where a region is was not agreed"),
            Err(error) => tracing::info!(%error, "where a region is was not agreed yet"),
        }
    }
}

/// Returns all addresses of gossip between regions that are agreed.
fn seeds(federation: &Federation) -> Vec<String> {
    federation.others().flat_map(|(_, known)| known.addresses.iter().cloned()).collect()
}

/// Puts addresses that are heard before those that were, as many as are kept.
fn merged(heard: Vec<String>, before: &[String]) -> Vec<String> {
    let rest: Vec<String> = before.iter().filter(|address| !heard.contains(address)).cloned().collect();
    heard.into_iter().chain(rest).take(REGION_ADDRESSES_MAX).collect()
}

/// Returns where others reach a port that is bound beside the one at `address`.
fn told(address: &str, bound: &str) -> String {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let port = bound.rsplit_once(':').map_or(bound, |(_, port)| port);
    format!("{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_told_is_of_the_nodes_host_and_the_bound_port() {
        assert_eq!(told("a.example:7500", "0.0.0.0:7501"), "a.example:7501");
        assert_eq!(told("[::1]:7500", "[::]:7501"), "[::1]:7501");
    }

    #[test]
    fn addresses_that_are_heard_come_first_and_their_number_is_bounded() {
        let texts = |range: std::ops::Range<u32>| range.map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(merged(texts(3..5), &texts(0..4)), ["3", "4", "0", "1", "2"]);
        assert_eq!(merged(texts(0..9), &texts(9..12)).len(), REGION_ADDRESSES_MAX);
    }
}
