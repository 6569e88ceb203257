//! What keeps a member known and up to date: its rumour, its keys, its list of addresses.
//!
//! Looks whenever something was applied or the lead changed, and then rests for a while: these are for others, who
//! can wait, and each look costs a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use synod_cluster::consensus::Consensus;
use synod_cluster::gossip::{Gossip, Load};
use synod_cluster::identity::Folder;
use synod_cluster::offload::Offload;
use synod_domain::agent::Host;
use synod_domain::federation::Federation;
use synod_domain::id::NodeId;
use synod_domain::node::{Keyring, NodeRole};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::payloads::Voters;

/// The rest between two looks. A shorter one tells the load sooner and talks more.
const REST: Duration = Duration::from_millis(500);

/// How long nothing may be applied until it is looked all the same.
const IDLE: Duration = Duration::from_secs(60);

pub(super) struct Chores {
    pub(super) me: NodeId,
    pub(super) consensus: Arc<Consensus>,
    pub(super) gossip: Gossip,
    /// Where the members are kept for the next start; the embedder of a closed network knows them.
    pub(super) folder: Option<Folder>,
    pub(super) offload: Offload,
    pub(super) ring: watch::Sender<Keyring>,
    pub(super) role: watch::Sender<Option<NodeRole>>,
    pub(super) voters: watch::Sender<Voters>,
    pub(super) federation: watch::Sender<Federation>,
}

/// What one look at the state shows.
struct Seen {
    ring: Keyring,
    role: Option<NodeRole>,
    load: Load,
    members: BTreeMap<NodeId, String>,
    voters: Voters,
}

impl Chores {
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut leadership = self.consensus.leadership();
        let mut members = BTreeMap::new();
        loop {
            let applied = self.consensus.applied();
            let leads = *leadership.borrow_and_update();
            let seen = self.look();
            self.tell(&seen, applied, leads);
            if seen.members != members {
                members = seen.members;
                self.keep(&members).await;
            }
            let woken = async {
                tokio::select! {
                    biased;
                    changed = leadership.changed() => if changed.is_err() { std::future::pending().await },
                    () = async {
                        self.consensus.wait_applied(applied + 1, IDLE).await;
                        tokio::time::sleep(REST).await;
                    } => {}
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = woken => {}
            }
        }
    }

    fn look(&self) -> Seen {
        let voting = self.voting();
        let state = self.consensus.state();
        let state = state.read();
        self.federation.send_if_modified(|known| {
            let changed = known != state.federation();
            if changed {
                known.clone_from(state.federation());
            }
            changed
        });
        let me = state.node(self.me);
        let here = state.agents().filter(|agent| agent.spec.host == Host::Node(self.me)).count();
        let agents = u32::try_from(here).unwrap_or(u32::MAX);
        let capacity = me.map_or(0, |node| node.spec.capacity);
        let waiting: usize = state.mailboxes().map(|(_, mailbox)| mailbox.depth()).sum();
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        let agreed = state.nodes().filter(|node| node.role == NodeRole::Voter).map(|node| node.spec.id);
        Seen {
            voters: Voters { agreed: agreed.collect(), voting },
            ring: state.keyring().clone(),
            role: me.map(|node| node.role),
            load: Load { agents, free_slots: capacity.saturating_sub(agents), waiting },
            members: state.nodes().map(|node| (node.spec.id, node.spec.address.clone())).collect(),
        }
    }

    fn voting(&self) -> BTreeSet<NodeId> {
        let members = self.consensus.group().members;
        members.iter().filter(|member| member.voter).map(|member| member.node).collect()
    }

    fn tell(&self, seen: &Seen, applied: u64, leads: Option<u64>) {
        if !seen.ring.keys.is_empty() {
            self.ring.send_if_modified(|ring| {
                let changed = *ring != seen.ring;
                *ring = seen.ring.clone();
                changed
            });
        }
        self.role.send_if_modified(|role| std::mem::replace(role, seen.role) != seen.role);
        self.voters.send_if_modified(|voters| {
            let changed = *voters != seen.voters;
            voters.clone_from(&seen.voters);
            changed
        });
        self.gossip.tell(|me| {
            me.role = seen.role.unwrap_or(me.role);
            (me.load, me.applied, me.leads) = (seen.load, applied, leads);
        });
    }

    /// Keeps where the members are for the next start, and knocks at those that are new.
    async fn keep(&self, members: &BTreeMap<NodeId, String>) {
        let others = members.iter().filter(|(node, address)| **node != self.me && !address.is_empty());
        self.gossip.seed(others.map(|(_, address)| address.clone()).collect());
        let Some(folder) = self.folder.clone() else { return };
        if members.is_empty() {
            return;
        }
        let members = members.clone();
        match self.offload.run(move || folder.keep_members(&members)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "where the members are is not kept for the next start"),
            Err(error) => tracing::warn!(%error, "where the members are is not kept for the next start"),
        }
    }
}
