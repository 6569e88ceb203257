//! Laws of the audit log: one record for each change, in one chain, alike on every replica.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use synod_domain::audit::{
    Actor, ActorKind, AuditCommand, AuditKeep, AuditRecord, AuditVerdict, MARK_RECORDS, Verifier,
};
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::RequestId;
use synod_domain::limits::Limits;
use synod_domain::row::{Row, RowKey};
use synod_domain::state::State;

use super::histories::{config, histories};
use super::world::{World, at, name, spec, submit};

/// The records that reached a disk.
#[derive(Default)]
struct Kept(BTreeMap<u64, Arc<AuditRecord>>);

impl Kept {
    fn store(&mut self, state: &mut State) {
        for (key, row) in state.take_changes().rows {
            match (key, row) {
                (RowKey::Audit(seq), Some(Row::Audit(record))) => {
                    assert!(self.0.insert(seq, record).is_none(), "record {seq} was written twice");
                }
                (RowKey::Audit(seq), None) => {
                    self.0.remove(&seq);
                }
                _ => {}
            }
        }
        state.changes_stored();
    }

    /// Holds that what is kept is one whole chain between the agreed ends.
    fn verify(&self, state: &State) {
        let head = state.audit_head();
        let mut verifier = Verifier::behind(head.anchor);
        for record in self.0.values() {
            verifier.take(record).unwrap();
        }
        verifier.end(head.last).unwrap();
    }
}

fn restarted(state: &State) -> State {
    State::restore(state.rows().into_iter().map(|(_, row)| row)).unwrap()
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn the_chain_is_unbroken_and_alike_whatever_happens_between_checkpoints_and_restarts(
        history in histories(),
        cuts in prop::collection::vec(0..4, 75),
    ) {
        let (mut state, mut other, mut kept) = (State::default(), State::default(), Kept::default());
        let mut expected = 0;
        for (entry, cut) in history.iter().zip(cuts) {
            let before = state.audit_head().last.seq;
            state.apply(entry);
            other.apply(entry);
            let changes = entry.commands.iter().filter(|request| !request.command.plain().is_work()).count();
            prop_assert!(state.audit_head().last.seq - before <= changes as u64);
            expected += state.audit_head().last.seq - before;
            match cut {
                0 => kept.store(&mut state),
                1 => {
                    kept.store(&mut state);
                    state = restarted(&state);
                }
                _ => {}
            }
        }
        kept.store(&mut state);
        kept.verify(&state);
        prop_assert_eq!(kept.0.len() as u64, expected);
        prop_assert_eq!(state.audit_head(), other.audit_head());
    }
}

fn by(id: &str, command: Command) -> Command {
    command.by(&Arc::new(Actor::of(ActorKind::Token, id)))
}

fn records(state: &State) -> Vec<Arc<AuditRecord>> {
    state.audit_unstored(0).cloned().collect()
}

#[test]
fn a_record_says_who_asked_for_what_and_what_came_of_it() {
    let mut world = World::new(Limits::default());
    let known = records(&world.state).len();
    world.ask(by("token_1", submit(spec(1)))).unwrap();
    world.ask(by("token_2", Command::Cancel { task: spec(1).id, reason: "enough".into() })).unwrap();
    world.ask(by("token_2", Command::Cancel { task: spec(9).id, reason: "enough".into() })).unwrap_err();
    let found = &records(&world.state)[known..];
    let said = |place: usize| {
        let said = &found[place].said;
        (&*said.actor.id, &*said.action, said.verdict.clone())
    };
    assert_eq!(said(0), ("token_1", "task.submit", AuditVerdict::Accepted));
    assert_eq!(said(1), ("token_2", "task.cancel", AuditVerdict::Accepted));
    assert_eq!(said(2), ("token_2", "task.cancel", AuditVerdict::Refused("task_unknown".into())));
    assert_eq!(*found[0].said.resource, format!("task/{}", spec(1).id));
    assert_eq!(found[0].said.workspace, Some(name("default")));
    let digests = |place: usize| (found[place].said.before, found[place].said.after);
    assert!(digests(0).0.is_none() && digests(0).1.is_some());
    assert!(digests(1).0 == digests(0).1 && digests(1).1 != digests(1).0 && digests(1).1.is_some());
    assert_eq!(digests(2), (None, None));
}

#[test]
fn a_request_that_is_sent_again_is_recorded_once_and_work_is_not() {
    let mut world = World::new(Limits::default());
    let entry = |command| Entry {
        at: at(1),
        seed: 1,
        commands: vec![Request { id: RequestId::from_raw(77), command }],
    };
    let before = world.state.audit_head().last.seq;
    world.state.apply(&entry(submit(spec(1))));
    world.state.apply(&entry(submit(spec(1))));
    assert_eq!(world.state.audit_head().last.seq, before + 1);
    let _ = world.ask(Command::Start { task: spec(1).id, attempt: 1 });
    assert_eq!(world.state.audit_head().last.seq, before + 1);
}

#[test]
fn who_asks_is_said_once() {
    let mut world = World::new(Limits::default());
    let actor = Arc::new(Actor::local());
    let once = submit(spec(1)).by(&actor);
    assert_eq!(once.clone().by(&actor), once);
    let twice = Command::By { actor, command: Box::new(once) };
    assert_eq!(world.ask(twice).unwrap_err().code(), "invalid");
    assert!(world.state.task(spec(1).id).is_none());
}

#[test]
fn old_records_go_up_to_a_mark_and_the_rest_still_verifies() {
    let (mut world, mut kept) = (World::new(Limits::default()), Kept::default());
    let keep = |records, time| Command::Audit(AuditCommand::Keep(AuditKeep { records, time }));
    world.ask(keep(1, None)).unwrap_err();
    world.ask(keep(MARK_RECORDS, Some(Duration::from_secs(3600)))).unwrap();
    let weigh = |weight| Command::SetWeight { workspace: name("w"), weight };
    for number in 0..MARK_RECORDS * 3 {
        world.ask(weigh(1 + (number % 2) as u32)).unwrap();
        if number % 700 == 0 {
            kept.store(&mut world.state);
            world.state = restarted(&world.state);
        }
    }
    kept.store(&mut world.state);
    let head = world.state.audit_head();
    assert_eq!(head.anchor.seq, 2 * MARK_RECORDS);
    assert_eq!(kept.0.len() as u64, head.last.seq - head.anchor.seq);
    kept.verify(&world.state);
    // An hour later the age counts, at the next change.
    world.pass(3_700_000);
    world.ask(weigh(3)).unwrap();
    kept.store(&mut world.state);
    assert_eq!(world.state.audit_head().anchor.seq, 3 * MARK_RECORDS);
    kept.verify(&world.state);
}
