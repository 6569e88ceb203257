//! How pools are tended: their settings, what was decided by them, and what those who decide look at.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::{Agent, Host, Pool, Standing};
use crate::assignment::Assignment;
use crate::autoscale::{AutoscaleSpec, Autoscaling, Load, Scaled};
use crate::event::{Event, Governing};
use crate::id::AgentId;
use crate::life::Life;
use crate::name::Name;
use crate::refusal::Refusal;
use crate::renewal::{RestartAfter, Veteran};
use crate::reply::{Answer, Reply};
use crate::rollout::{RolloutPolicy, Versions};
use crate::row::RowKey;
use crate::state::apart::Aparts;
use crate::state::recovering::Recovering;
use crate::state::{State, Step};
use crate::task::{MailboxId, bounded_reason};
use crate::tending::{PoolCommand, TendingKey, TendingRow};

/// What is agreed of pools beside their definitions, and of the lives of agents.
#[derive(Debug, Default)]
pub(super) struct Tending {
    autoscaling: BTreeMap<Name, Autoscaling>,
    restart_after: BTreeMap<Name, RestartAfter>,
    assignments: BTreeMap<Name, Assignment>,
    rolling: BTreeMap<Name, RolloutPolicy>,
    pub(super) versions: BTreeMap<Name, Versions>,
    pub(super) lives: BTreeMap<AgentId, Life>,
    pub(super) recovering: Recovering,
    pub(super) aparts: Aparts,
}

impl Tending {
    pub(super) fn keys(&self) -> impl Iterator<Item = RowKey> {
        let autoscaling = self.autoscaling.keys().cloned().map(TendingKey::Autoscaling);
        let restart_after = self.restart_after.keys().cloned().map(TendingKey::RestartAfter);
        let assignments = self.assignments.keys().cloned().map(TendingKey::Assignment);
        let rolling = self.rolling.keys().cloned().map(TendingKey::Rolling);
        let versions = self.versions.keys().cloned().map(TendingKey::Versions);
        let lives = self.lives.keys().copied().map(TendingKey::Life);
        let of_pools = autoscaling.chain(restart_after).chain(assignments).chain(rolling).chain(versions);
        let all = of_pools.chain(lives).chain(self.recovering.keys()).chain(self.aparts.keys());
        all.map(RowKey::Tending)
    }

    pub(super) fn row(&self, key: &TendingKey) -> Option<TendingRow> {
        Some(match key {
            TendingKey::Autoscaling(pool) => {
                TendingRow::Autoscaling(pool.clone(), self.autoscaling.get(pool)?.clone())
            }
            TendingKey::RestartAfter(pool) => {
                TendingRow::RestartAfter(pool.clone(), self.restart_after.get(pool)?.clone())
            }
            TendingKey::Assignment(pool) => {
                TendingRow::Assignment(pool.clone(), self.assignments.get(pool)?.clone())
            }
            TendingKey::Rolling(pool) => TendingRow::Rolling(pool.clone(), self.rolling.get(pool)?.clone()),
            TendingKey::Versions(pool) => {
                TendingRow::Versions(pool.clone(), self.versions.get(pool)?.clone())
            }
            TendingKey::Life(agent) => TendingRow::Life(*agent, self.lives.get(agent)?.clone()),
            TendingKey::GivenUp(pool, agent) => self.recovering.given_up_row(pool, *agent)?,
            TendingKey::Replacing(pool) => self.recovering.replacing_row(pool)?,
            TendingKey::Apart(pool) => self.aparts.row(pool)?,
        })
    }

    pub(super) fn restore(&mut self, row: TendingRow) {
        match row {
            TendingRow::Autoscaling(pool, scaling) => drop(self.autoscaling.insert(pool, scaling)),
            TendingRow::RestartAfter(pool, spec) => drop(self.restart_after.insert(pool, spec)),
            TendingRow::Assignment(pool, assignment) => drop(self.assignments.insert(pool, assignment)),
            TendingRow::Rolling(pool, policy) => drop(self.rolling.insert(pool, policy)),
            TendingRow::Versions(pool, versions) => drop(self.versions.insert(pool, versions)),
            TendingRow::Life(agent, life) => drop(self.lives.insert(agent, life)),
            TendingRow::GivenUp(pool, agent, given_up) => {
                self.recovering.restore_given_up(pool, agent, given_up);
            }
            TendingRow::Replacing(pool, replacing) => self.recovering.restore_replacing(pool, replacing),
            TendingRow::Apart(pool, apart) => self.aparts.set(pool, apart),
        }
    }
}

