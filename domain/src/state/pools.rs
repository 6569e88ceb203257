//! Pools: their definition and their size.

use std::sync::Arc;

use crate::agent::{CONCURRENCY_MAX, POOL_SIZE_MAX, POOLS_MAX, Pool, PoolSpec, RuntimeSpec};
use crate::breaker::Guarded;
use crate::event::Event;
use crate::name::Name;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::spread::{LABELS_DEMANDED_MAX, STANDBY_MAX};
use crate::state::{State, Step};
use crate::task::MailboxId;

impl State {
    pub(super) fn put_pool(&mut self, step: &mut Step, spec: &Arc<PoolSpec>) -> Answer {
        check_pool(spec)?;
        let known = self.pools.get(&spec.name);
        if known.is_some_and(|known| known.retiring.is_some()) {
            return Err(Refusal::PoolRetiring(spec.name.clone()));
        }
        if known.is_none() && self.pools.len() >= POOLS_MAX {
            return Err(Refusal::Full { bound: Bound::Pools, limit: POOLS_MAX as u64 });
        }
        let target = known.map_or(spec.min, |pool| pool.target).clamp(spec.min, spec.max);
        self.check_fabric_concurrency(&spec.name, spec.concurrency)?;
        if spec.runtime != RuntimeSpec::External {
            self.check_fabric_size(&spec.name, u64::from(target))?;
        }
        self.check_pool_quota(spec, target)?;
        // Nothing is refused from here on.
        let spec = &match known.cloned() {
            Some(known) => self.roll_definition(step, &known, spec),
            None => spec.clone(),
        };
        if self.pools.get(&spec.name).is_some_and(|known| known.spec != *spec) {
            // Agents that are made otherwise may fare better.
            self.forget_replacing(&spec.name);
        }
        let known = self.pools.get(&spec.name);
        let created_at = known.map_or(step.now, |pool| pool.created_at);
        let (shares, standbys) =
            known.map(|pool| (pool.shares.clone(), pool.standbys.clone())).unwrap_or_default();
        let pool = Pool { spec: spec.clone(), target, created_at, retiring: None, shares, standbys };
        self.keep_pool(step, pool);
        Ok(Reply::Done)
    }

    pub(super) fn scale_pool(&mut self, step: &mut Step, name: &Name, target: u32) -> Answer {
        let pool = self.pools.get(name).ok_or_else(|| Refusal::PoolUnknown(name.clone()))?;
        // While it has work it may need agents for it.
        if self.is_closed(name) {
            return Err(Refusal::PoolRetiring(name.clone()));
        }
        let target = target.clamp(pool.spec.min, pool.spec.max);
        if pool.spec.runtime != RuntimeSpec::External {
            self.check_fabric_size(name, u64::from(target))?;
        }
        self.check_pool_quota(&pool.spec, target)?;
        if target != pool.target {
            let pool = Pool { target, ..Pool::clone(pool) };
            self.keep_pool(step, pool);
        }
        Ok(Reply::Done)
    }

    /// Puts a pool in place of what was known of it, spread anew.
    pub(super) fn keep_pool(&mut self, step: &mut Step, pool: Pool) {
        let name = pool.spec.name.clone();
        let (shares, standbys) = self.spread_of(&pool);
        if self.pools.get(&name).is_some_and(|before| before.target > pool.target) {
            self.note_room(step, &name);
        }
        self.store_pool(step, Pool { shares, standbys, ..pool });
        self.tell_pool(step, &name);
        self.choose_standbys(step, &name);
        self.cover(step, &name);
    }

    pub(super) fn tell_pool(&self, step: &mut Step, name: &Name) {
        if let Some(pool) = self.pools.get(name) {
            step.events.push(Event::PoolChanged { pool: name.clone(), target: pool.target });
        }
    }

    pub(super) fn remove_pool(&mut self, step: &mut Step, name: &Name) -> Answer {
        if !self.pools.contains_key(name) {
            return Err(Refusal::PoolUnknown(name.clone()));
        }
        let agents = self.pool_agents.get(name).map_or(0, |members| members.len() as u64);
        // Backing-off and leased work is not in the mailbox now, but may come back to it.
        let waiting = self.counts.of_pool(name);
        if agents > 0 || waiting > 0 {
            return Err(Refusal::PoolInUse { pool: name.clone(), agents, waiting });
        }
        self.forget_pool(step, name);
        Ok(Reply::Done)
    }

    /// Removes a pool that has neither agents nor work.
    pub(super) fn forget_pool(&mut self, step: &mut Step, name: &Name) {
        let mailbox = MailboxId::Pool(name.clone());
        let workspace = self.workspace_of_pool(name);
        self.forget_pauses(step, &mailbox);
        self.remove_breaker(step, &Guarded::Pool(name.clone()));
        self.forget_tending(name);
        self.drop_pool(step, name);
        self.forget_profile(step, name);
        self.note_fewer_agents(step);
        self.mailboxes.remove(&mailbox);
        self.changes.touch(RowKey::Turns(mailbox));
        step.events.push(Event::PoolRemoved { pool: name.clone(), workspace });
    }
}

pub(super) fn check_pool(spec: &PoolSpec) -> Result<(), Refusal> {
    let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
    if spec.max == 0 || spec.max > POOL_SIZE_MAX || spec.min > spec.max {
        return refuse("size", format!("min may not pass max, and max must be from 1 to {POOL_SIZE_MAX}"));
    }
    if spec.concurrency == 0 || spec.concurrency > CONCURRENCY_MAX {
        return refuse("concurrency", format!("it must be from 1 to {CONCURRENCY_MAX}"));
    }
    if spec.spread.labels.len() > LABELS_DEMANDED_MAX {
        return refuse("spread.labels", format!("at most {LABELS_DEMANDED_MAX} may be demanded"));
    }
    if spec.spread.max_per_node == Some(0) {
        return refuse("spread.max_per_node", "it must be at least 1".to_owned());
    }
    if spec.recovery.standby() > STANDBY_MAX {
        return refuse("recovery.standby", format!("at most {STANDBY_MAX} agents may stand by"));
    }
    match &spec.runtime {
        RuntimeSpec::Process(process) if process.command.is_empty() => {
            refuse("command", "it names no program".to_owned())
        }
        RuntimeSpec::Process(_) | RuntimeSpec::Native(_) | RuntimeSpec::External => Ok(()),
    }
}
