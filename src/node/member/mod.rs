//! A node's part in its cluster: who it is, where it listens, whom it knows, what it tells of itself.
//!
//! ```text
//!  DATA/cluster/ ─► Identity ─► TLS ─► Listener ─► door ─► Switchboard ─┬─ Agreement ─► Consensus
//!                                        Links ◄─ Book ◄─ Gossip        ├─ Journal, Blobs, Admission
//!                                                                       └─ ...
//! ```
//!
//! On a network that is [closed](crate::node::ClosedIdentity) there is no folder, no TLS and no admission.
//! Promises that nothing listens before the identity was checked against the log, and that dropping a [`Member`]
//! severs every connection, as a crash does. Leaves agreement to the cluster crate, and what runs where this node
//! leads to [`drive`](super::drive).

mod book;
mod chores;
mod doors;
mod formation;
mod neighbours;
mod payloads;
mod registrar;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use synod_actors::events::Subscription;
use synod_actors::ids::Ids;
use synod_actors::liveness;
use synod_actors::system::World;
use synod_cluster::blobs::{self, Copies};
use synod_cluster::consensus::Consensus;
use synod_cluster::courier::{self, Courier};
use synod_cluster::gossip::{self, Gossip, Health, Load, Profile, Rumour};
use synod_cluster::identity::{Admission, Renewal, StillMembers, keep_renewed};
use synod_cluster::journal::{self, Ear, Forwarder};
use synod_cluster::lasting::Lasting;
use synod_cluster::offload::Offload;
use synod_cluster::transport::hello::{Hello, PROTOCOL};
use synod_cluster::transport::links::{Links, Service, Switchboard};
use synod_cluster::transport::{Datagrams, Listener, Network, serve};
use synod_domain::federation::Federation;
use synod_domain::id::NodeId;
use synod_domain::node::{GossipKey, Keyring, NodeSpec};
use synod_domain::sources::{Clock, Entropy};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(super) use book::Book;
pub(super) use doors::open_wan;
pub(super) use formation::{Belonging, Papers, Who, belonging};
pub(super) use neighbours::{Rumours, ToLeader};

use crate::node::abroad::{self, Ground, OtherRegions, Own, Wan};
use crate::node::cluster::Cluster;
use crate::node::elsewhere::Handed;
use crate::node::{Error, Readiness};
use chores::Chores;
use payloads::{Keeper, Voters};

/// The folder of the identity, in the data folder.
pub(super) const FOLDER: &str = "cluster";

/// What a node has open towards others before it takes part in agreement.
pub(super) struct Doors {
    pub(super) who: Who,
    pub(super) papers: Papers,
    pub(super) links: Links,
    pub(super) book: Arc<Book>,
    pub(super) spec: Arc<NodeSpec>,
    keyring: Keyring,
    far: Far,
    listener: Box<dyn Listener>,
    datagrams: Box<dyn Datagrams>,
}

/// What a node needs to talk to other regions, if there are any.
pub(super) struct Far {
    network: Arc<dyn Network>,
    hello: Hello,
    listen: Option<String>,
}

/// What a member needs of its node.
pub(super) struct Surroundings {
    pub(super) consensus: Arc<Consensus>,
    pub(super) blobs: Arc<dyn synod_storage::Blobs>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) ids: Arc<Ids>,
    pub(super) logs: Arc<dyn blobs::Logs>,
    pub(super) generation: u64,
    /// Whether disk work is done on the spot.
    pub(super) inline: bool,
}

