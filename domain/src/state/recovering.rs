//! What a pool does about an agent that failed for good on a node that is there, by its
//! [`Recovery`].
//!
//! *Restart* and *degraded* leave it where it is: its node tries it again after longer and longer waits. *Failover* lets
//! a standby agent serve in its place, and the failed one stands by until it is cured. *Replacement* forgets it and has
//! another one, elsewhere if another node has room. In each case the pool says how many of its agents are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::{Agent, Host, Pool, Standing};
use crate::event::Governing;
use crate::id::{AgentId, NodeId};
use crate::name::Name;
use crate::recovery::{GivenUp, Replacing};
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::spread::Recovery;
use crate::state::{State, Step};
use crate::tending::{TendingKey, TendingRow};
use crate::time::Timestamp;

/// Who failed for good, and which pools took others for them.
#[derive(Debug, Default)]
pub(super) struct Recovering {
    given_up: BTreeMap<(Name, AgentId), GivenUp>,
    replacing: BTreeMap<Name, Replacing>,
}

impl Recovering {
    pub(super) fn keys(&self) -> impl Iterator<Item = TendingKey> {
        let given_up = self.given_up.keys().cloned().map(|(pool, agent)| TendingKey::GivenUp(pool, agent));
        given_up.chain(self.replacing.keys().cloned().map(TendingKey::Replacing))
    }

    pub(super) fn given_up_row(&self, pool: &Name, agent: AgentId) -> Option<TendingRow> {
        let given_up = self.given_up.get(&(pool.clone(), agent))?;
        Some(TendingRow::GivenUp(pool.clone(), agent, *given_up))
    }

    pub(super) fn replacing_row(&self, pool: &Name) -> Option<TendingRow> {
        Some(TendingRow::Replacing(pool.clone(), self.replacing.get(pool)?.clone()))
    }

    pub(super) fn restore_given_up(&mut self, pool: Name, agent: AgentId, given_up: GivenUp) {
        self.given_up.insert((pool, agent), given_up);
    }

    pub(super) fn restore_replacing(&mut self, pool: Name, replacing: Replacing) {
        self.replacing.insert(pool, replacing);
    }

    fn of(&self, pool: &Name) -> impl Iterator<Item = AgentId> {
        let from = (pool.clone(), AgentId::from_raw(0));
        let until = (pool.clone(), AgentId::from_raw(u128::MAX));
        self.given_up.range(from..=until).map(|((_, agent), _)| *agent)
    }
}

impl State {
    pub(super) fn give_up_agent(&mut self, step: &mut Step, id: AgentId, reason: &Arc<str>) -> Answer {
        let agent = self.agents.get(&id).ok_or(Refusal::AgentUnknown(id))?.clone();
        let Host::Node(node) = agent.spec.host else {
            let why = "it runs elsewhere: nobody here restarts it".to_owned();
            return Err(Refusal::Invalid { field: "agent".to_owned(), why });
        };
        // What a node says that is not counted on may be late by any length of time.
        self.check_host(&agent.spec.host)?;
        self.set_standing(step, id, Standing::Failed, reason)?;
        let pool = agent.spec.pool.as_ref().and_then(|pool| self.pools.get(pool)).cloned();
        let Some(pool) = pool.filter(|_| !agent.retiring) else { return Ok(Reply::Done) };
        let name = &pool.spec.name;
        self.tending.recovering.given_up.insert((name.clone(), id), GivenUp { since: step.now });
        self.changes.touch(RowKey::Tending(TendingKey::GivenUp(name.clone(), id)));
        let follows = match pool.spec.recovery {
            _ if agent.standby => "it stood by; it is tried again",
            Recovery::Failover { .. } => {
                self.cover(step, name);
                match self.agents.get(&id) {
                    Some(agent) if agent.standby => "another one serves in its place",
                    _ => "no standby agent is ready to take its place; it is tried again",
                }
            }
            Recovery::Replacement if self.replaces(&pool, step.now) => {
                self.govern(step, Governing::AgentGivenUp, name, Some(id), "another one is taken for it");
                self.replace(step, &pool, id, node);
                return Ok(Reply::Done);
            }
            Recovery::Replacement => "too many were replaced of late; it is tried again",
            Recovery::Restart => "it is tried again",
            Recovery::Degraded => "the pool goes on without it until it serves again",
        };
        self.govern(step, Governing::AgentGivenUp, name, Some(id), follows);
        Ok(Reply::Done)
    }

