//! Laws of budgets in the agreed state, and an example of each of their promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use synod_domain::agent::Host;
use synod_domain::budget::amount::{Amount, Measure, Report};
use synod_domain::budget::command::{BudgetCommand, BudgetSettings};
use synod_domain::budget::scope::Scope;
use synod_domain::budget::spec::{BudgetSpec, Enforcement, Limit};
use synod_domain::budget::window::Window;
use synod_domain::budget::{Budget, Raise};
use synod_domain::command::Command;
use synod_domain::event::{Event, Governing};
use synod_domain::limits::Limits;
use synod_domain::payload::Payload;
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::reply::Reply;
use synod_domain::state::State;
use synod_domain::task::{MailboxId, Phase, TaskSpec, Timeouts, Usage};
use synod_domain::terms::{Estimate, OverBudget, Terms};
use synod_domain::time::Timestamp;

use super::histories::{config, histories};
use super::world::{
    World, agent, agent_spec, at, fail, millis, name, node, pool_spec, register, spec, standing, task,
};

pub(super) const MINUTE: u64 = 60_000;

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn what_is_reserved_is_what_running_attempts_hold(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
            for task in state.tasks() {
                if let Some(hold) = state.hold_of(task.spec.id) {
                    prop_assert_eq!(task.lease().map(|lease| lease.attempt), Some(hold.attempt));
                }
            }
            for budget in state.budgets() {
                for line in &budget.lines {
                    let held = state.tasks().filter_map(|task| state.hold_of(task.spec.id));
                    let booked = held.flat_map(|hold| &hold.booked);
                    let mine = booked.filter(|booked| (&booked.budget, booked.line) == (&budget.spec.name, line.number));
                    let live = mine.filter(|booked| line.limit.window.ends(booked.booking.slot) > state.now());
                    let reserved: u64 = live.map(|booked| booked.booking.reserved).sum();
                    prop_assert_eq!(line.sums(state.now()).reserved, reserved, "{:?}", budget.spec);
                }
            }
        }
    }

    #[test]
    fn a_hard_limit_is_passed_by_one_report_at_most_however_agents_lie(
        draws in prop::collection::vec((0..12_u8, 0..6_u64, 0..900_u64), 1..200),
        most in 0..2000_u64,
        estimate in 1..300_u64,
    ) {
        let mut world = World::empty(Limits::default());
        for number in 1..=6 {
            world.ready_agent(number);
        }
        world.ask(Command::Budget(BudgetCommand::Put { spec: budget("b", Scope::Global, most, Window::Hour) })).unwrap();
        let mut largest = 0;
        let mut next = 1_000;
        for (act, who, figure) in draws {
            let held = world.state.tasks().filter(|task| task.lease().is_some()).map(|task| (task.spec.id.raw(), task.attempt));
            let held: Vec<(u128, u32)> = held.collect();
            let of = held.get(who as usize).copied();
            match (act, of) {
                (0..3, _) => {
                    next += 1;
                    world.ask(on_terms(next, estimate + figure / 9, OverBudget::Wait)).unwrap();
                }
                (3..6, _) => drop(world.claim(u128::from(who) + 1, 2)),
                (6 | 7, Some((number, attempt))) => {
                    largest = largest.max(figure);
                    drop(world.ask(finish(number, attempt, figure)));
                }
                (8 | 9, Some((number, attempt))) => {
                    largest = largest.max(figure);
                    drop(world.ask(report(number, attempt, figure)));
                }
                (10, Some((number, attempt))) => drop(world.ask(fail(number, attempt, true))),
                (_, _) => world.pass(figure),
            }
            let sums = of_budget(&world, "b").lines[0].sums(world.state.now());
            prop_assert!(sums.settled + sums.reserved <= most.saturating_add(largest), "{sums:?}");
        }
    }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn a_restored_replica_looks_at_budgets_at_the_same_times(
        draws in prop::collection::vec((0..9_u8, 0..6_u64, 0..900_u64), 1..60),
        most in 100..1500_u64,
        window in prop_oneof![
            Just(Window::Minute),
            Just(Window::Rolling { length_ms: 2 * MINUTE }),
            Just(Window::Opened { length_ms: 2 * MINUTE }),
        ],
    ) {
        let mut world = World::empty(Limits::default());
        for number in 1..=3 {
            world.ready_agent(number);
        }
        put(&mut world, "all", Scope::Global, most, window);
        put(&mut world, "one", Scope::Agent(agent(1)), most / 2, window);
        let mut next = 1_000;
        for (act, who, figure) in draws {
            let held = world.state.tasks().filter(|task| task.lease().is_some()).map(|task| (task.spec.id.raw(), task.attempt));
            let of = held.collect::<Vec<_>>().get(who as usize).copied();
            match (act, of) {
                (0..3, _) => {
                    next += 1;
                    let account = Some(name("acme")).filter(|_| figure % 2 == 0);
                    let terms = Terms { account, ..terms(figure / 2, OverBudget::Wait) };
                    world.ask(Command::SubmitWith { spec: spec(next).into(), terms: terms.into() }).unwrap();
                }
                (3 | 4, _) => drop(world.claim(u128::from(who % 3) + 1, 2)),
                (5, Some((number, attempt))) => drop(world.ask(finish(number, attempt, figure))),
                (6, Some((number, attempt))) => drop(world.ask(report(number, attempt, figure))),
                (7, Some((number, attempt))) => {
                    let (task, reason, usage) = (task(number), "429".into(), Usage::default());
                    let retry_after = millis(figure * 10);
                    drop(world.ask(Command::Budget(BudgetCommand::RateLimited { task, attempt, retry_after, reason, usage })));
                }
                (_, _) => world.pass(figure * 50),
            }
            let rows = world.state.rows();
            let restored = State::restore(rows.into_iter().map(|(_, row)| row)).unwrap();
            prop_assert_eq!(restored.next_due(), world.state.next_due());
            if figure % 7 == 0 {
                world.state = restored;
            }
        }
    }
}

