//! Rollouts: how a new blueprint of a pool is agreed, stage by stage.
//!
//! The pool's definition holds the blueprint that agents begin from; while canaries are watched that is the old one,
//! from then on the new one, and after a rollout that was taken back the old one again.

use std::sync::Arc;

use crate::agent::{Pool, PoolSpec, RuntimeSpec};
use crate::event::Governing;
use crate::name::Name;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::rollout::{Blueprint, Member, Rollout, RolloutPolicy, Stage, Tally, Version, Versions};
use crate::row::RowKey;
use crate::state::pools::check_pool;
use crate::state::tending::{check, is_hosted};
use crate::state::{State, Step};
use crate::task::bounded_reason;
use crate::tending::TendingKey;

impl State {
    pub(super) fn begin_rollout(
        &mut self,
        step: &mut Step,
        name: &Name,
        blueprint: &Arc<Blueprint>,
        policy: &RolloutPolicy,
    ) -> Answer {
        self.check_rollable(name)?;
        check(policy.fault())?;
        let pool = self.known_pool(name)?.clone();
        check_pool(&blueprint.in_place(&pool.spec))?;
        self.check_fabric_concurrency(name, blueprint.concurrency)?;
        if blueprint.runtime == RuntimeSpec::External {
            return Err(refused(name, "agents that run elsewhere are not brought a blueprint"));
        }
        if let Some(rollout) = self.rollout(name).filter(|rollout| !rollout.stage.is_over()) {
            if rollout.to.blueprint == *blueprint && rollout.stage != Stage::RollingBack {
                return Ok(Reply::Done);
            }
            return Err(refused(name, "one is under way; wait for its end, or abort it"));
        }
        if blueprint.is_of(&pool.spec) {
            return Err(refused(name, "its agents are made from this already"));
        }
        self.roll(step, &pool, blueprint.clone(), policy.clone());
        Ok(Reply::Done)
    }

    /// Begins a rollout from what stands in a pool's definition.
    fn roll(&mut self, step: &mut Step, pool: &Pool, to: Arc<Blueprint>, policy: RolloutPolicy) {
        let name = pool.spec.name.clone();
        let known = self.tending.versions.remove(&name).unwrap_or_default();
        let number = known.last + 1;
        let stage = if policy.canary.is_some() { Stage::Canary } else { Stage::Rolling };
        let rollout = Rollout {
            from: Version { number: known.number, blueprint: Arc::new(Blueprint::of(&pool.spec)) },
            to: Version { number, blueprint: to },
            policy,
            stage,
            paused: None,
            reason: "it has begun".into(),
            began_at: step.now,
            since: step.now,
            old: Tally::default(),
            new: Tally::default(),
        };
        let versions = Versions { number: known.number, last: number, rollout: Some(rollout) };
        self.tending.versions.insert(name.clone(), versions);
        self.rollout_changed(step, &name, Governing::RolloutBegun);
    }

    /// Puts the blueprint of a rollout's goal into the pool's definition, and tells what became of it.
    fn rollout_changed(&mut self, step: &mut Step, name: &Name, what: Governing) {
        let (Some(pool), Some(versions)) =
            (self.pools.get(name).cloned(), self.tending.versions.get_mut(name))
        else {
            return;
        };
        let Some(rollout) = &versions.rollout else { return };
        let goal = rollout.goal().clone();
        let (stage, reason) = (rollout.stage, rollout.paused.as_ref().unwrap_or(&rollout.reason).clone());
        versions.number = goal.number;
        self.govern(step, what, name, None, &format!("{stage}: {reason}"));
        self.changes.touch(RowKey::Tending(TendingKey::Versions(name.clone())));
        self.tell_pool(step, name);
        if !goal.blueprint.is_of(&pool.spec) {
            let spec = Arc::new(goal.blueprint.in_place(&pool.spec));
            self.keep_pool(step, Pool { spec, ..Pool::clone(&pool) });
        }
    }

    pub(super) fn move_rollout(
        &mut self,
        step: &mut Step,
        name: &Name,
        version: u64,
        (from, to): (Stage, Stage),
        reason: &str,
    ) -> Answer {
        self.known_pool(name)?;
        let allowed = matches!(
            (from, to),
            (Stage::Canary, Stage::Rolling | Stage::RollingBack)
                | (Stage::Rolling, Stage::Done | Stage::RollingBack)
                | (Stage::RollingBack, Stage::RolledBack)
        );
        let versions = self.tending.versions.get_mut(name);
        let rollout = versions.and_then(|versions| versions.rollout.as_mut());
        let is_there = |rollout: &&mut Rollout| {
            rollout.to.number == version && rollout.stage == from && rollout.paused.is_none()
        };
        let Some(rollout) = rollout.filter(is_there).filter(|_| allowed) else { return Ok(Reply::Done) };
        rollout.stage = to;
        rollout.since = step.now;
        rollout.reason = bounded_reason(reason);
        let what = if to.is_over() { Governing::RolloutEnded } else { Governing::RolloutChanged };
        self.rollout_changed(step, name, what);
        Ok(Reply::Done)
    }

