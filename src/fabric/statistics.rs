//! How the fabric is doing, in numbers.

use synod_domain::agent::Standing;

use crate::fabric::Fabric;

/// How the fabric is doing. Agents are the fabric's own; tasks are all tasks of the cluster, as nobody keeps count of
/// who scheduled what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Agents in service.
    pub active_agents: u64,
    /// Agents that count against the limit: those in service, and those on their way to it or out of it.
    pub counted_agents: u64,
    /// How many agents there may be.
    pub max_agents: u32,
    /// Pools, without those that are there for a single agent.
    pub pools: usize,
    /// Tasks that wait: in a queue, for another attempt, or for what they depend on.
    pub pending_tasks: u64,
    /// Tasks in the hands of agents.
    pub running_tasks: u64,
    /// Tasks that completed, since ever.
    pub completed_tasks: u64,
    /// Tasks that failed, since ever.
    pub failed_tasks: u64,
    /// Tasks that ran out of time, since ever.
    pub timed_out_tasks: u64,
    /// Tasks that were cancelled, since ever.
    pub cancelled_tasks: u64,
}

impl Fabric {
    /// Returns how the fabric is doing.
    ///
    /// ```no_run
    /// # fn example(fabric: &synod::fabric::Fabric) {
    /// let stats = fabric.statistics();
    /// println!("Active agents: {}", stats.active_agents);
    /// println!("Pending tasks: {}", stats.pending_tasks);
    /// println!("Total tasks completed: {}", stats.completed_tasks);
    /// # }
    /// ```
    pub fn statistics(&self) -> Statistics {
        self.node.read(|state| {
            let agents = state.fabric_pools().flat_map(|(pool, _)| state.agents_of(&pool.spec.name));
            let active = agents.filter(|agent| agent.standing == Standing::Ready && !agent.standby);
            let running: u64 = state.agents().map(|agent| agent.held.len() as u64).sum();
            let totals = state.totals();
            Statistics {
                active_agents: active.count() as u64,
                counted_agents: state.fabric_agents(),
                max_agents: self.config.max_concurrent_agents,
                pools: state.fabric_pools().filter(|(_, profile)| !profile.single).count(),
                pending_tasks: state.unfinished().saturating_sub(running),
                running_tasks: running,
                completed_tasks: totals.completed,
                failed_tasks: totals.failed,
                timed_out_tasks: totals.timed_out,
                cancelled_tasks: totals.cancelled,
            }
        })
    }
}
