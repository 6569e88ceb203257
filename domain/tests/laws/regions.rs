//! Tasks for other regions: the part of random histories that is about them, their laws, and examples.

use std::sync::Arc;

use proptest::prelude::*;
use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::region::{FALLBACKS_MAX, Outcome, PASSAGE_LIFE, Pointer, Route, Routing, outcome};
use synod_domain::reply::{Answer, Reply};
use synod_domain::state::State;
use synod_domain::task::{Lane, MailboxId, Phase, TaskSpec};

use super::histories::{Draw, config, histories};
use super::strict;
use super::world::{World, at, claim, complete, millis, name, pool_spec, run, spec, submit, task};

const HERE: &str = "us";

fn route(region: &str, fallbacks: &[&str]) -> Route {
    let fallbacks = fallbacks.iter().map(|text| name(text)).collect();
    Route { region: name(region), fallbacks, routing: Routing::Preferred }
}

/// Draws a command about what is kept or comes from elsewhere; `spec` is that of a submit.
pub(super) fn command(state: &State, draw: &mut Draw, spec: &Arc<TaskSpec>) -> Command {
    let kept: Vec<TaskId> = state.kept_tasks().map(|task| task.spec.id).collect();
    let id = if kept.is_empty() || draw.one_in(12) { spec.id } else { draw.pick(&kept) };
    let offered = state.task(id).and_then(|task| task.forwarding()?.offered.clone());
    let any = name(draw.pick(&["eu", "asia", HERE, "moon"]));
    let region = offered.filter(|_| !draw.one_in(6)).unwrap_or(any);
    // Few, so that many are offered again.
    let theirs = task(1_000_000 + u128::from(draw.below(6)));
    match draw.below(16) {
        0..4 => keep(draw, spec),
        4..6 => Command::OfferToRegion { task: id, region },
        6 => Command::ForwardedTo { task: id, region, known_as: id },
        7..9 => Command::RegionRefused { task: id, region, why: "no such pool".into() },
        9 => Command::TakeHere { task: id, here: name(HERE) },
        10 => Command::Cancel { task: id, reason: "enough".into() },
        11 => Command::RefuseOffered { task: theirs, from: region, why: "no such pool".into() },
        12 => {
            let spec = TaskSpec { id: theirs, idempotency_key: None, ..TaskSpec::clone(spec) };
            Command::TakeOffered { spec: spec.into(), from: region }
        }
        13 => Command::TakeOffered { spec: spec.clone(), from: region },
        _ => strict::command(state, draw, spec),
    }
}

fn keep(draw: &mut Draw, spec: &Arc<TaskSpec>) -> Command {
    let mut spec = TaskSpec::clone(spec);
    if !draw.one_in(10) {
        spec.run = None;
    }
    let fallbacks = draw.pick::<&[&str]>(&[&[], &["asia"], &[HERE], &["asia", HERE]]);
    let routing = if draw.one_in(12) { Routing::Strict } else { Routing::Preferred };
    Command::KeepForRegion { spec: spec.into(), route: Route { routing, ..route("eu", fallbacks) } }
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn task_is_kept_or_an_ordinary_one_or_a_pointer_and_never_two(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
            let listed: Vec<TaskId> = state.kept_tasks().map(|task| task.spec.id).collect();
            let kept: Vec<TaskId> =
                state.tasks().filter(|task| task.forwarding().is_some()).map(|task| task.spec.id).collect();
            prop_assert_eq!(listed, kept);
            for (id, pointer) in state.pointers_below(None) {
                prop_assert!(state.task(id).is_none(), "{id} is in {} and here", pointer.region);
                prop_assert!(state.dead_letters().all(|dead| dead.spec.id != id));
            }
            // That it stands in no mailbox is a law of all tasks.
            prop_assert!(state.kept_tasks().all(|task| task.attempt == 0 && task.mailbox_here().is_none()));
        }
    }

    #[test]
    fn what_was_offered_is_moved_by_the_answer_of_that_region_alone(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            let offered: Vec<(TaskId, Name)> = state
                .kept_tasks()
                .filter_map(|task| Some((task.spec.id, task.forwarding()?.offered.clone()?)))
                .collect();
            state.apply(entry);
            for (id, region) in offered {
                let answered = entry.commands.iter().any(|request| match &request.command {
                    Command::ForwardedTo { task, region: by, .. } | Command::RegionRefused { task, region: by, .. } => {
                        *task == id && *by == region
                    }
                    Command::LoseRegion { region: lost, .. } => *lost == region,
                    _ => false,
                });
                let still = state.task(id).and_then(|task| task.forwarding()?.offered.clone());
                prop_assert!(answered || still == Some(region), "{id} moved by itself");
            }
        }
    }
}

