//! A node's verbs about other regions: letting one be founded, seeing them, ending the trust in one, rotating keys.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use synod_cluster::gossip::{Counters, Health};
use synod_cluster::identity::{self, Folder, JoinText};
use synod_cluster::transport::tcp::Tcp;
use synod_domain::command::Command;
use synod_domain::federation::{RegionToken, Rival};
use synod_domain::id::{NodeId, RequestId};
use synod_domain::name::Name;
use synod_domain::node::{GOSSIP_KEYS_MAX, GossipKey, Keyring};
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::time::Timestamp;
use synod_storage::Verify;

use crate::clock::{SeededEntropy, SystemClock};
use crate::node::cluster::{Founded, JoinTokenText, Seeing};
use crate::node::home::{self, Home};
use crate::node::member::{FOLDER, Member, Papers};
use crate::node::{Error, Node};

/// How long a node waits until its region listens for others, which it does once the first token for one is made.
const LISTEN_PATIENCE: Duration = Duration::from_secs(20);

/// A region, as this node knows it.
#[derive(Debug, Clone)]
pub struct RegionStatus {
    /// What it is called.
    pub name: Name,
    /// Whether it is the one of this node.
    pub here: bool,
    /// Since when it is removed, if it is.
    pub removed: Option<Timestamp>,
    /// Which cluster it is agreed to be, once that is known.
    pub cluster: Option<Arc<str>>,
    /// Another cluster that goes by its name, and is not talked to.
    pub rival: Option<Rival>,
    /// How many tasks are kept here that were offered to it and that it has not answered.
    pub offered: usize,
    /// Its voters, as gossip between regions knows them.
    pub members: Vec<RegionSeen>,
    /// Where its voters gossip with other regions, as agreed for later starts.
    pub addresses: Vec<String>,
}

impl RegionStatus {
    /// Returns how many of its voters are alive.
    pub fn alive(&self) -> usize {
        self.members.iter().filter(|member| member.health == Seeing::Alive).count()
    }
}

/// A voter of a region, as gossip between regions knows it.
#[derive(Debug, Clone)]
pub struct RegionSeen {
    /// Which node.
    pub node: NodeId,
    /// What people call it.
    pub name: Name,
    /// Whether it is there.
    pub health: Seeing,
    /// Where nodes reach it.
    pub address: String,
    /// Where its API is; empty when it serves none.
    pub api: String,
}

