//! The gardener: a pool that scales by itself between its bounds, whose agents begin anew after so much work, and get other
//! versions of their blueprint, some of them tried first, paused, and taken back.
//!
//! The bounds are said before the world begins. At the end of new work the pool is let be: a rollout that waits for work to
//! judge by is taken back, one that is paused goes on, and the world waits until the pool has as many agents as it should.

use std::sync::Arc;

use synod::node::domain::agent::{Agent, Pool as Known, Standing};
use synod::node::domain::autoscale::AutoscaleSpec;
use synod::node::domain::command::Command;
use synod::node::domain::renewal::RestartAfter;
use synod::node::domain::rollout::{Blueprint, Canary, RolloutPolicy, Stage};
use synod::node::domain::state::State;
use synod::node::domain::tending::PoolCommand;
use synod::node::{Error, Pool};

use crate::history::{Change, Size, Tended};
use crate::workload::NATIVE;
use crate::workload::governed::{Errand, Office, Wanted, named};

/// What it is called, and its workspace.
pub(super) const NAME: &str = "gardener";

/// The pool that it tends, how many agents that has, and how many tasks each may hold, by version.
const BED: &str = "bed";
const SIZE: Size = Size { least: 1, most: 3 };
const SLOTS: [u32; 2] = [2, 3];

/// How many tasks come at once at times: more than the pool may have slots.
const MANY: u64 = 12;

/// Tends until the world settles, then lets the pool be.
pub(super) async fn run(mut office: Office) {
    // Put again it would be what it was before its rollouts.
    while office.is_busy() && !is_there(&office) {
        let _ = put_pool(&office).await;
        office.pause(20, 300).await;
    }
    set_restart_after(&mut office, true).await;
    set_autoscale(&mut office, true).await;
    while office.is_busy() {
        match office.stream.between(0, 99) {
            0..68 => submit(&mut office).await,
            68..71 => {
                for _ in 0..MANY {
                    submit(&mut office).await;
                }
            }
            71..77 => {
                let is_set = office.stream.happens(80);
                set_restart_after(&mut office, is_set).await;
            }
            77..83 => {
                let is_set = office.stream.happens(80);
                set_autoscale(&mut office, is_set).await;
            }
            83..86 => {
                let target = u32::try_from(office.stream.between(0, 5)).unwrap_or(SIZE.most);
                let command = Command::ScalePool { pool: named(BED), target };
                office.govern(Change::ScalePool { pool: named(BED), target }, command).await;
            }
            86..93 => begin(&mut office).await,
            93..94 => pause(&office, true).await,
            94..98 => pause(&office, false).await,
            _ => abort(&office).await,
        }
        office.pause(0, 400).await;
    }
    while office.looks_again().await {
        let (restarts, scales, stage, is_paused) = office.node.read(|state| {
            let (bed, rollout) = (named(BED), state.rollout(&named(BED)));
            let is_paused = rollout.is_some_and(|rollout| rollout.paused.is_some());
            let stage = rollout.map(|rollout| rollout.stage);
            (state.restart_after(&bed).is_some(), state.autoscaling(&bed).is_some(), stage, is_paused)
        });
        if restarts {
            set_restart_after(&mut office, false).await;
        }
        if scales {
            set_autoscale(&mut office, false).await;
        }
        match stage {
            Some(Stage::Canary) => abort(&office).await,
            Some(Stage::Rolling | Stage::RollingBack) if is_paused => pause(&office, false).await,
            _ => {}
        }
    }
}

/// Says how many agents its pool may have.
pub(super) fn sizes() -> impl Iterator<Item = (String, Size)> {
    [(BED.to_owned(), SIZE)].into_iter()
}

/// Tells whether its pool is let be and has as many agents as it should, all of one version.
pub(super) fn is_in_order(state: &State) -> bool {
    let bed = named(BED);
    let Some(pool) = state.pool(&bed) else { return true };
    let Tended { target, serving, rollout, pool: _ } = tended(state, pool);
    let is_let_be = state.restart_after(&bed).is_none() && state.autoscaling(&bed).is_none();
    is_let_be && serving == target && rollout.is_none_or(Stage::is_over)
}

