//! Hooks: who has them, who may write about them, and how they end. Also their part of random histories.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use synod_domain::agent::{Host, Standing};
use synod_domain::budget::amount::Measure;
use synod_domain::budget::command::BudgetCommand;
use synod_domain::budget::scope::Scope;
use synod_domain::budget::spec::{BudgetSpec, Enforcement, Limit};
use synod_domain::budget::window::Window;
use synod_domain::command::Command;
use synod_domain::event::{Event, Governing};
use synod_domain::hook::{
    ENDED_HOOK_LIFE, ENDED_HOOKS_MAX, HOOKS_MAX, Hook, HookCommand, HookRefusal, HookSpec, HookStatus,
    HookTerms,
};
use synod_domain::id::HookId;
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::payload::Payload;
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::reply::Reply;
use synod_domain::row::RowKey;
use synod_domain::state::State;
use synod_domain::task::{MailboxId, TaskSpec};

use super::histories::{Draw, config, histories};
use super::world::{
    self, World, agent, agent_spec, name, node, node_spec, pool_spec, register, run, standing,
};

/// How long the hooks of these tests may be silent.
const STALE: u64 = 300_000;

fn id(number: u128) -> HookId {
    HookId::from_raw(number << 64)
}

/// A hook of an agent on node 1, with two retries and a branch of its own.
fn spec(number: u128, who: u128) -> HookSpec {
    HookSpec {
        id: id(number),
        workspace: Name::default(),
        agent: agent(who),
        node: node(1),
        repository: "/srv/repository".into(),
        branch: format!("hook/{number}").into(),
        base: "0123456789012345678901234567890123456789".into(),
        kind: name("hook"),
        work: Payload::inline(*b"{}"),
        max_retries: 2,
        stale_after: Duration::from_millis(STALE),
    }
}

fn ask(command: HookCommand) -> Command {
    Command::Hook(command)
}

fn create(spec: HookSpec) -> Command {
    ask(HookCommand::Create { spec: Arc::new(spec) })
}

fn create_for(spec: HookSpec, of: u128) -> Command {
    let terms = HookTerms { run: Some(run(of)), terms: None };
    ask(HookCommand::CreateWith { spec: Arc::new(spec), terms: terms.into() })
}

fn start(number: u128, attempt: u32) -> Command {
    ask(HookCommand::Start { hook: id(number), attempt })
}

fn complete(number: u128, attempt: u32) -> Command {
    ask(HookCommand::Complete { hook: id(number), attempt, result: Payload::inline(*b"done") })
}

fn fail(number: u128, attempt: u32) -> Command {
    ask(HookCommand::Fail { hook: id(number), attempt, reason: format!("attempt {attempt} broke").into() })
}

fn abandon(number: u128, attempt: u32) -> Command {
    ask(HookCommand::Abandon { hook: id(number), attempt, reason: "it gave up".into() })
}

fn reassign(number: u128, to: Option<u128>) -> Command {
    ask(HookCommand::Reassign { hook: id(number), agent: to.map(agent) })
}

fn remove(number: u128) -> Command {
    ask(HookCommand::Remove { hook: id(number) })
}

fn adopt(hook: Hook) -> Command {
    ask(HookCommand::Adopt { hook: Arc::new(hook) })
}