/// A node's part in its cluster, until it is dropped.
pub(super) struct Member {
    pub(super) who: Who,
    pub(super) spec: Arc<NodeSpec>,
    pub(super) papers: Papers,
    pub(super) gossip: Gossip,
    pub(super) forwarder: Forwarder,
    book: Arc<Book>,
    links: Links,
    switchboard: Arc<Switchboard>,
    /// Where signs of life of agents that run elsewhere are noted, once there is such a place.
    liveness: Arc<OnceLock<liveness::Handle>>,
    voters: watch::Receiver<Voters>,
    /// What is agreed of other regions, as this node has applied it.
    pub(super) federation: watch::Receiver<Federation>,
    pub(super) regions: Arc<OtherRegions>,
    /// For what ends by itself with what it serves.
    panics: Lasting,
    /// Why a task has ended that lasts as long as the member.
    fatal: watch::Receiver<Option<String>>,
    stop: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Doors {
    /// Takes this node's place on the network; nobody is answered yet.
    ///
    /// # Errors
    /// When its address cannot be had or told to others.
    pub(super) async fn open(
        belonging: Belonging,
        cluster: &Cluster,
        inner: Arc<dyn Network>,
        generation: u64,
    ) -> Result<Self, Error> {
        let Belonging { who, papers, keyring } = belonging;
        let network = papers.network(inner)?;
        let last = who.members.get(&who.node).map(String::as_str);
        let (listener, datagrams) = doors::open(&*network, &cluster.listen, last).await?;
        let address = doors::told(&listener.address(), cluster.advertise.as_deref())?;
        papers.name_region(&cluster.region);
        let spec = Arc::new(formation::spec(who.node, cluster, papers.region(), address));
        let book = Arc::new(Book::new(who.members.clone()));
        let hello = Hello { protocol: PROTOCOL, cluster: who.cluster.clone(), node: who.node, generation };
        let links = Links::new(network.clone(), hello.clone(), book.clone());
        let keyring = keyring.unwrap_or_else(|| first_ring(&who));
        let far = Far { network, hello, listen: cluster.wan_listen.clone() };
        Ok(Self { who, papers, links, book, spec, keyring, far, listener, datagrams })
    }
}

/// The ring before any is agreed: the founder's first key, under the number that it will be given.
fn first_ring(who: &Who) -> Keyring {
    match &who.first_key {
        Some(secret) => {
            Keyring { keys: vec![GossipKey { number: 1, secret: secret.clone() }], used: Some(1), last: 1 }
        }
        None => Keyring::default(),
    }
}

impl Member {
    /// Begins to answer others, to gossip, and to do what keeps a member one.
    ///
    /// # Errors
    /// When gossip or the thread for disk work does not start.
    pub(super) async fn start(doors: Doors, around: Surroundings) -> Result<(Arc<Self>, Copies), Error> {
        let Doors { who, papers, links, book, spec, keyring, far, listener, datagrams } = doors;
        let beside = listener.address();
        let Surroundings { consensus, blobs, clock, entropy, ids, logs, generation, inline } = around;
        let state = consensus.state();
        let agreed = state.read().keyring().clone();
        let keyring = if agreed.keys.is_empty() { keyring } else { agreed };
        let (ring, ringing) = watch::channel(keyring);
        let role = state.read().node(who.node).map(|node| node.role);
        let (role, roles) = watch::channel(role);
        let (voters, voting) = watch::channel(Voters::default());
        book.know_state(state.clone());
        let gossip = Gossip::start(gossip::Options {
            datagrams,
            advertise: Some(spec.address.clone()),
            me: Rumour {
                node: who.node,
                generation,
                name: spec.name.clone(),
                address: spec.address.clone(),
                api: spec.api.clone(),
                region: spec.region.clone(),
                role: who.role,
                labels: spec.labels.clone(),
                load: Load::default(),
                version: spec.version.clone(),
                leads: None,
                applied: consensus.applied(),
            },
            seeds: book.addresses().into_iter().filter(|address| *address != spec.address).collect(),
            keyring: ringing,
            clock: clock.clone(),
            entropy: entropy.clone(),
            profile: Profile::Lan,
        })
        .await?;
        book.know_gossip(gossip.clone());
        let missing = Self::missing_of(consensus.clone(), gossip.clone());
        let forwarder = Forwarder::start(journal::Parts {
            consensus: Arc::downgrade(&consensus),
            links: links.clone(),
            entropy: entropy.clone(),
            missing,
        });
        let offload = if inline { Ok(Offload::Inline) } else { Offload::thread("synod-blobs") };
        let offload = offload.map_err(|error| Error::Start(error.to_string()))?;
        let copies = Copies::new(blobs::Parts {
            blobs: blobs.clone(),
            consensus: Arc::downgrade(&consensus),
            links: links.clone(),
            offload: offload.clone(),
        });
        let liveness = Arc::<OnceLock<liveness::Handle>>::default();
        let switchboard = Arc::<Switchboard>::default();
        switchboard.plug(Service::Agreement, consensus.handler());
        let answering = journal::Answering::new(consensus.clone(), ear(liveness.clone()));
        switchboard.plug(Service::Journal, Arc::new(answering));
        switchboard.plug(Service::Blobs, Arc::new(blobs::Answering::new(blobs, logs, offload.clone())));
        let door = papers.door(state.clone());
        let guarded = Arc::new(StillMembers::new(door.clone(), switchboard.clone()));
        let stop = CancellationToken::new();
        let (died, fatal) = watch::channel(None);
        let lasting = Lasting::until(died.clone(), stop.clone());
        let mut tasks = Vec::new();
        let here = papers.region().unwrap_or_else(|| spec.region.clone());
        let own = Own { links: links.clone(), voters: neighbours::voters(who.node, &state, &gossip) };
        let regions = OtherRegions::new(here, state.clone(), far.network.clone(), far.hello, own);
        let (federation, federated) = watch::channel(state.read().federation().clone());
        let told = regions.clone().be_told(federated.clone(), stop.clone());
        tasks.push(lasting.spawn("being told of other regions", told));
        if let Papers::Kept { credentials, folder } = &papers {
            let registrar = registrar::Admitting::new(forwarder.clone(), state.clone(), ids.clone());
            let (credentials, links) = (credentials.clone(), links.clone());
            let (registrar, entropy) = (Arc::new(registrar), entropy.clone());
            let admission =
                Admission::new(credentials.clone(), registrar, state.clone(), links.clone(), entropy.clone());
            switchboard.plug(Service::Admission, Arc::new(admission));
            let wan = Wan {
                ground: Ground {
                    spec: spec.clone(),
                    generation,
                    network: far.network,
                    listen: far.listen,
                    beside,
                    folder: folder.clone(),
                    offload: offload.clone(),
                    clock,
                    entropy: entropy.clone(),
                    consensus: consensus.clone(),
                    forwarder: forwarder.clone(),
                    ids,
                },
                federation: federated.clone(),
                role: roles.clone(),
                regions: regions.clone(),
            };
            tasks.push(lasting.spawn("talking to other regions", wan.run(stop.clone())));
            let (folder, offload) = (folder.clone(), offload.clone());
            let renewal = Renewal { credentials, folder, links, state, entropy, offload };
            let renewing = keep_renewed(renewal, roles, stop.clone());
            tasks.push(lasting.spawn("renewing the certificate", renewing));
        }
        // Not before all that a stranger asks can be answered: the port is open already, and whoever joins may wait there.
        let serving = serve::serve(listener, Arc::new(door), guarded, stop.clone());
        tasks.push(lasting.spawn("answering other nodes", serving));
        let chores = Chores {
            me: who.node,
            consensus,
            gossip: gossip.clone(),
            folder: papers.folder(),
            offload,
            ring,
            role,
            voters,
            federation,
        };
        tasks.push(lasting.spawn("telling others of this node", chores.run(stop.clone())));
        tracing::info!(address = spec.address, cluster = who.cluster, "listens for other nodes");
        let member = Arc::new(Self {
            who,
            spec,
            papers,
            gossip,
            forwarder,
            book,
            links,
            switchboard,
            liveness,
            voters: voting,
            federation: federated,
            regions,
            panics: Lasting::noticing_panics(died),
            fatal,
            stop,
            tasks: Mutex::new(tasks),
        });
        Ok((member, copies))
    }