    pub(super) fn pause_rollout(
        &mut self,
        step: &mut Step,
        name: &Name,
        reason: Option<&Arc<str>>,
    ) -> Answer {
        let reason = reason.map(|reason| bounded_reason(reason));
        let rollout = self.open_rollout(name)?;
        if rollout.paused != reason {
            rollout.paused = reason;
            self.rollout_changed(step, name, Governing::RolloutChanged);
        }
        Ok(Reply::Done)
    }

    pub(super) fn abort_rollout(&mut self, step: &mut Step, name: &Name, reason: &str) -> Answer {
        let rollout = self.open_rollout(name)?;
        if rollout.stage != Stage::RollingBack {
            rollout.stage = Stage::RollingBack;
            rollout.since = step.now;
            rollout.reason = bounded_reason(reason);
        }
        // Whoever takes it back does not want it to stand still.
        rollout.paused = None;
        self.rollout_changed(step, name, Governing::RolloutChanged);
        Ok(Reply::Done)
    }

    fn open_rollout(&mut self, name: &Name) -> Result<&mut Rollout, Refusal> {
        self.known_pool(name)?;
        let versions = self.tending.versions.get_mut(name);
        let rollout = versions.and_then(|versions| versions.rollout.as_mut());
        rollout.filter(|rollout| !rollout.stage.is_over()).ok_or_else(|| refused(name, "none is under way"))
    }

    /// Decides how a pool's new definition reaches its agents: returns what to put, with the blueprint that they begin
    /// from at first. A pool that is not rolled changes all of its agents at once.
    pub(super) fn roll_definition(
        &mut self,
        step: &mut Step,
        known: &Pool,
        spec: &Arc<PoolSpec>,
    ) -> Arc<PoolSpec> {
        let name = &spec.name;
        let hosted = |spec: &PoolSpec| spec.runtime != RuntimeSpec::External;
        let policy = self.rolling(name).filter(|_| hosted(spec) && hosted(&known.spec)).cloned();
        let under_way = self.rollout(name).filter(|rollout| !rollout.stage.is_over());
        let towards = under_way.filter(|rollout| rollout.stage != Stage::RollingBack);
        if towards.is_some_and(|rollout| rollout.to.blueprint.is_of(spec)) {
            // It is on its way there.
            return Arc::new(Blueprint::of(&known.spec).in_place(spec));
        }
        let same = Blueprint::of(&known.spec).is_of(spec);
        if same && under_way.is_none_or(|rollout| rollout.stage != Stage::Canary) {
            return spec.clone();
        }
        if same {
            // It is put as it was before its canaries.
            let _ = self.abort_rollout(step, name, "the pool was put with its old blueprint");
            return spec.clone();
        }
        if let Some(policy) = policy {
            self.roll(step, known, Arc::new(Blueprint::of(spec)), policy);
            // Without canaries they begin from the new one at once.
            let now = self.rollout(name).map(|rollout| rollout.goal().blueprint.clone());
            return now.map_or_else(|| spec.clone(), |blueprint| Arc::new(blueprint.in_place(spec)));
        }
        if let Some(versions) = self.tending.versions.get_mut(name) {
            versions.last += 1;
            versions.number = versions.last;
            versions.rollout = None;
            self.changes.touch(RowKey::Tending(TendingKey::Versions(name.clone())));
        }
        spec.clone()
    }

    /// Returns the versions of a pool's blueprint; `None` while it has had only one.
    pub fn versions(&self, pool: &Name) -> Option<&Versions> {
        self.tending.versions.get(pool)
    }

    /// Returns the rollout of a pool that is under way, or the last one.
    pub fn rollout(&self, pool: &Name) -> Option<&Rollout> {
        self.tending.versions.get(pool)?.rollout.as_ref()
    }

    /// Returns the agents of a pool as far as a rollout is concerned. O(members).
    pub fn rollout_members(&self, pool: &Name) -> Vec<Member> {
        let hosted = self.agents_of(pool).filter(|agent| is_hosted(agent) && !agent.retiring);
        let members = hosted.filter_map(|agent| {
            let life = self.life(agent.spec.id)?;
            Some(Member {
                agent: agent.spec.id,
                version: life.version,
                renewing: life.renewal.as_ref().map(|renewal| renewal.version),
                standing: agent.standing,
                held: agent.held.len(),
                tally: life.tally,
            })
        });
        members.collect()
    }
}

fn refused(pool: &Name, why: &str) -> Refusal {
    Refusal::RolloutRefused { pool: pool.clone(), why: why.to_owned() }
}
