//! Tasks that other regions offer: whatever comes when, a region is told one thing of each.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::limits::Limits;
use synod_domain::refusal::Refusal;
use synod_domain::region::{Outcome, PASSAGE_LIFE, outcome};
use synod_domain::reply::{Answer, Reply};
use synod_domain::state::State;
use synod_domain::task::{MailboxId, TaskSpec};

use super::histories::config;
use super::world::{World, complete, name, pool_spec, spec, task};

/// A task for a pool that may be missing.
fn for_pool(number: u128) -> TaskSpec {
    TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(number) }
}

fn offered(number: u128) -> Command {
    Command::TakeOffered { spec: for_pool(number).into(), from: name("us") }
}

fn refuse(number: u128, why: &str) -> Command {
    Command::RefuseOffered { task: task(number), from: name("us"), why: why.into() }
}

fn pool() -> Command {
    Command::PutPool { spec: pool_spec("p").into() }
}

fn taken(number: u128) -> Answer {
    Ok(Reply::Submitted { task: task(number), duplicate: true })
}

#[test]
fn what_was_refused_for_good_is_refused_when_what_was_missing_is_there() {
    let mut world = World::new(Limits::default());
    assert_eq!(world.ask(offered(1)), Err(Refusal::PoolUnknown(name("p"))));
    assert_eq!(world.ask(refuse(1, "there is no pool p")), Ok(Reply::Done));
    world.ask(pool()).unwrap();
    let refusal = Refusal::OfferDeclined { task: task(1), why: "there is no pool p".to_owned() };
    let declined = Err(refusal.clone());
    assert_eq!(world.ask(offered(1)), declined);
    assert_eq!(world.ask(refuse(1, "another reason")), Ok(Reply::Done));
    assert_eq!(world.ask(offered(1)), declined, "the first reason counts");
    assert!(world.state.arrival(task(1)).is_none());
    assert_eq!(world.state.unfinished(), 0);
    let restored = State::restore(world.state.rows().into_iter().map(|(_, row)| row)).unwrap();
    assert_eq!(restored.declined(task(1)), world.state.declined(task(1)));
    assert_eq!(outcome(task(1), &declined), Outcome::Refused(refusal.to_string().into()));
    world.pass(PASSAGE_LIFE.as_millis() as u64 + 1);
    assert!(world.state.declined(task(1)).is_none());
}

#[test]
fn what_was_taken_between_its_refusal_and_the_note_of_it_is_taken() {
    let mut world = World::new(Limits::default());
    assert!(world.ask(offered(1)).is_err());
    world.ask(pool()).unwrap();
    world.ask(offered(1)).unwrap();
    assert_eq!(world.ask(refuse(1, "there is no pool p")), taken(1));
    assert!(world.state.declined(task(1)).is_none());
    assert_eq!(world.ask(offered(1)), taken(1));
}

#[test]
fn what_is_here_in_another_way_is_not_refused() {
    let mut world = World::new(Limits::default());
    world.submit(spec(1));
    assert_eq!(world.ask(refuse(1, "why not")), taken(1));
    world.claim(1, 1);
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(world.ask(refuse(1, "why not")), taken(1), "its end is remembered");
}

/// What happens in a region that is offered three tasks, over and over.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// A copy of an offer comes.
    Comes(u128),
    /// A refusal that was given before is noted.
    Noted(u128),
    PoolComes,
    PoolGoes,
    /// An agent does what waits.
    Work,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (1_u128..4).prop_map(Happening::Comes),
        3 => (1_u128..4).prop_map(Happening::Noted),
        1 => Just(Happening::PoolComes),
        1 => Just(Happening::PoolGoes),
        1 => Just(Happening::Work),
    ];
    prop::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(config(400))]

    /// A source is answered that a task is refused only once that is noted, as the node does.
    #[test]
    fn a_source_is_told_one_thing_of_each_task_however_late_its_copies_come(happenings in happenings()) {
        let mut world = World::new(Limits::default());
        let mut waiting: BTreeMap<u128, Vec<String>> = BTreeMap::new();
        let (mut said_taken, mut said_refused) = (BTreeSet::new(), BTreeSet::new());
        for happening in happenings {
            let mut say = |number: u128, answer: &Answer| match outcome(task(number), answer) {
                Outcome::Taken { known_as } => {
                    assert_eq!(known_as, task(number));
                    said_taken.insert(known_as);
                }
                Outcome::Refused(_) => {
                    said_refused.insert(task(number));
                }
                Outcome::Later => panic!("nothing here is temporary: {answer:?}"),
            };
            match happening {
                Happening::Comes(number) => match world.ask(offered(number)) {
                    Err(refusal @ Refusal::PoolUnknown(_)) => {
                        waiting.entry(number).or_default().push(refusal.to_string());
                    }
                    answer => say(number, &answer),
                },
                Happening::Noted(number) => {
                    let Some(why) = waiting.get_mut(&number).and_then(Vec::pop) else { continue };
                    match world.ask(refuse(number, &why)) {
                        Ok(Reply::Done) => say(number, &Err(Refusal::OfferDeclined { task: task(number), why })),
                        answer => say(number, &answer),
                    }
                }
                Happening::PoolComes => drop(world.ask(pool())),
                Happening::PoolGoes => drop(world.ask(Command::RemovePool { pool: name("p") })),
                Happening::Work => {
                    let ids: Vec<TaskId> = world.state.tasks().map(|task| task.spec.id).collect();
                    for id in ids {
                        world.ask(Command::Cancel { task: id, reason: "enough".into() }).unwrap();
                    }
                }
            }
            prop_assert!(said_taken.is_disjoint(&said_refused), "{said_taken:?} and {said_refused:?}");
            for id in &said_refused {
                prop_assert!(world.state.arrival(*id).is_none() && world.state.task(*id).is_none());
            }
        }
    }
}