    /// Makes the node's courier, and lets it answer the others.
    pub(super) fn courier(&self, clock: Arc<dyn Clock>) -> Courier {
        let (me, links, others) = (self.who.node, Some(self.links.clone()), Arc::new(self.gossip.clone()));
        let courier = Courier::new(courier::Options { me, links, others, clock });
        self.switchboard.plug(Service::Courier, courier.handler());
        courier
    }

    /// Returns the reasons for which this node cannot go on as a member, each once there is one.
    pub(super) fn fatal(&self) -> [watch::Receiver<Option<String>>; 2] {
        [self.fatal.clone(), self.gossip.fatal()]
    }

    /// Lets other regions be answered, as any request of this one is, and nodes of this one that ask for them.
    pub(super) fn answer_regions(&self, world: World, handed: Handed) {
        self.regions.know_blobs(world.blobs.clone());
        let answering = abroad::Answering::new(world, handed, self.regions.clone(), self.stop.clone());
        self.switchboard.plug(Service::Regions, Arc::new(answering));
    }

    /// Begins to keep the large payloads here that are still wanted, as long as this node votes.
    pub(super) fn keep_payloads(
        &self,
        consensus: Arc<Consensus>,
        copies: Copies,
        ready: watch::Receiver<Readiness>,
        events: Subscription,
    ) {
        let (me, voters) = (self.who.node, self.voters.clone());
        let keeper = Keeper { me, consensus, copies, voters, ready, events };
        let keeping = self.panics.spawn("keeping large payloads", keeper.run(self.stop.clone()));
        self.tasks.lock().push(keeping);
    }