impl State {
    pub(super) fn tend(&mut self, step: &mut Step, command: &PoolCommand) -> Answer {
        match command {
            PoolCommand::SetAutoscale { pool, spec } => self.set_autoscale(step, pool, spec.as_ref()),
            PoolCommand::Autoscale { pool, from, to, reason } => {
                self.autoscale(step, pool, *from, *to, reason)
            }
            PoolCommand::SetRestartAfter { pool, spec } => self.set_restart_after(step, pool, spec.as_ref()),
            PoolCommand::SetAssignment { pool, assignment } => self.set_assignment(step, pool, assignment),
            PoolCommand::SetRolling { pool, policy } => self.set_rolling(step, pool, policy.as_ref()),
            PoolCommand::RenewAgents { pool, agents, version, reason } => {
                self.renew_agents(step, pool, agents, *version, reason)
            }
            PoolCommand::RegisterAgent { spec, version } => self.register_agent_of(step, spec, *version),
            PoolCommand::BeginRollout { pool, blueprint, policy } => {
                self.begin_rollout(step, pool, blueprint, policy)
            }
            PoolCommand::MoveRollout { pool, version, from, to, reason } => {
                self.move_rollout(step, pool, *version, (*from, *to), reason)
            }
            PoolCommand::PauseRollout { pool, reason } => self.pause_rollout(step, pool, Some(reason)),
            PoolCommand::ResumeRollout { pool } => self.pause_rollout(step, pool, None),
            PoolCommand::AbortRollout { pool, reason } => self.abort_rollout(step, pool, reason),
            PoolCommand::GiveUpAgent { agent, reason } => self.give_up_agent(step, *agent, reason),
            PoolCommand::Put { spec, apart } => self.put_pool_apart(step, spec, apart),
        }
    }

    pub(super) fn known_pool(&self, name: &Name) -> Result<&Arc<Pool>, Refusal> {
        self.pools.get(name).ok_or_else(|| Refusal::PoolUnknown(name.clone()))
    }

    fn set_autoscale(&mut self, step: &mut Step, name: &Name, spec: Option<&AutoscaleSpec>) -> Answer {
        let pool = self.known_pool(name)?;
        if let Some(spec) = spec {
            check(spec.fault())?;
            if spec.zero_after.is_some() && pool.spec.min > 0 {
                let why = format!("pool {name} keeps at least {} agents; lower that first", pool.spec.min);
                return Err(Refusal::Invalid { field: "autoscale.zero_after".to_owned(), why });
            }
        }
        let known = self.tending.autoscaling.get(name);
        if known.map(|known| &known.spec) == spec {
            return Ok(Reply::Done);
        }
        let last = known.and_then(|known| known.last.clone());
        let settings = spec.map(|spec| Autoscaling { spec: spec.clone(), last });
        set(&mut self.tending.autoscaling, name, settings);
        self.tended(step, name, TendingKey::Autoscaling(name.clone()));
        Ok(Reply::Done)
    }

    fn autoscale(&mut self, step: &mut Step, name: &Name, from: u32, to: u32, reason: &str) -> Answer {
        let pool = self.known_pool(name)?.clone();
        let most = self.most_agents_of(&pool).max(pool.spec.min);
        let to = to.clamp(pool.spec.min, most);
        // Somebody else may have scaled it, or taken the rule back, since the decision was made.
        if pool.target != from || to == from || self.is_closed(name) {
            return Ok(Reply::Done);
        }
        let Some(scaling) = self.tending.autoscaling.get_mut(name) else { return Ok(Reply::Done) };
        let reason = bounded_reason(reason);
        scaling.last = Some(Scaled { at: step.now, from, to, reason: reason.clone() });
        self.changes.touch(RowKey::Tending(TendingKey::Autoscaling(name.clone())));
        self.govern(
            step,
            Governing::PoolScaled,
            name,
            None,
            &format!("from {from} to {to} agents: {reason}"),
        );
        self.keep_pool(step, Pool { target: to, ..Pool::clone(&pool) });
        Ok(Reply::Done)
    }

