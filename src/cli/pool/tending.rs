//! How a pool looks after itself: what `synod pool create` says of it.

use clap::Args;

use crate::api::{Assignment, Autoscale, Canary, RestartAfter, RolloutPolicy};
use crate::period::Period;

/// How a pool scales, assigns work, and lets agents begin anew.
#[derive(Debug, Args)]
pub(super) struct TendingArgs {
    /// Scales by itself: how many tasks may wait for each agent.
    #[arg(long, value_name = "N")]
    waiting_per_agent: Option<u32>,
    /// Scales by itself: how long the oldest task may wait.
    #[arg(long, value_name = "TIME")]
    waiting_age: Option<Period>,
    /// By how many agents it grows at a time.
    #[arg(long, value_name = "N")]
    step_up: Option<u32>,
    /// By how many agents it shrinks at a time.
    #[arg(long, value_name = "N")]
    step_down: Option<u32>,
    /// How long after a change the next one comes at the earliest.
    #[arg(long, value_name = "TIME")]
    cooldown: Option<Period>,
    /// After how long without work a pool with `--min 0` gives up its last agent.
    #[arg(long, value_name = "TIME")]
    zero_after: Option<Period>,
    /// What becomes of submitted tasks: queued, immediate, delegated or consolidated.
    #[arg(long, value_name = "POLICY")]
    assignment: Option<String>,
    /// The pool that takes what this one has nobody free for, for `--assignment delegated`.
    #[arg(long, value_name = "POOL", requires = "assignment")]
    delegate_to: Option<String>,
    /// After how long of service an agent begins anew.
    #[arg(long, value_name = "TIME")]
    restart_after: Option<Period>,
    /// After how many attempts an agent begins anew.
    #[arg(long, value_name = "N")]
    restart_after_tasks: Option<u64>,
    #[command(flatten)]
    pub(super) rollout: PolicyArgs,
}

/// How new agents replace old ones when what they are made from changes.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    /// New agents replace old ones, so many at a time.
    #[arg(long, value_name = "N")]
    batch: Option<u32>,
    /// New agents replace old ones: so many go first and are watched.
    #[arg(long, value_name = "N")]
    canary: Option<u32>,
    /// How many attempts must have ended in their hands before the others follow.
    #[arg(long, value_name = "N", requires = "canary")]
    canary_tasks: Option<u64>,
    /// By how many percent points more of their attempts may fail than of those of the old agents.
    #[arg(long, value_name = "PERCENT", requires = "canary")]
    canary_excess: Option<u32>,
}

impl TendingArgs {
    pub(super) fn autoscale(&self) -> Option<Autoscale> {
        let rule = Autoscale {
            waiting_per_agent: self.waiting_per_agent,
            age_ms: self.waiting_age.map(millis),
            step_up: self.step_up,
            step_down: self.step_down,
            cooldown_ms: self.cooldown.map(millis),
            zero_after_ms: self.zero_after.map(millis),
        };
        (rule != Autoscale::default()).then_some(rule)
    }

    pub(super) fn assignment(&self) -> Option<Assignment> {
        let kind = self.assignment.clone()?;
        Some(Assignment { kind, to: self.delegate_to.clone() })
    }

    pub(super) fn restart_after(&self) -> Option<RestartAfter> {
        let after = RestartAfter { age_ms: self.restart_after.map(millis), tasks: self.restart_after_tasks };
        (after != RestartAfter::default()).then_some(after)
    }
}

impl PolicyArgs {
    pub(super) fn policy(&self) -> Option<RolloutPolicy> {
        let canary = self.canary.map(|agents| Canary {
            agents: Some(agents),
            tasks_min: self.canary_tasks,
            excess_percent: self.canary_excess,
        });
        let policy = RolloutPolicy { batch: self.batch, canary };
        (policy != RolloutPolicy::default()).then_some(policy)
    }
}

fn millis(period: Period) -> u64 {
    u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX)
}