    /// Lets signs of life that are heard elsewhere be noted there.
    pub(super) fn note_signs_of_life(&self, handle: liveness::Handle) {
        let _ = self.liveness.set(handle);
    }

    /// Returns where signs of life are noted.
    pub(super) fn ear(&self) -> Ear {
        ear(self.liveness.clone())
    }

    fn missing_of(consensus: Arc<Consensus>, gossip: Gossip) -> Arc<dyn Fn() -> String + Send + Sync> {
        // Weak: what says who is missing must not keep the group.
        let consensus = Arc::downgrade(&consensus);
        Arc::new(move || match consensus.upgrade() {
            Some(consensus) => missing(&consensus, &gossip),
            None => "the node is stopping".to_owned(),
        })
    }

    /// Tells the others that this node goes, answers nobody any more, and waits until what it began has ended.
    pub(super) async fn leave(&self) {
        self.regions.leave().await;
        self.gossip.leave().await;
        self.sever();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // An error means that it panicked; it is over all the same.
            let _ = task.await;
        }
    }

    /// Ends every connection, in both directions, without a word.
    pub(super) fn sever(&self) {
        self.stop.cancel();
        self.gossip.stop();
        self.regions.sever();
        self.switchboard.unplug_all();
        for node in self.book.close() {
            self.links.forget(node);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.sever();
    }
}

fn ear(liveness: Arc<OnceLock<liveness::Handle>>) -> Ear {
    Arc::new(move |agents| {
        if let Some(liveness) = liveness.get() {
            for agent in agents {
                liveness.heard(*agent);
            }
        }
    })
}

fn missing(consensus: &Consensus, gossip: &Gossip) -> String {
    let me = consensus.me().1;
    let heard: BTreeMap<NodeId, Health> =
        gossip.members().into_iter().map(|member| (member.rumour.node, member.health)).collect();
    let voters: Vec<NodeId> =
        consensus.group().members.iter().filter(|member| member.voter).map(|member| member.node).collect();
    if voters.is_empty() {
        return "no leader has taken this node in yet".to_owned();
    }
    let is_here = |node: &NodeId| *node == me || heard.get(node) == Some(&Health::Alive);
    let here = voters.iter().filter(|node| is_here(node)).count();
    let state = consensus.state();
    let names: Vec<String> = voters
        .iter()
        .filter(|node| !is_here(node))
        .map(|node| {
            let known = state.read().node(*node).map(|node| node.spec.name.to_string());
            known.unwrap_or_else(|| node.to_string())
        })
        .collect();
    let rest = if names.is_empty() { String::new() } else { format!("; missing: {}", names.join(", ")) };
    format!("{here} of {} voters were heard{rest}", voters.len())
}