fn budget(called: &str, scope: Scope, most: u64, window: Window) -> Arc<BudgetSpec> {
    let limits = vec![Limit { measure: Measure::Tokens, most, window }];
    let enforcement = Enforcement::Hard;
    Arc::new(BudgetSpec { name: name(called), scope, limits, enforcement, warn_percent: 80, note: None })
}

pub(super) fn put(world: &mut World, called: &str, scope: Scope, most: u64, window: Window) {
    world.ask(Command::Budget(BudgetCommand::Put { spec: budget(called, scope, most, window) })).unwrap();
}

fn of_budget<'a>(world: &'a World, called: &str) -> &'a Budget {
    world.state.budget(&name(called)).unwrap()
}

/// Settled, reserved and overrun of a budget's first limit.
fn sums(world: &World, called: &str) -> (u64, u64, u64) {
    let sums = of_budget(world, called).lines[0].sums(world.state.now());
    (sums.settled, sums.reserved, sums.overrun)
}

fn terms(tokens: u64, over_budget: OverBudget) -> Terms {
    Terms { estimate: Some(Estimate { tokens, ..Estimate::default() }), over_budget, ..Terms::default() }
}

pub(super) fn on_terms(number: u128, tokens: u64, over_budget: OverBudget) -> Command {
    Command::SubmitWith { spec: Arc::new(spec(number)), terms: Arc::new(terms(tokens, over_budget)) }
}

pub(super) fn finish(number: u128, attempt: u32, tokens: u64) -> Command {
    let usage = Usage { tokens_in: tokens, ..Usage::default() };
    Command::Complete { task: task(number), attempt, result: Payload::default(), usage }
}