/// Returns how a pool stands that somebody looks after.
pub(super) fn tended(state: &State, pool: &Known) -> Tended {
    let name = &pool.spec.name;
    let serves = |agent: &&Arc<Agent>| agent.standing == Standing::Ready && !agent.retiring && !agent.standby;
    let serving = state.agents_of(name).filter(serves).count();
    Tended {
        pool: name.clone(),
        target: pool.target,
        serving: u32::try_from(serving).unwrap_or(u32::MAX),
        rollout: state.rollout(name).map(|rollout| rollout.stage),
    }
}

fn is_there(office: &Office) -> bool {
    office.node.read(|state| state.pool(&named(BED)).is_some())
}

async fn put_pool(office: &Office) -> Result<(), Error> {
    let pool = Pool::native(BED, NATIVE)?.between(SIZE.least, SIZE.most).concurrency(SLOTS[0]);
    office.node.put_pool(pool).await.map(drop)
}

async fn submit(office: &mut Office) {
    let errand = Errand::of(&mut office.stream, (50, 800), Vec::new());
    office.submit_to(BED, Wanted::of("planted", errand)).await;
}

async fn tend(office: &Office, what: &'static str, command: PoolCommand) {
    office.govern(Change::Tend { pool: named(BED), what }, Command::Pool(command)).await;
}

async fn set_restart_after(office: &mut Office, is_set: bool) {
    let age = office.stream.happens(30).then(|| office.stream.millis(2_000, 8_000));
    let spec = is_set.then_some(RestartAfter { age, tasks: Some(office.stream.between(4, 12)) });
    let what = if is_set { "renew the agents of" } else { "renew no agents of" };
    tend(office, what, PoolCommand::SetRestartAfter { pool: named(BED), spec }).await;
}

async fn set_autoscale(office: &mut Office, is_set: bool) {
    let mut figure = |most| u32::try_from(office.stream.between(1, most)).unwrap_or(1);
    let (waiting_per_agent, step_up) = (figure(2), figure(2));
    let spec = is_set.then_some(AutoscaleSpec {
        waiting_per_agent,
        age: office.stream.happens(50).then(|| office.stream.millis(200, 1_000)),
        step_up,
        step_down: 1,
        cooldown: office.stream.millis(200, 1_500),
        zero_after: None,
    });
    let what = if is_set { "scale by its work" } else { "scale no more" };
    tend(office, what, PoolCommand::SetAutoscale { pool: named(BED), spec }).await;
}

async fn begin(office: &mut Office) {
    let Some(pool) = office.node.read(|state| state.pool(&named(BED)).cloned()) else { return };
    let other = SLOTS.iter().copied().find(|slots| *slots != pool.spec.concurrency).unwrap_or(SLOTS[0]);
    let blueprint = Arc::new(Blueprint { concurrency: other, ..Blueprint::of(&pool.spec) });
    let canary = Canary { agents: 1, tasks_min: office.stream.between(1, 6), excess_percent: 100 };
    let batch = u32::try_from(office.stream.between(1, 2)).unwrap_or(1);
    let policy = RolloutPolicy { batch, canary: office.stream.happens(50).then_some(canary) };
    tend(office, "roll out", PoolCommand::BeginRollout { pool: named(BED), blueprint, policy }).await;
}

async fn pause(office: &Office, pauses: bool) {
    let pool = named(BED);
    if pauses {
        let reason = "somebody looks at it".into();
        tend(office, "pause", PoolCommand::PauseRollout { pool, reason }).await;
    } else {
        tend(office, "resume", PoolCommand::ResumeRollout { pool }).await;
    }
}

async fn abort(office: &Office) {
    let reason = "it is not wanted any more".into();
    tend(office, "take back", PoolCommand::AbortRollout { pool: named(BED), reason }).await;
}
