//! Laws of resources, and examples.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use synod_domain::agent::{AgentSpec, Host, Standing};
use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::parking::ParkedOn;
use synod_domain::pause::Pausable;
use synod_domain::refusal::Refusal;
use synod_domain::resource::{RESOURCES_OF_TASK_MAX, ResourceCommand};
use synod_domain::state::State;
use synod_domain::task::{Lane, MailboxId, Phase, TaskSpec};
use synod_domain::terms::Terms;

use super::histories::{Draw, config, histories, one_by_one};
use super::world::{World, agent_spec, complete, fail, millis, name, node, register, spec, standing, task};

pub(super) fn put(resource: &str, capacity: u64) -> Command {
    let about = "for tests".into();
    Command::Resource(ResourceCommand::Put { name: name(resource), capacity, about })
}

fn terms(needs: &[(&str, u64)]) -> Terms {
    let resources = needs.iter().map(|(resource, amount)| (name(resource), *amount)).collect();
    Terms { resources, ..Terms::default() }
}

fn with(spec: TaskSpec, terms: Terms) -> Command {
    Command::SubmitWith { spec: Arc::new(spec), terms: Arc::new(terms) }
}

/// Something about two resources, mostly a task that needs some of them.
pub(super) fn command(draw: &mut Draw, spec: &TaskSpec) -> Command {
    let resource = draw.pick(&["gpu", "web"]);
    match draw.below(12) {
        0 => put(resource, draw.below(5)),
        1 => Command::Resource(ResourceCommand::Remove { name: name(draw.pick(&["gpu", "web", "moon"])) }),
        _ => {
            let mut terms = terms(&[(resource, 1 + draw.below(3))]);
            if draw.one_in(2) {
                terms.resources.insert(name("web"), 1 + draw.below(2));
            }
            terms.resources_within = draw.one_in(3).then(|| millis(1 + draw.below(1500)));
            with(spec.clone(), terms)
        }
    }
}

/// What leased tasks need, by resource.
fn leased(state: &State) -> BTreeMap<Name, u64> {
    let mut all = BTreeMap::new();
    for task in state.tasks().filter(|task| task.lease().is_some()) {
        let Some(terms) = state.terms(task.spec.id) else { continue };
        for (name, amount) in &terms.resources {
            *all.entry(name.clone()).or_default() += amount;
        }
    }
    all
}

fn held(state: &State, name: &Name) -> u64 {
    state.resource_holders(name).map(|(_, amount)| amount).sum()
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn a_resource_is_never_over_its_capacity_and_always_returned(history in histories()) {
        let mut state = State::default();
        let names = ["gpu", "web"].map(name);
        for entry in &one_by_one(&history) {
            let before = names.each_ref().map(|name| held(&state, name));
            state.apply(entry);
            let leased = leased(&state);
            for (name, before) in names.iter().zip(before) {
                let now = held(&state, name);
                prop_assert_eq!(now, leased.get(name).copied().unwrap_or(0), "what is held is what leases need");
                let capacity = state.resource(name).map_or(0, |resource| resource.capacity);
                prop_assert!(now <= capacity || now <= before, "{} of {} {}", now, capacity, name);
            }
        }
    }

    #[test]
    fn nobody_is_held_back_by_a_resource_that_is_there_for_it(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            state.apply(entry);
            let parked = state.tasks().filter_map(|task| Some((task.spec.id, task.parking()?)));
            for (task, parking) in parked {
                let ParkedOn::Resource(on) = &parking.on else { continue };
                let in_line = state.resource_line(on).any(|(waiting, _)| waiting == task);
                prop_assert!(in_line, "{} has no turn for {}", task, on);
                // A paused one is not woken; nothing is set aside for it.
                let paused = state.why(task).is_some_and(|why| why.code() == "paused");
                let workspace = &state.task(task).unwrap().spec.workspace;
                if paused || state.is_beyond_quota(workspace) || state.pauses().next().is_some() {
                    continue;
                }
                prop_assert!(state.lacks_resource(task).is_some(), "{} waits beside what it needs of {}", task, on);
            }
            for (task, parking) in state.tasks().filter_map(|task| Some((task.spec.id, task.parking()?))) {
                let ends = state.terms(task).and_then(|terms| terms.resources_within);
                if let (ParkedOn::Resource(_), Some(within)) = (&parking.on, ends) {
                    prop_assert!(state.now() < parking.at.after(within), "{} has waited too long", task);
                }
            }
        }
    }
}