/// A command of a random history; mostly about a hook that exists.
pub(super) fn command(state: &State, draw: &mut Draw, who: u128) -> Command {
    let known: Vec<Hook> = state.hooks().map(|hook| Hook::clone(hook)).collect();
    if known.len() < 2 || draw.one_in(4) {
        let number = u128::from(draw.below(5));
        let mut spec = HookSpec {
            node: node(1 + u128::from(draw.below(2))),
            branch: format!("hook/{}", draw.below(4)).into(),
            max_retries: u32::try_from(draw.below(3)).unwrap_or(0),
            stale_after: Duration::from_millis(1000 + draw.below(3000)),
            ..spec(number, who)
        };
        if draw.one_in(10) {
            spec.repository = "elsewhere".into();
        }
        return if number == 4 { create_for(spec, 1) } else { create(spec) };
    }
    let hook = draw.pick(&known);
    let hook_id = if draw.one_in(12) { id(9) } else { hook.spec.id };
    let attempt = if draw.one_in(6) { hook.attempt.saturating_sub(1) } else { hook.attempt };
    let reason = || Arc::from("told");
    ask(match draw.below(13) {
        0 | 1 => HookCommand::Start { hook: hook_id, attempt },
        2 => HookCommand::Touch { hook: hook_id, attempt },
        3 => HookCommand::Complete { hook: hook_id, attempt, result: Payload::inline(*b"done") },
        4..7 => HookCommand::Fail { hook: hook_id, attempt, reason: reason() },
        7..9 => HookCommand::Abandon { hook: hook_id, attempt, reason: reason() },
        9 => HookCommand::Reassign { hook: hook_id, agent: draw.one_in(2).then(|| agent(who)) },
        10 | 11 => HookCommand::Remove { hook: hook_id },
        _ => {
            let made = HookSpec { id: id(u128::from(5 + draw.below(3))), ..HookSpec::clone(&hook.spec) };
            HookCommand::Adopt { hook: Arc::new(Hook { spec: Arc::new(made), ..hook }) }
        }
    })
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn attempts_never_go_back_hooks_end_once_and_branches_have_one_hook(history in histories()) {
        let mut state = State::default();
        let mut last: BTreeMap<HookId, (u32, HookStatus)> = BTreeMap::new();
        for entry in &history {
            let effects = state.apply(entry);
            for event in effects.events {
                let Some((hook, told)) = told(&event) else { continue };
                let Some((status, attempt)) = told else {
                    let was = last.remove(&hook).map(|(_, was)| was);
                    prop_assert!(was.is_some_and(|was| !matches!(was, HookStatus::Pending | HookStatus::Active)));
                    continue;
                };
                if let Some((before, was)) = last.get(&hook) {
                    prop_assert!(!was.is_end(), "{hook} was {was} and is {status}");
                    prop_assert!(attempt >= *before, "{hook} went from attempt {before} to {attempt}");
                    prop_assert!(
                        status != HookStatus::Pending || attempt == before + 1,
                        "{hook} waits again under attempt {attempt}"
                    );
                }
                last.insert(hook, (attempt, status));
            }
            let mut branches = BTreeMap::new();
            for hook in state.hooks() {
                prop_assert_eq!(last.get(&hook.spec.id), Some(&(hook.attempt, hook.status())));
                prop_assert!(hook.retries <= hook.spec.max_retries);
                prop_assert_eq!(state.hook_of_task(hook.task()), Some(hook));
                let holds = state.hooks_of(hook.agent).any(|held| held == hook);
                prop_assert_eq!(holds, !hook.status().is_end());
                if holds {
                    let branch = (hook.spec.node, hook.spec.repository.clone(), hook.spec.branch.clone());
                    prop_assert_eq!(branches.insert(branch, hook.spec.id), None, "two hooks have one branch");
                }
                if hook.is_held() {
                    let agent = state.agent(hook.agent);
                    let due = state.next_due().is_some();
                    prop_assert!(agent.is_some() || due, "{} is held by nobody for ever", hook.spec.id);
                }
            }
        }
    }
}

/// What an event says of a hook: where it stands and under which attempt, or nothing more when it was forgotten.
pub(super) fn told(event: &Event) -> Option<(HookId, Option<(HookStatus, u32)>)> {
    let Event::Governed { what, subject, detail, .. } = event else { return None };
    let hook = subject.parse().ok()?;
    if *what == Governing::HookRemoved {
        return Some((hook, None));
    }
    let (status, rest) = detail.split_once(" under attempt ").unwrap();
    let status = HookStatus::ALL.into_iter().find(|one| one.as_str() == status).unwrap();
    let attempt = rest.split(':').next().unwrap().parse().unwrap();
    Some((hook, Some((status, attempt))))
}

/// A world with node 1, and agents 1 and 2 of the pool `a` there that are ready.
fn world() -> World {
    let mut world = World::empty(Limits::default());
    world.ask(Command::PutPool { spec: Arc::new(pool_spec("a")) }).unwrap();
    for number in [1, 2] {
        world.ask(register(agent_spec(number, Some("a"), Host::Node(node(1))))).unwrap();
        world.ask(standing(number, Standing::Ready)).unwrap();
    }
    world
}

