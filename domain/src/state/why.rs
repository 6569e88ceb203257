//! Finding the one cause for which a task stands as it does.
//!
//! Causes are asked for in the order in which somebody would have to remove them: what is paused is not helped by
//! another agent, and a missing agent is not helped by waiting. At most [`AGENTS_LOOKED_AT`] agents are looked at,
//! so of a larger crowd the answer may say that none can do it while one could. It goes by what agents registered:
//! who offers other capabilities with a claim may get the work all the same.

use std::sync::Arc;

use crate::agent::{Agent, Pool, RuntimeSpec, Standing};
use crate::capability::Capabilities;
use crate::id::TaskId;
use crate::spread::Shortfall;
use crate::state::{State, submit};
use crate::task::{Lane, MailboxId, Task, TaskStatus};
use crate::time::Timestamp;
use crate::why::{Example, Why, last_reason};

/// How many agents are looked at for one answer. Writers wait meanwhile.
const AGENTS_LOOKED_AT: usize = 1000;

impl State {
    /// Says why a task waits, runs or has ended. `None` for a task that is not here; one in history is asked with
    /// [`Why::of_ended`].
    pub fn why(&self, task: TaskId) -> Option<Why> {
        let task = self.task(task)?;
        match &task.status {
            TaskStatus::Ended(_) => Why::of_ended(task),
            TaskStatus::BackingOff { until } => Some(Why::BackingOff {
                until: *until,
                failures: task.failures,
                of: task.spec.retry.max_attempts,
                last_reason: last_reason(task),
            }),
            TaskStatus::Scheduled { lease } => Some(Why::Leased {
                agent: lease.agent,
                attempt: lease.attempt,
                since: lease.granted_at,
                until: lease.expires_at,
            }),
            TaskStatus::Running { lease, started_at } => Some(Why::Running {
                agent: lease.agent,
                attempt: lease.attempt,
                since: *started_at,
                until: lease.expires_at,
                heard_at: lease.heard_at,
                progress: task.progress.clone(),
            }),
            TaskStatus::Waiting { since } => Some(self.why_waiting(task, *since)),
            TaskStatus::Parked { parking } => Some(self.why_parked(task, parking)),
            TaskStatus::Kept { forwarding } => Some(Why::Kept {
                region: forwarding.route.region.clone(),
                fallbacks: forwarding.route.fallbacks.clone(),
                offered: forwarding.offered.clone(),
                refused: forwarding.refused.clone(),
                removed: forwarding
                    .offered
                    .as_ref()
                    .and_then(|region| self.federation.regions.get(region).and_then(|known| known.removed)),
            }),
        }
    }

    fn why_waiting(&self, task: &Task, since: Timestamp) -> Why {
        if let Some(held_back) = self
            .why_paused(task)
            .or_else(|| self.why_beyond_quota(task, since))
            .or_else(|| self.why_behind_breaker(task))
        {
            return held_back;
        }
        let mailbox = &task.spec.mailbox;
        let serving: Vec<&Arc<Agent>> = match mailbox {
            MailboxId::Agent(agent) => self.agents.get(agent).into_iter().collect(),
            MailboxId::Pool(pool) => self.agents_of(pool).take(AGENTS_LOOKED_AT).collect(),
            MailboxId::Open => {
                let of_all = self.agents.values().filter(|agent| self.serves_everybody(&agent.spec));
                of_all.take(AGENTS_LOOKED_AT).collect()
            }
        };
        if serving.is_empty() {
            return self.why_nobody(task);
        }
        let able = |agent: &&&Arc<Agent>| agent.spec.capabilities.satisfy(&task.spec.demand);
        let capable: Vec<&Arc<Agent>> = serving.iter().filter(able).copied().collect();
        let Some(example) = capable.iter().min_by_key(|agent| agent.standing).copied() else {
            return no_capable_agent(&task.spec.demand, &serving);
        };
        let in_service: Vec<&Arc<Agent>> =
            capable.iter().filter(|agent| agent.standing == Standing::Ready).copied().collect();
        if in_service.is_empty() {
            return self.why_unplaced(mailbox, &capable).unwrap_or_else(|| not_ready(&capable, example));
        }
        let ready: Vec<&Arc<Agent>> = in_service.iter().filter(|agent| !agent.standby).copied().collect();
        if ready.is_empty() {
            return Why::AgentsOnStandby { capable: in_service.len(), example: example_of(in_service[0]) };
        }
        let pause_of = |agent: &Arc<Agent>| self.pauses.of_pool(agent.spec.pool.as_ref());
        let paused = ready.iter().filter_map(|agent| pause_of(agent)).next();
        let withheld = ready.iter().find_map(|agent| self.withholding(agent));
        let shut = ready.iter().find_map(|agent| self.why_of_shut_pool(agent.spec.pool.as_ref()?));
        let taking = ready.iter().filter(|agent| self.may_give(agent));
        let (taking, free) =
            taking.fold((0, 0), |(all, free), agent| (all + 1, free + usize::from(agent.free() > 0)));
        match (paused, shut, withheld) {
            (Some(pause), _, _) if taking == 0 => paused_by(pause),
            (_, Some(shut), _) if taking == 0 => shut,
            (_, _, Some(budget)) if taking == 0 => self.why_withheld(budget, since),
            _ => self.why_behind(task, since, taking, free),
        }
    }

