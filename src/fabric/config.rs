//! What the fabric allows, and how long things may take.

use std::time::Duration;

use synod_domain::fabric::Bounds;

use crate::fabric::Error;

/// How many intervals an agent that runs elsewhere may be silent before its work goes to others: two may be lost.
const INTERVALS_UNTIL_OFFLINE: u32 = 3;

/// How many intervals of silence make an agent look degraded.
const INTERVALS_UNTIL_DEGRADED: u32 = 2;

/// How a fabric is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many tasks may wait for one agent, or for one pool.
    pub max_queue_depth: u64,
    /// How long an attempt at a task may run, unless the task says otherwise.
    pub default_timeout: Duration,
    /// How often an agent that runs elsewhere gives a sign of life.
    pub heartbeat_interval: Duration,
    /// How many agents there may be at a time, in all pools together.
    pub max_concurrent_agents: u32,
    /// How many tasks an agent may hold at a time.
    pub max_concurrent_tasks_per_agent: u32,
}

impl Default for Config {
    fn default() -> Self {
        let Bounds { agents_max, queue_depth_max, tasks_per_agent_max } = Bounds::default();
        Self {
            max_queue_depth: queue_depth_max,
            default_timeout: Duration::from_secs(300),
            heartbeat_interval: Duration::from_secs(30),
            max_concurrent_agents: agents_max,
            max_concurrent_tasks_per_agent: tasks_per_agent_max,
        }
    }
}

impl Config {
    /// Returns the part that is agreed.
    pub(super) const fn bounds(&self) -> Bounds {
        Bounds {
            agents_max: self.max_concurrent_agents,
            queue_depth_max: self.max_queue_depth,
            tasks_per_agent_max: self.max_concurrent_tasks_per_agent,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let refuse = |field: &'static str, why: &'static str| Err(Error::Config { field, why });
        if self.max_queue_depth == 0 {
            return refuse("max_queue_depth", "nothing could be scheduled");
        }
        if self.max_concurrent_agents == 0 {
            return refuse("max_concurrent_agents", "there could be no agent");
        }
        if self.max_concurrent_tasks_per_agent == 0 {
            return refuse("max_concurrent_tasks_per_agent", "no agent could take a task");
        }
        if self.default_timeout < Duration::from_millis(1) {
            return refuse("default_timeout", "every attempt would time out at once");
        }
        if self.heartbeat_interval < Duration::from_millis(1) {
            return refuse("heartbeat_interval", "every agent would be silent at once");
        }
        Ok(())
    }

    /// Returns the silence after which an agent that runs elsewhere is offline.
    pub(super) fn offline_after(&self) -> Duration {
        self.heartbeat_interval.saturating_mul(INTERVALS_UNTIL_OFFLINE)
    }

    /// Returns the silence after which it is degraded.
    pub(super) fn degraded_after(&self) -> Duration {
        self.heartbeat_interval.saturating_mul(INTERVALS_UNTIL_DEGRADED)
    }
}
