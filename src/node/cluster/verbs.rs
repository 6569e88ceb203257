//! A node's verbs about its cluster.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use synod_cluster::gossip::{Health, Member};
use synod_cluster::identity::{self, Folder, JoinText};
use synod_cluster::journal::AskError;
use synod_domain::agent::Host;
use synod_domain::command::Command;
use synod_domain::id::{NodeId, TokenId};
use synod_domain::name::Name;
use synod_domain::node::{GossipSecret, JoinToken, Keyring, Node as Agreed, NodeRole};
use synod_domain::refusal::Refusal;
use synod_domain::time::Timestamp;
use synod_storage::Verify;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::clock::{SeededEntropy, SystemClock};
use crate::node::cluster::{ClusterStatus, NodeStatus, Seeing, Seen};
use crate::node::drive::Readiness;
use crate::node::home::{self, Home};
use crate::node::member::{FOLDER, Papers};
use crate::node::wiring::ask_error;
use crate::node::{Error, Node};

/// How long a node that leaves waits for its agents to go; what they still have goes to others then.
const LEAVE_PATIENCE: Duration = Duration::from_secs(30);

/// How long a node that leaves waits until the group does without its vote: some changes of leader.
const VOTE_PATIENCE: Duration = Duration::from_secs(15);

/// The pause between two tries of a node that could not leave to be what it was.
const STAY_PAUSE: Duration = Duration::from_millis(200);

/// A join token as it is told once.
pub struct JoinTokenText {
    /// What it is called in lists.
    pub id: TokenId,
    /// What the joining node is given; it is stored nowhere.
    pub text: String,
}

/// What the founder of a cluster has made.
#[derive(Debug, Clone)]
pub struct Founded {
    /// What the cluster is called.
    pub cluster: String,
    /// The founder.
    pub node: NodeId,
}

/// What was made of a backup.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Through which index of the old log it goes.
    pub applied: u64,
    /// How many large payloads came with it.
    pub payloads: u64,
    /// How many are named in it and did not come: no node had them, or the backup is from before they were in it.
    pub lacking: u64,
}

impl Node {
    /// Returns what this node knows of its cluster.
    pub fn cluster(&self) -> ClusterStatus {
        let status = self.status();
        let consensus = self.consensus().ok();
        let leader = consensus.as_ref().and_then(|consensus| *consensus.leader().borrow());
        let leads = consensus.as_ref().and_then(|consensus| *consensus.leadership().borrow());
        let group = consensus.as_ref().map(|consensus| consensus.group()).unwrap_or_default();
        let members = group.members;
        let seen: BTreeMap<NodeId, Member> = match &self.member {
            Some(member) => {
                member.gossip.members().into_iter().map(|seen| (seen.rumour.node, seen)).collect()
            }
            None => BTreeMap::new(),
        };
        let now = self.world.clock.now();
        let nodes = self.read(|state| state.nodes().cloned().collect::<Vec<_>>());
        let nodes = nodes.into_iter().map(|node| {
            let member = members.iter().find(|member| member.node == node.spec.id);
            NodeStatus {
                seen: seen.get(&node.spec.id).map(|member| seen_of(member, now)),
                votes: member.map(|member| member.voter),
                matched: member.and_then(|member| member.matched),
                lag: member.and_then(|member| member.lag),
                lost: member.and_then(|member| member.lost),
                node,
            }
        });
        let nodes: Vec<_> = nodes.collect();
        // The group follows the table by one voter at a time; until it has, fewer can be missed than the table says.
        let follows = nodes.iter().any(|one| (one.node.role == NodeRole::Voter) != (one.votes == Some(true)))
            || members.iter().any(|one| one.voter && !nodes.iter().any(|node| node.node.spec.id == one.node));
        ClusterStatus {
            cluster: self.member.as_ref().map(|member| member.who.cluster.clone()),
            node: self.id(),
            generation: self.world.generation,
            listens: self.member.as_ref().map(|member| member.spec.address.clone()),
            term: status.term,
            leader: leader.map(|leader| leader.node),
            leads,
            last_log: status.last_log,
            applied: status.applied,
            staleness: self.staleness(),
            waits_for: self.waits_for(),
            changing: group.changing || follows,
            nodes,
        }
    }

    /// Returns what this node waits for before it takes work, for a person; `None` once it takes work.
    pub fn waits_for(&self) -> Option<String> {
        match &*self.ready.borrow() {
            Readiness::Ready => None,
            Readiness::Waiting(what) | Readiness::Never(what) => Some(what.clone()),
        }
    }

