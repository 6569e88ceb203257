//! Work that policies keep from agents of a pool, and would let another agent of it have.
//!
//! A list of agents in a policy names some of them: the next one that a pool starts has another name, and may be free to
//! do what the others may not. So a pool grows for such work as for any other, and does not for what its next agent
//! would be denied like the rest. What is asked is what would be asked of that agent, by the name that it would have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::agent::{Agent, AgentSpec, Host, Pool, RuntimeSpec, Standing};
use crate::id::AgentId;
use crate::name::{NAME_BYTES_MAX, Name};
use crate::placement::WaitingWork;
use crate::state::State;
use crate::task::{MailboxId, Task};

/// How much of a pool's name its agents' names keep, as nodes name them.
const POOL_PART_MAX: usize = NAME_BYTES_MAX - 21;

/// How many agents of a pool are looked at for one answer to a person. Writers wait meanwhile.
const AGENTS_LOOKED_AT: usize = 1000;

impl State {
    /// Returns the work of a pool that policies keep from somebody and would let the next agent of it have, by demand.
    /// O(sorts of such work); nothing while there is none.
    pub fn open_to_newcomers(&self, pool: &Pool) -> Vec<WaitingWork> {
        let found = self.kept_from_some(pool).into_iter();
        found.map(|(task, count)| WaitingWork { demand: Arc::new(task.spec.demand.clone()), count }).collect()
    }

    /// Counts those of these tasks that no agent of the pool may have; none while agents are still to come, who may be
    /// the ones that do. O(members) for each sort of them.
    pub(super) fn stranded(&self, pool: &Pool) -> u64 {
        let name = &pool.spec.name;
        let missing = self.shortfall(name).map_or(0, |shortfall| shortfall.missing);
        let members = self.agents_of(name).filter(|agent| !agent.retiring).count() as u64;
        if members < u64::from(pool.target.saturating_sub(missing)) {
            return 0;
        }
        let found = self.kept_from_some(pool).into_iter();
        let stranded = found.filter(|(task, _)| !self.has_one_for(name, task, usize::MAX));
        stranded.map(|(_, count)| count as u64).sum()
    }

    /// Says what helps a task that a policy keeps from all whose turn it was.
    pub(super) fn hint_of_barred(&self, task: &Task) -> &'static str {
        let pool = match &task.spec.mailbox {
            MailboxId::Pool(pool) => self.pools.get(pool),
            MailboxId::Agent(_) | MailboxId::Open => None,
        };
        let Some(pool) = pool.filter(|pool| pool.spec.runtime != RuntimeSpec::External) else {
            return "no agent that had its turn may have it; start one that may, or change the policy";
        };
        if self.has_one_for(&pool.spec.name, task, AGENTS_LOOKED_AT) {
            return "an agent of its pool may have it and is not free; wait";
        }
        let newcomer = self.newcomer_of(pool);
        let may = newcomer.spec.capabilities.satisfy(&task.spec.demand) && self.admits(&newcomer, task);
        if !may {
            return "no agent of its pool may have it and the next one could not either, so the pool does not grow for \
                    it; change the policy";
        }
        if pool.target < self.most_agents_of(pool) {
            "no agent that its pool has may have it, and the pool grows for it; wait"
        } else {
            "no agent that its pool has may have it, and the pool is as large as it may be; raise its `max`, or change \
             the policy"
        }
    }

    /// Returns the sorts of work that policies keep from somebody in a pool and would let its next agent have: a task of
    /// each, and how many there are. None of what stands still whoever is there.
    fn kept_from_some(&self, pool: &Pool) -> Vec<(&Arc<Task>, usize)> {
        let name = &pool.spec.name;
        let mailbox = MailboxId::Pool(name.clone());
        let stands = self.pauses.of_mailbox(&mailbox).is_some() || self.is_behind_breaker(&mailbox);
        // Mostly there is nothing, and then nobody is made up.
        if stands || self.barred_since(&mailbox).is_none() {
            return Vec::new();
        }
        let newcomer = self.newcomer_of(pool);
        let sorts = self.barred_in(&mailbox, &newcomer, &newcomer.spec.capabilities);
        let found = sorts.filter_map(|places| {
            let (_, _, _, first) = places.first()?;
            Some((self.tasks.get(first)?, places.len()))
        });
        found.filter(|(task, _)| !self.resting.contains(&task.spec.workspace)).collect()
    }

    /// Tells whether one of the first agents of a pool may have a task.
    fn has_one_for(&self, pool: &Name, task: &Task, looked_at: usize) -> bool {
        let staying = self.agents_of(pool).filter(|agent| !agent.retiring).take(looked_at);
        let mut able = staying.filter(|agent| agent.spec.capabilities.satisfy(&task.spec.demand));
        able.any(|agent| self.admits(agent, task))
    }

    /// Returns the agent that a pool would start next, as far as policies can tell agents apart.
    fn newcomer_of(&self, pool: &Pool) -> Agent {
        let spec = &pool.spec;
        // Names are ASCII, so any place is a boundary.
        let first = spec.name.as_str();
        let first = &first[..first.len().min(POOL_PART_MAX)];
        let mut names = (1_u64..).map_while(|number| Name::new(&format!("{first}-{number}")).ok());
        let name = names.find(|name| !self.hosted_names.contains_key(name));
        let spec = AgentSpec {
            // Nobody has it.
            id: AgentId::from_raw(0),
            name: name.unwrap_or_else(|| spec.name.clone()),
            pool: Some(spec.name.clone()),
            capabilities: spec.capabilities.clone(),
            labels: BTreeMap::new(),
            region: None,
            concurrency: spec.concurrency,
            host: Host::External,
            heartbeat_timeout: None,
            metadata: None,
        };
        Agent {
            spec: Arc::new(spec),
            standing: Standing::Starting,
            reason: "it is to come".into(),
            since: self.meta.now,
            held: BTreeSet::new(),
            registered_at: self.meta.now,
            completed: 0,
            failed: 0,
            restarts: 0,
            worked: Duration::ZERO,
            retiring: false,
            standby: false,
        }
    }
}