impl Node {
    /// Makes a permission to found one region beside this one, within this time, and sees to it that this one listens
    /// for others.
    ///
    /// # Errors
    /// When this node stands alone, there are too many, or no voter comes to listen for other regions.
    pub async fn create_region_token(&self, ttl: Duration) -> Result<JoinTokenText, Error> {
        let member = self.member_of_regions()?;
        if self.read(|state| state.federation().ring.used.is_none()) {
            let key = GossipKey { number: 1, secret: self.draw_gossip_secret() };
            let ring = Keyring { keys: vec![key], used: Some(1), last: 1 };
            self.propose(Command::ShareRing { ring, number: 1 }).await?;
        }
        let (here, mut federation) = (self.region().clone(), member.federation.clone());
        let listens = federation
            .wait_for(|agreed| agreed.regions.get(&here).is_some_and(|known| !known.addresses.is_empty()));
        match tokio::time::timeout(LISTEN_PATIENCE, listens).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(Error::Failed("the node has stopped".to_owned())),
            Err(_) => {
                let why =
                    "no voter listens for other regions yet; its log says why, and --wan-listen says where";
                return Err(Error::Cluster(why.to_owned()));
            }
        }
        let Papers::Kept { credentials, .. } = &member.papers else {
            let why = "the network of this cluster is closed: it has no other regions";
            return Err(Error::Cluster(why.to_owned()));
        };
        let text = JoinText::make(credentials.authority_certificate().hash(), self.entropy());
        let id = self.new_token_id();
        let expires_at = self.now().after(ttl);
        let token = RegionToken { id, hash: text.hash(), expires_at, used_by: None };
        self.propose(Command::PutRegionToken { token }).await?;
        Ok(JoinTokenText { id, text: text.reveal() })
    }

    /// Returns the permissions to found a region, in order of id; some may be over.
    pub fn region_tokens(&self) -> Vec<RegionToken> {
        self.read(|state| state.federation().tokens.values().cloned().collect())
    }

    /// Returns the regions that are known, this one first if it has a name, and what gossip says of them.
    pub fn regions(&self) -> Vec<RegionStatus> {
        let here = self.region().clone();
        let mut seen = self.member.as_ref().map(|member| member.regions.members()).unwrap_or_default();
        let (known, clusters, offered) = self.read(|state| {
            let mut offered: BTreeMap<Name, usize> = BTreeMap::new();
            for task in state.kept_tasks() {
                if let Some(region) = task.forwarding().and_then(|forwarding| forwarding.offered.clone()) {
                    *offered.entry(region).or_default() += 1;
                }
            }
            (state.federation().regions.clone(), state.federation().clusters.clone(), offered)
        });
        // Names that are only rumoured are nobody's.
        let mut names: Vec<Name> = known.keys().cloned().collect();
        names.push(here.clone());
        names.sort();
        names.dedup();
        names.sort_by_key(|name| *name != here);
        let status = names.into_iter().map(|name| {
            let members = seen.remove(&name).unwrap_or_default().into_iter();
            let known = known.get(&name);
            RegionStatus {
                here: name == here,
                removed: known.and_then(|known| known.removed),
                cluster: match &self.member {
                    Some(member) if name == here => Some(member.who.cluster.as_str().into()),
                    Some(_) | None => clusters.get(&name).map(|identified| identified.cluster.clone()),
                },
                rival: clusters.get(&name).and_then(|identified| identified.rival.clone()),
                offered: offered.get(&name).copied().unwrap_or_default(),
                addresses: known.map(|known| known.addresses.clone()).unwrap_or_default(),
                members: members
                    .map(|member| RegionSeen {
                        node: member.node,
                        name: member.name,
                        health: match member.health {
                            Health::Alive => Seeing::Alive,
                            Health::Suspect => Seeing::Suspect,
                            Health::Dead => Seeing::Dead,
                            Health::Left => Seeing::Left,
                        },
                        address: member.address,
                        api: member.api,
                    })
                    .collect(),
                name,
            }
        });
        status.collect()
    }

    /// Ends the trust in another region, for good: none of its nodes is let in from here on. Others do so by
    /// themselves. Tasks that were offered to it stay kept, because it may have done them.
    ///
    /// # Errors
    /// When there is no such region, or it is this one.
    pub async fn remove_region(&self, region: &Name, reason: &str) -> Result<(), Error> {
        self.remove_region_as(self.new_request_id(), region, reason).await
    }

    /// Does what [`Node::remove_region`] does, under a request id that the caller chose.
    ///
    /// # Errors
    /// As [`Node::remove_region`].
    pub async fn remove_region_as(
        &self,
        request: RequestId,
        region: &Name,
        reason: &str,
    ) -> Result<(), Error> {
        self.check_other(region)?;
        let command = Command::RemoveRegion { region: region.clone(), reason: reason.into() };
        self.propose_as(request, command).await.map(drop)
    }

    /// Removes another region, if it is not removed, and declares that it will never be back: tasks that were offered to it
    /// go elsewhere from here on, although it may have done them.
    ///
    /// # Errors
    /// When there is no such region, or it is this one.
    pub async fn lose_region(&self, region: &Name, reason: &str) -> Result<(), Error> {
        self.lose_region_as(self.new_request_id(), region, reason).await
    }

    /// Does what [`Node::lose_region`] does, under a request id that the caller chose.
    ///
    /// # Errors
    /// As [`Node::lose_region`].
    pub async fn lose_region_as(&self, request: RequestId, region: &Name, reason: &str) -> Result<(), Error> {
        self.check_other(region)?;
        let command = Command::LoseRegion { region: region.clone(), reason: reason.into() };
        self.propose_as(request, command).await.map(drop)
    }

    fn check_other(&self, region: &Name) -> Result<(), Error> {
        self.member_of_regions()?;
        if region == self.region() {
            return Err(Error::Cluster(format!("{region} is this region; remove it where others are")));
        }
        Ok(())
    }

    /// Returns the keys of gossip between regions. Their secrets are not for people.
    pub fn region_keyring(&self) -> Keyring {
        self.read(|state| state.federation().ring.clone())
    }

    /// Adds a key of chance to the ring of gossip between regions, here and by and by everywhere; returns its number.
    ///
    /// # Errors
    /// When there is no ring yet, or it is full.
    pub async fn install_region_key(&self) -> Result<u32, Error> {
        let secret = self.draw_gossip_secret();
        self.change_ring(self.new_request_id(), |ring| {
            if ring.keys.len() >= GOSSIP_KEYS_MAX {
                return Err(Refusal::Full { bound: Bound::GossipKeys, limit: GOSSIP_KEYS_MAX as u64 });
            }
            ring.last += 1;
            ring.keys.push(GossipKey { number: ring.last, secret });
            Ok(ring.last)
        })
        .await
    }

    /// Seals gossip between regions with another key of the ring. Every region must have it.
    ///
    /// # Errors
    /// When there is no such key.
    pub async fn use_region_key(&self, number: u32) -> Result<(), Error> {
        self.use_region_key_as(self.new_request_id(), number).await
    }

    /// Does what [`Node::use_region_key`] does, under a request id that the caller chose.
    ///
    /// # Errors
    /// As [`Node::use_region_key`].
    pub async fn use_region_key_as(&self, request: RequestId, number: u32) -> Result<(), Error> {
        self.change_ring(request, |ring| {
            check_key(ring, number)?;
            ring.used = Some(number);
            Ok(())
        })
        .await
    }

    /// Removes a key from the ring of gossip between regions.
    ///
    /// # Errors
    /// When there is no such key, or it is in use.
    pub async fn remove_region_key(&self, number: u32) -> Result<(), Error> {
        self.remove_region_key_as(self.new_request_id(), number).await
    }

    /// Does what [`Node::remove_region_key`] does, under a request id that the caller chose.
    ///
    /// # Errors
    /// As [`Node::remove_region_key`].
    pub async fn remove_region_key_as(&self, request: RequestId, number: u32) -> Result<(), Error> {
        self.change_ring(request, |ring| {
            check_key(ring, number)?;
            if ring.used == Some(number) {
                return Err(Refusal::GossipKeyRefused { number, why: "is in use".to_owned() });
            }
            ring.keys.retain(|key| key.number != number);
            Ok(())
        })
        .await
    }

    async fn change_ring<T>(
        &self,
        request: RequestId,
        change: impl FnOnce(&mut Keyring) -> Result<T, Refusal>,
    ) -> Result<T, Error> {
        self.linearize().await?;
        let (mut ring, number) = self.read(|state| {
            let federation = state.federation();
            (federation.ring.clone(), federation.ring_number.saturating_add(1))
        });
        if ring.used.is_none() {
            let why = "this region knows no others; make a token for one with `synod cluster token create --role region`";
            return Err(Error::Cluster(why.to_owned()));
        }
        let done = change(&mut ring)?;
        self.propose_as(request, Command::ShareRing { ring: ring.clone(), number }).await?;
        if self.read(|state| state.federation().ring != ring) {
            return Err(Error::Cluster(
                "the ring was changed elsewhere meanwhile; look at it again".to_owned(),
            ));
        }
        Ok(done)
    }

    /// Returns what became of datagrams between regions, while this node gossips with any.
    pub fn region_gossip(&self) -> Option<Counters> {
        self.member.as_ref()?.regions.counters()
    }

    fn member_of_regions(&self) -> Result<&Arc<Member>, Error> {
        self.member.as_ref().ok_or_else(|| {
            let why = "this node stands alone; stop it and make it a cluster with `synod cluster init`";
            Error::Cluster(why.to_owned())
        })
    }
}

