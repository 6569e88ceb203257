//! How a pool of a fleet file looks after itself, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;
use synod_domain::name::Name;

use super::Period;

/// By which rule a pool scales between `min` and `max`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a rule of scaling")]
#[schemars(rename = "Autoscale")]
pub(in super::super) struct AutoscaleShape {
    /// How many tasks may wait for each agent before there are to be more agents. Default 1.
    #[schemars(range(min = 1))]
    pub(in super::super) waiting_per_agent: Option<u32>,
    /// How long the oldest waiting task may wait before there are to be more agents. Default: for ever.
    pub(in super::super) age: Option<Period>,
    /// By how many agents the pool grows at a time. Default 4.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in super::super) step_up: Option<u32>,
    /// By how many agents it shrinks at a time. Default 1.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in super::super) step_down: Option<u32>,
    /// How long after a change the next one comes at the earliest, and how long agents must have been spare before
    /// they leave. Default `30s`.
    pub(in super::super) cooldown: Option<Period>,
}

/// What becomes of tasks that are submitted to a pool.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Assignment")]
pub(in super::super) enum AssignmentShape {
    /// They wait for an agent.
    Queued,
    /// They are refused unless an agent is free. A run hands the next one over when one is.
    Immediate,
    /// They wait, and go to agents that hold work before they go to others.
    Consolidated,
    /// They go to another pool of the fleet while no agent of this one is free.
    Delegated {
        /// Which pool.
        #[schemars(with = "String")]
        to: Name,
    },
}

/// After what agents begin anew: whichever comes first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an age, a number of tasks, or both")]
#[schemars(rename = "RestartAfter")]
pub(in super::super) struct RestartAfterShape {
    /// After they have served for so long.
    pub(in super::super) age: Option<Period>,
    /// After so many of their attempts have ended.
    #[schemars(range(min = 1))]
    pub(in super::super) tasks: Option<u32>,
}

/// How new agents replace old ones when a run finds the pool changed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a rollout")]
#[schemars(rename = "Rollout")]
pub(in super::super) struct RolloutShape {
    /// How many agents are on their way at a time. Default 1.
    #[schemars(range(min = 1, max = 1000))]
    pub(in super::super) batch: Option<u32>,
    /// Who goes first and is watched. Default: nobody.
    pub(in super::super) canary: Option<CanaryShape>,
}

/// The agents that try a new version first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a canary")]
#[schemars(rename = "Canary")]
pub(in super::super) struct CanaryShape {
    /// How many they are. Default 1.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in super::super) agents: Option<u32>,
    /// How many attempts must have ended in their hands before the others follow. Default 20.
    pub(in super::super) tasks: Option<u32>,
    /// By how many percent points more of their attempts may fail. Default 10.
    #[schemars(range(max = 100))]
    pub(in super::super) excess_percent: Option<u32>,
}