fn hook(world: &World, number: u128) -> Hook {
    Hook::clone(world.state.hook(id(number)).unwrap())
}

/// Status, who has it, attempt.
fn stands(world: &World, number: u128) -> (HookStatus, u128, u32) {
    let hook = hook(world, number);
    (hook.status(), hook.agent.raw(), hook.attempt)
}

fn refused(refusal: HookRefusal) -> Result<Reply, Refusal> {
    Err(Refusal::Hook(refusal))
}

#[test]
fn a_hook_goes_from_pending_to_active_to_completed_and_then_nothing_more_happens_to_it() {
    let mut world = world();
    world.ask(create(spec(1, 1))).unwrap();
    assert_eq!(stands(&world, 1), (HookStatus::Pending, 1, 1));
    world.ask(start(1, 1)).unwrap();
    assert_eq!(stands(&world, 1), (HookStatus::Active, 1, 1));
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(hook(&world, 1).result(), Some(&Payload::inline(*b"done")));
    assert_eq!(world.ask(complete(1, 1)), Ok(Reply::Done), "who says it again is answered as then");
    let ended = HookRefusal::Ended { hook: id(1), status: HookStatus::Completed };
    for late in [start(1, 1), fail(1, 1), abandon(1, 1), reassign(1, Some(2))] {
        assert_eq!(world.ask(late), refused(ended.clone()));
    }
    assert_eq!(hook(&world, 1).revision, 3);
}

#[test]
fn a_hook_that_fails_waits_again_until_its_retries_are_used() {
    let mut world = world();
    world.ask(create(spec(1, 1))).unwrap();
    for attempt in 1..=2 {
        world.ask(start(1, attempt)).unwrap();
        world.ask(fail(1, attempt)).unwrap();
        assert_eq!(stands(&world, 1), (HookStatus::Pending, 1, attempt + 1));
        assert_eq!(hook(&world, 1).last_error.as_deref(), Some(&*format!("attempt {attempt} broke")));
    }
    world.ask(fail(1, 3)).unwrap();
    assert_eq!(stands(&world, 1), (HookStatus::Failed, 1, 3));
    assert_eq!(hook(&world, 1).reason().map(AsRef::as_ref), Some("attempt 3 broke"));
}

#[test]
fn an_old_attempt_is_refused_whatever_it_writes() {
    let mut world = world();
    world.ask(create(spec(1, 1))).unwrap();
    world.ask(start(1, 1)).unwrap();
    world.ask(reassign(1, Some(2))).unwrap();
    let before = hook(&world, 1);
    let touch = ask(HookCommand::Touch { hook: id(1), attempt: 1 });
    for late in [start(1, 1), touch, complete(1, 1), fail(1, 1), abandon(1, 1)] {
        let fenced = HookRefusal::Fenced { hook: id(1), attempt: 1, present: 2 };
        assert_eq!(world.ask(late), refused(fenced));
    }
    assert_eq!(hook(&world, 1), before);
    world.ask(complete(1, 2)).unwrap();
}

#[test]
fn a_hook_that_is_silent_goes_to_another_agent_of_its_pool_which_counts_as_a_retry() {
    let mut world = world();
    world.ask(create(spec(1, 1))).unwrap();
    world.ask(start(1, 1)).unwrap();
    world.pass(STALE - 1);
    world.ask(ask(HookCommand::Touch { hook: id(1), attempt: 1 })).unwrap();
    world.pass(STALE - 1);
    assert_eq!(stands(&world, 1), (HookStatus::Active, 1, 1), "it was heard of");
    assert_eq!(world.state.next_due().map(|at| at.as_millis()), Some(world.now + 1));
    world.pass(1);
    assert_eq!(stands(&world, 1), (HookStatus::Pending, 2, 2));
    assert_eq!(hook(&world, 1).retries, 1);
    let abandoned = |event: &&Event| told(event) == Some((id(1), Some((HookStatus::Abandoned, 1))));
    assert_eq!(world.events.iter().filter(abandoned).count(), 1, "and it is told that it was abandoned");
}

