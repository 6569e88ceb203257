//! How the pools of a plan look after themselves.

use synod_domain::agent::POOL_SIZE_MAX;
use synod_domain::apart::Apart;
use synod_domain::assignment::Assignment;
use synod_domain::autoscale::AutoscaleSpec;
use synod_domain::name::Name;
use synod_domain::renewal::RestartAfter;
use synod_domain::rollout::{BATCH_MAX, Canary, RolloutPolicy};

use super::check::Check;
use super::file::{AssignmentShape, AutoscaleShape, Period, PoolShape, RolloutShape, RuntimeKind, Spread};
use super::source::Fault;
use super::tree::Place;
use crate::node::PoolTending;

/// How many attempts canaries end before the others follow, if the file does not say.
const CANARY_TASKS: u32 = 20;

/// By how many percent points more of their attempts may fail, if the file does not say.
const EXCESS_PERCENT: u32 = 10;

/// Returns how a pool is to be tended; `None` when the file says nothing of it.
pub(super) fn tending(pool: &PoolShape) -> Option<PoolTending> {
    let tending = PoolTending {
        autoscale: pool.autoscale.as_ref().map(autoscale),
        assignment: pool.assignment.as_ref().map_or(Assignment::Queued, assignment),
        restart_after: pool.restart_after.as_ref().map(|after| RestartAfter {
            age: after.age.map(|Period(age)| age),
            tasks: after.tasks.map(u64::from),
        }),
        rolling: pool.rollout.as_ref().map(rolling),
        apart: pool.spread.as_ref().map(apart).unwrap_or_default(),
    };
    (tending != PoolTending::default()).then_some(tending)
}

fn autoscale(shape: &AutoscaleShape) -> AutoscaleSpec {
    let default = AutoscaleSpec::default();
    AutoscaleSpec {
        waiting_per_agent: shape.waiting_per_agent.unwrap_or(default.waiting_per_agent),
        age: shape.age.map(|Period(age)| age),
        step_up: shape.step_up.unwrap_or(default.step_up),
        step_down: shape.step_down.unwrap_or(default.step_down),
        cooldown: shape.cooldown.map_or(default.cooldown, |Period(cooldown)| cooldown),
        zero_after: None,
    }
}

fn apart(spread: &Spread) -> Apart {
    Apart {
        from: spread.apart_from.iter().cloned().collect(),
        strictly: spread.apart_strictly.unwrap_or(false),
    }
}

fn assignment(shape: &AssignmentShape) -> Assignment {
    match shape {
        AssignmentShape::Queued => Assignment::Queued,
        AssignmentShape::Immediate => Assignment::Immediate,
        AssignmentShape::Consolidated => Assignment::Consolidated,
        AssignmentShape::Delegated { to } => Assignment::Delegated { to: to.clone() },
    }
}

fn rolling(shape: &RolloutShape) -> RolloutPolicy {
    let canary = shape.canary.as_ref().map(|canary| Canary {
        agents: canary.agents.unwrap_or(1),
        tasks_min: u64::from(canary.tasks.unwrap_or(CANARY_TASKS)),
        excess_percent: canary.excess_percent.unwrap_or(EXCESS_PERCENT),
    });
    RolloutPolicy { batch: shape.batch.unwrap_or(1), canary }
}

impl Check<'_> {
    /// Checks how a pool looks after itself.
    pub(super) fn tending(&mut self, name: &Name, place: &Place, pool: &PoolShape) {
        if let Some(rule) = &pool.autoscale {
            let at = place.key("autoscale");
            self.between(&at, "waiting_per_agent", rule.waiting_per_agent, 1, u32::MAX);
            self.between(&at, "step_up", rule.step_up, 1, POOL_SIZE_MAX);
            self.between(&at, "step_down", rule.step_down, 1, POOL_SIZE_MAX);
            self.positive(&at, "age", rule.age);
        }
        if let Some(after) = &pool.restart_after {
            let at = place.key("restart_after");
            self.between(&at, "tasks", after.tasks, 1, u32::MAX);
            self.positive(&at, "age", after.age);
            if after.age.is_none() && after.tasks.is_none() {
                let fault = Fault::new("`restart_after` names neither `age` nor `tasks`");
                self.key_fault(&at, fault.help("say after how long, or after how many tasks: {age: 24h}"));
            }
        }
        if let Some(rollout) = &pool.rollout {
            let at = place.key("rollout");
            self.between(&at, "batch", rollout.batch, 1, BATCH_MAX);
            if let Some(canary) = &rollout.canary {
                self.between(&at.key("canary"), "agents", canary.agents, 1, POOL_SIZE_MAX);
                self.between(&at.key("canary"), "excess_percent", canary.excess_percent, 0, 100);
            }
        }
        if pool.kind() == Some(RuntimeKind::External) {
            let misplaced = [
                ("autoscale", pool.autoscale.is_some()),
                ("restart_after", pool.restart_after.is_some()),
                ("rollout", pool.rollout.is_some()),
            ];
            for (field, _) in misplaced.iter().filter(|(_, misplaced)| *misplaced) {
                let fault =
                    Fault::new(format!("`{field}` has no meaning in a pool with `runtime: external`"));
                self.key_fault(&place.key(field), fault.help("remove it, or change `runtime`"));
            }
        }
        if let Some(spread) = &pool.spread {
            let at = place.key("spread");
            for (index, other) in spread.apart_from.iter().enumerate() {
                if !self.shape.pools.contains_key(other) {
                    let fault = Fault::new(format!("there is no pool `{other}` to be apart from"));
                    self.fault(&at.key("apart_from").index(index), fault.help("name a pool of this file"));
                }
            }
            if let Some((field, why)) = apart(spread).fault(name) {
                let field = field.rsplit('.').next().unwrap_or(field);
                self.fault(&at.key(field), Fault::new(why));
            }
        }
        if let Some(AssignmentShape::Delegated { to }) = &pool.assignment {
            let at = place.key("assignment").key("delegated").key("to");
            if to == name {
                let fault = Fault::new("the pool delegates to itself");
                self.fault(&at, fault.help("name another pool"));
            } else if !self.shape.pools.contains_key(to) {
                let fault = Fault::new(format!("there is no pool `{to}` to delegate to"));
                self.fault(&at, fault.help("name a pool of this file"));
            }
        }
    }
}
