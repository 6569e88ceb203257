//! The lives of agents: when they begin, from which version, and that they shall begin anew.

use std::sync::Arc;

use crate::agent::{Agent, AgentSpec, PoolSpec, Standing};
use crate::event::Governing;
use crate::id::AgentId;
use crate::life::{Life, Recent, Renewal};
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::rollout::{Stage, Tally};
use crate::row::RowKey;
use crate::state::tending::is_hosted;
use crate::state::{State, Step};
use crate::task::bounded_reason;
use crate::tending::{RENEWED_AT_ONCE, TendingKey};

impl State {
    pub(super) fn register_agent_of(
        &mut self,
        step: &mut Step,
        spec: &Arc<AgentSpec>,
        version: u64,
    ) -> Answer {
        self.register_agent(step, spec)?;
        if let Some(life) = self.tending.lives.get_mut(&spec.id) {
            life.version = version;
        }
        Ok(Reply::Done)
    }

    /// Begins a life for an agent that was registered. One that runs elsewhere and says again what it is goes on.
    pub(super) fn begin_life(&mut self, step: &Step, before: Option<&Agent>, agent: &Agent) {
        let id = agent.spec.id;
        let known = self.tending.lives.get(&id);
        if known.is_some() && !is_hosted(agent) {
            return;
        }
        let recent = known.map_or(Recent::default(), |life| life.recent);
        self.end_life(before.unwrap_or(agent));
        let life = Life { version: 0, began_at: step.now, tally: Tally::default(), recent, renewal: None };
        self.tending.lives.insert(id, life);
        self.changes.touch(RowKey::Tending(TendingKey::Life(id)));
    }

    /// Ends the life of an agent that is registered again or removed; what it did in there counts for the rollout.
    pub(super) fn end_life(&mut self, agent: &Agent) {
        let id = agent.spec.id;
        let Some(life) = self.tending.lives.remove(&id) else { return };
        self.changes.touch(RowKey::Tending(TendingKey::Life(id)));
        let Some(pool) = &agent.spec.pool else { return };
        let versions = self.tending.versions.get_mut(pool);
        let Some(rollout) = versions.and_then(|versions| versions.rollout.as_mut()) else { return };
        if rollout.stage.is_over() || life.tally.ended() == 0 {
            return;
        }
        if life.version == rollout.to.number {
            rollout.new.add(life.tally);
        } else if life.version == rollout.from.number {
            rollout.old.add(life.tally);
        }
        self.changes.touch(RowKey::Tending(TendingKey::Versions(pool.clone())));
    }

    /// Takes note of how an attempt ended in an agent's hands.
    pub(super) fn note_attempt(&mut self, agent: AgentId, has_failed: bool) {
        if let Some(life) = self.tending.lives.get_mut(&agent) {
            let (completed, failed) = (u64::from(!has_failed), u64::from(has_failed));
            life.tally.add(Tally { completed, failed });
            life.recent.note(has_failed);
            self.changes.touch(RowKey::Tending(TendingKey::Life(agent)));
        }
    }

    /// Takes back that an agent begins anew: its node is gone, and it will begin anew anyway.
    pub(super) fn forget_renewal(&mut self, agent: AgentId) {
        if let Some(life) = self.tending.lives.get_mut(&agent).filter(|life| life.renewal.is_some()) {
            life.renewal = None;
            self.changes.touch(RowKey::Tending(TendingKey::Life(agent)));
        }
    }

    pub(super) fn renew_agents(
        &mut self,
        step: &mut Step,
        pool: &Name,
        agents: &[AgentId],
        version: u64,
        reason: &str,
    ) -> Answer {
        self.known_hosted(pool)?;
        if agents.len() > RENEWED_AT_ONCE {
            let why = format!("at most {RENEWED_AT_ONCE} at a time");
            return Err(Refusal::Invalid { field: "agents".to_owned(), why });
        }
        // A version that is not wanted any more would have to be left again at once.
        if version != self.version_of(pool) && self.canary_version(pool) != Some(version) {
            return Ok(Reply::Done);
        }
        let reason = bounded_reason(reason);
        for id in agents {
            self.renew(step, pool, *id, version, &reason);
        }
        // The nodes that run them look at it.
        self.tell_pool(step, pool);
        Ok(Reply::Done)
    }

    fn renew(&mut self, step: &mut Step, pool: &Name, id: AgentId, version: u64, reason: &Arc<str>) {
        let Some(agent) = self.agents.get(&id).cloned() else { return };
        let is_there = agent.standing != Standing::Offline && is_hosted(&agent) && !agent.retiring;
        let Some(life) = self.tending.lives.get_mut(&id).filter(|_| is_there) else { return };
        let is_new = life.renewal.as_ref().is_none_or(|known| known.version != version);
        if agent.spec.pool.as_ref() != Some(pool) || !is_new {
            return;
        }
        life.renewal = Some(Renewal { version, since: step.now, reason: reason.clone() });
        self.changes.touch(RowKey::Tending(TendingKey::Life(id)));
        self.govern(step, Governing::AgentRenewed, pool, Some(id), reason);
        if agent.standing == Standing::Ready && !mutant(Mutant::GoOnAsBefore) {
            // From this very entry on nothing new is leased to it.
            let (standing, reason) = (Standing::Draining, reason.clone());
            let agent = Agent { standing, reason, since: step.now, ..Agent::clone(&agent) };
            self.agents.insert(id, Arc::new(agent));
            self.changes.touch(RowKey::Agent(id));
            self.tell_standing(step, id);
        }
    }

    /// Returns the present life of an agent.
    pub fn life(&self, agent: AgentId) -> Option<&Life> {
        self.tending.lives.get(&agent)
    }

    /// Returns the number of the blueprint that stands in a pool's definition.
    pub fn version_of(&self, pool: &Name) -> u64 {
        self.tending.versions.get(pool).map_or(0, |versions| versions.number)
    }

    fn canary_version(&self, pool: &Name) -> Option<u64> {
        let rollout = self.tending.versions.get(pool)?.rollout.as_ref()?;
        (rollout.stage == Stage::Canary).then_some(rollout.to.number)
    }

    /// Returns what an agent of a pool is to be started from, and which version that is: what the pool is defined as,
    /// unless it is one of those that try a new blueprint first.
    pub fn definition_for(&self, pool: &Name, agent: AgentId) -> Option<(u64, Arc<PoolSpec>)> {
        let known = self.pools.get(pool)?;
        let wanted = self
            .tending
            .lives
            .get(&agent)
            .map(|life| life.renewal.as_ref().map_or(life.version, |renewal| renewal.version));
        if let Some(version) = self.canary_version(pool).filter(|canary| wanted == Some(*canary)) {
            let rollout = self.tending.versions.get(pool)?.rollout.as_ref()?;
            return Some((version, Arc::new(rollout.to.blueprint.in_place(&known.spec))));
        }
        Some((self.version_of(pool), known.spec.clone()))
    }
}

impl State {
    /// Says why agents may not begin anew by hand: their pool is not there, or nobody here runs them.
    pub(super) fn check_rollable(&self, pool: &Name) -> Result<(), Refusal> {
        let known = self.known_hosted(pool)?;
        if known.retiring.is_some() {
            return Err(Refusal::PoolRetiring(pool.clone()));
        }
        Ok(())
    }
}
