//! How pools are tended: laws over random histories, and examples of settings, assignment, renewal and rollouts.

use std::sync::Arc;

use proptest::prelude::*;
use synod_domain::agent::{AgentSpec, Host, PoolSpec, RuntimeSpec, Standing};
use synod_domain::assignment::Assignment;
use synod_domain::autoscale::AutoscaleSpec;
use synod_domain::command::Command;
use synod_domain::event::{Event, Governing};
use synod_domain::limits::Limits;
use synod_domain::pause::Pausable;
use synod_domain::policy::Effect;
use synod_domain::refusal::Refusal;
use synod_domain::renewal::RestartAfter;
use synod_domain::reply::Reply;
use synod_domain::rollout::{Blueprint, Canary, RolloutPolicy, Stage};
use synod_domain::state::State;
use synod_domain::task::{MailboxId, TaskSpec};
use synod_domain::tending::PoolCommand;

use super::governing;
use super::histories::{Draw, config, histories};
use super::world::{
    World, agent, agent_spec, complete, fail, millis, name, node, node_spec, pool_spec, register, spec,
    standing, submit, task,
};

/// Draws a command about how a pool is tended.
pub(super) fn command(state: &State, draw: &mut Draw) -> Command {
    let pool = name(draw.pick(&["a", "a", "b", "c"]));
    let reason = "drawn".into();
    Command::Pool(match draw.below(16) {
        0 | 1 => {
            let zero_after = draw.one_in(3).then(|| millis(500));
            let spec =
                AutoscaleSpec { cooldown: millis(draw.below(900)), zero_after, ..AutoscaleSpec::default() };
            PoolCommand::SetAutoscale { pool, spec: (!draw.one_in(4)).then_some(spec) }
        }
        2 | 3 => {
            let from = state.pool(&pool).map_or(0, |pool| pool.target);
            PoolCommand::Autoscale { pool, from, to: draw.below(12) as u32, reason }
        }
        4 => {
            let spec = RestartAfter { age: None, tasks: Some(draw.below(3)) };
            PoolCommand::SetRestartAfter { pool, spec: Some(spec) }
        }
        5 | 6 => {
            let to = name(draw.pick(&["a", "b", "c"]));
            let drawn = [
                Assignment::Queued,
                Assignment::Immediate,
                Assignment::Consolidated,
                Assignment::Delegated { to },
            ];
            PoolCommand::SetAssignment { pool, assignment: draw.pick(&drawn) }
        }
        7 => PoolCommand::SetRolling { pool, policy: draw.one_in(2).then(|| policy(draw)) },
        8 | 9 => {
            let version = match state.rollout(&pool) {
                Some(rollout) if !draw.one_in(4) => rollout.to.number,
                Some(_) | None => state.version_of(&pool),
            };
            let agents = (1..=4).filter(|_| draw.one_in(2)).map(agent).collect();
            PoolCommand::RenewAgents { pool, agents, version, reason }
        }
        10 | 11 => {
            let runtime = RuntimeSpec::Native(name("n"));
            let concurrency = 1 + draw.below(3) as u32;
            let blueprint = Blueprint { runtime, concurrency, capabilities: Default::default() };
            PoolCommand::BeginRollout { pool, blueprint: blueprint.into(), policy: policy(draw) }
        }
        12 | 13 => {
            let (version, from) =
                state.rollout(&pool).map_or((1, Stage::Canary), |rollout| (rollout.to.number, rollout.stage));
            let to = draw.pick(&[Stage::Rolling, Stage::RollingBack, Stage::Done, Stage::RolledBack]);
            PoolCommand::MoveRollout { pool, version, from, to, reason }
        }
        14 if draw.one_in(2) => PoolCommand::PauseRollout { pool, reason },
        14 => PoolCommand::ResumeRollout { pool },
        _ => PoolCommand::AbortRollout { pool, reason },
    })
}

