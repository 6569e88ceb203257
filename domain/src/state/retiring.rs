//! Retirement: agents and pools that finish what they have and are removed by themselves.
//!
//! Whatever may have been the last thing that an agent or a pool waited for notes it in the step; when the command
//! is done, [`State::settle`] removes what has nothing left. So nothing is removed from under a rule at work.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::agent::{Agent, Host, Pool, Standing};
use crate::id::{AgentId, NodeId, TaskId};
use crate::name::Name;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::task::Phase;

/// Why a retiring agent takes no work.
const RETIRING: &str = "it retires: it finishes what it has and is removed";

/// What may have come to rest during a step.
#[derive(Debug)]
pub(super) enum Idle {
    /// An agent lost or ended a lease.
    Agent(AgentId),
    /// A pool lost a task or an agent.
    Pool(Name),
    /// An agent came, went or changed its standing, and somebody has to take up its hooks.
    HooksOf(AgentId),
    /// A task has ended that others wait for.
    Dependents {
        /// Which.
        of: TaskId,
        /// How it ended.
        phase: Phase,
        /// Why, unless it completed.
        reason: Option<Arc<str>>,
    },
    /// The fabric may have room for more agents.
    Room,
    /// Something of these resources came back, or is not set aside any more.
    Freed(BTreeSet<Name>),
    /// Agents of a pool have come to other nodes, and others yield to it.
    Moved(Name),
}

impl State {
    pub(super) fn retire_agent(&mut self, step: &mut Step, id: AgentId) -> Answer {
        let agent = self.agents.get(&id).ok_or(Refusal::AgentUnknown(id))?;
        if agent.retiring {
            return Ok(Reply::Done);
        }
        if let (Host::Node(node), Some(pool)) = (&agent.spec.host, agent.spec.pool.clone())
            && !agent.standby
        {
            let node = *node;
            self.shrink_pool(step, &pool, node)?;
        }
        let agent = self.agents.get_mut(&id).ok_or(Refusal::AgentUnknown(id))?;
        let agent = Arc::make_mut(agent);
        agent.retiring = true;
        agent.standing = Standing::Draining;
        agent.reason = RETIRING.into();
        agent.since = step.now;
        self.changes.touch(RowKey::Agent(id));
        self.tell_standing(step, id);
        step.idle.push(Idle::Agent(id));
        Ok(Reply::Done)
    }

    /// Makes a pool smaller by an agent that leaves it for good, so that its node does not replace it. The share
    /// that shrinks is that of its node; one that has none lets the agent go anyway.
    fn shrink_pool(&mut self, step: &mut Step, name: &Name, node: NodeId) -> Result<(), Refusal> {
        let Some(pool) = self.pools.get(name) else { return Ok(()) };
        if !self.nodes.is_empty() && self.share(name, node) == 0 {
            return Ok(());
        }
        let least = if pool.retiring.is_some() { 0 } else { pool.spec.min };
        if pool.target <= least && least > 0 {
            let why =
                format!("pool {name} keeps at least {least} agents; lower that first, or restart the agent");
            return Err(Refusal::Invalid { field: "agent".to_owned(), why });
        }
        if pool.target > 0 {
            let mut pool = Pool { target: pool.target - 1, ..Pool::clone(pool) };
            if let Some(share) = pool.shares.get_mut(&node) {
                *share = share.saturating_sub(1);
            }
            pool.shares.retain(|_, share| *share > 0);
            self.store_pool(step, pool);
            self.tell_pool(step, name);
        }
        Ok(())
    }

    pub(super) fn retire_pool(&mut self, step: &mut Step, name: &Name) -> Answer {
        let pool = self.pools.get(name).ok_or_else(|| Refusal::PoolUnknown(name.clone()))?;
        if pool.retiring.is_none() {
            let pool = Pool { retiring: Some(step.now), ..Pool::clone(pool) };
            self.keep_pool(step, pool);
            step.idle.push(Idle::Pool(name.clone()));
        }
        Ok(Reply::Done)
    }

    /// Removes the retiring agents and pools that have nothing left.
    pub(super) fn settle(&mut self, step: &mut Step) {
        while let Some(idle) = step.idle.pop() {
            match idle {
                Idle::Agent(id) => {
                    if self.agents.get(&id).is_some_and(|agent| agent.retiring && agent.held.is_empty()) {
                        self.forget_agent(step, id);
                    }
                }
                Idle::Pool(name) => self.settle_pool(step, &name),
                Idle::HooksOf(agent) => self.look_at_hooks_of(step, agent),
                Idle::Dependents { of, phase, reason } => {
                    self.settle_dependents(step, of, phase, reason.as_deref());
                }
                Idle::Freed(names) => self.settle_resources(step, &names),
                Idle::Moved(pool) => self.settle_apart(step, pool),
                Idle::Room => {
                    // However often it was noted, it is told once.
                    step.idle.retain(|idle| !matches!(idle, Idle::Room));
                    self.tell_of_room(step);
                }
            }
        }
    }

    /// Takes a retiring pool without work one step further: no more agents, then none at all, then it is gone.
    fn settle_pool(&mut self, step: &mut Step, name: &Name) {
        let Some(pool) = self.pools.get(name) else { return };
        if pool.retiring.is_none() || self.counts.of_pool(name) > 0 {
            return;
        }
        if pool.target > 0 {
            let pool = Pool { target: 0, ..Pool::clone(pool) };
            self.keep_pool(step, pool);
        }
        if !self.pool_agents.contains_key(name) {
            return self.forget_pool(step, name);
        }
        // Those that run on a node are drained by it. Nobody does that for the others.
        let outside = |agent: &&Arc<Agent>| agent.spec.host == Host::External && !agent.retiring;
        let outside: Vec<AgentId> = self.agents_of(name).filter(outside).map(|agent| agent.spec.id).collect();
        for id in outside {
            // It is there, and that is all that could be refused.
            let _ = self.retire_agent(step, id);
        }
    }

    /// Tells whether a pool takes nothing new; its own work may still need agents.
    pub(super) fn is_closed(&self, name: &Name) -> bool {
        self.pools.get(name).is_some_and(|pool| pool.retiring.is_some()) && self.counts.of_pool(name) == 0
    }
}