fn report(number: u128, attempt: u32, tokens: u64) -> Command {
    let report = Report { tokens_in: tokens, ..Report::default() };
    Command::Budget(BudgetCommand::Report { task: task(number), attempt, report, model: None })
}

/// What was told about a budget, an account or an attempt.
fn told(world: &World) -> Vec<(Governing, String)> {
    let governed = world.events.iter().filter_map(|event| match event {
        Event::Governed { what, subject, .. } if *what != Governing::BudgetPut => {
            Some((*what, subject.to_string()))
        }
        _ => None,
    });
    governed.collect()
}

/// A world at a full minute with agent 1, which has two slots.
pub(super) fn world() -> World {
    let mut world = World::new(Limits::default());
    world.pass(MINUTE - world.now % MINUTE);
    world
}

#[test]
fn a_lease_reserves_its_estimate_and_its_end_settles_what_was_used() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 1000, Window::Hour);
    world.ask(on_terms(1, 700, OverBudget::Wait)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    assert_eq!(sums(&world, "b"), (0, 700, 0));
    world.ask(finish(1, 1, 123)).unwrap();
    assert_eq!(sums(&world, "b"), (123, 0, 0));
    assert_eq!(world.state.hold_of(task(1)), None);
}

#[test]
fn a_task_that_would_pass_the_limit_waits_with_the_figures_and_goes_when_there_is_room() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 1000, Window::Hour);
    world.ask(on_terms(1, 700, OverBudget::Wait)).unwrap();
    world.ask(on_terms(2, 400, OverBudget::Wait)).unwrap();
    assert_eq!(world.claim(1, 2), [(task(1), 1)]);
    assert!(!world.state.has_work_for(agent(1), None));
    let why = world.state.why(task(2)).unwrap();
    assert_eq!(why.code(), "held_back");
    let why = why.to_string();
    for part in ["budget b", "300 tokens of 1000 tokens", "400 tokens"] {
        assert!(why.contains(part), "{part:?} is not in {why:?}");
    }
    world.ask(finish(1, 1, 650)).unwrap();
    assert_eq!(world.claim(1, 2), []);
    world.ask(Command::Budget(BudgetCommand::Reset { budget: name("b"), reason: "new".into() })).unwrap();
    assert_eq!(world.claim(1, 2), [(task(2), 1)]);
}

#[test]
fn a_task_whose_terms_say_so_fails_with_the_figures() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 100, Window::Hour);
    world.ask(on_terms(1, 101, OverBudget::Fail)).unwrap();
    assert_eq!(world.claim(1, 1), []);
    assert_eq!(world.phase(1), Phase::Failed);
    assert!(world.reason(1).contains("budget b has 100 tokens in all"), "{}", world.reason(1));
}

#[test]
fn parked_tasks_go_when_the_window_turns_without_anybody_asking() {
    let mut world = world();
    put(&mut world, "b", Scope::Workspace(name("default")), 100, Window::Minute);
    for number in 1..=3 {
        world.ask(on_terms(number, 60, OverBudget::Wait)).unwrap();
    }
    assert_eq!(world.claim(1, 2), [(task(1), 1)]);
    world.ask(finish(1, 1, 60)).unwrap();
    assert_eq!(world.state.next_due(), Some(at(world.now + MINUTE)));
    world.pass(MINUTE - 1);
    assert_eq!(world.claim(1, 2), []);
    world.pass(1);
    assert_eq!(world.claim(1, 2), [(task(2), 1)]);
    // As many go as there is room for, and one more is asked in vain.
    assert_eq!(world.state.parked_on(&synod_domain::parking::ParkedOn::Budget(name("b"))), 1);
}

