//! The fabric's bounds: how many agents, how many tasks for each, how many waiting.
//!
//! A pool counts with the agents that it should have or has, whichever are more: one that is made smaller counts until
//! its surplus agents have gone, so that there are never more agents at work than the bound says. A bound is looked at
//! when something would grow, and nowhere else; what was there before it was lowered stays. Costs a look at each pool
//! of the fabric, only where a pool is put, scaled or joined.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::{Pool, PoolSpec, RuntimeSpec};
use crate::fabric::{Bounds, FabricCommand, FabricKey, FabricRow, Profile, WORDS_BYTES_MAX};
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::retiring::Idle;
use crate::state::{State, Step};
use crate::task::MailboxId;
use crate::time::Timestamp;
use crate::why::Why;

/// What is agreed of the fabric.
#[derive(Debug, Default)]
pub(super) struct Fabric {
    bounds: Option<Bounds>,
    profiles: BTreeMap<Name, Profile>,
}

impl Fabric {
    pub(super) fn keys(&self) -> impl Iterator<Item = RowKey> {
        let bounds = self.bounds.iter().map(|_| FabricKey::Bounds);
        bounds.chain(self.profiles.keys().cloned().map(FabricKey::Profile)).map(RowKey::Fabric)
    }

    pub(super) fn row(&self, key: &FabricKey) -> Option<FabricRow> {
        match key {
            FabricKey::Bounds => self.bounds.clone().map(FabricRow::Bounds),
            FabricKey::Profile(pool) => {
                Some(FabricRow::Profile(pool.clone(), self.profiles.get(pool)?.clone()))
            }
        }
    }

    pub(super) fn restore(&mut self, row: FabricRow) {
        match row {
            FabricRow::Bounds(bounds) => self.bounds = Some(bounds),
            FabricRow::Profile(pool, profile) => {
                self.profiles.insert(pool, profile);
            }
        }
    }
}

impl State {
    pub(super) fn fabric_command(&mut self, step: &mut Step, command: &FabricCommand) -> Answer {
        match command {
            FabricCommand::SetBounds { bounds } => self.set_bounds(step, bounds),
            FabricCommand::PutPool { spec, profile } => self.put_fabric_pool(step, spec, profile),
        }
    }

    fn set_bounds(&mut self, step: &mut Step, bounds: &Bounds) -> Answer {
        let refuse = |field: &str| {
            let why = "it must be at least 1".to_owned();
            Err(Refusal::Invalid { field: field.to_owned(), why })
        };
        if bounds.agents_max == 0 {
            return refuse("agents_max");
        }
        if bounds.queue_depth_max == 0 {
            return refuse("queue_depth_max");
        }
        if bounds.tasks_per_agent_max == 0 {
            return refuse("tasks_per_agent_max");
        }
        if self.fabric.bounds.as_ref() != Some(bounds) {
            self.fabric.bounds = Some(bounds.clone());
            self.changes.touch(RowKey::Fabric(FabricKey::Bounds));
            step.idle.push(Idle::Room);
        }
        Ok(Reply::Done)
    }

    fn put_fabric_pool(&mut self, step: &mut Step, spec: &Arc<PoolSpec>, profile: &Profile) -> Answer {
        let name = &spec.name;
        let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
        let longest = profile.model.as_ref().map_or(0, |model| model.len()).max(profile.title.len());
        if longest > WORDS_BYTES_MAX {
            return refuse("profile", format!("a title or model has at most {WORDS_BYTES_MAX} bytes"));
        }
        if self.pools.contains_key(name) && !self.fabric.profiles.contains_key(name) {
            let why = format!("there is a pool {name} that is not the fabric's; choose another name");
            return refuse("pool", why);
        }
        // Its pools are told by their profiles, so this one has its own before it is judged.
        let before = self.fabric.profiles.insert(name.clone(), profile.clone());
        let answer = self.put_pool(step, spec);
        if answer.is_ok() {
            self.changes.touch(RowKey::Fabric(FabricKey::Profile(name.clone())));
            return answer;
        }
        match before {
            Some(before) => self.fabric.profiles.insert(name.clone(), before),
            None => self.fabric.profiles.remove(name),
        };
        answer
    }

    /// Forgets the profile of a pool that is no more.
    pub(super) fn forget_profile(&mut self, step: &mut Step, pool: &Name) {
        if self.fabric.profiles.remove(pool).is_some() {
            self.changes.touch(RowKey::Fabric(FabricKey::Profile(pool.clone())));
            step.idle.push(Idle::Room);
        }
    }

    /// Notes that a pool may count less than it did, if it is the fabric's or quotas bound agents.
    pub(super) fn note_room(&self, step: &mut Step, pool: &Name) {
        let of_fabric = self.fabric.bounds.is_some() && self.fabric.profiles.contains_key(pool);
        if of_fabric {
            step.idle.push(Idle::Room);
        } else {
            self.note_fewer_agents(step);
        }
    }

    /// Tells of the pools that have work waiting and may have agents for it again.
    pub(super) fn tell_of_room(&self, step: &mut Step) {
        for name in self.pools_with_room() {
            if !self.fabric.profiles.contains_key(&name) {
                self.tell_pool(step, &name);
            }
        }
        for name in self.fabric.profiles.keys() {
            let waits = self.mailboxes.contains_key(&MailboxId::Pool(name.clone()));
            if waits && self.pools.get(name).is_some_and(|pool| pool.target < self.most_agents_of(pool)) {
                self.tell_pool(step, name);
            }
        }
    }

