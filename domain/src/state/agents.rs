//! Agents: registration, standing, removal.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::agent::{Agent, AgentSpec, CONCURRENCY_MAX, Host, Standing};
use crate::capability::CAPABILITIES_MAX;
use crate::event::Event;
use crate::id::{AgentId, TaskId};
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::task::{MailboxId, Outcome, REASON_BYTES_MAX, bounded_reason};

impl State {
    pub(super) fn register_agent(&mut self, step: &mut Step, spec: &Arc<AgentSpec>) -> Answer {
        self.check_agent(spec)?;
        let id = spec.id;
        if matches!(spec.host, Host::Node(_)) {
            // An agent that its node starts again has nothing in hand any more. One that runs elsewhere may
            // only say again what it is.
            self.lose_all(step, id, "its agent was started again");
        }
        let known = self.agents.get(&id).cloned();
        if let Some(known) = &known {
            self.leave_pool(known);
        }
        let agent = match known {
            Some(known) => Agent {
                spec: spec.clone(),
                standing: Standing::Starting,
                reason: "registered again".into(),
                since: step.now,
                restarts: known.restarts + 1,
                ..Agent::clone(&known)
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
            },
        };
        if let Some(pool) = &spec.pool {
            self.pool_agents.entry(pool.clone()).or_default().insert(id);
        }
        self.agents.insert(id, Arc::new(agent));
        self.changes.touch(RowKey::Agent(id));
        step.events.push(Event::AgentRegistered {
            agent: id,
            name: spec.name.clone(),
            pool: spec.pool.clone(),
        });
        Ok(Reply::Done)
    }

    fn check_agent(&self, spec: &AgentSpec) -> Result<(), Refusal> {
        let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
        if spec.concurrency == 0 || spec.concurrency > CONCURRENCY_MAX {
            return refuse("concurrency", format!("it must be from 1 to {CONCURRENCY_MAX}"));
        }
        if spec.capabilities.len() > CAPABILITIES_MAX {
            return refuse("capabilities", format!("at most {CAPABILITIES_MAX} are allowed"));
        }
        match &spec.pool {
            Some(pool) if !self.pools.contains_key(pool) => Err(Refusal::PoolUnknown(pool.clone())),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn set_standing(
        &mut self,
        step: &mut Step,
        id: AgentId,
        standing: Standing,
        reason: &Arc<str>,
    ) -> Answer {
        let agent = self.agents.get_mut(&id).ok_or(Refusal::AgentUnknown(id))?;
        let reason = &if reason.len() > REASON_BYTES_MAX { bounded_reason(reason) } else { reason.clone() };
        if agent.standing == standing && agent.reason == *reason {
            return Ok(Reply::Done);
        }
        let agent = Arc::make_mut(agent);
        agent.standing = standing;
        agent.reason = reason.clone();
        agent.since = step.now;
        self.changes.touch(RowKey::Agent(id));
        if matches!(standing, Standing::Offline | Standing::Failed) {
            self.lose_all(step, id, reason);
        }
        self.tell_standing(step, id);
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
            step.events.push(Event::AgentChanged { agent: id, status, reason });
        }
    }

    pub(super) fn remove_agent(&mut self, step: &mut Step, id: AgentId) -> Answer {
        let agent = self.agents.get(&id).ok_or(Refusal::AgentUnknown(id))?.clone();
        self.lose_all(step, id, "its agent was removed");
        let reason: Arc<str> = format!("it waited for {id}, which was removed").into();
        for task in self.groups.of_agent(id) {
            self.stop(step, task, Outcome::Cancelled { reason: reason.clone() });
        }
        self.leave_pool(&agent);
        self.agents.remove(&id);
        self.mailboxes.remove(&MailboxId::Agent(id));
        self.changes.touch(RowKey::Turns(MailboxId::Agent(id)));
        self.changes.touch(RowKey::Agent(id));
        step.events.push(Event::AgentRemoved { agent: id });
        Ok(Reply::Done)
    }

    fn leave_pool(&mut self, agent: &Agent) {
        if let Some(pool) = &agent.spec.pool
            && let Some(members) = self.pool_agents.get_mut(pool)
        {
            members.remove(&agent.spec.id);
            if members.is_empty() {
                self.pool_agents.remove(pool);
            }
        }
    }
}
