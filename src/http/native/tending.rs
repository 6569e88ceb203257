//! Reading how a pool is to be tended.

use std::time::Duration;

use synod_domain::agent::PoolSpec;
use synod_domain::apart::Apart;
use synod_domain::assignment::Assignment;
use synod_domain::autoscale::AutoscaleSpec;
use synod_domain::renewal::RestartAfter;
use synod_domain::rollout::{Canary, RolloutPolicy};

use super::read;
use crate::api;
use crate::http::Problem;
use crate::node::PoolTending;

/// Reads how a pool is to be tended, and checks what can be checked before anything is changed.
pub(super) fn tending(wanted: &api::NewPool, spec: &PoolSpec) -> Result<PoolTending, Problem> {
    let read = PoolTending {
        autoscale: wanted.autoscale.as_ref().map(autoscale),
        assignment: wanted.assignment.as_ref().map_or(Ok(Assignment::Queued), assignment)?,
        restart_after: wanted.restart_after.as_ref().map(restart_after),
        rolling: wanted.rollout.as_ref().map(policy),
        apart: wanted.spread.as_ref().map_or(Ok(Apart::default()), read::apart)?,
    };
    if let Some((field, why)) = read.apart.fault(&spec.name) {
        return Err(Problem::bad_request(field, why));
    }
    if let Some((field, why)) = read.fault() {
        return Err(Problem::bad_request(field, why));
    }
    if read.autoscale.as_ref().is_some_and(|rule| rule.zero_after.is_some()) && spec.min > 0 {
        let why = "a pool goes to zero only if its min is 0";
        return Err(Problem::bad_request("autoscale.zero_after_ms", why));
    }
    Ok(read)
}

fn autoscale(wanted: &api::Autoscale) -> AutoscaleSpec {
    let default = AutoscaleSpec::default();
    AutoscaleSpec {
        waiting_per_agent: wanted.waiting_per_agent.unwrap_or(default.waiting_per_agent),
        age: wanted.age_ms.map(Duration::from_millis),
        step_up: wanted.step_up.unwrap_or(default.step_up),
        step_down: wanted.step_down.unwrap_or(default.step_down),
        cooldown: wanted.cooldown_ms.map_or(default.cooldown, Duration::from_millis),
        zero_after: wanted.zero_after_ms.map(Duration::from_millis),
    }
}

fn assignment(wanted: &api::Assignment) -> Result<Assignment, Problem> {
    let to = read::optional_name("assignment.to", wanted.to.as_deref())?;
    let assignment = match (wanted.kind.as_str(), to) {
        ("queued", None) => Assignment::Queued,
        ("immediate", None) => Assignment::Immediate,
        ("consolidated", None) => Assignment::Consolidated,
        ("delegated", Some(to)) => Assignment::Delegated { to },
        ("delegated", None) => {
            return Err(Problem::bad_request("assignment.to", "it names the pool that work is delegated to"));
        }
        ("queued" | "immediate" | "consolidated", Some(_)) => {
            return Err(Problem::bad_request("assignment.to", "it is for `delegated` only"));
        }
        (other, _) => {
            let why = format!("{other:?} is none of queued, immediate, delegated, consolidated");
            return Err(Problem::bad_request("assignment.kind", why));
        }
    };
    Ok(assignment)
}

fn restart_after(wanted: &api::RestartAfter) -> RestartAfter {
    RestartAfter { age: wanted.age_ms.map(Duration::from_millis), tasks: wanted.tasks }
}

/// How many attempts canaries end before the others follow, if nobody says.
const TASKS_MIN: u64 = 20;

/// By how many percent points more of their attempts may fail, if nobody says.
const EXCESS_PERCENT: u32 = 10;

/// Reads how new agents replace old ones.
pub(super) fn policy(wanted: &api::RolloutPolicy) -> RolloutPolicy {
    let canary = wanted.canary.as_ref().map(|canary| Canary {
        agents: canary.agents.unwrap_or(1),
        tasks_min: canary.tasks_min.unwrap_or(TASKS_MIN),
        excess_percent: canary.excess_percent.unwrap_or(EXCESS_PERCENT),
    });
    RolloutPolicy { batch: wanted.batch.unwrap_or(1), canary }
}