    fn set_restart_after(&mut self, step: &mut Step, name: &Name, spec: Option<&RestartAfter>) -> Answer {
        // What stands there may be taken back whoever runs the agents by now.
        if spec.is_some() {
            self.known_hosted(name)?
        } else {
            self.known_pool(name)?
        };
        check(spec.and_then(RestartAfter::fault))?;
        if self.tending.restart_after.get(name) != spec {
            set(&mut self.tending.restart_after, name, spec.cloned());
            self.tended(step, name, TendingKey::RestartAfter(name.clone()));
        }
        Ok(Reply::Done)
    }

    fn set_assignment(&mut self, step: &mut Step, name: &Name, assignment: &Assignment) -> Answer {
        self.known_pool(name)?;
        if let Assignment::Delegated { to } = assignment {
            self.known_pool(to)?;
            if to == name {
                let why = "a pool does not delegate to itself".to_owned();
                return Err(Refusal::Invalid { field: "assignment.to".to_owned(), why });
            }
        }
        if self.assignment(name) != assignment {
            let kept = (*assignment != Assignment::Queued).then(|| assignment.clone());
            set(&mut self.tending.assignments, name, kept);
            self.tended(step, name, TendingKey::Assignment(name.clone()));
        }
        Ok(Reply::Done)
    }

    fn set_rolling(&mut self, step: &mut Step, name: &Name, policy: Option<&RolloutPolicy>) -> Answer {
        if policy.is_some() {
            self.known_hosted(name)?
        } else {
            self.known_pool(name)?
        };
        check(policy.and_then(RolloutPolicy::fault))?;
        if self.tending.rolling.get(name) != policy {
            set(&mut self.tending.rolling, name, policy.cloned());
            self.tended(step, name, TendingKey::Rolling(name.clone()));
        }
        Ok(Reply::Done)
    }

    /// Returns a pool whose agents nodes run.
    pub(super) fn known_hosted(&self, name: &Name) -> Result<&Arc<Pool>, Refusal> {
        let pool = self.known_pool(name)?;
        if pool.spec.runtime == crate::agent::RuntimeSpec::External {
            let why = format!("the agents of pool {name} run elsewhere; nobody here starts them");
            return Err(Refusal::Invalid { field: "pool".to_owned(), why });
        }
        Ok(pool)
    }

    /// Takes note that something about a pool is another by now.
    fn tended(&mut self, step: &mut Step, name: &Name, key: TendingKey) {
        self.changes.touch(RowKey::Tending(key));
        self.govern(step, Governing::PoolPolicyChanged, name, None, "");
        self.tell_pool(step, name);
    }

    /// Forgets what was agreed of a pool that is removed.
    pub(super) fn forget_tending(&mut self, name: &Name) {
        let gone = [
            self.tending.autoscaling.remove(name).map(|_| TendingKey::Autoscaling(name.clone())),
            self.tending.restart_after.remove(name).map(|_| TendingKey::RestartAfter(name.clone())),
            self.tending.assignments.remove(name).map(|_| TendingKey::Assignment(name.clone())),
            self.tending.rolling.remove(name).map(|_| TendingKey::Rolling(name.clone())),
            self.tending.versions.remove(name).map(|_| TendingKey::Versions(name.clone())),
        ];
        for key in gone.into_iter().flatten() {
            self.changes.touch(RowKey::Tending(key));
        }
        self.forget_recovering(name);
        self.forget_apart(name);
    }

    /// Returns how a pool scales by itself, if it does.
    pub fn autoscaling(&self, pool: &Name) -> Option<&Autoscaling> {
        self.tending.autoscaling.get(pool)
    }

    /// Returns after what a pool's agents begin anew, if they do.
    pub fn restart_after(&self, pool: &Name) -> Option<&RestartAfter> {
        self.tending.restart_after.get(pool)
    }

    /// Returns how a pool assigns the tasks that are submitted to it.
    pub fn assignment(&self, pool: &Name) -> &Assignment {
        self.tending.assignments.get(pool).unwrap_or(&Assignment::Queued)
    }

    /// Returns how a new blueprint is brought to a pool's agents when its definition is put; all at once when `None`.
    pub fn rolling(&self, pool: &Name) -> Option<&RolloutPolicy> {
        self.tending.rolling.get(pool)
    }