    /// Lets standby agents serve in the place of those that failed for good, as far as some are ready.
    pub(super) fn cover(&mut self, step: &mut Step, name: &Name) {
        // One whose place is taken may bring another back to its own, and one for whose place nobody is found does not
        // stand in the way of the others: each of them is looked at once.
        let mut tried = BTreeSet::new();
        loop {
            let keeps = |pool: &Arc<Pool>| pool.spec.recovery.standby() > 0;
            let Some(pool) = self.pools.get(name).filter(|pool| keeps(pool)).cloned() else { return };
            let missing = |id: &AgentId| self.is_missing(*id) && !tried.contains(id);
            let failed = self.tending.recovering.of(name).find(missing);
            let Some(failed) = failed.filter(|_| self.agents_of(name).any(stands_ready)) else { return };
            tried.insert(failed);
            if let Some(agent) = self.agents.get_mut(&failed).map(Arc::make_mut) {
                // Why it failed stays its reason.
                agent.standby = true;
                self.changes.touch(RowKey::Agent(failed));
            }
            let (shares, standbys) = self.spread_of(&pool);
            if shares != pool.shares || standbys != pool.standbys {
                self.store_pool(step, Pool { shares, standbys, ..Pool::clone(&pool) });
                self.tell_pool(step, name);
            }
            // It serves on where no other place is found for what it did.
            self.choose_standbys(step, name);
        }
    }

    /// Tells whether an agent that failed for good leaves its place unserved.
    fn is_missing(&self, id: AgentId) -> bool {
        self.agents.get(&id).is_some_and(|agent| !agent.standby && !agent.retiring)
    }

    /// Decides whether a pool takes another agent for one that failed for good, and takes note of that.
    fn replaces(&mut self, pool: &Pool, now: Timestamp) -> bool {
        let name = &pool.spec.name;
        // A rollout looks at who failed, and takes itself back.
        let rolls = self.rollout(name).is_some_and(|rollout| !rollout.stage.is_over());
        if pool.retiring.is_some() || rolls {
            return false;
        }
        let at_once = pool.spec.restart.intensity.min(pool.target);
        self.changes.touch(RowKey::Tending(TendingKey::Replacing(name.clone())));
        self.tending.recovering.replacing.entry(name.clone()).or_default().decide(at_once, now)
    }

    /// Forgets an agent that failed for good, and gives its place to a new one: elsewhere, if there is room.
    fn replace(&mut self, step: &mut Step, pool: &Pool, id: AgentId, node: NodeId) {
        let name = &pool.spec.name;
        if let Some(replacing) = self.tending.recovering.replacing.get_mut(name) {
            replacing.shun(node, step.now);
        }
        self.leave_work_to_pool(step, id);
        self.forget_agent(step, id);
        let Some(pool) = self.pools.get(name).cloned() else { return };
        let mut lessened = Pool::clone(&pool);
        if let Some(share) = lessened.shares.get_mut(&node) {
            *share = share.saturating_sub(1);
        }
        let (shares, standbys) = self.spread_of(&lessened);
        if shares != pool.shares || standbys != pool.standbys {
            self.store_pool(step, Pool { shares, standbys, ..lessened });
        }
        self.tell_pool(step, name);
    }

    /// Takes note that an agent does not count as given up any more: it serves again, or is gone.
    pub(super) fn forget_given_up(&mut self, pool: Option<&Name>, id: AgentId) {
        let Some(pool) = pool else { return };
        if self.tending.recovering.given_up.remove(&(pool.clone(), id)).is_some() {
            self.changes.touch(RowKey::Tending(TendingKey::GivenUp(pool.clone(), id)));
        }
    }