    /// Returns the pause that holds a waiting task back from everybody.
    pub(super) fn why_paused(&self, task: &Task) -> Option<Why> {
        let workspace = crate::pause::Pausable::Workspace(task.spec.workspace.clone());
        let of_agent = match &task.spec.mailbox {
            MailboxId::Agent(agent) => self.agents.get(agent).and_then(|agent| agent.spec.pool.as_ref()),
            MailboxId::Pool(_) | MailboxId::Open => None,
        };
        let pause = self
            .pauses
            .of_mailbox(&task.spec.mailbox)
            .or_else(|| self.pauses.get(&workspace))
            .or_else(|| self.pauses.of_pool(of_agent))?;
        Some(paused_by(pause))
    }

    /// Says why there is no agent at all.
    fn why_nobody(&self, task: &Task) -> Why {
        let mailbox = &task.spec.mailbox;
        let pool = match mailbox {
            MailboxId::Pool(pool) => self.pools.get(pool),
            MailboxId::Agent(_) | MailboxId::Open => None,
        };
        match pool.filter(|pool| pool.spec.runtime != RuntimeSpec::External) {
            Some(pool) if pool.spec.capabilities.satisfy(&task.spec.demand) => {
                if let Some(shortfall) = self.nowhere(pool) {
                    let (pool, target) = (pool.spec.name.clone(), pool.target);
                    return Why::PoolUnplaced { pool, target, shortfall };
                }
                let growing = Why::PoolGrowing { pool: pool.spec.name.clone(), target: pool.target };
                if pool.target == 0 {
                    self.why_grown(pool, task.submitted_at).unwrap_or(growing)
                } else {
                    growing
                }
            }
            Some(_) | None => Why::NoAgent { mailbox: mailbox.clone() },
        }
    }

    /// Says that a pool has agents only on nodes that are not counted on, if that is so.
    fn why_unplaced(&self, mailbox: &MailboxId, capable: &[&Arc<Agent>]) -> Option<Why> {
        let pool = match mailbox {
            MailboxId::Pool(pool) => Some(pool),
            MailboxId::Agent(agent) => self.agents.get(agent).and_then(|agent| agent.spec.pool.as_ref()),
            MailboxId::Open => None,
        };
        let pool = self.pools.get(pool?)?;
        if capable.iter().any(|agent| agent.standing != Standing::Offline) {
            return None;
        }
        let shortfall = self.nowhere(pool)?;
        Some(Why::PoolUnplaced { pool: pool.spec.name.clone(), target: pool.target, shortfall })
    }

    /// Returns what a pool lacks that has no place for any agent.
    fn nowhere(&self, pool: &Pool) -> Option<Shortfall> {
        // While no node is known, nothing is said of places.
        let shortfall = self.shortfall(&pool.spec.name).filter(|_| !self.nodes.is_empty());
        shortfall.filter(|shortfall| shortfall.missing == pool.target)
    }

    fn why_behind(&self, task: &Task, since: Timestamp, taking: usize, free: usize) -> Why {
        let waiting = submit::waiting(task, since);
        let mailbox = self.mailboxes.get(&task.spec.mailbox);
        let ahead = mailbox.map_or(0, |found| found.ahead_of(&waiting, &self.weights, &self.resting));
        if free == 0 {
            if let MailboxId::Pool(name) = &task.spec.mailbox
                && let Some(pool) = self.pools.get(name)
                && let Some(shortfall) = self.shortfall(name).filter(|_| !self.nodes.is_empty())
            {
                let (pool, target) = (name.clone(), pool.target);
                return Why::PoolDegraded { pool, target, shortfall, capable: taking, ahead };
            }
            if let MailboxId::Pool(name) = &task.spec.mailbox
                && let Some(full) = self.pools.get(name).and_then(|pool| self.why_grown(pool, since))
            {
                return full;
            }
            return Why::AgentsBusy { capable: taking, ahead };
        }
        let lanes = Lane::ALL.into_iter().filter(|lane| *lane < task.lane);
        let above = mailbox.map_or(0, |found| lanes.map(|lane| found.depth_of(lane)).sum());
        Why::Behind { ahead, lane: task.lane, above, free }
    }
}

fn paused_by(pause: &crate::pause::Pause) -> Why {
    Why::Paused { what: pause.what.clone(), reason: pause.reason.clone(), since: pause.since }
}

fn no_capable_agent(demand: &Capabilities, serving: &[&Arc<Agent>]) -> Why {
    let missing = demand.iter().filter(|one| {
        let alone: Capabilities = [one.clone()].into_iter().collect();
        !serving.iter().any(|agent| agent.spec.capabilities.satisfy(&alone))
    });
    Why::NoCapableAgent { demand: demand.clone(), missing: missing.collect(), looked_at: serving.len() }
}

fn not_ready(capable: &[&Arc<Agent>], example: &Arc<Agent>) -> Why {
    let count = |standing| capable.iter().filter(|agent| agent.standing == standing).count();
    Why::AgentsNotReady {
        capable: capable.len(),
        starting: count(Standing::Starting),
        draining: count(Standing::Draining),
        offline: count(Standing::Offline),
        failed: count(Standing::Failed),
        example: example_of(example),
    }
}

fn example_of(agent: &Agent) -> Example {
    Example {
        agent: agent.spec.id,
        name: agent.spec.name.clone(),
        status: agent.status(),
        reason: agent.reason.clone(),
    }
}
