//! Agents, pools and tasks, as the fabric shows them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use synod_domain::agent::{Agent, AgentStatus, Host, Pool as PoolRecord, Standing};
use synod_domain::capability::Capabilities;
use synod_domain::fabric::Profile;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::name::Name;
use synod_domain::state::State;
use synod_domain::task::{MailboxId, Task as TaskRecord};
use synod_domain::time::Timestamp;

use crate::fabric::{Config, Health, Priority, TaskStatus};
use crate::node::Node;

/// An agent, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentInfo {
    /// Its id.
    pub id: AgentId,
    /// What people call it: the name it was spawned with, or that of its place in a pool.
    pub name: Arc<str>,
    /// The model it uses.
    pub model: Option<Arc<str>>,
    /// The pool it belongs to; `None` when it was spawned by itself.
    pub pool: Option<Name>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its status.
    pub status: AgentStatus,
    /// How it fares.
    pub health: Health,
    /// When it last gave a sign of life. One that a node runs lives as long as the node sees it.
    pub last_heartbeat: Timestamp,
    /// How many tasks wait for it alone.
    pub pending: usize,
    /// How many tasks it holds.
    pub running: usize,
    /// How many tasks it may hold at a time.
    pub max_tasks: u32,
    /// How many tasks it completed.
    pub completed: u64,
    /// How many attempts failed in its hands.
    pub failed: u64,
}

impl AgentInfo {
    /// Shows an agent of the fabric.
    pub(super) fn of(node: &Node, config: &Config, state: &State, agent: &Agent, profile: &Profile) -> Self {
        let heard = node.heard_ago(agent.spec.id);
        let (last_heartbeat, silent) = match (&agent.spec.host, heard) {
            (Host::Node(_), _) => (state.now(), Duration::ZERO),
            (Host::External, Some(ago)) => {
                let ago_millis = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
                (Timestamp::from_millis(node.now().as_millis().saturating_sub(ago_millis)), ago)
            }
            // Not heard since this node listens.
            (Host::External, None) => (agent.since, Duration::ZERO),
        };
        let health = match agent.standing {
            Standing::Offline | Standing::Failed => Health::Unhealthy,
            _ if silent >= config.degraded_after() => Health::Degraded,
            Standing::Starting | Standing::Ready | Standing::Draining => Health::Healthy,
        };
        let last_heartbeat =
            if health == Health::Unhealthy { agent.since.min(last_heartbeat) } else { last_heartbeat };
        Self {
            id: agent.spec.id,
            name: if profile.single { profile.title.clone() } else { agent.spec.name.as_str().into() },
            model: profile.model.clone(),
            pool: agent.spec.pool.clone().filter(|_| !profile.single),
            capabilities: agent.spec.capabilities.clone(),
            status: agent.status(),
            health,
            last_heartbeat,
            pending: pending(state, agent),
            running: agent.held.len(),
            max_tasks: agent.spec.concurrency,
            completed: agent.completed,
            failed: agent.failed,
        }
    }
}

/// Returns how many tasks wait for an agent alone.
pub(super) fn pending(state: &State, agent: &Agent) -> usize {
    let mailbox = MailboxId::Agent(agent.spec.id);
    usize::try_from(state.pending_in(&mailbox)).unwrap_or(usize::MAX)
}

/// A pool, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its id.
    pub id: Name,
    /// What people call it.
    pub name: Arc<str>,
    /// The model that its agents use.
    pub model: Option<Arc<str>>,
    /// How many agents it keeps at least.
    pub min_agents: u32,
    /// How many agents it may have.
    pub max_agents: u32,
    /// How many agents it should have at present.
    pub target_size: u32,
    /// The agents that it has.
    pub current_agents: Vec<AgentId>,
    /// How many tasks wait for it.
    pub pending: u64,
}

impl Pool {
    pub(super) fn of(state: &State, pool: &PoolRecord, profile: &Profile) -> Self {
        let name = &pool.spec.name;
        Self {
            id: name.clone(),
            name: profile.title.clone(),
            model: profile.model.clone(),
            min_agents: pool.spec.min,
            max_agents: pool.spec.max,
            target_size: pool.target,
            current_agents: state.agents_of(name).map(|agent| agent.spec.id).collect(),
            pending: state.pending_in(&MailboxId::Pool(name.clone())),
        }
    }
}

/// A task, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What sort of work it is.
    pub task_type: Name,
    /// How it stands.
    pub status: TaskStatus,
    /// How urgent it was asked for.
    pub priority: Priority,
    /// Who has it, or had it last.
    pub agent: Option<AgentId>,
    /// How many attempts were made.
    pub attempts: u32,
    /// What it still waits for.
    pub depends_on: BTreeSet<TaskId>,
    /// Why it ended, unless it completed.
    pub reason: Option<Arc<str>>,
}

impl Task {
    pub(super) fn of(task: &TaskRecord, depends_on: BTreeSet<TaskId>) -> Self {
        let last = task.attempts.last().map(|attempt| attempt.agent);
        Self {
            id: task.spec.id,
            task_type: task.spec.kind.clone(),
            status: task.phase().into(),
            priority: task.spec.lane.into(),
            agent: task.lease().map(|lease| lease.agent).or(last),
            attempts: task.attempt,
            depends_on,
            reason: task.end().and_then(|end| end.outcome.reason()).map(Arc::from),
        }
    }
}