fn kept(spec: TaskSpec, fallbacks: &[&str]) -> Command {
    Command::KeepForRegion { spec: spec.into(), route: route("eu", fallbacks) }
}

fn offer(number: u128, region: &str) -> Command {
    Command::OfferToRegion { task: task(number), region: name(region) }
}

fn forwarded(number: u128, region: &str) -> Command {
    Command::ForwardedTo { task: task(number), region: name(region), known_as: task(number) }
}

fn refused(number: u128, region: &str) -> Command {
    Command::RegionRefused { task: task(number), region: name(region), why: "no such pool".into() }
}

fn cancel(number: u128) -> Command {
    Command::Cancel { task: task(number), reason: "enough".into() }
}

fn submitted(number: u128, duplicate: bool) -> Answer {
    Ok(Reply::Submitted { task: task(number), duplicate })
}

/// A world that keeps task 1 for eu, which asia may have instead.
fn world() -> World {
    let mut world = World::new(Limits::default());
    world.ask(kept(spec(1), &["asia"])).unwrap();
    world
}

#[test]
fn kept_task_is_given_to_nobody_here_and_leaves_a_pointer_when_its_region_has_it() {
    let mut world = world();
    assert_eq!((world.phase(1), world.claim(1, 9)), (Phase::Pending, vec![]));
    assert_eq!(world.state.why(task(1)).unwrap().code(), "kept");
    world.ask(offer(1, "eu")).unwrap();
    world.ask(forwarded(1, "eu")).unwrap();
    assert_eq!(world.state.unfinished(), 0);
    let pointer =
        Pointer { region: name("eu"), known_as: task(1), workspace: Name::default(), at: at(world.now) };
    assert_eq!(world.state.pointer(task(1)), Some(&pointer));
    assert_eq!(world.ask(forwarded(1, "eu")), Ok(Reply::Done), "told twice");
    let elsewhere = Err(Refusal::TaskElsewhere { task: task(1), region: name("eu") });
    assert_eq!(world.ask(cancel(1)), elsewhere);
    assert_eq!(world.ask(submit(spec(1))), Err(Refusal::TaskExists(task(1))));
    let restored = State::restore(world.state.rows().into_iter().map(|(_, row)| row)).unwrap();
    assert_eq!(restored.pointer(task(1)), Some(&pointer));
}

#[test]
fn pointer_is_forgotten_after_its_life() {
    let mut world = world();
    world.ask(offer(1, "eu")).unwrap();
    world.ask(forwarded(1, "eu")).unwrap();
    world.pass(PASSAGE_LIFE.as_millis() as u64);
    assert!(world.state.pointer(task(1)).is_some());
    world.pass(1);
    assert!(world.state.pointer(task(1)).is_none());
    assert_eq!(world.ask(cancel(1)), Err(Refusal::TaskUnknown(task(1))));
}

#[test]
fn the_same_key_is_the_same_task_whether_it_is_kept_here_or_gone_to_a_region() {
    let keyed = |number| TaskSpec { idempotency_key: Some("key".into()), ..spec(number) };
    let mut world = World::new(Limits { idempotency: millis(1000), ..Limits::default() });
    world.ask(kept(keyed(1), &[])).unwrap();
    assert_eq!(world.ask(kept(keyed(2), &[])), submitted(1, true));
    assert_eq!(world.ask(submit(keyed(3))), submitted(1, true));
    world.ask(offer(1, "eu")).unwrap();
    world.ask(forwarded(1, "eu")).unwrap();
    assert_eq!(world.ask(kept(keyed(4), &[])), submitted(1, true));
    assert_eq!(world.ask(submit(keyed(5))), submitted(1, true));
    let other = TaskSpec { lane: Lane::High, ..keyed(6) };
    assert_eq!(world.ask(kept(other, &[])), Err(Refusal::IdempotencyConflict { task: task(1) }));
    world.pass(1001);
    assert_eq!(world.ask(kept(keyed(7), &[])), submitted(7, false));
}

