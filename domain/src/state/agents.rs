//! Agents: registration, standing, removal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::access::Owned;
use crate::agent::{AGENTS_MAX, Agent, AgentSpec, CONCURRENCY_MAX, Host, RuntimeSpec, Standing};
use crate::capability::CAPABILITIES_MAX;
use crate::event::Event;
use crate::id::{AgentId, TaskId};
use crate::name::Name;
use crate::node::NodeStanding;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::retiring::Idle;
use crate::state::submit::{check_labels, check_metadata};
use crate::state::{State, Step};
use crate::task::{MailboxId, Outcome, REASON_BYTES_MAX, bounded_reason};

impl State {
    pub(super) fn register_agent(&mut self, step: &mut Step, spec: &Arc<AgentSpec>) -> Answer {
        self.check_agent(spec)?;
        self.check_change_of_owner(spec)?;
        self.check_agent_quota(spec)?;
        let id = spec.id;
        if matches!(spec.host, Host::Node(_)) {
            // An agent that its node starts again has nothing in hand any more. One that runs elsewhere may
            // only say again what it is.
            self.lose_all(step, id, "its agent was started again");
        }
        let known = self.agents.get(&id).cloned();
        if let Some(known) = &known {
            if (&known.spec.host, &known.spec.pool) != (&spec.host, &spec.pool) {
                self.forget_given_up(known.spec.pool.as_ref(), id);
            }
            self.leave_pool(step, known);
            self.leave_name(known);
        }
        let agent = match &known {
            Some(known) => Agent {
                spec: spec.clone(),
                standing: Standing::Starting,
                reason: "registered again".into(),
                since: step.now,
                restarts: known.restarts + 1,
                ..Agent::clone(known)
            },
            None => Agent {
                spec: spec.clone(),
                standing: Standing::Starting,
                reason: "registered".into(),
                since: step.now,
                held: BTreeSet::new(),
                registered_at: step.now,
                completed: 0,
                failed: 0,
                restarts: 0,
                worked: Duration::ZERO,
                retiring: false,
                standby: false,
            },
        };
        if let Some(pool) = &spec.pool {
            self.pool_agents.entry(pool.clone()).or_default().insert(id);
        }
        self.names_of(&spec.host).insert(spec.name.clone(), id);
        self.begin_life(step, known.as_deref(), &agent);
        self.agents.insert(id, Arc::new(agent));
        self.changes.touch(RowKey::Agent(id));
        step.events.push(Event::AgentRegistered {
            agent: id,
            name: spec.name.clone(),
            pool: spec.pool.clone(),
        });
        step.idle.push(Idle::HooksOf(id));
        if let (Host::Node(_), Some(pool)) = (&spec.host, &spec.pool) {
            self.choose_standbys(step, pool);
        }
        Ok(Reply::Done)
    }

    /// Returns where the names of such agents stand.
    fn names_of(&mut self, host: &Host) -> &mut BTreeMap<Name, AgentId> {
        match host {
            Host::External => &mut self.names,
            Host::Node(_) => &mut self.hosted_names,
        }
    }

    /// Checks that a node may say of an agent that it runs there. While no node is known, every one may.
    pub(super) fn check_host(&self, host: &Host) -> Result<(), Refusal> {
        let Host::Node(id) = host else { return Ok(()) };
        match self.nodes.get(id) {
            Some(node) if node.standing != NodeStanding::Up => {
                Err(Refusal::NodeAway { node: *id, standing: node.standing })
            }
            None if !self.nodes.is_empty() => Err(Refusal::NodeUnknown(*id)),
            Some(_) | None => Ok(()),
        }
    }

    fn check_agent(&self, spec: &AgentSpec) -> Result<(), Refusal> {
        let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
        if spec.concurrency == 0 || spec.concurrency > CONCURRENCY_MAX {
            return refuse("concurrency", format!("it must be from 1 to {CONCURRENCY_MAX}"));
        }
        if spec.capabilities.len() > CAPABILITIES_MAX {
            return refuse("capabilities", format!("at most {CAPABILITIES_MAX} are allowed"));
        }
        if spec.heartbeat_timeout.is_some_and(|timeout| timeout < Duration::from_millis(1)) {
            return refuse("heartbeat_timeout", "it must be at least a millisecond".to_owned());
        }
        check_labels(&spec.labels)?;
        check_metadata(spec.metadata.as_deref())?;
        if let Some(known) = self.agents.get(&spec.id).filter(|known| known.retiring) {
            return Err(unavailable(known));
        }
        self.check_host(&spec.host)?;
        let names = if spec.host == Host::External { &self.names } else { &self.hosted_names };
        if let Some(other) = names.get(&spec.name).filter(|other| **other != spec.id) {
            return Err(Refusal::AgentNameTaken { name: spec.name.clone(), agent: *other });
        }
        if !self.agents.contains_key(&spec.id) && self.agents.len() >= AGENTS_MAX {
            return Err(Refusal::Full { bound: Bound::Agents, limit: AGENTS_MAX as u64 });
        }
        match &spec.pool {
            Some(pool) => {
                self.check_fabric_concurrency(pool, spec.concurrency)?;
                self.check_member(spec.id, pool)
            }
            None => Ok(()),
        }
    }

    /// Checks that an agent may be of a pool.
    fn check_member(&self, id: AgentId, name: &Name) -> Result<(), Refusal> {
        let pool = self.pools.get(name).ok_or_else(|| Refusal::PoolUnknown(name.clone()))?;
        let members = self.pool_agents.get(name);
        if members.is_some_and(|members| members.contains(&id)) {
            return Ok(());
        }
        if self.is_closed(name) {
            return Err(Refusal::PoolRetiring(name.clone()));
        }
        // The node keeps a pool that it runs at its target.
        let most = pool.spec.max;
        let full = members.is_some_and(|members| members.len() as u64 >= u64::from(most));
        if pool.spec.runtime == RuntimeSpec::External {
            if full {
                return Err(Refusal::Full { bound: Bound::Pool(name.clone()), limit: u64::from(most) });
            }
            self.check_fabric_member(name)?;
        }
        Ok(())
    }