fn policy(draw: &mut Draw) -> RolloutPolicy {
    let canary = Canary { agents: 1, tasks_min: draw.below(4), excess_percent: 10 };
    RolloutPolicy { batch: draw.below(4) as u32, canary: draw.one_in(2).then_some(canary) }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn a_pool_is_defined_as_its_rollout_says_and_every_agent_has_one_life(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
            for pool in state.pools() {
                let name = &pool.spec.name;
                if let Some(rollout) = state.rollout(name) {
                    prop_assert!(rollout.goal().blueprint.is_of(&pool.spec), "{:?} of {:?}", rollout, pool.spec);
                    prop_assert_eq!(rollout.goal().number, state.version_of(name));
                    prop_assert!(rollout.from.number != rollout.to.number);
                }
                prop_assert!(pool.target <= pool.spec.max);
            }
            for agent in state.agents() {
                let life = state.life(agent.spec.id);
                prop_assert!(life.is_some(), "{} has no life", agent.spec.id);
                let done = life.map_or(0, |life| life.tally.ended());
                prop_assert!(done <= agent.completed + agent.failed);
            }
            let lives = state.rows().into_iter().filter(|(key, _)| key.to_bytes().starts_with(b"QL")).count();
            prop_assert_eq!(lives, state.agents().count(), "a life without an agent");
        }
    }
}

/// A pool whose agents node 1 runs, with agents of these numbers that serve.
fn staffed(numbers: std::ops::RangeInclusive<u128>, max: u32) -> World {
    let mut world = World::empty(Limits::default());
    world.join(node_spec(1));
    world.ask(Command::PutPool { spec: hosted(max, 1).into() }).unwrap();
    for number in numbers {
        world.ask(register(member(number))).unwrap();
        world.ask(standing(number, Standing::Ready)).unwrap();
    }
    world
}

fn hosted(max: u32, concurrency: u32) -> PoolSpec {
    PoolSpec { runtime: RuntimeSpec::Native(name("n")), max, concurrency, ..pool_spec("p") }
}

fn member(number: u128) -> AgentSpec {
    AgentSpec { concurrency: 1, ..agent_spec(number, Some("p"), Host::Node(node(1))) }
}

fn work(number: u128, pool: &str) -> TaskSpec {
    TaskSpec { mailbox: MailboxId::Pool(name(pool)), ..spec(number) }
}

fn tend(world: &mut World, command: PoolCommand) -> Result<Reply, Refusal> {
    world.ask(Command::Pool(command))
}

fn code(answer: Result<Reply, Refusal>) -> &'static str {
    answer.map_or_else(|refusal| refusal.code(), |_| "accepted")
}

#[test]
fn pool_is_scaled_by_its_rule_within_its_bounds_and_says_why() {
    let mut world = staffed(1..=1, 4);
    let pool = name("p");
    let scale = |from, to| PoolCommand::Autoscale { pool: name("p"), from, to, reason: "much to do".into() };
    // Nothing without a rule.
    tend(&mut world, scale(0, 3)).unwrap();
    assert_eq!(world.state.pool(&pool).unwrap().target, 0);
    let settings = PoolCommand::SetAutoscale { pool: pool.clone(), spec: Some(AutoscaleSpec::default()) };
    tend(&mut world, settings).unwrap();
    tend(&mut world, scale(0, 9)).unwrap();
    assert_eq!(world.state.pool(&pool).unwrap().target, 4);
    // It was decided for another target.
    tend(&mut world, scale(3, 1)).unwrap();
    assert_eq!(world.state.pool(&pool).unwrap().target, 4);
    let last = world.state.autoscaling(&pool).unwrap().last.clone().unwrap();
    assert_eq!((last.from, last.to, &*last.reason), (0, 4, "much to do"));
    let told = |event: &Event| matches!(event, Event::Governed { what: Governing::PoolScaled, detail, .. } if detail.starts_with("from 0 to 4"));
    assert!(world.events.iter().any(told));
    let wrong = AutoscaleSpec { step_up: 0, ..AutoscaleSpec::default() };
    assert_eq!(
        code(tend(&mut world, PoolCommand::SetAutoscale { pool: pool.clone(), spec: Some(wrong) })),
        "invalid"
    );
    world.ask(Command::PutPool { spec: PoolSpec { min: 1, ..hosted(4, 1) }.into() }).unwrap();
    let zero = AutoscaleSpec { zero_after: Some(millis(1)), ..AutoscaleSpec::default() };
    assert_eq!(code(tend(&mut world, PoolCommand::SetAutoscale { pool, spec: Some(zero) })), "invalid");
}

