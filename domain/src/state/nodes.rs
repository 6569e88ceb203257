//! Nodes that start: what they hosted before is gone.

use std::sync::Arc;

use crate::agent::{Host, Standing};
use crate::id::{AgentId, NodeId};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};

/// Why the agents of a node that starts are offline.
const RESTARTED: &str = "its node restarted";

impl State {
    pub(super) fn start_node(&mut self, step: &mut Step, node: NodeId) -> Answer {
        self.meta.nodes.retain(|(known, _)| *known != node);
        self.meta.nodes.push((node, step.now));
        self.meta.nodes.sort_unstable();
        // Timers rely on it that grace, once given, is not taken back.
        let grace_until = step.now.after(self.meta.limits.grace);
        self.meta.grace_until = self.meta.grace_until.max(grace_until);
        self.meta.grace_since = step.now;
        let hosted: Vec<AgentId> = self
            .agents
            .values()
            .filter(|agent| agent.spec.host == Host::Node(node))
            .map(|agent| agent.spec.id)
            .collect();
        for id in hosted {
            self.lose_all(step, id, RESTARTED);
            if let Some(agent) = self.agents.get_mut(&id).map(Arc::make_mut) {
                agent.standing = Standing::Offline;
                agent.reason = RESTARTED.into();
                agent.since = step.now;
            }
            self.changes.touch(RowKey::Agent(id));
            self.tell_standing(step, id);
        }
        Ok(Reply::Done)
    }
}
