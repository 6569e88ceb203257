//! Which agents run on this node, and of which pools they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use synod_domain::id::AgentId;
use synod_domain::name::Name;

use crate::agent;

/// Finds the agents that run on this node, and their pools. Shared by pools, which fill it, and the router.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory(Arc<RwLock<BTreeMap<AgentId, (agent::Handle, Name)>>>);

impl Directory {
    pub(crate) fn get(&self, agent: AgentId) -> Option<agent::Handle> {
        self.0.read().get(&agent).map(|(handle, _)| handle.clone())
    }

    pub(crate) fn pool_of(&self, agent: AgentId) -> Option<Name> {
        self.0.read().get(&agent).map(|(_, pool)| pool.clone())
    }

    pub(crate) fn all(&self) -> Vec<agent::Handle> {
        self.0.read().values().map(|(handle, _)| handle.clone()).collect()
    }

    pub(crate) fn enter(&self, agent: AgentId, handle: agent::Handle, pool: Name) {
        self.0.write().insert(agent, (handle, pool));
    }

    /// Takes an agent out, unless another pool's actor has entered it anew: the state of a pool that failed
    /// may be dropped after its successor has started.
    pub(crate) fn leave(&self, agent: AgentId, handle: &agent::Handle) {
        let mut agents = self.0.write();
        if agents.get(&agent).is_some_and(|(entered, _)| entered.0.is(&handle.0)) {
            agents.remove(&agent);
        }
    }
}