#[test]
fn a_hook_waits_for_its_turn_with_an_agent_in_service_and_not_with_one_that_is_gone() {
    let mut world = world();
    world.ask(create(spec(1, 1))).unwrap();
    world.pass(10 * STALE);
    assert_eq!(stands(&world, 1), (HookStatus::Pending, 1, 1));
    assert_eq!(world.state.next_due(), None);
    world.ask(standing(1, Standing::Offline)).unwrap();
    world.pass(STALE - 1);
    world.ask(standing(1, Standing::Ready)).unwrap();
    world.pass(STALE);
    assert_eq!(stands(&world, 1), (HookStatus::Pending, 1, 1), "it came back in time");
    world.ask(standing(1, Standing::Failed)).unwrap();
    world.pass(STALE);
    assert_eq!(stands(&world, 1), (HookStatus::Pending, 2, 2));
}

#[test]
fn silence_that_nobody_listened_to_is_not_held_against_an_agent() {
    let mut world = world();
    world.ask(create(spec(1, 1))).unwrap();
    world.ask(start(1, 1)).unwrap();
    // The node was down for a day: the first entry afterwards brings the time of today.
    world.pass(86_400_000);
    assert_eq!(stands(&world, 1), (HookStatus::Active, 1, 1));
    world.pass(STALE);
    assert_eq!(stands(&world, 1), (HookStatus::Pending, 2, 2));
}

#[test]
fn an_agent_that_is_removed_leaves_its_hooks_to_the_others_and_they_wait_if_there_is_none() {
    let mut world = world();
    world.ask(create(spec(1, 1))).unwrap();
    world.ask(Command::RemoveAgent { agent: agent(1) }).unwrap();
    assert_eq!(stands(&world, 1), (HookStatus::Pending, 2, 2));
    world.ask(Command::RemoveAgent { agent: agent(2) }).unwrap();
    assert_eq!(stands(&world, 1), (HookStatus::Abandoned, 2, 2));
    assert_eq!(world.ask(reassign(1, None)), refused(HookRefusal::Nobody(id(1))));
    world.ask(register(agent_spec(3, Some("a"), Host::Node(node(1))))).unwrap();
    assert_eq!(stands(&world, 1).0, HookStatus::Abandoned, "it only starts");
    world.ask(standing(3, Standing::Ready)).unwrap();
    assert_eq!(stands(&world, 1), (HookStatus::Pending, 3, 3));
    world.ask(Command::RemoveAgent { agent: agent(3) }).unwrap();
    world.ask(register(agent_spec(4, Some("a"), Host::Node(node(1))))).unwrap();
    world.ask(standing(4, Standing::Ready)).unwrap();
    assert_eq!(stands(&world, 1), (HookStatus::Abandoned, 3, 3), "its retries are used");
    world.ask(reassign(1, None)).unwrap();
    assert_eq!(stands(&world, 1), (HookStatus::Pending, 4, 4), "a person may go on");
}

#[test]
fn an_agent_that_comes_back_to_what_nobody_took_up_goes_on_with_it() {
    let mut world = world();
    world.ask(Command::RemoveAgent { agent: agent(2) }).unwrap();
    world.ask(create(spec(1, 1))).unwrap();
    world.ask(start(1, 1)).unwrap();
    world.pass(STALE);
    assert_eq!(stands(&world, 1), (HookStatus::Abandoned, 1, 1));
    world.ask(ask(HookCommand::Touch { hook: id(1), attempt: 1 })).unwrap();
    assert_eq!(stands(&world, 1), (HookStatus::Active, 1, 1));
    world.pass(STALE);
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(stands(&world, 1), (HookStatus::Completed, 1, 1));
}

#[test]
fn an_agent_elsewhere_gets_no_hook_and_the_one_with_the_fewest_gets_the_next() {
    let mut world = world();
    world.ask(register(agent_spec(3, Some("a"), Host::Node(node(2))))).unwrap();
    world.ask(standing(3, Standing::Ready)).unwrap();
    world.ask(register(agent_spec(4, Some("a"), Host::External))).unwrap();
    world.ask(standing(4, Standing::Ready)).unwrap();
    let out_of_reach = HookRefusal::OutOfReach { agent: agent(3), repository: "/srv/repository".to_owned() };
    assert_eq!(world.ask(create(spec(1, 3))), refused(out_of_reach));
    for (number, who) in [(1, 1), (2, 2), (3, 1)] {
        world.ask(create(spec(number, who))).unwrap();
    }
    world.ask(abandon(1, 1)).unwrap();
    world.ask(abandon(3, 1)).unwrap();
    assert_eq!((stands(&world, 1).1, stands(&world, 3).1), (4, 2));
}

