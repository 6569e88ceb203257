//! Gossip and the leader as the actors' ports.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use synod_actors::ports::{Alive, Neighbour, Neighbours, Relay};
use synod_cluster::gossip::{Gossip, Health};
use synod_cluster::journal::{Ear, Forwarder};
use synod_domain::id::{AgentId, NodeId};
use synod_domain::node::NodeRole;
use synod_domain::state::State;
use tokio::sync::watch;

/// What gossip says, as the actors' neighbours.
pub(in crate::node) struct Rumours(pub(in crate::node) Gossip);

impl Neighbours for Rumours {
    fn seen(&self) -> Vec<Neighbour> {
        let members = self.0.members().into_iter();
        members
            .map(|member| Neighbour {
                node: member.rumour.node,
                generation: member.rumour.generation,
                alive: match member.health {
                    Health::Alive => Alive::Alive,
                    Health::Suspect => Alive::Suspect,
                    Health::Dead => Alive::Dead,
                    Health::Left => Alive::Left,
                },
            })
            .collect()
    }

    fn patience(&self, members: usize) -> Duration {
        self.0.patience(members)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes()
    }
}

/// The way of signs of life to whoever leads.
pub(in crate::node) struct ToLeader {
    pub(in crate::node) forwarder: Forwarder,
    pub(in crate::node) ear: Ear,
}

#[async_trait]
impl Relay for ToLeader {
    async fn heard(&self, agents: Vec<AgentId>) -> Result<(), String> {
        self.forwarder.heard(agents, &*self.ear).await.map_err(|error| error.to_string())
    }
}

/// Returns who names the other voters of this region: those that are heard, or all when none is.
pub(super) fn voters(
    me: NodeId,
    state: &Arc<RwLock<State>>,
    gossip: &Gossip,
) -> Box<dyn Fn() -> Vec<NodeId> + Send + Sync> {
    let (state, gossip) = (state.clone(), gossip.clone());
    Box::new(move || {
        let is_voter = |role: NodeRole, node: NodeId| role == NodeRole::Voter && node != me;
        let voters: Vec<NodeId> = {
            let state = state.read();
            let nodes = state.nodes().map(|node| (node.role, node.spec.id));
            nodes.filter(|(role, node)| is_voter(*role, *node)).map(|(_, node)| node).collect()
        };
        let members = gossip.members().into_iter();
        let heard = members.filter(|member| member.health == Health::Alive).map(|member| member.rumour.node);
        let heard: BTreeSet<NodeId> = heard.collect();
        if voters.iter().any(|node| heard.contains(node)) {
            voters.into_iter().filter(|node| heard.contains(node)).collect()
        } else {
            voters
        }
    })
}