#[test]
fn task_that_was_not_offered_can_be_cancelled_and_runs_out_of_time() {
    let mut world = world();
    assert_eq!(world.ask(cancel(1)), Ok(Reply::Ended { phase: Phase::Cancelled }));
    assert_eq!(world.ask(offer(1, "eu")).unwrap_err().code(), "already_ended");
    world.ask(kept(TaskSpec { deadline: Some(at(world.now + 500)), ..spec(2) }, &[])).unwrap();
    let mut waiting = spec(3);
    waiting.timeouts.waiting = Some(millis(700));
    world.ask(kept(waiting, &[])).unwrap();
    assert_eq!(world.state.next_due(), Some(at(world.now + 500)));
    world.pass(700);
    assert_eq!((world.phase(2), world.phase(3)), (Phase::TimedOut, Phase::TimedOut));
}

#[test]
fn nobody_but_its_region_ends_a_task_that_was_offered() {
    let mut world = World::new(Limits::default());
    world.ask(kept(TaskSpec { deadline: Some(at(world.now + 500)), ..spec(1) }, &["asia"])).unwrap();
    world.ask(offer(1, "eu")).unwrap();
    let elsewhere = Err(Refusal::TaskElsewhere { task: task(1), region: name("eu") });
    assert_eq!(world.ask(cancel(1)), elsewhere);
    assert_eq!(world.ask(Command::SetLane { task: task(1), lane: Lane::High }), elsewhere);
    assert_eq!(world.ask(offer(1, "asia")).unwrap_err().code(), "task_not_kept");
    assert_eq!(world.state.next_due(), None);
    world.pass(10_000);
    assert_eq!(world.phase(1), Phase::Pending);
    assert_eq!(world.ask(refused(1, "asia")).unwrap_err().code(), "task_not_kept");
    world.ask(refused(1, "eu")).unwrap();
    // It is only here again, and its time has passed.
    assert_eq!(world.phase(1), Phase::TimedOut);
}

#[test]
fn task_that_every_region_refused_is_a_dead_letter_and_is_redriven_along_its_route() {
    let mut world = world();
    for region in ["eu", "asia"] {
        world.ask(offer(1, region)).unwrap();
        world.ask(refused(1, region)).unwrap();
    }
    let reason = "every region of its route refused it: asia: no such pool; eu: no such pool";
    assert_eq!((world.phase(1), world.reason(1).as_str()), (Phase::Failed, reason));
    world.ask(Command::Redrive { task: task(1), new_task: task(2) }).unwrap();
    assert_eq!(world.task(2).forwarding().unwrap().route, route("eu", &["asia"]));
    assert_eq!(world.claim(1, 9), vec![]);
    assert_eq!(world.state.route_of(task(1)), None);
}

#[test]
fn task_that_may_be_here_becomes_an_ordinary_one() {
    let mut world = World::new(Limits::default());
    world.ask(kept(spec(1), &[HERE])).unwrap();
    let take = |number| Command::TakeHere { task: task(number), here: name(HERE) };
    world.ask(take(1)).unwrap();
    assert_eq!(world.claim(1, 9), vec![(task(1), 1)]);
    world.ask(kept(spec(2), &["asia"])).unwrap();
    assert_eq!(world.ask(take(2)).unwrap_err().code(), "task_not_kept", "it is not on the route");
    // What would be refused as a submit here is not taken either.
    let nowhere = TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(3) };
    world.ask(kept(nowhere, &[HERE])).unwrap();
    world.ask(take(3)).unwrap();
    let refused = &world.task(3).forwarding().unwrap().refused;
    assert_eq!(refused.get(&name(HERE)).map(|why| &**why), Some("there is no pool p"));
}

#[test]
fn task_kept_for_a_pool_of_another_region_does_not_hold_up_the_pool_of_that_name_here() {
    let mut world = World::new(Limits::default());
    world.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
    world.ask(kept(TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(1) }, &[])).unwrap();
    assert_eq!(world.ask(Command::RemovePool { pool: name("p") }), Ok(Reply::Done));
    assert_eq!(world.phase(1), Phase::Pending);
}

#[test]
fn kept_tasks_count_against_the_limits_of_all_others() {
    let mut world = World::new(Limits { node_depth_max: 1, ..Limits::default() });
    world.ask(kept(spec(1), &[])).unwrap();
    let full = Err(Refusal::Full { bound: Bound::Node, limit: 1 });
    assert_eq!(world.ask(kept(spec(2), &[])), full);
    assert_eq!(world.ask(submit(spec(3))), full);
    world.ask(offer(1, "eu")).unwrap();
    world.ask(forwarded(1, "eu")).unwrap();
    world.ask(kept(spec(2), &[])).unwrap();
}