#[test]
fn two_hooks_do_not_share_a_branch_while_both_are_unfinished() {
    let mut world = world();
    world.ask(create(spec(1, 1))).unwrap();
    let same = || HookSpec { branch: "hook/1".into(), ..spec(2, 2) };
    let Err(Refusal::Hook(HookRefusal::BranchTaken { hook, .. })) = world.ask(create(same())) else {
        panic!("the branch is taken")
    };
    assert_eq!(hook, id(1));
    world.ask(create(HookSpec { repository: "/srv/other".into(), ..same() })).unwrap();
    world.ask(complete(1, 1)).unwrap();
    world.ask(create(HookSpec { id: id(3), ..same() })).unwrap();
}

#[test]
fn what_is_no_hook_is_refused_by_its_field() {
    let mut world = world();
    let wrong = [
        ("repository", HookSpec { repository: "srv".into(), ..spec(1, 1) }),
        ("branch", HookSpec { branch: "".into(), ..spec(1, 1) }),
        ("base", HookSpec { base: "HEAD".into(), ..spec(1, 1) }),
        ("max_retries", HookSpec { max_retries: 101, ..spec(1, 1) }),
        ("stale_after", HookSpec { stale_after: Duration::ZERO, ..spec(1, 1) }),
        ("work", HookSpec { work: Payload::inline(vec![0; 65 * 1024]), ..spec(1, 1) }),
    ];
    for (expected, spec) in wrong {
        let Err(Refusal::Invalid { field, .. }) = world.ask(create(spec)) else { panic!("{expected}") };
        assert_eq!(field, expected);
    }
    assert_eq!(world.ask(create(spec(1, 9))), Err(Refusal::AgentUnknown(agent(9))));
}

#[test]
fn hooks_are_bounded_and_ended_ones_are_forgotten_the_oldest_first() {
    let mut world = world();
    for number in 0..HOOKS_MAX as u128 {
        world.ask(create(spec(number, 1))).unwrap();
    }
    let full = Refusal::Full { bound: Bound::Hooks, limit: HOOKS_MAX as u64 };
    assert_eq!(world.ask(create(spec(20_000, 1))), Err(full));
    for number in 0..ENDED_HOOKS_MAX as u128 + 1 {
        world.now += 1;
        world.ask(complete(number, 1)).unwrap();
    }
    world.ask(create(spec(20_000, 1))).unwrap();
    assert!(world.state.hook(id(0)).is_none() && world.state.hook(id(1)).is_some());
    world.pass(ENDED_HOOK_LIFE.as_millis() as u64 + 1);
    for _ in 0..ENDED_HOOKS_MAX / 64 + 1 {
        world.pass(0);
    }
    assert!(world.state.hooks().all(|hook| !hook.status().is_end()));
}

#[test]
fn a_hook_is_removed_when_nobody_works_on_it() {
    let mut world = world();
    world.ask(create(spec(1, 1))).unwrap();
    let in_use = HookRefusal::InUse { hook: id(1), status: HookStatus::Pending };
    assert_eq!(world.ask(remove(1)), refused(in_use));
    world.ask(complete(1, 1)).unwrap();
    world.ask(remove(1)).unwrap();
    assert_eq!(world.ask(remove(1)), refused(HookRefusal::Unknown(id(1))));
}

#[test]
fn a_hook_found_in_a_repository_begins_anew_under_the_next_attempt_unless_it_has_ended() {
    let mut world = world();
    world.ask(create(spec(1, 1))).unwrap();
    world.ask(start(1, 1)).unwrap();
    let (active, mut other) = (hook(&world, 1), self::world());
    assert_eq!(world.ask(adopt(active.clone())), refused(HookRefusal::Exists(id(1))));
    other.ask(adopt(active.clone())).unwrap();
    assert_eq!(stands(&other, 1), (HookStatus::Pending, 1, 2));
    // Where its agent is not known, nobody has it.
    let mut empty = World::empty(Limits::default());
    empty.ask(adopt(active)).unwrap();
    assert_eq!(stands(&empty, 1), (HookStatus::Abandoned, 1, 1));
    world.ask(complete(1, 1)).unwrap();
    let ended = hook(&world, 1);
    let mut other = self::world();
    other.ask(adopt(ended.clone())).unwrap();
    assert_eq!(hook(&other, 1).state, ended.state);
    assert_eq!(other.ask(adopt(ended)), refused(HookRefusal::Exists(id(1))));
}

