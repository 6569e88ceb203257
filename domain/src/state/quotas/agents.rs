//! How many agents a workspace has, of those that its quota allows.
//!
//! An agent that runs elsewhere counts for itself, and a pool of agents that nodes run for as many as it shall have. Costs
//! as much as a workspace has pools and agents without one, and nothing where no quota bounds agents.

use std::collections::BTreeSet;

use crate::access::Owned;
use crate::agent::{AgentSpec, Pool, PoolSpec, RuntimeSpec};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::quota::QuotaOf;
use crate::refusal::{Bound, Refusal};
use crate::state::retiring::Idle;
use crate::state::{State, Step};
use crate::task::MailboxId;
use crate::time::Timestamp;
use crate::why::Why;

impl State {
    /// Returns how many agents the quota of a workspace allows.
    fn most_agents(&self, workspace: &Name) -> Option<u64> {
        self.quotas.all.get(workspace)?.agents
    }

    /// Notes that a workspace may have fewer agents than before, so that there may be room for others.
    pub(in crate::state) fn note_fewer_agents(&self, step: &mut Step) {
        if self.quotas.bounds_agents {
            step.idle.push(Idle::Room);
        }
    }

    /// Refuses an agent that its workspace has no room for. One of a pool that nodes run is counted with its pool.
    pub(in crate::state) fn check_agent_quota(&self, spec: &AgentSpec) -> Result<(), Refusal> {
        let pool = spec.pool.as_ref().and_then(|pool| self.pools.get(pool));
        if self.quotas.all.is_empty() || pool.is_some_and(|pool| is_hosted(&pool.spec)) {
            return Ok(());
        }
        let workspace = self.workspace_of_agent(spec);
        let known = self.agents.get(&spec.id).filter(|known| {
            let pool = known.spec.pool.as_ref().and_then(|pool| self.pools.get(pool));
            !pool.is_some_and(|pool| is_hosted(&pool.spec))
        });
        if known.is_some_and(|known| self.workspace_of_agent(&known.spec) == workspace) {
            return Ok(());
        }
        self.check_more_agents(&workspace, 1)
    }

    /// Refuses a pool of agents that nodes run that would take its workspace beyond its quota.
    pub(in crate::state) fn check_pool_quota(&self, spec: &PoolSpec, target: u32) -> Result<(), Refusal> {
        if self.quotas.all.is_empty() || !is_hosted(spec) {
            return Ok(());
        }
        let has = self.pools.get(&spec.name).map_or(0, |pool| self.agents_counted(pool));
        self.check_more_agents(&self.workspace_of_pool(&spec.name), u64::from(target).saturating_sub(has))
    }

    /// Refuses to give a workspace what it has no room for.
    pub(in crate::state) fn check_owner_quota(&self, owned: &Owned, workspace: &Name) -> Result<(), Refusal> {
        let (owner, more) = match owned {
            Owned::Pool(pool) => {
                let agents = self.pools.get(pool).map_or(0, |pool| self.agents_counted(pool));
                (self.workspace_of_pool(pool), agents)
            }
            Owned::Agent(agent) => {
                let known = self.agents.get(agent);
                (known.map(|known| self.workspace_of_agent(&known.spec)).unwrap_or_default(), 1)
            }
        };
        if owner == *workspace { Ok(()) } else { self.check_more_agents(workspace, more) }
    }

    fn check_more_agents(&self, workspace: &Name, more: u64) -> Result<(), Refusal> {
        match self.most_agents(workspace) {
            Some(most) if more > 0 && self.agents_of_workspace(workspace) + more > most => {
                let bound = Bound::Quota { workspace: workspace.clone(), of: QuotaOf::Agents };
                Err(Refusal::Full { bound, limit: most })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Returns how many agents a pool may have as far as the quota of its workspace goes; as many as it shall have
    /// already, if that is more.
    pub(in crate::state) fn most_by_quota(&self, pool: &Pool) -> Option<u32> {
        if self.quotas.all.is_empty() || !is_hosted(&pool.spec) {
            return None;
        }
        let workspace = self.workspace_of_pool(&pool.spec.name);
        let room = self.most_agents(&workspace)?.saturating_sub(self.agents_of_workspace(&workspace));
        Some(pool.target.saturating_add(u32::try_from(room).unwrap_or(u32::MAX)))
    }

    /// Says that a pool would have more agents if the quota of its workspace had room, if that is so.
    pub(in crate::state) fn why_no_more_agents(&self, pool: &Pool, since: Timestamp) -> Option<Why> {
        let most = self.most_by_quota(pool).filter(|most| *most < pool.spec.max)?;
        if pool.target < most {
            return None;
        }
        let workspace = self.workspace_of_pool(&pool.spec.name);
        let (has, allowed) = (self.agents_of_workspace(&workspace), self.most_agents(&workspace)?);
        let hint = format!(
            "workspace {workspace} has {has} agents, of {allowed} that it may have; wait, or raise that: synod workspace set {workspace} --agents N"
        );
        Some(Why::HeldBack { on: ParkedOn::Quota(workspace), since, until: None, hint: hint.into() })
    }

    /// Returns the pools that have work waiting and may have agents for it again, as far as quotas go.
    pub(in crate::state) fn pools_with_room(&self) -> Vec<Name> {
        if !self.quotas.bounds_agents {
            return Vec::new();
        }
        let waits = |pool: &Pool| self.mailboxes.contains_key(&MailboxId::Pool(pool.spec.name.clone()));
        let pools = self.pools.values().filter(|pool| is_hosted(&pool.spec) && waits(pool));
        let pools = pools.filter(|pool| pool.target < self.most_agents_of(pool));
        pools.map(|pool| pool.spec.name.clone()).collect()
    }

    /// Returns how many agents a workspace has.
    pub fn agents_of_workspace(&self, workspace: &Name) -> u64 {
        if *workspace != Name::default() {
            return self.owned_by(workspace).map(|owned| self.agents_with(owned)).sum();
        }
        // Whatever nobody else has.
        let others = self.owners().filter(|(_, owner)| **owner != *workspace);
        let of_others: u64 = others.map(|(owned, _)| self.agents_with(owned)).sum();
        let in_pools: u64 = self.pools.values().map(|pool| self.agents_counted(pool)).sum();
        let members: usize = self.pool_agents.values().map(BTreeSet::len).sum();
        let lone = self.agents.len().saturating_sub(members) as u64;
        (in_pools + lone).saturating_sub(of_others)
    }

    fn agents_with(&self, owned: &Owned) -> u64 {
        match owned {
            Owned::Pool(pool) => self.pools.get(pool).map_or(0, |pool| self.agents_counted(pool)),
            // One that came to a pool since is counted there.
            Owned::Agent(agent) => {
                u64::from(self.agents.get(agent).is_some_and(|agent| agent.spec.pool.is_none()))
            }
        }
    }

    fn agents_counted(&self, pool: &Pool) -> u64 {
        if is_hosted(&pool.spec) {
            return u64::from(pool.target);
        }
        self.pool_agents.get(&pool.spec.name).map_or(0, |members| members.len() as u64)
    }
}

fn is_hosted(spec: &PoolSpec) -> bool {
    spec.runtime != RuntimeSpec::External
}
