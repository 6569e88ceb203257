//! Gossip and the leader as the actors' ports.

use std::time::Duration;

use async_trait::async_trait;
use synod_actors::ports::{Alive, Neighbour, Neighbours, Relay};
use synod_cluster::gossip::{Gossip, Health};
use synod_cluster::journal::{Ear, Forwarder};
use synod_domain::id::AgentId;
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