fn check_key(ring: &Keyring, number: u32) -> Result<(), Refusal> {
    let known = ring.keys.iter().any(|key| key.number == number);
    if known {
        Ok(())
    } else {
        Err(Refusal::GossipKeyRefused { number, why: "is not in the ring".to_owned() })
    }
}

/// Makes the node of a data folder, new or in use by a node that stood alone, the founder of a region beside the one
/// that the node at `address` belongs to. No node may run on it. Whatever the folder holds stays. Asking again after a
/// failure is safe.
///
/// # Errors
/// When the folder cannot be used or belongs to a cluster already, or the other region does not let this one in.
pub async fn found_region(
    folder: &Path,
    region: &Name,
    address: &str,
    token: &str,
) -> Result<Founded, Error> {
    let token: JoinText = token.parse()?;
    let entropy = SeededEntropy::from_system().map_err(Error::Start)?;
    let (storage, _, _) = home::open(&Home::Folder(folder.to_owned()), Verify::Prefixes(Vec::new()))?;
    let node = home::node_id(&storage, &SystemClock, &entropy).await?;
    let at = Folder::at(folder.join(FOLDER));
    let clock = Arc::new(SystemClock);
    let founded =
        identity::federate(Arc::new(Tcp), &at, address, &token, node, region, clock, &entropy).await?;
    Ok(Founded { cluster: founded.cluster, node })
}