#[test]
fn what_goes_first_and_is_taken_by_nobody_does_not_keep_the_room_from_others() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 100, Window::Whole);
    let gpu = TaskSpec { demand: super::world::capabilities(&["gpu"]), ..spec(2) };
    world.ask(on_terms(1, 100, OverBudget::Wait)).unwrap();
    world
        .ask(Command::SubmitWith { spec: Arc::new(gpu), terms: terms(100, OverBudget::Wait).into() })
        .unwrap();
    world.ask(on_terms(3, 100, OverBudget::Wait)).unwrap();
    let mut other = agent_spec(2, None, Host::Node(node(1)));
    other.capabilities = super::world::capabilities(&["gpu"]);
    world.ask(register(other)).unwrap();
    world.ask(standing(2, synod_domain::agent::Standing::Ready)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    assert_eq!(world.claim(2, 1), []);
    assert_eq!(world.claim(1, 1), []);
    world.ask(Command::RemoveAgent { agent: agent(2) }).unwrap();
    world
        .ask(Command::Budget(BudgetCommand::Report {
            task: task(1),
            attempt: 1,
            report: Report::default(),
            model: None,
        }))
        .unwrap();
    world.ask(finish(1, 1, 0)).unwrap();
    // Task 2 stands in its mailbox and nobody can do it.
    assert_eq!(world.claim(1, 1), []);
    world.pass(5000);
    assert_eq!(world.claim(1, 1), [(task(3), 1)]);
}

#[test]
fn usage_that_nobody_reported_counts_as_the_reservation() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 1000, Window::Hour);
    // Lost with its agent, out of time, completed without a word.
    let timeouts = Timeouts { running: Some(millis(50)), ..Timeouts::default() };
    world.ask(on_terms(1, 100, OverBudget::Wait)).unwrap();
    let slow = TaskSpec { timeouts, ..spec(2) };
    world
        .ask(Command::SubmitWith { spec: Arc::new(slow), terms: terms(20, OverBudget::Wait).into() })
        .unwrap();
    world.claim(1, 2);
    world.pass(50);
    assert_eq!(sums(&world, "b"), (20, 100, 0));
    world.ask(standing(1, synod_domain::agent::Standing::Offline)).unwrap();
    assert_eq!(sums(&world, "b"), (120, 0, 0));
    world.ask(standing(1, synod_domain::agent::Standing::Ready)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 2)]);
    world.ask(finish(1, 2, 0)).unwrap();
    assert_eq!(sums(&world, "b"), (220, 0, 0));
    // A late word of the attempt that was lost changes nothing.
    assert!(world.ask(finish(1, 1, 7)).is_err());
    assert!(world.ask(report(1, 1, 7)).is_err());
    assert_eq!(sums(&world, "b"), (220, 0, 0));
    let (_, used) = world.state.usage_since(0).next().unwrap();
    assert_eq!((used.tokens_assumed, used.silent, used.attempts), (220, 3, 3));
}

#[test]
fn a_report_of_nothing_is_a_word_and_a_lease_that_never_began_used_nothing() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 1000, Window::Hour);
    world.ask(on_terms(1, 100, OverBudget::Wait)).unwrap();
    world.ask(Command::Claim { agent: agent(1), max: 1, start: false, offered: None }).unwrap();
    world.ask(Command::Release { task: task(1), attempt: 1, reason: "not mine".into() }).unwrap();
    assert_eq!(sums(&world, "b"), (0, 0, 0));
    world.claim(1, 1);
    world.ask(report(1, 2, 0)).unwrap();
    world.ask(finish(1, 2, 0)).unwrap();
    assert_eq!(sums(&world, "b"), (0, 0, 0));
}

#[test]
fn what_an_attempt_says_while_it_works_stays_said() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 1000, Window::Hour);
    world.ask(on_terms(1, 100, OverBudget::Wait)).unwrap();
    world.claim(1, 1);
    world.ask(report(1, 1, 300)).unwrap();
    world.ask(report(1, 1, 200)).unwrap();
    assert_eq!(sums(&world, "b"), (0, 300, 0));
    world.ask(finish(1, 1, 250)).unwrap();
    assert_eq!(sums(&world, "b"), (300, 0, 0));
}