    /// Returns the bounds, if a pool is bound by them.
    fn bounds_of(&self, pool: &Name) -> Option<&Bounds> {
        self.fabric.bounds.as_ref().filter(|_| self.fabric.profiles.contains_key(pool))
    }

    /// Checks that a pool may have so many agents, if it is the fabric's.
    pub(super) fn check_fabric_size(&self, pool: &Name, agents: u64) -> Result<(), Refusal> {
        let Some(bounds) = self.bounds_of(pool) else { return Ok(()) };
        let before = self.pools.get(pool).map_or(0, |known| self.size_of(known));
        if agents > before && agents > self.fabric_room(bounds, pool) {
            return Err(Refusal::Full { bound: Bound::FabricAgents, limit: u64::from(bounds.agents_max) });
        }
        Ok(())
    }

    /// Checks that one more agent may join a pool, if it is the fabric's.
    pub(super) fn check_fabric_member(&self, pool: &Name) -> Result<(), Refusal> {
        let members = self.pool_agents.get(pool).map_or(0, |members| members.len() as u64);
        self.check_fabric_size(pool, members + 1)
    }

    /// Checks that an agent of a pool may hold so many tasks, if it is the fabric's.
    pub(super) fn check_fabric_concurrency(&self, pool: &Name, concurrency: u32) -> Result<(), Refusal> {
        let Some(bounds) = self.bounds_of(pool) else { return Ok(()) };
        let most = bounds.tasks_per_agent_max;
        if concurrency <= most {
            return Ok(());
        }
        let why = format!(
            "an agent of the fabric holds at most {most} tasks at a time; ask for fewer, or raise that bound"
        );
        Err(Refusal::Invalid { field: "concurrency".to_owned(), why })
    }

    /// Returns how many tasks may wait in a mailbox, if it is the fabric's.
    pub(super) fn fabric_depth(&self, mailbox: &MailboxId) -> Option<u64> {
        let pool = match mailbox {
            MailboxId::Open => return None,
            MailboxId::Pool(pool) => pool,
            MailboxId::Agent(agent) => self.agents.get(agent)?.spec.pool.as_ref()?,
        };
        self.bounds_of(pool).map(|bounds| bounds.queue_depth_max)
    }

    /// Returns how many agents a pool counts for.
    fn size_of(&self, pool: &Pool) -> u64 {
        let members = self.agents_of(&pool.spec.name).filter(|agent| !agent.standby).count() as u64;
        match pool.spec.runtime {
            RuntimeSpec::External => members,
            RuntimeSpec::Process(_) | RuntimeSpec::Native(_) => members.max(u64::from(pool.target)),
        }
    }

    /// Returns how many agents a pool may have, going by what the others have.
    fn fabric_room(&self, bounds: &Bounds, pool: &Name) -> u64 {
        let others = self.fabric.profiles.keys().filter(|name| *name != pool);
        let taken: u64 =
            others.filter_map(|name| self.pools.get(name)).map(|other| self.size_of(other)).sum();
        u64::from(bounds.agents_max).saturating_sub(taken)
    }

    /// Returns how many agents a pool may have at present: its most, or less where the fabric or the quota of its
    /// workspace has no room.
    pub fn most_agents_of(&self, pool: &Pool) -> u32 {
        let most = if mutant(Mutant::PassTheMost) { u32::MAX } else { pool.spec.max };
        let most = most.min(self.most_by_quota(pool).unwrap_or(u32::MAX));
        most.min(self.most_by_fabric(pool).unwrap_or(u32::MAX))
    }

    fn most_by_fabric(&self, pool: &Pool) -> Option<u32> {
        let room = self.fabric_room(self.bounds_of(&pool.spec.name)?, &pool.spec.name);
        Some(u32::try_from(room).unwrap_or(u32::MAX))
    }

    /// Says why a pool has no more agents although it may have more by itself, if that is so.
    pub(super) fn why_grown(&self, pool: &Pool, since: Timestamp) -> Option<Why> {
        self.why_fabric_full(pool).or_else(|| self.why_no_more_agents(pool, since))
    }

    /// Says that a pool would have more agents if the fabric had room, if that is so.
    fn why_fabric_full(&self, pool: &Pool) -> Option<Why> {
        let limit = self.bounds_of(&pool.spec.name)?.agents_max;
        let target = pool.target;
        let could = pool.spec.runtime != RuntimeSpec::External && target < pool.spec.max;
        (could && target >= self.most_by_fabric(pool)?).then(|| Why::FabricFull {
            pool: pool.spec.name.clone(),
            target,
            limit,
        })
    }

    /// Returns the bounds of the fabric, once they were set.
    pub fn fabric_bounds(&self) -> Option<&Bounds> {
        self.fabric.bounds.as_ref()
    }

    /// Returns what people are told of a pool of the fabric; `None` for every other pool.
    pub fn profile(&self, pool: &Name) -> Option<&Profile> {
        self.fabric.profiles.get(pool)
    }

    /// Walks the pools of the fabric in order of name.
    pub fn fabric_pools(&self) -> impl Iterator<Item = (&Arc<Pool>, &Profile)> {
        let profiles = self.fabric.profiles.iter();
        profiles.filter_map(|(name, profile)| Some((self.pools.get(name)?, profile)))
    }

    /// Returns how many agents all pools of the fabric count for.
    pub fn fabric_agents(&self) -> u64 {
        self.fabric_pools().map(|(pool, _)| self.size_of(pool)).sum()
    }
}