#[test]
fn load_counts_what_the_rule_asks_for() {
    let mut world = staffed(1..=2, 4);
    let pool = name("p");
    tend(&mut world, PoolCommand::SetAutoscale { pool: pool.clone(), spec: Some(AutoscaleSpec::default()) })
        .unwrap();
    for number in 1..=3 {
        world.submit(work(number, "p"));
    }
    // Nobody of this pool could do it.
    world.submit(TaskSpec { demand: super::world::capabilities(&["gpu"]), ..work(4, "p") });
    world.claim(1, 1);
    let load = world.state.load_of(&pool).unwrap();
    assert_eq!((load.waiting, load.unfinished, load.busy, load.free), (2, 4, 1, 1));
    assert!(load.oldest.is_some());
    assert!(world.state.load_of(&name("q")).is_none());
}

#[test]
fn work_that_policies_keep_from_agents_counts_when_the_next_agent_could_have_it_and_not_otherwise() {
    let mut world = staffed(1..=1, 4);
    let pool = name("p");
    tend(&mut world, PoolCommand::SetAutoscale { pool: pool.clone(), spec: Some(AutoscaleSpec::default()) })
        .unwrap();
    let listed = |allowed: &[&str], blocked: &[&str]| {
        let mut spec = governing::policy("trusted-only", "tool.none", Effect::Allow);
        spec.agents.allowed = allowed.iter().map(|agent| name(agent)).collect();
        spec.agents.blocked = blocked.iter().map(|agent| name(agent)).collect();
        governing::put(spec)
    };
    for number in 1..=3 {
        world.submit(work(number, "p"));
    }
    for (allowed, blocked, counts, helps) in [
        (&[][..], &["worker-1"][..], (3, 3), "the pool grows for it"),
        (&["worker-9"][..], &[][..], (0, 0), "the pool does not grow for it; change the policy"),
        (&[][..], &["worker-1", "p-1"][..], (0, 0), "does not grow"),
        // As it will be called.
        (&["p-1"][..], &[][..], (3, 3), "the pool grows for it"),
    ] {
        world.ask(listed(allowed, blocked)).unwrap();
        assert_eq!(world.claim(1, 1).len(), 0);
        let load = world.state.load_of(&pool).unwrap();
        assert_eq!((load.waiting, load.stranded, load.free), (counts.0, counts.1, 1), "{helps}");
        let why = world.state.why(task(1)).unwrap().to_string();
        assert!(why.contains(helps), "{why}");
    }
    // One that may have it is there and has its hands full: it is work that waits, and nobody's fault.
    world.ask(register(AgentSpec { name: name("p-1"), ..member(2) })).unwrap();
    world.ask(standing(2, Standing::Ready)).unwrap();
    assert_eq!(world.claim(2, 1).len(), 1);
    let load = world.state.load_of(&pool).unwrap();
    assert_eq!((load.waiting, load.stranded), (0, 0), "the next one would be called otherwise");
    let why = world.state.why(task(2)).unwrap().to_string();
    assert!(why.contains("may have it and is not free"), "{why}");
    // What stands still does not count, whoever may have it.
    world.ask(listed(&[], &["worker-1"])).unwrap();
    assert_eq!(world.claim(1, 1).len(), 0);
    assert_eq!(world.state.load_of(&pool).unwrap().waiting, 2);
    let what = Pausable::Pool(pool.clone());
    world.ask(Command::Pause { what, reason: "moving".into() }).unwrap();
    assert_eq!(world.state.load_of(&pool).unwrap().waiting, 0);
}