    /// Forgets who failed for good of a pool, and how many were replaced.
    pub(super) fn forget_recovering(&mut self, pool: &Name) {
        let given_up: Vec<AgentId> = self.tending.recovering.of(pool).collect();
        for id in given_up {
            self.forget_given_up(Some(pool), id);
        }
        self.forget_replacing(pool);
    }

    /// Lets a pool begin to count its replacements anew.
    pub(super) fn forget_replacing(&mut self, pool: &Name) {
        if self.tending.recovering.replacing.remove(pool).is_some() {
            self.changes.touch(RowKey::Tending(TendingKey::Replacing(pool.clone())));
        }
    }

    /// Lets every pool have agents again on a node that has started anew or is gone.
    pub(super) fn forgive_node(&mut self, node: NodeId) {
        for (pool, replacing) in &mut self.tending.recovering.replacing {
            if replacing.shunned.remove(&node).is_some() {
                self.changes.touch(RowKey::Tending(TendingKey::Replacing(pool.clone())));
            }
        }
    }

    /// Returns how many agents each node may have of a pool at most, where some of them failed for good: those that
    /// it has now, without those that others serve for.
    pub(super) fn stinted(&self, pool: &Pool) -> BTreeMap<NodeId, u32> {
        let at = |counts: &BTreeMap<NodeId, u32>, node| counts.get(&node).copied().unwrap_or(0);
        match pool.spec.recovery {
            Recovery::Failover { .. } => {
                let failed = self.failed_reserves(&pool.spec.name).into_iter();
                let kept = |node| at(&pool.shares, node) + at(&pool.standbys, node);
                failed.map(|(node, failed)| (node, kept(node).saturating_sub(failed))).collect()
            }
            Recovery::Replacement => {
                let replacing = self.tending.recovering.replacing.get(&pool.spec.name);
                let shunned = replacing.into_iter().flat_map(|replacing| {
                    replacing.shunned.keys().copied().filter(|node| replacing.shuns(*node, self.meta.now))
                });
                shunned.map(|node| (node, at(&pool.shares, node))).collect()
            }
            Recovery::Restart | Recovery::Degraded => BTreeMap::new(),
        }
    }

    /// Returns how many agents of a pool stand by on each node because others serve in their place.
    pub(super) fn failed_reserves(&self, pool: &Name) -> BTreeMap<NodeId, u32> {
        let mut failed = BTreeMap::new();
        for id in self.tending.recovering.of(pool) {
            if let Some(agent) = self.agents.get(&id).filter(|agent| agent.standby && !agent.retiring)
                && let Host::Node(node) = agent.spec.host
            {
                *failed.entry(node).or_insert(0) += 1;
            }
        }
        failed
    }

    /// Returns who failed for good of a pool, on which node, and leaves a place unserved.
    pub(super) fn missing_of(&self, pool: &Name) -> impl Iterator<Item = (AgentId, NodeId)> {
        let missing = self.tending.recovering.of(pool).filter(|id| self.is_missing(*id));
        missing.filter_map(|id| match self.agents.get(&id)?.spec.host {
            Host::Node(node) => Some((id, node)),
            Host::External => None,
        })
    }

    /// Tells whether an agent failed for good and does not serve since.
    pub fn is_given_up(&self, id: AgentId) -> bool {
        let pool = self.agents.get(&id).and_then(|agent| agent.spec.pool.clone());
        pool.is_some_and(|pool| self.tending.recovering.given_up.contains_key(&(pool, id)))
    }

    /// Returns when a pool may next take another agent for one that failed for good, if it has to wait at this time. The
    /// time is the caller's: that of the state stands still while nothing happens.
    pub fn replaces_next(&self, pool: &Name, now: Timestamp) -> Option<Timestamp> {
        let replaces = self.pools.get(pool).is_some_and(|pool| pool.spec.recovery == Recovery::Replacement);
        let replacing = self.tending.recovering.replacing.get(pool).filter(|_| replaces)?;
        Some(replacing.next).filter(|next| *next > now)
    }
}

/// Tells whether an agent could serve at once in the place of another.
fn stands_ready(agent: &Arc<Agent>) -> bool {
    agent.standby && agent.standing == Standing::Ready && !agent.retiring
}