#[test]
fn a_hook_of_a_node_that_is_no_member_goes_on_at_another() {
    let mut world = world();
    world.join(node_spec(1));
    world.ask(standing(1, Standing::Ready)).unwrap();
    world.ask(create(spec(1, 1))).unwrap();
    let lost = hook(&world, 1);
    world.join(node_spec(2));
    world.ask(Command::RemoveNode { node: node(1), reason: "its hall burnt".into() }).unwrap();
    let moved = HookSpec { node: node(2), repository: "/srv/copy".into(), ..HookSpec::clone(&lost.spec) };
    world.ask(adopt(Hook { spec: Arc::new(moved), attempt: 0, ..lost })).unwrap();
    let found = hook(&world, 1);
    assert_eq!((found.spec.node, found.status()), (node(2), HookStatus::Abandoned));
    assert!(found.attempt >= 1, "its attempt does not go back");
}

#[test]
fn a_restored_state_has_the_same_hooks_and_lets_the_same_become_of_them() {
    let mut world = world();
    for (number, who) in [(1, 1), (2, 2), (3, 1)] {
        world.ask(create(spec(number, who))).unwrap();
    }
    world.ask(start(1, 1)).unwrap();
    world.ask(fail(2, 1)).unwrap();
    world.ask(complete(3, 1)).unwrap();
    let mut restored = World::empty(Limits::default());
    restored.state = State::restore(world.state.rows().into_iter().map(|(_, row)| row)).unwrap();
    restored.now = world.now;
    assert_eq!(restored.state, world.state);
    for world in [&mut world, &mut restored] {
        world.pass(STALE);
    }
    assert_eq!(restored.state.rows().len(), world.state.rows().len());
    for number in 1..=3 {
        assert_eq!(hook(&restored, number), hook(&world, number));
    }
}

#[test]
fn the_work_of_a_hook_counts_for_the_run_that_it_was_made_for_and_for_its_fleet() {
    let mut world = world();
    assert_eq!(world.ask(create_for(spec(1, 1), 1)), Err(Refusal::RunUnknown(run(1))));
    world.ask(Command::StartRun { run: run(1), fleet: name("f"), plan: Payload::default() }).unwrap();
    for (called, scope) in [("run", Scope::Run(run(1))), ("fleet", Scope::Fleet(name("f")))] {
        let limits = vec![Limit { measure: Measure::Requests, most: 10, window: Window::Whole }];
        let (name, enforcement) = (name(called), Enforcement::Hard);
        let spec = BudgetSpec { name, scope, limits, enforcement, warn_percent: 80, note: None };
        world.ask(Command::Budget(BudgetCommand::Put { spec: spec.into() })).unwrap();
    }
    world.ask(create_for(spec(1, 1), 1)).unwrap();
    world.ask(create(spec(2, 2))).unwrap();
    let rows = world.state.rows().into_iter().map(|(_, row)| row);
    world.state = State::restore(rows).unwrap();
    for (number, who) in [(1, 1), (2, 2)] {
        let task = TaskSpec {
            id: hook(&world, number).task(),
            mailbox: MailboxId::Agent(agent(who)),
            ..world::spec(number)
        };
        world.ask(Command::Submit { spec: task.into() }).unwrap();
        assert_eq!(world.claim(who, 1).len(), 1);
    }
    for called in ["run", "fleet"] {
        let budget = world.state.budget(&name(called)).unwrap();
        assert_eq!(budget.lines[0].sums(world.state.now()).reserved, 1, "{called}");
    }
    // It is of that run as long as somebody remembers it, and no longer.
    world.ask(complete(1, 1)).unwrap();
    world.ask(remove(1)).unwrap();
    let names_it =
        |world: &World| world.state.rows().iter().any(|(key, _)| matches!(key, RowKey::HookTerms(_)));
    assert!(!names_it(&world));
}
