//! What people may do with a single agent that this node runs.

use std::fmt;

use synod_domain::agent::Host;
use synod_domain::id::AgentId;
use synod_domain::refusal::Refusal;

use crate::agents;
use crate::propose::World;

/// The agents that this node runs. Cheap to clone.
#[derive(Clone)]
pub struct Hosted {
    pub(crate) world: World,
    pub(crate) agents: agents::Handle,
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hosted({})", self.world.node)
    }
}

/// Why an agent was not restarted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It is not there to be restarted now, or did not stop in time.
    #[error("{agent} was not restarted: {reason}")]
    Failed {
        /// Which agent.
        agent: AgentId,
        /// Why, for a person.
        reason: String,
    },
}

impl Hosted {
    /// Restarts an agent: what it has in hand is stopped and given back, which is nobody's failure, and it
    /// begins afresh however often it failed before. Answers when it has been started.
    ///
    /// # Errors
    /// When there is no such agent, it runs elsewhere, is leaving, or does not stop.
    pub async fn restart(&self, agent: AgentId) -> Result<(), RestartError> {
        let known = self.world.read(|state| {
            let known = state.agent(agent)?;
            Some((known.spec.host.clone(), known.spec.pool.clone()))
        });
        let Some((host, pool)) = known else { return Err(Refusal::AgentUnknown(agent).into()) };
        let refused = |why: &str| Refusal::Invalid { field: "agent".to_owned(), why: why.to_owned() };
        match host {
            Host::External => return Err(refused("it runs elsewhere; restart it there").into()),
            Host::Node(node) if node != self.world.node => {
                return Err(refused(&format!("{node} runs it; ask there")).into());
            }
            Host::Node(_) => {}
        }
        let Some(pool) = pool else { return Err(refused("it belongs to no pool").into()) };
        match self.agents.restart(pool, agent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(RestartError::Failed { agent, reason }),
            Err(error) => Err(RestartError::Failed { agent, reason: error.to_string() }),
        }
    }

    /// Does not wait for what an agent that leaves has in hand: it is given back.
    pub fn evict(&self, agent: AgentId) {
        let pool = self.world.read(|state| state.agent(agent).and_then(|agent| agent.spec.pool.clone()));
        if let Some(pool) = pool {
            // Supervisors that are being restarted start every agent afresh.
            let _ = self.agents.evict(pool, agent);
        }
    }
}
