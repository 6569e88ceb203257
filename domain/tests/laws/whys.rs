//! Laws of causes: each known task has one, and it agrees with how the task stands. An example of each cause.

use proptest::prelude::*;
use synod_domain::agent::{AgentSpec, AgentStatus, Host, PoolSpec, RuntimeSpec, Standing};
use synod_domain::capability::Capabilities;
use synod_domain::command::Command;
use synod_domain::limits::Limits;
use synod_domain::pause::Pausable;
use synod_domain::state::State;
use synod_domain::task::{Lane, MailboxId, Phase, Progress, Task, TaskSpec, TaskStatus, Timeouts};
use synod_domain::why::Why;

use super::histories::{config, histories};
use super::world::{
    World, agent, agent_spec, capabilities, complete, fail, millis, name, pool_spec, register, spec,
    standing, task,
};

/// Tells whether a task is held back from everybody, the slow and obvious way.
fn is_held_back(state: &State, task: &Task) -> bool {
    let is_paused = |what: Pausable| state.pauses().any(|pause| pause.what == what);
    let pool = match &task.spec.mailbox {
        MailboxId::Pool(pool) => Some(pool.clone()),
        MailboxId::Agent(agent) => state.agent(*agent).and_then(|agent| agent.spec.pool.clone()),
        MailboxId::Open => None,
    };
    is_paused(Pausable::Workspace(task.spec.workspace.clone()))
        || is_paused(Pausable::Mailbox(task.spec.mailbox.clone()))
        || pool.is_some_and(|pool| is_paused(Pausable::Pool(pool)))
}

/// Why a task may wait that nothing holds back.
const WAITING: &[&str] = &[
    "no_agent",
    "no_capable_agent",
    "agents_not_ready",
    "agents_busy",
    "behind",
    "pool_growing",
    "pool_unplaced",
    "pool_degraded",
    "agents_on_standby",
];

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn each_known_task_has_a_cause_that_agrees_with_how_it_stands(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
            for task in state.tasks().chain(state.recently_ended()) {
                let why = state.why(task.spec.id);
                prop_assert!(why.is_some());
                let why = why.unwrap();
                let sentence = why.to_string();
                let rests = |task: &Task| state.is_beyond_quota(&task.spec.workspace);
                prop_assert!(!sentence.is_empty() && !sentence.contains("\n"), "{sentence:?}");
                let expected: &[&str] = match &task.status {
                    TaskStatus::BackingOff { .. } => &["backing_off"],
                    TaskStatus::Scheduled { .. } => &["leased"],
                    TaskStatus::Running { .. } => &["running"],
                    TaskStatus::Kept { .. } => &["kept"],
                    TaskStatus::Parked { .. } => &["held_back"],
                    TaskStatus::Ended(_) => &["ended"],
                    TaskStatus::Waiting { .. } if is_held_back(&state, task) => &["paused"],
                    TaskStatus::Waiting { .. } if rests(task) => &["held_back"],
                    // The breakers of the pools of all who could do it may be open.
                    TaskStatus::Waiting { .. } if state.breakers().any(|breaker| !breaker.admits()) => {
                        &[&["paused", "held_back"], WAITING].concat()
                    }
                    // The pools of all who could do it may be paused, or budgets may give them nothing.
                    TaskStatus::Waiting { .. } if state.pauses().count() > 0 => {
                        &[&["paused", "held_back"], WAITING].concat()
                    }
                    TaskStatus::Waiting { .. } => &[&["held_back"], WAITING].concat(),
                };
                prop_assert!(expected.contains(&why.code()), "{} is {:?}: {}", task.spec.id, task.status, sentence);
                // One who could take it now can take something; and nobody else is announced.
                let someone = state.agents().any(|agent| {
                    let able = agent.spec.capabilities.satisfy(&task.spec.demand);
                    let takes = state.sources_of(&agent.spec).contains(&task.spec.mailbox);
                    able && takes && state.has_work_for(agent.spec.id, None)
                });
                if matches!(task.status, TaskStatus::Waiting { .. }) && !is_held_back(&state, task) && !rests(task) {
                    prop_assert_eq!(why.code() == "behind", someone, "{}: {}", task.spec.id, sentence);
                }
            }
        }
    }
}

/// A world whose only agent is the first.
fn world(demand: &[&str]) -> World {
    let mut world = World::new(Limits::default());
    world.submit(TaskSpec { demand: capabilities(demand), ..spec(1) });
    world
}

fn why(world: &World, number: u128) -> Why {
    world.state.why(task(number)).unwrap()
}

#[track_caller]
fn says(world: &World, number: u128, code: &str, parts: &[&str]) {
    let why = why(world, number);
    let sentence = why.to_string();
    assert_eq!(why.code(), code, "{sentence}");
    for part in parts {
        assert!(sentence.contains(part), "{part:?} is not in {sentence:?}");
    }
}

#[test]
fn a_task_that_nobody_serves_says_so() {
    let mut alone = World::new(Limits::default());
    alone.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
    alone.submit(TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(1) });
    says(&alone, 1, "no_agent", &["pool p", "register one"]);
    assert_eq!(alone.state.why(task(9)), None);
}