/// A world with so many GPUs and one browser, and an agent of many hands.
fn world(gpus: u64) -> World {
    let mut world = World::empty(Limits::default());
    let hands = AgentSpec { concurrency: 50, ..agent_spec(1, None, Host::Node(node(1))) };
    world.ask(register(hands)).unwrap();
    world.ask(standing(1, Standing::Ready)).unwrap();
    world.ask(put("gpu", gpus)).unwrap();
    world.ask(put("browser", 1)).unwrap();
    world
}

fn needs(world: &mut World, number: u128, needs: &[(&str, u64)]) {
    world.ask(with(spec(number), terms(needs))).unwrap();
}

fn claimed(world: &mut World) -> Vec<TaskId> {
    world.claim(1, 50).into_iter().map(|(task, _)| task).collect()
}

#[test]
fn a_task_gets_all_that_it_needs_at_once_and_gives_it_back_however_it_ends() {
    let mut world = world(4);
    needs(&mut world, 1, &[("gpu", 3), ("browser", 1)]);
    needs(&mut world, 2, &[("gpu", 2)]);
    needs(&mut world, 3, &[("browser", 1)]);
    assert_eq!(claimed(&mut world), [task(1)]);
    let why = world.state.why(task(2)).unwrap();
    assert_eq!(why.code(), "held_back");
    assert!(
        why.to_string().contains("it needs 2 of 4, of which 3 are in use, and 0 tasks come before it"),
        "{why}"
    );
    assert_eq!(world.state.resource_line(&name("browser")).collect::<Vec<_>>(), [(task(3), 1)]);
    world.ask(fail(1, 1, true)).unwrap();
    assert_eq!(claimed(&mut world), [task(2), task(3)], "it failed, and what it had is there");
    world.ask(Command::Cancel { task: task(2), reason: "enough".into() }).unwrap();
    world.ask(complete(3, 1)).unwrap();
    assert_eq!((held(&world.state, &name("gpu")), held(&world.state, &name("browser"))), (0, 0));
    world.pass(5_000);
    assert_eq!(claimed(&mut world), [task(1)], "its next attempt needs all of it again");
    world.ask(standing(1, Standing::Offline)).unwrap();
    assert_eq!(held(&world.state, &name("gpu")), 0, "what a lost agent had comes back");
}

#[test]
fn small_needs_do_not_pass_a_large_one_that_came_first() {
    let mut world = world(4);
    needs(&mut world, 1, &[("gpu", 2)]);
    needs(&mut world, 2, &[("gpu", 2)]);
    assert_eq!(claimed(&mut world), [task(1), task(2)]);
    needs(&mut world, 3, &[("gpu", 4)]);
    assert!(claimed(&mut world).is_empty());
    world.ask(complete(1, 1)).unwrap();
    for number in 4..8 {
        needs(&mut world, number, &[("gpu", 1)]);
    }
    assert!(claimed(&mut world).is_empty(), "two are free, and set aside");
    world.ask(complete(2, 1)).unwrap();
    assert_eq!(claimed(&mut world), [task(3)]);
    world.ask(complete(3, 1)).unwrap();
    assert_eq!(claimed(&mut world).len(), 4);
}