    pub(super) fn set_standing(
        &mut self,
        step: &mut Step,
        id: AgentId,
        standing: Standing,
        reason: &Arc<str>,
    ) -> Answer {
        if matches!(standing, Standing::Starting | Standing::Ready)
            && let Some(agent) = self.agents.get(&id)
        {
            // What a node says that is not counted on may be late by any length of time.
            self.check_host(&agent.spec.host)?;
        }
        let agent = self.agents.get_mut(&id).ok_or(Refusal::AgentUnknown(id))?;
        if agent.retiring {
            match standing {
                Standing::Draining => return Ok(Reply::Done),
                Standing::Starting | Standing::Ready => return Err(unavailable(agent)),
                // It is gone with all that it has.
                Standing::Offline | Standing::Failed => {}
            }
        }
        let reason = &if reason.len() > REASON_BYTES_MAX { bounded_reason(reason) } else { reason.clone() };
        if agent.standing == standing && agent.reason == *reason {
            return Ok(Reply::Done);
        }
        let agent = Arc::make_mut(agent);
        agent.standing = standing;
        agent.reason = reason.clone();
        agent.since = step.now;
        let pool = agent.spec.pool.clone();
        self.changes.touch(RowKey::Agent(id));
        if matches!(standing, Standing::Offline | Standing::Failed) {
            self.lose_all(step, id, reason);
        }
        self.tell_standing(step, id);
        match standing {
            Standing::Ready | Standing::Draining | Standing::Offline => {
                self.forget_given_up(pool.as_ref(), id);
            }
            Standing::Starting | Standing::Failed => {}
        }
        // It may serve in the place of another, or in its own, which another was to take.
        if let Some(pool) = pool.filter(|_| standing == Standing::Ready) {
            self.cover(step, &pool);
        }
        Ok(Reply::Done)
    }

    /// Ends every lease of an agent that is gone.
    pub(super) fn lose_all(&mut self, step: &mut Step, id: AgentId, reason: &str) {
        let held: Vec<TaskId> =
            self.agents.get(&id).map(|agent| agent.held.iter().copied().collect()).unwrap_or_default();
        for task in held {
            self.lose(step, task, reason);
        }
    }

    pub(super) fn tell_standing(&self, step: &mut Step, id: AgentId) {
        if let Some(agent) = self.agents.get(&id) {
            let (status, reason) = (agent.status(), agent.reason.clone());
            let workspace = self.workspace_of_agent(&agent.spec);
            step.events.push(Event::AgentChanged { agent: id, status, reason, workspace });
            step.idle.push(Idle::HooksOf(id));
        }
    }

    pub(super) fn remove_agent(&mut self, step: &mut Step, id: AgentId) -> Answer {
        if !self.agents.contains_key(&id) {
            return Err(Refusal::AgentUnknown(id));
        }
        self.lose_all(step, id, "its agent was removed");
        // Whether it is displaced takes a look at its whole pool: only for work that would be called off.
        if !self.groups.of_agent(id).is_empty() && self.is_displaced(id) {
            self.leave_work_to_pool(step, id);
        }
        self.forget_agent(step, id);
        Ok(Reply::Done)
    }

    /// Removes an agent that holds nothing. What only it could take is called off.
    pub(super) fn forget_agent(&mut self, step: &mut Step, id: AgentId) {
        let Some(agent) = self.agents.get(&id).cloned() else { return };
        let workspace = self.workspace_of_agent(&agent.spec);
        let reason: Arc<str> = format!("it waited for {id}, which was removed").into();
        for task in self.groups.of_agent(id) {
            self.stop(step, task, Outcome::Cancelled { reason: reason.clone() });
        }
        self.end_life(&agent);
        self.forget_given_up(agent.spec.pool.as_ref(), id);
        self.leave_pool(step, &agent);
        self.leave_name(&agent);
        self.forget_pauses(step, &MailboxId::Agent(id));
        self.agents.remove(&id);
        self.forget_owner(Owned::Agent(id));
        self.note_fewer_agents(step);
        self.mailboxes.remove(&MailboxId::Agent(id));
        self.changes.touch(RowKey::Turns(MailboxId::Agent(id)));
        self.changes.touch(RowKey::Agent(id));
        step.events.push(Event::AgentRemoved { agent: id, workspace });
        step.idle.push(Idle::HooksOf(id));
        if let Some(pool) = agent.spec.pool.as_ref().and_then(|pool| self.pools.get(pool)).cloned()
            && pool.spec.recovery.standby() > 0
        {
            // One that stands by has its place, if it served.
            self.choose_standbys(step, &pool.spec.name);
            self.cover(step, &pool.spec.name);
        }
    }

    fn leave_name(&mut self, agent: &Agent) {
        self.names_of(&agent.spec.host).remove(&agent.spec.name);
    }

    fn leave_pool(&mut self, step: &mut Step, agent: &Agent) {
        if let Some(pool) = &agent.spec.pool
            && let Some(members) = self.pool_agents.get_mut(pool)
        {
            members.remove(&agent.spec.id);
            let is_empty = members.is_empty();
            self.note_room(step, pool);
            if is_empty {
                self.pool_agents.remove(pool);
                step.idle.push(Idle::Pool(pool.clone()));
            }
        }
    }
}

fn unavailable(agent: &Agent) -> Refusal {
    Refusal::AgentUnavailable { agent: agent.spec.id, status: agent.status().to_string() }
}
