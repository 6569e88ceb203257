//! How a pool is tended, and how far its rollout is.

use synod_domain::assignment::Assignment;
use synod_domain::autoscale::{AutoscaleSpec, Scaled};
use synod_domain::name::Name;
use synod_domain::renewal::RestartAfter;
use synod_domain::rollout::{self, Member, Rollout, RolloutPolicy, Step, Tally, Version};
use synod_domain::state::State;

use super::pool::runtime;
use super::task::millis;
use super::time;
use crate::api;

/// Shows how a pool scales.
pub(crate) fn autoscale(spec: &AutoscaleSpec) -> api::Autoscale {
    api::Autoscale {
        waiting_per_agent: Some(spec.waiting_per_agent),
        age_ms: spec.age.map(millis),
        step_up: Some(spec.step_up),
        step_down: Some(spec.step_down),
        cooldown_ms: Some(millis(spec.cooldown)),
        zero_after_ms: spec.zero_after.map(millis),
    }
}

/// Shows how a pool was scaled last.
pub(crate) fn scaled(scaled: &Scaled) -> api::Scaled {
    let (from, to, reason) = (scaled.from, scaled.to, scaled.reason.to_string());
    api::Scaled { at: time(scaled.at), from, to, reason }
}

/// Shows how a pool assigns work.
pub(crate) fn assignment(assignment: &Assignment) -> api::Assignment {
    let to = match assignment {
        Assignment::Delegated { to } => Some(to.to_string()),
        Assignment::Queued | Assignment::Immediate | Assignment::Consolidated => None,
    };
    api::Assignment { kind: assignment.to_string(), to }
}

/// Shows after what agents begin anew.
pub(crate) fn restart_after(settings: &RestartAfter) -> api::RestartAfter {
    api::RestartAfter { age_ms: settings.age.map(millis), tasks: settings.tasks }
}

/// Shows how new agents replace old ones.
pub(crate) fn policy(policy: &RolloutPolicy) -> api::RolloutPolicy {
    let canary = policy.canary.as_ref().map(|canary| api::Canary {
        agents: Some(canary.agents),
        tasks_min: Some(canary.tasks_min),
        excess_percent: Some(canary.excess_percent),
    });
    api::RolloutPolicy { batch: Some(policy.batch), canary }
}

/// Shows the rollout of a pool, if it has or had one.
pub(crate) fn rollout(state: &State, pool: &Name) -> Option<api::Rollout> {
    let rollout = state.rollout(pool)?;
    let members = state.rollout_members(pool);
    let (old, new) = rollout::tallies(rollout, &members);
    Some(api::Rollout {
        pool: pool.to_string(),
        stage: rollout.stage.to_string(),
        paused: rollout.paused.as_ref().map(ToString::to_string),
        reason: rollout.reason.to_string(),
        next: next(rollout, &members),
        policy: policy(&rollout.policy),
        from: version(&rollout.from, &members, old),
        to: version(&rollout.to, &members, new),
        renewing: members.iter().filter(|member| member.renewing.is_some()).count() as u64,
        began_at: time(rollout.began_at),
        since: time(rollout.since),
    })
}

fn next(rollout: &Rollout, members: &[Member]) -> String {
    match rollout::next(rollout, members) {
        Step::Wait(why) => why,
        Step::Renew { agents, version } => {
            format!("{} agents are about to begin anew from version {version}", agents.len())
        }
        Step::Enter { stage, reason } => format!("it is about to be {stage}: {reason}"),
    }
}

fn version(version: &Version, members: &[Member], tally: Tally) -> api::RolloutVersion {
    let blueprint = &version.blueprint;
    api::RolloutVersion {
        number: version.number,
        agents: members.iter().filter(|member| member.version == version.number).count() as u64,
        completed: tally.completed,
        failed: tally.failed,
        runtime: runtime(&blueprint.runtime),
        capabilities: blueprint.capabilities.iter().map(|one| one.to_string()).collect(),
        concurrency: blueprint.concurrency,
    }
}