#[test]
fn what_cannot_be_kept_is_refused_by_the_name_of_its_field() {
    let mut world = World::new(Limits::default());
    let mut field =
        |spec: TaskSpec, route: Route| match world.ask(Command::KeepForRegion { spec: spec.into(), route }) {
            Err(Refusal::Invalid { field, .. }) => field,
            other => format!("{other:?}"),
        };
    assert_eq!(field(spec(1), Route { routing: Routing::Strict, ..route("eu", &[]) }), "routing");
    assert_eq!(field(spec(1), route("eu", &["x"; FALLBACKS_MAX + 1])), "fallback_regions");
    assert_eq!(field(TaskSpec { run: Some(run(1)), ..spec(1) }, route("eu", &[])), "region");
}

#[test]
fn offered_task_is_taken_once_even_when_it_is_offered_again_long_after_its_end() {
    let mut world = World::new(Limits::default());
    let offered = |number| Command::TakeOffered { spec: spec(number).into(), from: name("us") };
    assert_eq!(world.ask(offered(1)), submitted(1, false));
    world.claim(1, 1);
    world.ask(complete(1, 1)).unwrap();
    world.state.take_changes();
    world.state.changes_stored();
    // More has ended since than endings are remembered.
    for number in 2..66_100 {
        world.submit(spec(number));
        world.ask(cancel(number)).unwrap();
    }
    assert_eq!(world.ask(submit(spec(2))), submitted(2, false), "an ordinary one is forgotten");
    assert_eq!(world.ask(offered(1)), submitted(1, true));
    assert_eq!(world.ask(claim(1, 9)).map(|reply| super::world::Claimed::claimed(&reply).len()), Ok(1));
}

#[test]
fn offered_task_whose_key_came_before_is_the_task_that_has_the_key() {
    let keyed = |number| TaskSpec { idempotency_key: Some("key".into()), ..spec(number) };
    let mut world = World::new(Limits::default());
    world.submit(keyed(1));
    let offered = Command::TakeOffered { spec: keyed(2).into(), from: name("us") };
    assert_eq!(world.ask(offered.clone()), submitted(1, true));
    assert_eq!(world.ask(offered), submitted(1, true));
    assert_eq!(world.state.unfinished(), 1);
}

/// Says the answers of two regions to each other's offers to whoever offered.
fn settle(source: &mut World, target: &mut World, number: u128, [from, to]: [&str; 2]) {
    let spec = source.state.task(task(number)).map(|task| task.spec.clone()).unwrap();
    let answer = target.ask(Command::TakeOffered { spec, from: name(from) });
    match outcome(task(number), &answer) {
        Outcome::Taken { known_as } => {
            let told = Command::ForwardedTo { task: task(number), region: name(to), known_as };
            source.ask(told).unwrap();
        }
        Outcome::Later => {}
        Outcome::Refused(why) => panic!("{why}"),
    }
}

#[test]
fn one_request_that_two_regions_keep_for_each_other_is_one_task_in_the_end() {
    for first_asks_first in [true, false] {
        let [mut us, mut eu] = [HERE, "eu"].map(|_| World::new(Limits::default()));
        let keyed = |number| TaskSpec { idempotency_key: Some("k".into()), ..spec(number) };
        us.ask(Command::KeepForRegion { spec: keyed(1).into(), route: route("eu", &[]) }).unwrap();
        eu.ask(Command::KeepForRegion { spec: keyed(2).into(), route: route(HERE, &[]) }).unwrap();
        us.ask(offer(1, "eu")).unwrap();
        eu.ask(offer(2, HERE)).unwrap();
        for round in [first_asks_first, !first_asks_first, first_asks_first] {
            if round && us.state.task(task(1)).is_some() {
                settle(&mut us, &mut eu, 1, [HERE, "eu"]);
            } else if eu.state.task(task(2)).is_some() {
                settle(&mut eu, &mut us, 2, ["eu", HERE]);
            }
        }
        let ordinary = |world: &World| world.state.tasks().filter(|task| task.forwarding().is_none()).count();
        assert_eq!((ordinary(&us), ordinary(&eu)), (1, 0));
        assert!(us.state.kept_tasks().chain(eu.state.kept_tasks()).next().is_none());
    }
}