#[test]
fn all_budgets_that_cover_a_task_are_charged_or_none() {
    let mut world = World::empty(Limits::default());
    world.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
    world.ask(register(agent_spec(1, Some("p"), Host::External))).unwrap();
    world.ask(standing(1, synod_domain::agent::Standing::Ready)).unwrap();
    let account = Terms { account: Some(name("acme")), ..terms(10, OverBudget::Wait) };
    let scopes = [
        Scope::Global,
        Scope::Workspace(name("default")),
        Scope::Pool(name("p")),
        Scope::Agent(agent(1)),
        Scope::Account(name("acme")),
    ];
    for (number, scope) in scopes.iter().enumerate() {
        put(&mut world, &format!("b{number}"), scope.clone(), 15, Window::Hour);
    }
    put(&mut world, "other", Scope::Workspace(name("w")), 15, Window::Hour);
    for number in 1..=2 {
        world.ask(Command::SubmitWith { spec: spec(number).into(), terms: account.clone().into() }).unwrap();
    }
    assert_eq!(world.claim(1, 2), [(task(1), 1)]);
    let reserved = |world: &World| -> Vec<u64> {
        world.state.budgets().map(|budget| budget.lines[0].sums(world.state.now()).reserved).collect()
    };
    assert_eq!(reserved(&world), [10, 10, 10, 10, 10, 0]);
    world.ask(finish(1, 1, 4)).unwrap();
    let used: BTreeMap<_, _> = world
        .state
        .budgets()
        .map(|budget| (budget.spec.name.to_string(), budget.lines[0].sums(world.state.now()).settled))
        .collect();
    assert_eq!(used.into_values().collect::<Vec<_>>(), [4, 4, 4, 4, 4, 0]);
}

#[test]
fn an_agent_whose_budget_has_too_little_takes_nothing_until_the_window_turns_and_others_do() {
    let mut world = world();
    world.ready_agent(2);
    put(&mut world, "b", Scope::Agent(agent(1)), 100, Window::Minute);
    for number in 1..=3 {
        world.ask(on_terms(number, 60, OverBudget::Wait)).unwrap();
    }
    assert_eq!(world.claim(1, 2), [(task(1), 1)]);
    assert!(!world.state.has_work_for(agent(1), None) && world.state.has_work_for(agent(2), None));
    assert!(!world.state.may_claim(world.state.agent(agent(1)).unwrap()));
    assert_eq!(world.claim(2, 1), [(task(2), 1)]);
    world.ask(finish(1, 1, 60)).unwrap();
    // The end of its attempt lets it try again, and in vain.
    assert!(world.state.has_work_for(agent(1), None));
    assert_eq!(world.claim(1, 1), []);
    assert!(!world.state.has_work_for(agent(1), None));
    world.pass(MINUTE);
    assert!(world.state.has_work_for(agent(1), None));
    assert_eq!(world.claim(1, 1), [(task(3), 1)]);
    let reopened = told(&world).iter().filter(|(what, _)| *what == Governing::BudgetReopened).count();
    assert_eq!(reopened, 2);
}

#[test]
fn who_waits_for_agents_without_budget_is_told_which() {
    let mut world = world();
    put(&mut world, "b", Scope::Agent(agent(1)), 100, Window::Minute);
    world.ask(on_terms(1, 101, OverBudget::Wait)).unwrap();
    assert_eq!(world.claim(1, 1), []);
    let why = world.state.why(task(1)).unwrap();
    assert_eq!(why.code(), "held_back");
    assert!(why.to_string().contains("budget b"), "{why}");
}