#[test]
fn immediate_pool_takes_what_somebody_is_free_for_and_nothing_else() {
    let mut world = staffed(1..=2, 4);
    let pool = name("p");
    tend(&mut world, PoolCommand::SetAssignment { pool, assignment: Assignment::Immediate }).unwrap();
    assert_eq!(code(world.ask(submit(work(1, "p")))), "accepted");
    assert_eq!(code(world.ask(submit(work(2, "p")))), "accepted");
    // Both are free, and both have something to take.
    assert_eq!(code(world.ask(submit(work(3, "p")))), "nobody_free");
    let gpu = TaskSpec { demand: super::world::capabilities(&["gpu"]), ..work(3, "p") };
    world.claim(1, 1);
    world.claim(2, 1);
    assert_eq!(code(world.ask(submit(work(3, "p")))), "nobody_free");
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(code(world.ask(submit(gpu))), "nobody_free");
    assert_eq!(code(world.ask(submit(work(3, "p")))), "accepted");
}

#[test]
fn delegating_pool_passes_on_what_it_has_nobody_free_for_and_a_repeated_submit_finds_it() {
    let mut world = staffed(1..=1, 4);
    world.ask(Command::PutPool { spec: pool_spec("q").into() }).unwrap();
    world.ask(Command::PutPool { spec: pool_spec("r").into() }).unwrap();
    let delegate = |from: &str, to: &str| {
        let assignment = Assignment::Delegated { to: name(to) };
        PoolCommand::SetAssignment { pool: name(from), assignment }
    };
    assert_eq!(code(tend(&mut world, delegate("p", "p"))), "invalid");
    assert_eq!(code(tend(&mut world, delegate("p", "nowhere"))), "pool_unknown");
    tend(&mut world, delegate("p", "q")).unwrap();
    let keyed = TaskSpec { idempotency_key: Some("once".into()), ..work(2, "p") };
    world.submit(work(1, "p"));
    world.submit(keyed.clone());
    let mailbox = |world: &World, number| world.task(number).spec.mailbox.clone();
    assert_eq!(mailbox(&world, 1), MailboxId::Pool(name("p")));
    assert_eq!(mailbox(&world, 2), MailboxId::Pool(name("q")));
    let again = world.ask(submit(TaskSpec { id: task(3), ..keyed }));
    assert_eq!(again, Ok(Reply::Submitted { task: task(2), duplicate: true }));
    // On through the next, and not around for ever.
    tend(&mut world, delegate("q", "r")).unwrap();
    tend(&mut world, delegate("r", "p")).unwrap();
    world.submit(work(4, "p"));
    assert_eq!(mailbox(&world, 4), MailboxId::Pool(name("r")));
    // What retires is passed nothing.
    world.submit(work(5, "q"));
    world.ask(Command::RetirePool { pool: name("q") }).unwrap();
    world.submit(work(6, "p"));
    assert_eq!(mailbox(&world, 6), MailboxId::Pool(name("p")));
}

#[test]
fn agent_that_begins_anew_takes_nothing_more_and_its_next_life_has_counted_nothing() {
    let mut world = staffed(1..=2, 4);
    world.submit(work(1, "p"));
    world.submit(work(2, "p"));
    world.claim(1, 1);
    let renew = PoolCommand::RenewAgents {
        pool: name("p"),
        agents: vec![agent(1), agent(9)],
        version: 0,
        reason: "it is old".into(),
    };
    tend(&mut world, renew.clone()).unwrap();
    assert_eq!(world.state.agent(agent(1)).unwrap().standing, Standing::Draining);
    assert_eq!(code(world.ask(super::world::claim(1, 1))), "agent_unavailable");
    // What it has in hand ends in its hands.
    world.ask(complete(1, 1)).unwrap();
    let veterans = world.state.veterans(&name("p"));
    assert_eq!((veterans[0].ended, veterans[0].on_its_way, veterans[1].on_its_way), (1, true, false));
    world.pass(1000);
    world.ask(register(member(1))).unwrap();
    let life = world.state.life(agent(1)).unwrap();
    assert_eq!((life.tally.ended(), &life.renewal, life.recent.count()), (0, &None, 1));
    assert_eq!(world.state.veterans(&name("p"))[0].began_at.as_millis(), world.now);
    // A version that nobody wants is not begun from.
    let PoolCommand::RenewAgents { pool, agents, reason, .. } = renew else { panic!() };
    tend(&mut world, PoolCommand::RenewAgents { pool, agents, version: 7, reason }).unwrap();
    assert_eq!(world.state.life(agent(1)).unwrap().renewal, None);
}