    /// Waits until this node takes work: it knows a leader, has applied what was agreed then, and its start is
    /// agreed.
    ///
    /// # Errors
    /// When it never will: it was removed, its disk has forgotten something, or it failed.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut ready = self.ready.clone();
        let came = ready.wait_for(|ready| !matches!(ready, Readiness::Waiting(_)));
        let came = tokio::select! {
            biased;
            came = came => came.map(|ready| ready.clone()),
            why = self.failed() => Ok(Readiness::Never(why)),
        };
        match came {
            Ok(Readiness::Ready) => Ok(()),
            Ok(Readiness::Never(why) | Readiness::Waiting(why)) => Err(Error::Start(why)),
            Err(_) => Err(Error::Failed("the node has stopped".to_owned())),
        }
    }

    /// Waits until this node has applied everything that was acknowledged anywhere when this was called, so that
    /// what is read then is not stale.
    ///
    /// # Errors
    /// When no leader vouches for that in time.
    pub async fn linearize(&self) -> Result<(), Error> {
        match &self.member {
            Some(member) => Ok(member.forwarder.linearize().await.map_err(ask_error)?),
            None => Ok(()),
        }
    }

    /// Returns how long ago this node last heard a leader; what it shows may be older than the truth by that.
    /// `None` when it leads itself; the longest time there is when it has heard none since it started.
    pub fn staleness(&self) -> Option<Duration> {
        match (&self.member, self.consensus()) {
            (Some(_), Ok(consensus)) => consensus.heard(),
            (Some(_), Err(_)) => Some(Duration::MAX),
            (None, _) => None,
        }
    }

    /// Lets another voter lead: the named one, or the one that is least behind. Returns who leads then.
    ///
    /// # Errors
    /// When there is no other voter that could, or it did not come to lead in time.
    pub async fn transfer_leadership(&self, to: Option<NodeId>) -> Result<NodeId, Error> {
        let Some(member) = &self.member else {
            let why = "this node stands alone; there is nobody to lead in its place";
            return Err(Error::Cluster(why.to_owned()));
        };
        match member.forwarder.transfer(to).await {
            Ok(node) => Ok(node),
            Err(AskError::Failed(why)) => Err(Error::Cluster(why)),
            Err(error) => Err(ask_error(error).into()),
        }
    }

    /// Makes a snapshot of this node's state now, and lets its log be purged behind it.
    pub async fn snapshot(&self) {
        if let Ok(consensus) = self.consensus() {
            consensus.snapshot().await;
        }
    }

    /// Writes everything that is agreed into `into`, as of one moment, while work goes on; returns through which
    /// index of the log it goes. Blobs and logs of attempts are not among it.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn backup(&self, into: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<u64, Error> {
        self.linearize().await?;
        super::backup::write(&*self.consensus()?, &*self.world.blobs, into).await
    }

    /// Takes this node out of its cluster for good: drains its agents, hands leadership over, gives its vote up, and is
    /// forgotten by the others. On return nothing is decided by its vote. What is left is to [stop](Node::stop) it.
    ///
    /// # Errors
    /// When it is the last voter, the others are too few to go on without it, or they do not take note of it. It stays.
    pub async fn leave(&self) -> Result<(), Error> {
        if self.member.is_none() {
            return Err(Error::Cluster("this node stands alone; there is nothing to leave".to_owned()));
        }
        let me = self.id();
        let votes = |node: &Arc<Agreed>| node.spec.id != me && node.role == NodeRole::Voter;
        if !self.read(|state| state.nodes().any(votes)) {
            // Before its agents are sent away.
            return Err(Refusal::LastVoter(me).into());
        }
        self.drain_node(me, true, "it leaves").await?;
        let leads = self.consensus()?.leadership().borrow().is_some();
        if leads && let Err(error) = self.transfer_leadership(None).await {
            self.drain_node(me, false, "it could not leave").await?;
            return Err(error);
        }
        self.wait_until_empty(LEAVE_PATIENCE).await;
        let role = self.read(|state| state.node(me).map(|node| node.role)).unwrap_or_default();
        let gone = async {
            self.give_vote_up().await?;
            self.be_forgotten().await
        };
        if let Err(error) = gone.await {
            self.stay(role).await;
            return Err(error);
        }
        Ok(())
    }

    /// Lets the others forget this node. Whoever takes note of it does not talk to this node any more, so the answer may
    /// never come; then their silence is the answer. If it were none, a name without a vote would stay in the table.
    async fn be_forgotten(&self) -> Result<(), Error> {
        let Some(member) = &self.member else { return Ok(()) };
        let until = Instant::now() + LEAVE_PATIENCE;
        loop {
            match self.remove_node(self.id(), "it has left").await {
                Ok(()) | Err(Error::Refused(Refusal::NodeUnknown(_))) => return Ok(()),
                Err(Error::Refused(refusal)) => return Err(refusal.into()),
                Err(_) if member.forwarder.refusals().await.is_some() => return Ok(()),
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => tokio::time::sleep(STAY_PAUSE).await,
            }
        }
    }

    /// Lets the others decide without this node while it is one of them. The table is ahead of the group: who is out of
    /// the table and gone may still be needed for a majority.
    async fn give_vote_up(&self) -> Result<(), Error> {
        self.set_node_role(self.id(), NodeRole::Worker).await?;
        if self.consensus()?.wait_voteless(VOTE_PATIENCE).await {
            return Ok(());
        }
        let why = "the other voters do not agree without this node; it stays until more of them are there";
        Err(Error::Cluster(why.to_owned()))
    }

    /// Takes back what a leaving that failed has begun.
    async fn stay(&self, role: NodeRole) {
        let me = self.id();
        let back = async {
            // A refusal is an answer: somebody else has decided about it meanwhile.
            while !matches!(self.set_node_role(me, role).await, Ok(()) | Err(Error::Refused(_))) {
                tokio::time::sleep(STAY_PAUSE).await;
            }
            let why = "it could not leave";
            while !matches!(self.drain_node(me, false, why).await, Ok(()) | Err(Error::Refused(_))) {
                tokio::time::sleep(STAY_PAUSE).await;
            }
        };
        if tokio::time::timeout(LEAVE_PATIENCE, back).await.is_err() {
            let hint = "let it leave again, or promote it";
            tracing::warn!(hint, "the node could not leave, and is drained or without a vote");
        }
    }

    /// Waits until no agents are put on this node any more, but no longer than this.
    async fn wait_until_empty(&self, patience: Duration) {
        let here = Host::Node(self.id());
        let mut events = self.events();
        let empty = async {
            while self.read(|state| state.agents().any(|agent| agent.spec.host == here)) {
                events.next().await;
            }
        };
        if tokio::time::timeout(patience, empty).await.is_err() {
            tracing::warn!("the node leaves with agents that have not gone; their work goes to others");
        }
    }

    /// Makes a permission to join once, in a role or a lesser one, within this time.
    ///
    /// # Errors
    /// When this node stands alone, or there are too many.
    pub async fn create_join_token(&self, role: NodeRole, ttl: Duration) -> Result<JoinTokenText, Error> {
        let Some(member) = &self.member else {
            let why = "this node stands alone; stop it and make it a cluster with `synod cluster init`";
            return Err(Error::Cluster(why.to_owned()));
        };
        let Papers::Kept { credentials, .. } = &member.papers else {
            let why = "the network of this cluster is closed: whoever made it admits nodes";
            return Err(Error::Cluster(why.to_owned()));
        };
        let text = JoinText::make(credentials.authority_certificate().hash(), self.entropy());
        let id = self.new_token_id();
        let expires_at = self.now().after(ttl);
        let token = JoinToken { id, hash: text.hash(), role, expires_at, used_by: None };
        self.propose(Command::PutJoinToken { token }).await?;
        Ok(JoinTokenText { id, text: text.reveal() })
    }

    /// Returns the permissions to join, in order of id; some may be over. Their text is stored nowhere.
    pub fn join_tokens(&self) -> Vec<JoinToken> {
        self.read(|state| state.join_tokens().cloned().collect())
    }

    /// Ends a permission to join.
    ///
    /// # Errors
    /// When there is none.
    pub async fn revoke_join_token(&self, token: TokenId) -> Result<(), Error> {
        self.propose(Command::RevokeJoinToken { token }).await.map(drop)
    }

    /// Lets a node give its agents away and take no new ones, or ends that.
    ///
    /// # Errors
    /// When there is no such node.
    pub async fn drain_node(&self, node: NodeId, drain: bool, reason: &str) -> Result<(), Error> {
        self.propose(Command::DrainNode { node, drain, reason: reason.into() }).await.map(drop)
    }

    /// Takes a node out of the cluster for good; neither its id nor its number returns.
    ///
    /// # Errors
    /// When there is no such node, or it is the last voter.
    pub async fn remove_node(&self, node: NodeId, reason: &str) -> Result<(), Error> {
        self.propose(Command::RemoveNode { node, reason: reason.into() }).await.map(drop)
    }

    /// Makes a node a voter or a worker; the leader changes its group accordingly.
    ///
    /// # Errors
    /// When there is no such node, or it is the last voter.
    pub async fn set_node_role(&self, node: NodeId, role: NodeRole) -> Result<(), Error> {
        self.propose(Command::SetNodeRole { node, role }).await.map(drop)
    }

    /// Returns the keys of gossip. Their secrets are not for people.
    pub fn keyring(&self) -> Keyring {
        self.read(|state| state.keyring().clone())
    }

    pub(super) fn draw_gossip_secret(&self) -> GossipSecret {
        let mut key = [0; 32];
        for piece in key.chunks_mut(8) {
            piece.copy_from_slice(&self.entropy().draw().to_be_bytes());
        }
        GossipSecret(key)
    }

    /// Adds a key of chance to the ring of gossip, and returns its number. The first one is used at once.
    ///
    /// # Errors
    /// When the ring is full.
    pub async fn install_gossip_key(&self) -> Result<u32, Error> {
        let secret = self.draw_gossip_secret();
        self.propose(Command::InstallGossipKey { secret: secret.clone() }).await?;
        let number = self
            .read(|state| state.keyring().keys.iter().find(|key| key.secret == secret).map(|key| key.number));
        number.ok_or_else(|| Error::Cluster("the key was removed again meanwhile".to_owned()))
    }

    /// Seals gossip with another key of the ring from now on.
    ///
    /// # Errors
    /// When there is no such key.
    pub async fn use_gossip_key(&self, number: u32) -> Result<(), Error> {
        self.propose(Command::UseGossipKey { number }).await.map(drop)
    }

    /// Removes a key from the ring.
    ///
    /// # Errors
    /// When there is no such key, or it is in use.
    pub async fn remove_gossip_key(&self, number: u32) -> Result<(), Error> {
        self.propose(Command::RemoveGossipKey { number }).await.map(drop)
    }
}