#[test]
fn an_attempt_that_passes_a_hard_limit_is_told_and_stopped_after_its_grace() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 100, Window::Hour);
    world.ask(on_terms(1, 50, OverBudget::Fail)).unwrap();
    world.claim(1, 1);
    world.ask(report(1, 1, 100)).unwrap();
    assert_eq!(told(&world), []);
    world.ask(report(1, 1, 101)).unwrap();
    assert_eq!(told(&world), [(Governing::AttemptOverBudget, "b".to_owned())]);
    world.pass(9999);
    assert_eq!(world.phase(1), Phase::Running);
    world.pass(1);
    assert_eq!(world.phase(1), Phase::Failed);
    assert!(world.reason(1).starts_with("budget exhausted"), "{}", world.reason(1));
    assert_eq!(sums(&world, "b"), (100, 0, 1));
}

#[test]
fn an_attempt_that_ends_within_its_grace_or_gets_a_raise_is_not_stopped() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 100, Window::Hour);
    for number in 1..=2 {
        world.ask(on_terms(number, 50, OverBudget::Fail)).unwrap();
    }
    world.claim(1, 2);
    world.ask(report(1, 1, 80)).unwrap();
    world.ask(finish(1, 1, 80)).unwrap();
    assert_eq!(world.phase(1), Phase::Completed);
    world.ask(report(2, 1, 51)).unwrap();
    let raise = Raise { percent: 100, until: at(world.now + MINUTE), reason: "the demo".into() };
    world.ask(Command::Budget(BudgetCommand::Override { budget: name("b"), raise })).unwrap();
    world.pass(20_000);
    assert_eq!(world.phase(2), Phase::Running);
}

#[test]
fn it_is_warned_once_a_window_and_told_when_it_is_exhausted_and_open_again() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 100, Window::Minute);
    let record = |world: &mut World, tokens| {
        let report = Report { tokens_in: tokens, ..Report::default() };
        let (workspace, account, model) = (name("default"), None, Some(name("m")));
        world
            .ask(Command::Budget(BudgetCommand::Record {
                agent: agent(1),
                workspace,
                account,
                model,
                report,
            }))
            .unwrap();
    };
    for tokens in [79, 1, 5, 15, 3] {
        record(&mut world, tokens);
    }
    let b = |what| (what, "b".to_owned());
    assert_eq!(told(&world), [b(Governing::BudgetWarned), b(Governing::BudgetExhausted)]);
    world.pass(MINUTE);
    assert_eq!(told(&world).last(), Some(&b(Governing::BudgetReopened)));
    record(&mut world, 80);
    assert_eq!(told(&world).last(), Some(&b(Governing::BudgetWarned)));
    assert_eq!(of_budget(&world, "b").alerts.len(), 4);
}