#[test]
fn a_node_that_goes_down_ends_what_its_agents_had_to_begin() {
    let mut world = staffed(1..=1, 4);
    let renew =
        PoolCommand::RenewAgents { pool: name("p"), agents: vec![agent(1)], version: 0, reason: "".into() };
    tend(&mut world, renew).unwrap();
    assert!(world.state.life(agent(1)).unwrap().renewal.is_some());
    world.ask(super::world::start_node(1, 2)).unwrap();
    assert_eq!(world.state.life(agent(1)).unwrap().renewal, None);
}

fn begin(concurrency: u32, policy: RolloutPolicy) -> PoolCommand {
    let blueprint = Arc::new(Blueprint::of(&hosted(4, concurrency)));
    PoolCommand::BeginRollout { pool: name("p"), blueprint, policy }
}

fn watched() -> RolloutPolicy {
    RolloutPolicy { batch: 1, canary: Some(Canary { agents: 1, tasks_min: 3, excess_percent: 10 }) }
}

fn enter(version: u64, from: Stage, to: Stage) -> PoolCommand {
    PoolCommand::MoveRollout { pool: name("p"), version, from, to, reason: "it goes on".into() }
}

fn concurrency(world: &World) -> u32 {
    world.state.pool(&name("p")).unwrap().spec.concurrency
}

#[test]
fn canaries_begin_from_the_new_blueprint_and_the_pool_follows_when_they_do_well() {
    let mut world = staffed(1..=2, 4);
    tend(&mut world, begin(2, watched())).unwrap();
    assert_eq!(code(tend(&mut world, begin(3, watched()))), "rollout_refused");
    assert_eq!(concurrency(&world), 1);
    let pool = name("p");
    let renew = PoolCommand::RenewAgents {
        pool: pool.clone(),
        agents: vec![agent(1)],
        version: 1,
        reason: "".into(),
    };
    tend(&mut world, renew).unwrap();
    let of = |world: &World, number| {
        let (version, spec) = world.state.definition_for(&name("p"), agent(number)).unwrap();
        (version, spec.concurrency)
    };
    assert_eq!((of(&world, 1), of(&world, 2)), ((1, 2), (0, 1)));
    let spec = AgentSpec { concurrency: 2, ..member(1) };
    tend(&mut world, PoolCommand::RegisterAgent { spec: spec.into(), version: 1 }).unwrap();
    world.ask(standing(1, Standing::Ready)).unwrap();
    // It stays a canary when it is started again.
    assert_eq!(of(&world, 1), (1, 2));
    for number in 1..=2 {
        world.submit(work(number, "p"));
        world.claim(1, 1);
    }
    world.ask(complete(1, 1)).unwrap();
    world.ask(fail(2, 1, false)).unwrap();
    tend(&mut world, PoolCommand::RegisterAgent { spec: member(1).into(), version: 1 }).unwrap();
    let rollout = world.state.rollout(&pool).unwrap();
    assert_eq!((rollout.new.completed, rollout.new.failed, rollout.old.ended()), (1, 1, 0));
    // Only along the arrows, and only from where it is.
    tend(&mut world, enter(1, Stage::Rolling, Stage::Done)).unwrap();
    tend(&mut world, enter(1, Stage::Canary, Stage::Done)).unwrap();
    tend(&mut world, enter(2, Stage::Canary, Stage::Rolling)).unwrap();
    assert_eq!(world.state.rollout(&pool).unwrap().stage, Stage::Canary);
    tend(&mut world, enter(1, Stage::Canary, Stage::Rolling)).unwrap();
    assert_eq!((concurrency(&world), of(&world, 2)), (2, (1, 2)));
    tend(&mut world, enter(1, Stage::Rolling, Stage::Done)).unwrap();
    assert_eq!(code(tend(&mut world, begin(2, watched()))), "rollout_refused");
    assert_eq!(code(tend(&mut world, begin(3, watched()))), "accepted");
    assert_eq!(world.state.rollout(&pool).unwrap().to.number, 2);
}