    /// Tells whether somebody has to look after a pool while its work goes on.
    pub fn is_tended(&self, pool: &Name) -> bool {
        let tending = &self.tending;
        tending.autoscaling.contains_key(pool)
            || tending.restart_after.contains_key(pool)
            || tending.versions.get(pool).is_some_and(|versions| versions.rollout.is_some())
    }

    /// Tells whether there is a pool that somebody has to look after.
    pub fn tends_any(&self) -> bool {
        let tending = &self.tending;
        !(tending.autoscaling.is_empty() && tending.restart_after.is_empty() && tending.versions.is_empty())
    }

    /// Returns what there is to do for a pool and who is there for it, as its rule of scaling asks for it; `None` for a
    /// pool that does not scale by itself, retires, or whose agents run elsewhere. O(members).
    pub fn load_of(&self, name: &Name) -> Option<Load> {
        let scaling = self.tending.autoscaling.get(name)?;
        let pool = self.pools.get(name).filter(|pool| pool.retiring.is_none())?;
        if pool.spec.runtime == crate::agent::RuntimeSpec::External {
            return None;
        }
        let mailbox = MailboxId::Pool(name.clone());
        let mut work = self.claimable(&mailbox);
        work.extend(self.open_to_newcomers(pool));
        let doable = work.iter().filter(|work| pool.spec.capabilities.satisfy(&work.demand));
        let waiting: u64 = doable.map(|work| work.count as u64).sum();
        let (mut serving, mut busy, mut free) = (0, 0, 0);
        for agent in self.agents_of(name).filter(|agent| !agent.retiring && !agent.standby) {
            busy += u32::from(!agent.held.is_empty());
            if agent.standing == Standing::Ready {
                serving += 1;
                free += u64::from(agent.free());
            }
        }
        let missing = self.shortfall(name).map_or(0, |shortfall| shortfall.missing);
        let oldest = self.mailboxes.get(&mailbox).and_then(|mailbox| mailbox.longest_waiting());
        Some(Load {
            now: self.meta.now,
            waiting,
            stranded: self.stranded(pool),
            oldest: oldest.filter(|_| waiting > 0),
            unfinished: self.counts.of_pool(name),
            target: pool.target,
            min: pool.spec.min,
            max: self.most_agents_of(pool).max(pool.spec.min),
            coming: pool.target.saturating_sub(missing).saturating_sub(serving),
            busy,
            free,
            scaled_at: scaling.last.as_ref().map(|last| last.at),
        })
    }

    /// Returns the agents of a pool that nodes run, as far as their age matters. O(members).
    pub fn veterans(&self, pool: &Name) -> Vec<Veteran> {
        let hosted = self.agents_of(pool).filter(|agent| is_hosted(agent) && !agent.retiring);
        let veterans = hosted.filter_map(|agent| {
            let life = self.tending.lives.get(&agent.spec.id)?;
            Some(Veteran {
                agent: agent.spec.id,
                began_at: life.began_at,
                ended: life.tally.ended(),
                serves: agent.standing == Standing::Ready && !agent.standby,
                on_its_way: life.renewal.is_some() || agent.standing == Standing::Starting,
            })
        });
        veterans.collect()
    }

    /// Tells what happened to how a pool is tended.
    pub(super) fn govern(
        &self,
        step: &mut Step,
        what: Governing,
        pool: &Name,
        agent: Option<AgentId>,
        detail: &str,
    ) {
        let (subject, detail) = (pool.as_str().into(), bounded_reason(detail));
        let workspace = Some(self.workspace_of_pool(pool));
        step.events.push(Event::Governed { what, subject, workspace, task: None, agent, detail });
    }
}

pub(super) fn is_hosted(agent: &Agent) -> bool {
    matches!(agent.spec.host, Host::Node(_))
}

fn set<V>(map: &mut BTreeMap<Name, V>, name: &Name, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(name.clone(), value)),
        None => drop(map.remove(name)),
    }
}

pub(super) fn check(fault: Option<(&'static str, &'static str)>) -> Result<(), Refusal> {
    match fault {
        Some((field, why)) => Err(Refusal::Invalid { field: field.to_owned(), why: why.to_owned() }),
        None => Ok(()),
    }
}
