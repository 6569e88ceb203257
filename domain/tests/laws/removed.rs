//! Regions that are removed, and the tasks that were to go there.

use synod_domain::command::Command;
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;
use synod_domain::region::{Route, Routing};
use synod_domain::reply::Reply;
use synod_domain::task::{Phase, TaskSpec};

use super::world::{World, at, name, spec, task};

fn keep(spec: TaskSpec, fallbacks: &[&str]) -> Command {
    let fallbacks = fallbacks.iter().map(|text| name(text)).collect();
    let route = Route { region: name("eu"), fallbacks, routing: Routing::Preferred };
    Command::KeepForRegion { spec: spec.into(), route }
}

fn offer(number: u128, region: &str) -> Command {
    Command::OfferToRegion { task: task(number), region: name(region) }
}

fn remove() -> Command {
    Command::RemoveRegion { region: name("eu"), reason: "we part".into() }
}

fn lose() -> Command {
    Command::LoseRegion { region: name("eu"), reason: "its hall burnt".into() }
}

fn offered_to(world: &World, number: u128) -> Option<Name> {
    world.task(number).forwarding().unwrap().offered.clone()
}

/// A world in which eu and asia are known.
fn world() -> World {
    let mut world = World::new(Limits::default());
    for region in ["eu", "asia"] {
        let cluster = format!("cluster-of-{region}").into();
        world.ask(Command::SeeRegion { region: name(region), cluster }).unwrap();
    }
    world
}

#[test]
fn task_that_was_offered_to_a_removed_region_waits_and_says_how_to_decide() {
    let mut world = world();
    world.ask(keep(spec(1), &["asia"])).unwrap();
    world.ask(offer(1, "eu")).unwrap();
    world.ask(remove()).unwrap();
    assert_eq!(offered_to(&world, 1), Some(name("eu")));
    assert_eq!(world.ask(offer(1, "asia")).unwrap_err().code(), "task_not_kept");
    let why = world.state.why(task(1)).unwrap().to_string();
    assert!(
        why.contains("may have done it") && why.contains("synod cluster regions remove eu --lost"),
        "{why}"
    );
    // What it said before it was removed counts.
    let taken = Command::ForwardedTo { task: task(1), region: name("eu"), known_as: task(1) };
    assert_eq!(world.ask(taken), Ok(Reply::Done));
}

#[test]
fn region_that_is_declared_lost_gives_its_tasks_to_the_rest_of_their_routes() {
    for removed_before in [true, false] {
        let mut world = world();
        world.ask(keep(spec(1), &["asia"])).unwrap();
        world.ask(keep(spec(2), &[])).unwrap();
        let soon = Some(at(world.now + 100));
        world.ask(keep(TaskSpec { deadline: soon, ..spec(3) }, &["asia"])).unwrap();
        for number in 1..=3 {
            world.ask(offer(number, "eu")).unwrap();
        }
        world.pass(200);
        if removed_before {
            world.ask(remove()).unwrap();
        }
        world.ask(lose()).unwrap();
        assert!(world.state.federation().is_removed(&name("eu")));
        world.ask(offer(1, "asia")).unwrap();
        assert_eq!((world.phase(2), world.phase(3)), (Phase::Failed, Phase::TimedOut));
        let reason = world.reason(2);
        assert!(reason.contains("may have done it: its hall burnt"), "{reason}");
        // Its answer comes too late to count.
        let taken = Command::ForwardedTo { task: task(1), region: name("eu"), known_as: task(1) };
        assert_eq!(world.ask(taken).unwrap_err().code(), "task_not_kept");
        assert_eq!(world.ask(lose()), Ok(Reply::Done));
        assert_eq!(offered_to(&world, 1), Some(name("asia")));
    }
}

#[test]
fn task_that_was_not_offered_to_a_removed_region_goes_on_without_it() {
    let mut world = world();
    world.ask(keep(spec(1), &["asia"])).unwrap();
    world.ask(keep(spec(2), &[])).unwrap();
    world.ask(remove()).unwrap();
    assert_eq!(world.ask(offer(1, "eu")).unwrap_err().code(), "task_not_kept");
    world.ask(offer(1, "asia")).unwrap();
    let reason = "every region of its route refused it: eu: it was removed";
    assert_eq!((world.phase(2), world.reason(2).as_str()), (Phase::Failed, reason));
    // Nothing is kept for it from here on.
    assert_eq!(world.ask(keep(spec(3), &[])), Err(Refusal::RegionNotKnown(name("eu"))));
    world.ask(keep(spec(4), &["asia"])).unwrap();
    assert_eq!(world.ask(offer(4, "eu")).unwrap_err().code(), "task_not_kept");
    let redrive = Command::Redrive { task: task(2), new_task: task(5) };
    world.ask(redrive).unwrap();
    assert_eq!(
        world.phase(5),
        Phase::Pending,
        "whoever redrives it where all its regions are gone wants it here"
    );
    assert_eq!(
        world.ask(Command::LoseRegion { region: name("moon"), reason: "".into() }).unwrap_err().code(),
        "region_unknown"
    );
}