#[test]
fn an_urgent_task_has_its_turn_first_and_nobody_is_passed_for_ever() {
    let mut world = world(1);
    needs(&mut world, 1, &[("gpu", 1)]);
    claimed(&mut world);
    let low = TaskSpec { lane: Lane::Low, ..spec(2) };
    world.ask(with(low, terms(&[("gpu", 1)]))).unwrap();
    claimed(&mut world);
    let urgent = TaskSpec { lane: Lane::Critical, ..spec(3) };
    world.ask(with(urgent, terms(&[("gpu", 1)]))).unwrap();
    claimed(&mut world);
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(claimed(&mut world), [task(3)]);
    // Three times the ageing later a fresh urgent one comes after it.
    world.pass(901_000);
    let urgent = TaskSpec { lane: Lane::Critical, ..spec(4) };
    world.ask(with(urgent, terms(&[("gpu", 1)]))).unwrap();
    assert!(claimed(&mut world).is_empty());
    world.ask(complete(3, 1)).unwrap();
    assert_eq!(claimed(&mut world), [task(2)]);
}

#[test]
fn a_task_that_waits_too_long_for_its_resources_times_out_and_lets_others_go() {
    let mut world = world(2);
    needs(&mut world, 1, &[("gpu", 1)]);
    claimed(&mut world);
    let within = Terms { resources_within: Some(millis(500)), ..terms(&[("gpu", 2)]) };
    world.ask(with(spec(2), within)).unwrap();
    world.pass(400);
    assert!(claimed(&mut world).is_empty());
    needs(&mut world, 3, &[("gpu", 1)]);
    assert!(claimed(&mut world).is_empty(), "one is set aside");
    world.pass(499);
    assert_eq!(world.phase(2), Phase::Pending, "its wait began when it first lacked something");
    world.pass(1);
    assert_eq!(world.phase(2), Phase::TimedOut);
    assert!(world.reason(2).contains("not all there within 500ms"), "{}", world.reason(2));
    assert_eq!(claimed(&mut world), [task(3)]);
}

#[test]
fn what_came_back_while_a_task_was_paused_is_its_when_it_goes_on() {
    let mut world = world(1);
    needs(&mut world, 1, &[("gpu", 1)]);
    needs(&mut world, 2, &[("gpu", 1)]);
    assert_eq!(claimed(&mut world), [task(1)]);
    let what = Pausable::Workspace(Name::default());
    world.ask(Command::Pause { what: what.clone(), reason: "so".into() }).unwrap();
    world.ask(complete(1, 1)).unwrap();
    assert!(claimed(&mut world).is_empty());
    world.ask(Command::Resume { what }).unwrap();
    assert_eq!(claimed(&mut world), [task(2)], "nothing else will wake it");
}

#[test]
fn what_is_paused_has_nothing_set_aside_and_keeps_its_turn() {
    let mut world = world(1);
    needs(&mut world, 1, &[("gpu", 1)]);
    claimed(&mut world);
    let theirs = TaskSpec { workspace: name("theirs"), ..spec(2) };
    world.ask(with(theirs, terms(&[("gpu", 1)]))).unwrap();
    needs(&mut world, 3, &[("gpu", 1)]);
    assert!(claimed(&mut world).is_empty());
    let what = Pausable::Workspace(name("theirs"));
    world.ask(Command::Pause { what: what.clone(), reason: "moving".into() }).unwrap();
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(claimed(&mut world), [task(3)]);
    world.ask(Command::Resume { what }).unwrap();
    needs(&mut world, 4, &[("gpu", 1)]);
    assert!(claimed(&mut world).is_empty());
    world.ask(complete(3, 1)).unwrap();
    assert_eq!(claimed(&mut world), [task(2)]);
}

#[test]
fn what_came_free_during_a_pause_is_there_when_it_ends() {
    let mut world = world(1);
    needs(&mut world, 1, &[("gpu", 1)]);
    claimed(&mut world);
    needs(&mut world, 2, &[("gpu", 1)]);
    assert!(claimed(&mut world).is_empty());
    for what in [Pausable::Workspace(Name::default()), Pausable::Mailbox(MailboxId::Open)] {
        world.ask(Command::Pause { what, reason: "moving".into() }).unwrap();
    }
    world.ask(complete(1, 1)).unwrap();
    for what in [Pausable::Mailbox(MailboxId::Open), Pausable::Workspace(Name::default())] {
        assert!(claimed(&mut world).is_empty());
        world.ask(Command::Resume { what }).unwrap();
    }
    assert_eq!(claimed(&mut world), [task(2)]);
}

