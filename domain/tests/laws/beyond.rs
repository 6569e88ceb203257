//! Examples of what becomes of work that asks for more than a budget is as a whole.

use std::sync::Arc;

use synod_domain::budget::Raise;
use synod_domain::budget::amount::Amount;
use synod_domain::budget::command::{BudgetCommand, BudgetSettings};
use synod_domain::budget::scope::Scope;
use synod_domain::budget::window::Window;
use synod_domain::command::Command;
use synod_domain::state::State;
use synod_domain::terms::OverBudget;

use super::budgets::{MINUTE, finish, on_terms, put, world};
use super::world::{agent, at, name, spec, task};

#[test]
fn a_task_that_no_budget_of_that_size_ever_has_enough_for_waits_and_keeps_nobody_else_waiting() {
    let mut world = world();
    put(&mut world, "b", Scope::Workspace(name("default")), 2000, Window::Opened { length_ms: 20 * MINUTE });
    // More of them than are looked at when something comes free.
    for number in 1..=300 {
        world.ask(on_terms(number, 4000, OverBudget::Wait)).unwrap();
    }
    for number in 301..=304 {
        world.ask(on_terms(number, 1000, OverBudget::Wait)).unwrap();
    }
    assert_eq!(world.claim(1, 2), [(task(301), 1), (task(302), 1)]);
    assert_eq!(world.claim(1, 2), []);
    world.ask(finish(301, 1, 1000)).unwrap();
    world.ask(finish(302, 1, 1000)).unwrap();
    assert_eq!(world.claim(1, 2), []);
    let why = world.state.why(task(1)).unwrap();
    assert_eq!(why.code(), "held_back");
    for part in ["budget b has 2000 tokens in all", "4000 tokens are asked for"] {
        assert!(why.to_string().contains(part), "{part:?} is not in {why}");
    }
    world.pass(20 * MINUTE);
    assert_eq!(world.claim(1, 2), [(task(303), 1), (task(304), 1)]);
    world.ask(finish(303, 1, 0)).unwrap();
    world.ask(finish(304, 1, 0)).unwrap();
    assert_eq!(world.claim(1, 2), []);
    put(&mut world, "b", Scope::Workspace(name("default")), 4000, Window::Opened { length_ms: 20 * MINUTE });
    assert_eq!(world.claim(1, 2), []);
    world.pass(20 * MINUTE);
    assert_eq!(world.claim(1, 2), [(task(1), 1)]);
}

#[test]
fn what_is_more_than_the_budget_of_an_agent_is_kept_for_another_and_the_agent_does_the_rest() {
    let mut world = world();
    world.ready_agent(2);
    put(&mut world, "b", Scope::Agent(agent(1)), 100, Window::Whole);
    world.ask(on_terms(1, 101, OverBudget::Fail)).unwrap();
    world.ask(on_terms(2, 60, OverBudget::Wait)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(2), 1)]);
    assert!(world.state.barred_for(world.state.agent(agent(1)).unwrap(), None).is_empty());
    assert!(!world.state.has_work_for(agent(1), None) && world.state.has_work_for(agent(2), None));
    let rows = world.state.rows().into_iter().map(|(_, row)| row);
    world.state = State::restore(rows).unwrap();
    assert!(!world.state.has_work_for(agent(1), None) && world.state.has_work_for(agent(2), None));
    assert_eq!(world.claim(2, 2), [(task(1), 1)]);
}

#[test]
fn what_was_too_dear_goes_when_the_budget_is_raised_or_its_kind_is_seen_to_use_less() {
    let mut world = world();
    let settings =
        BudgetSettings { estimate: Amount { tokens: 500, ..Amount::default() }, ..Default::default() };
    let configure =
        |settings: &BudgetSettings| Command::Budget(BudgetCommand::Configure { settings: settings.clone() });
    world.ask(configure(&settings)).unwrap();
    put(&mut world, "b", Scope::Workspace(name("default")), 400, Window::Whole);
    for number in 1..=2 {
        world.ask(Command::Submit { spec: Arc::new(spec(number)) }).unwrap();
        assert_eq!(world.claim(1, 1), []);
    }
    let raise = Raise { percent: 25, until: at(world.now + MINUTE), reason: "today".into() };
    world.ask(Command::Budget(BudgetCommand::Override { budget: name("b"), raise })).unwrap();
    assert_eq!(world.claim(1, 2), [(task(1), 1)]);
    world.pass(MINUTE);
    // What it used is what the other one is expected to use.
    world.ask(finish(1, 1, 10)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(2), 1)]);
}