/// Makes the node of a data folder, new or in use by a node that stood alone, the founder of a cluster whose region has
/// the name that everything has that was given none. No node may run on it. Whatever the folder holds stays.
///
/// # Errors
/// When the folder cannot be used, or belongs to a cluster already.
pub async fn init_cluster(folder: &Path) -> Result<Founded, Error> {
    init_region(folder, &Name::default()).await
}

/// Does what [`init_cluster`] does, for a cluster whose region is called `region`.
///
/// # Errors
/// When the folder cannot be used, or belongs to a cluster already, or the name is too long.
pub async fn init_region(folder: &Path, region: &Name) -> Result<Founded, Error> {
    let entropy = SeededEntropy::from_system().map_err(Error::Start)?;
    let (storage, _, _) = home::open(&Home::Folder(folder.to_owned()), Verify::Prefixes(Vec::new()))?;
    let node = home::node_id(&storage, &SystemClock, &entropy).await?;
    let identity = identity::init(&Folder::at(folder.join(FOLDER)), node, region, &SystemClock, &entropy)?;
    Ok(Founded { cluster: identity.cluster, node })
}

fn seen_of(member: &Member, now: Timestamp) -> Seen {
    let rumour = &member.rumour;
    Seen {
        health: match member.health {
            Health::Alive => Seeing::Alive,
            Health::Suspect => Seeing::Suspect,
            Health::Dead => Seeing::Dead,
            Health::Left => Seeing::Left,
        },
        since: now.since(member.since),
        address: rumour.address.clone(),
        api: rumour.api.clone(),
        generation: rumour.generation,
        version: rumour.version.clone(),
        agents: rumour.load.agents,
        free_slots: rumour.load.free_slots,
        waiting: rumour.load.waiting,
        applied: rumour.applied,
        leads: rumour.leads,
    }
}

/// Makes a data folder out of a backup: that of a node which stands alone and holds everything the backup holds.
///
/// # Errors
/// When the folder is not empty or cannot be used, or the backup is damaged.
pub async fn restore(folder: &Path, from: &mut (dyn AsyncRead + Send + Unpin)) -> Result<Restored, Error> {
    super::backup::read(folder, from).await
}