#[test]
fn capacities_change_and_a_need_that_cannot_be_met_stands_in_nobody_s_way() {
    let mut world = world(4);
    needs(&mut world, 1, &[("gpu", 2)]);
    claimed(&mut world);
    needs(&mut world, 2, &[("gpu", 4)]);
    needs(&mut world, 3, &[("gpu", 1)]);
    assert!(claimed(&mut world).is_empty());
    world.ask(put("gpu", 3)).unwrap();
    assert_eq!(claimed(&mut world), [task(3)], "four will never be there");
    let why = world.state.why(task(2)).unwrap().to_string();
    assert!(why.contains("it needs 4 and there are 3; raise that"), "{why}");
    world.ask(put("gpu", 1)).unwrap();
    assert_eq!(held(&world.state, &name("gpu")), 3, "what tasks have stays theirs");
    world.ask(put("gpu", 7)).unwrap();
    assert_eq!(claimed(&mut world), [task(2)]);
}

#[test]
fn what_could_never_be_granted_is_refused_and_a_resource_in_use_is_not_removed() {
    let mut world = world(2);
    let mut ask = |needs: &[(&str, u64)]| world.ask(with(spec(1), terms(needs))).unwrap_err();
    assert_eq!(ask(&[("moon", 1)]), Refusal::ResourceUnknown(name("moon")));
    assert!(ask(&[("gpu", 3)]).to_string().contains("it asks for 3 of gpu, and there are 2"));
    assert!(ask(&[("gpu", 0)]).to_string().contains("asks for nothing"));
    let many: Vec<String> = (0..=RESOURCES_OF_TASK_MAX).map(|number| format!("r{number}")).collect();
    let many: Vec<(&str, u64)> = many.iter().map(|name| (name.as_str(), 1)).collect();
    assert!(matches!(ask(&many), Refusal::Invalid { .. }));
    assert!(world.state.terms(task(1)).is_none());

    needs(&mut world, 2, &[("gpu", 2)]);
    needs(&mut world, 3, &[("gpu", 1)]);
    claimed(&mut world);
    let remove = || Command::Resource(ResourceCommand::Remove { name: name("gpu") });
    let in_use = Refusal::ResourceInUse { resource: name("gpu"), held: 2, waiting: 1 };
    assert_eq!(world.ask(remove()), Err(in_use));
    for number in [2, 3] {
        world.ask(Command::Cancel { task: task(number), reason: "enough".into() }).unwrap();
    }
    world.ask(remove()).unwrap();
    assert!(world.state.resource(&name("gpu")).is_none());
    assert_eq!(world.ask(remove()), Err(Refusal::ResourceUnknown(name("gpu"))));
    let long = ResourceCommand::Put { name: name("x"), capacity: 1, about: "x".repeat(300).as_str().into() };
    assert!(matches!(world.ask(Command::Resource(long)), Err(Refusal::Invalid { .. })));
}

#[test]
fn two_tasks_that_need_the_same_two_things_never_hold_one_each() {
    let mut world = world(1);
    for number in 1..40 {
        // In either order of asking: the names are looked at in one.
        needs(
            &mut world,
            number,
            if number % 2 == 0 { &[("gpu", 1), ("browser", 1)] } else { &[("browser", 1), ("gpu", 1)] },
        );
    }
    let mut done = 0;
    while let [one] = claimed(&mut world)[..] {
        assert_eq!((held(&world.state, &name("gpu")), held(&world.state, &name("browser"))), (1, 1));
        world.ask(complete(one.raw(), 1)).unwrap();
        done += 1;
    }
    assert_eq!(done, 39);
}