#[test]
fn rollout_is_paused_resumed_and_taken_back_by_hand() {
    let mut world = staffed(1..=1, 4);
    let pool = name("p");
    let abort = PoolCommand::AbortRollout { pool: pool.clone(), reason: "it was wrong".into() };
    assert_eq!(code(tend(&mut world, abort.clone())), "rollout_refused");
    tend(&mut world, begin(2, RolloutPolicy::default())).unwrap();
    assert_eq!(concurrency(&world), 2);
    tend(&mut world, PoolCommand::PauseRollout { pool: pool.clone(), reason: "lunch".into() }).unwrap();
    tend(&mut world, enter(1, Stage::Rolling, Stage::Done)).unwrap();
    assert_eq!(world.state.rollout(&pool).unwrap().stage, Stage::Rolling);
    tend(&mut world, PoolCommand::ResumeRollout { pool: pool.clone() }).unwrap();
    tend(&mut world, abort).unwrap();
    let rollout = world.state.rollout(&pool).unwrap();
    assert_eq!(
        (rollout.stage, &*rollout.reason, concurrency(&world)),
        (Stage::RollingBack, "it was wrong", 1)
    );
    tend(&mut world, enter(1, Stage::RollingBack, Stage::RolledBack)).unwrap();
    assert!(world.state.rollout(&pool).unwrap().stage.is_over());
}

#[test]
fn definition_that_is_put_is_rolled_if_the_pool_says_so_and_changes_everybody_otherwise() {
    let mut world = staffed(1..=1, 4);
    let pool = name("p");
    let put = |world: &mut World, max, concurrency| {
        world.ask(Command::PutPool { spec: hosted(max, concurrency).into() }).unwrap();
    };
    put(&mut world, 4, 2);
    assert!(world.state.versions(&pool).is_none());
    tend(&mut world, PoolCommand::SetRolling { pool: pool.clone(), policy: Some(watched()) }).unwrap();
    put(&mut world, 5, 3);
    // What is not of the agents changes at once.
    assert_eq!((concurrency(&world), world.state.pool(&pool).unwrap().spec.max), (2, 5));
    assert_eq!(world.state.rollout(&pool).unwrap().to.blueprint.concurrency, 3);
    // Put again it goes on, and with its old blueprint it is taken back.
    put(&mut world, 6, 3);
    assert_eq!(world.state.rollout(&pool).unwrap().stage, Stage::Canary);
    put(&mut world, 6, 2);
    assert_eq!(world.state.rollout(&pool).unwrap().stage, Stage::RollingBack);
    tend(&mut world, PoolCommand::SetRolling { pool: pool.clone(), policy: None }).unwrap();
    put(&mut world, 6, 5);
    assert_eq!((concurrency(&world), world.state.rollout(&pool)), (5, None));
    assert_eq!(world.state.version_of(&pool), 2);
    // Nothing is left of it with the pool.
    world.ask(Command::RetireAgent { agent: agent(1) }).unwrap();
    world.ask(Command::RemovePool { pool: pool.clone() }).unwrap();
    assert!(!world.state.tends_any() && !world.state.is_tended(&pool));
}