#[test]
fn a_soft_budget_counts_and_tells_and_holds_nothing_back() {
    let mut world = world();
    let soft = BudgetSpec {
        enforcement: Enforcement::Soft,
        ..(*budget("b", Scope::Global, 10, Window::Hour)).clone()
    };
    world.ask(Command::Budget(BudgetCommand::Put { spec: soft.into() })).unwrap();
    world.ask(on_terms(1, 500, OverBudget::Fail)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    world.ask(finish(1, 1, 900)).unwrap();
    assert_eq!(sums(&world, "b"), (900, 0, 0));
    assert_eq!(told(&world), [(Governing::BudgetExhausted, "b".to_owned())]);
}

#[test]
fn a_provider_that_wants_a_pause_holds_its_account_and_fails_no_task() {
    let mut world = world();
    let of_account = |number| {
        let terms = Terms { account: Some(name("acme")), ..Terms::default() };
        Command::SubmitWith { spec: spec(number).into(), terms: terms.into() }
    };
    world.ask(of_account(1)).unwrap();
    world.ask(of_account(2)).unwrap();
    world.submit(spec(3));
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    let limited = BudgetCommand::RateLimited {
        task: task(1),
        attempt: 1,
        retry_after: millis(3000),
        reason: "429 too many requests".into(),
        usage: Usage::default(),
    };
    let until = at(world.now + 3000);
    assert_eq!(world.ask(Command::Budget(limited)).unwrap(), Reply::WillRetry { until });
    assert_eq!((world.task(1).failures, world.task(1).losses), (0, 0));
    assert_eq!(told(&world), [(Governing::AccountHeld, "acme".to_owned())]);
    // What is on no account goes on; what is on this one waits.
    assert_eq!(world.claim(1, 2), [(task(3), 1)]);
    assert!(world.state.why(task(2)).unwrap().to_string().contains("account acme"));
    world.pass(2999);
    assert_eq!(world.claim(1, 1), []);
    world.pass(1);
    assert_eq!(world.claim(1, 1), [(task(1), 2)]);
    assert_eq!(world.state.held_accounts().count(), 0);
}

#[test]
fn who_gives_no_estimate_is_expected_to_use_what_its_kind_did() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 100_000, Window::Hour);
    let estimate = Amount { tokens: 777, ..Amount::default() };
    let settings = BudgetSettings { estimate, grace: millis(1) };
    world.ask(Command::Budget(BudgetCommand::Configure { settings })).unwrap();
    world.submit(spec(1));
    world.claim(1, 1);
    assert_eq!(sums(&world, "b"), (0, 777, 0));
    world.ask(finish(1, 1, 100)).unwrap();
    world.submit(spec(2));
    world.claim(1, 1);
    assert_eq!(sums(&world, "b"), (100, 100, 0));
}

#[test]
fn a_budget_that_is_removed_lets_everybody_go() {
    let mut world = world();
    put(&mut world, "b", Scope::Global, 10, Window::Whole);
    world.ask(on_terms(1, 20, OverBudget::Wait)).unwrap();
    assert_eq!(world.claim(1, 1), []);
    world.ask(Command::Budget(BudgetCommand::Remove { budget: name("b") })).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    let gone = world.ask(Command::Budget(BudgetCommand::Remove { budget: name("b") }));
    assert_eq!(gone, Err(Refusal::BudgetUnknown(name("b"))));
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let mut world = world();
    let window = Window::Hour;
    let many = |number: u32| budget(&format!("b{number}"), Scope::Global, 1, window);
    for number in 0..8 {
        world.ask(Command::Budget(BudgetCommand::Put { spec: many(number) })).unwrap();
    }
    let full = world.ask(Command::Budget(BudgetCommand::Put { spec: many(8) }));
    assert_eq!(full, Err(Refusal::Full { bound: Bound::Budgets, limit: 8 }));
    let nobody = budget("n", Scope::Agent(agent(77)), 1, window);
    let refused = world.ask(Command::Budget(BudgetCommand::Put { spec: nobody }));
    assert_eq!(refused, Err(Refusal::AgentUnknown(agent(77))));
    let twice = BudgetSpec { limits: many(0).limits.repeat(2), ..(*many(0)).clone() };
    let refused = world.ask(Command::Budget(BudgetCommand::Put { spec: twice.into() }));
    assert!(matches!(refused, Err(Refusal::Invalid { .. })));
}

#[test]
fn a_task_for_a_pool_without_budget_waits_parked_and_its_agents_do_other_work() {
    let mut world = world();
    world.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
    world.ask(register(agent_spec(2, Some("p"), Host::External))).unwrap();
    world.ask(standing(2, synod_domain::agent::Standing::Ready)).unwrap();
    put(&mut world, "b", Scope::Pool(name("p")), 100, Window::Hour);
    let large = TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(1) };
    world
        .ask(Command::SubmitWith { spec: large.into(), terms: terms(500, OverBudget::Wait).into() })
        .unwrap();
    world.ask(on_terms(2, 50, OverBudget::Wait)).unwrap();
    assert_eq!(world.claim(2, 2), [(task(2), 1)]);
    assert!(
        matches!(world.task(1).parking(), Some(parking) if parking.at == Timestamp::from_millis(world.now))
    );
}