#[test]
fn a_task_for_a_pool_that_will_grow_says_to_wait_if_its_agents_could_do_it() {
    let mut world = World::new(Limits::default());
    let native = PoolSpec { min: 1, runtime: RuntimeSpec::Native(name("n")), ..pool_spec("p") };
    world.ask(Command::PutPool { spec: native.into() }).unwrap();
    let to_pool = |number, demand: &[&str]| TaskSpec {
        mailbox: MailboxId::Pool(name("p")),
        demand: capabilities(demand),
        ..spec(number)
    };
    world.submit(to_pool(1, &[]));
    world.submit(to_pool(2, &["rust"]));
    says(&world, 1, "pool_growing", &["pool p", "shall have 1"]);
    says(&world, 2, "no_agent", &[]);
}

#[test]
fn a_task_that_nobody_can_do_names_what_is_missing() {
    let mut world = world(&["rust", "gpu"]);
    let able = |number, offered: &[&str]| AgentSpec {
        capabilities: capabilities(offered),
        ..agent_spec(number, None, Host::External)
    };
    world.ask(register(able(2, &["rust"]))).unwrap();
    says(&world, 1, "no_capable_agent", &["asks for gpu, rust", "none of 2 agents offers gpu;"]);
    world.ask(register(able(3, &["gpu"]))).unwrap();
    assert!(
        matches!(why(&world, 1), Why::NoCapableAgent { missing, looked_at: 3, .. } if missing == Capabilities::default())
    );
    says(&world, 1, "no_capable_agent", &["none of 3 agents offers all of it"]);
}

#[test]
fn a_task_whose_agents_take_no_work_says_what_became_of_them() {
    let mut world = world(&[]);
    world.ask(standing(1, Standing::Failed)).unwrap();
    world.ready_agent(2);
    world.ask(standing(2, Standing::Offline)).unwrap();
    says(
        &world,
        1,
        "agents_not_ready",
        &["none of the 2 agents", "1 offline, 1 failed", "worker-2 is OFFLINE: told"],
    );
    assert!(
        matches!(why(&world, 1), Why::AgentsNotReady { example, .. } if example.status == AgentStatus::Offline)
    );
}

#[test]
fn a_task_behind_others_says_how_many_and_whether_a_slot_is_free() {
    let mut world = world(&[]);
    says(&world, 1, "behind", &["it is next", "1 agent could take it now"]);
    (2..=4).for_each(|number| world.submit(spec(number)));
    world.submit(TaskSpec { lane: Lane::High, ..spec(5) });
    says(&world, 4, "behind", &["at most 3 tasks of the normal lane", "1 task of more urgent lanes"]);
    world.claim(1, 2);
    says(&world, 4, "agents_busy", &["1 agent could do it", "2 tasks before it"]);
}

#[test]
fn paused_work_says_what_is_paused_since_when_and_why() {
    let mut world = world(&[]);
    world.now += 1000;
    let pause = |what| Command::Pause { what, reason: "moving house".into() };
    world.ask(pause(Pausable::Workspace(name("default")))).unwrap();
    says(&world, 1, "paused", &["workspace default", "1970-01-01 00:16:41 UTC", "moving house", "resume it"]);
}

#[test]
fn open_work_whose_only_agents_are_of_a_paused_pool_is_paused() {
    let mut world = world(&[]);
    world.ask(Command::RemoveAgent { agent: agent(1) }).unwrap();
    world.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
    world.ask(register(agent_spec(2, Some("p"), Host::External))).unwrap();
    world.ask(standing(2, Standing::Ready)).unwrap();
    says(&world, 1, "behind", &[]);
    world.ask(Command::Pause { what: Pausable::Pool(name("p")), reason: "".into() }).unwrap();
    says(&world, 1, "paused", &["pool p is paused"]);
    // Somebody else could take it.
    world.ready_agent(3);
    says(&world, 1, "behind", &["1 agent could"]);
}

#[test]
fn a_task_in_hand_says_who_has_it_and_how_far_it_is() {
    let mut world = World::new(Limits::default());
    let timeouts = Timeouts { silence: Some(millis(5000)), ..Timeouts::default() };
    world.submit(TaskSpec { timeouts, ..spec(1) });
    world.ask(Command::Claim { agent: agent(1), max: 1, start: false, offered: None }).unwrap();
    says(&world, 1, "leased", &["attempt 1", "has not begun", "ends at 1970-01-01 00:16:45 UTC"]);
    world.ask(Command::Start { task: task(1), attempt: 1 }).unwrap();
    let progress = Some(Progress { percent: Some(40), message: Some("reading".into()) });
    world.ask(Command::Heartbeat { task: task(1), attempt: 1, progress }).unwrap();
    says(&world, 1, "running", &["works on it", "40 % done", "reading"]);
}

#[test]
fn a_task_that_failed_says_what_comes_next_and_one_that_ended_how() {
    let mut world = world(&[]);
    world.submit(spec(2));
    world.claim(1, 2);
    world.ask(fail(1, 1, true)).unwrap();
    says(&world, 1, "backing_off", &["1 of 3 attempts failed", "attempt 1 broke"]);
    world.pass(60_000);
    world.claim(1, 1);
    world.ask(fail(1, 2, false)).unwrap();
    says(&world, 1, "ended", &["it ended failed", "after 2 attempts", "attempt 2 broke", "redrive it"]);
    world.ask(complete(2, 1)).unwrap();
    says(&world, 2, "ended", &["it ended completed", "after 1 attempt"]);
    let ended = world.state.task(task(2)).unwrap().clone();
    assert_eq!(Why::of_ended(&ended), world.state.why(task(2)));
    assert_eq!(ended.phase(), Phase::Completed);
}
