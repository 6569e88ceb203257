//! Settings of external agents and of tasks.

use serde::{Deserialize, Serialize};

use crate::http::context;
use crate::period::Period;

/// External agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSettings {
    /// How long one may be silent before it counts as offline and its work is given out again. Longer notices
    /// a dead one later; shorter takes a slow one for dead.
    pub timeout: Period,
    /// How often they are asked to send a heartbeat. More often costs requests.
    pub heartbeat_interval: Period,
}

/// Tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSettings {
    /// How often a task is tried again that does not say, over the older control plane's API.
    pub max_retries_default: u32,
}

impl Default for AgentSettings {
    fn default() -> Self {
        let api = context::Options::default();
        Self { timeout: Period(api.agent_timeout), heartbeat_interval: Period(api.heartbeat_interval) }
    }
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self { max_retries_default: context::Options::default().retries_default }
    }
}
