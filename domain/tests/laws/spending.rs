//! The part of random histories that spends: budgets of every scope, reports, accounts, and tasks on terms.

use std::sync::Arc;

use synod_domain::budget::Raise;
use synod_domain::budget::amount::{Amount, Measure, Report};
use synod_domain::budget::command::{BudgetCommand, BudgetSettings};
use synod_domain::budget::scope::Scope;
use synod_domain::budget::spec::{BudgetSpec, Enforcement, Limit};
use synod_domain::budget::window::Window;
use synod_domain::command::Command;
use synod_domain::event::{Event, Governing};
use synod_domain::id::TaskId;
use synod_domain::limits::Limits;
use synod_domain::task::Usage;
use synod_domain::terms::{Estimate, OverBudget, Terms};

use super::histories::Draw;
use super::world::{World, agent, at, millis, name, run};

const BUDGETS: [&str; 4] = ["all", "one", "two", "three"];

/// What is expected of a task unless something else is known.
pub(super) fn begin() -> Command {
    let estimate = Amount { tokens: 5, ..Amount::default() };
    Command::Budget(BudgetCommand::Configure { settings: BudgetSettings { estimate, grace: millis(100) } })
}

/// Draws a command about budgets, or about a leased task.
pub(super) fn command(draw: &mut Draw, now: u64, (task, attempt): (TaskId, u32)) -> Command {
    let budget = name(draw.pick(&BUDGETS));
    Command::Budget(match draw.below(20) {
        0..6 => BudgetCommand::Put { spec: spec(draw).into() },
        6 => BudgetCommand::Remove { budget },
        7 => BudgetCommand::Reset { budget, reason: "a new start".into() },
        8 => {
            let percent = draw.pick(&[0, 50, 2000]);
            let until = at(now + draw.below(2000));
            BudgetCommand::Override { budget, raise: Raise { percent, until, reason: "more".into() } }
        }
        9 => {
            let estimate = Amount { tokens: draw.below(30), ..Amount::default() };
            let settings = BudgetSettings { estimate, grace: millis(draw.below(400)) };
            BudgetCommand::Configure { settings }
        }
        10 | 11 => BudgetCommand::Record {
            agent: agent(u128::from(draw.below(7))),
            workspace: draw.workspace(),
            account: draw.one_in(2).then(|| name("acme")),
            model: draw.one_in(2).then(|| name("m")),
            report: report(draw),
        },
        12..17 => BudgetCommand::Report { task, attempt, report: report(draw), model: None },
        _ => BudgetCommand::RateLimited {
            task,
            attempt,
            retry_after: millis(draw.below(3000)),
            reason: "429".into(),
            usage: Usage { tokens_in: draw.below(20), ..Usage::default() },
        },
    })
}

/// Sometimes puts a submit on terms of its own.
pub(super) fn on_terms(draw: &mut Draw, submit: Command) -> Command {
    match submit {
        Command::Submit { spec } if draw.one_in(4) => {
            let estimate = Estimate { tokens: draw.below(40), ..Estimate::default() };
            let terms = Terms {
                estimate: draw.one_in(2).then_some(estimate),
                account: draw.one_in(2).then(|| name("acme")),
                model: draw.one_in(2).then(|| name("m")),
                over_budget: if draw.one_in(5) { OverBudget::Fail } else { OverBudget::Wait },
                ..Terms::default()
            };
            Command::SubmitWith { spec, terms: Arc::new(terms) }
        }
        other => other,
    }
}

fn spec(draw: &mut Draw) -> BudgetSpec {
    let scope = match draw.below(9) {
        0 | 1 => Scope::Global,
        2 => Scope::Workspace(draw.workspace()),
        3 => Scope::Pool(name(draw.pick(&["a", "b"]))),
        4 | 5 => Scope::Agent(agent(1 + u128::from(draw.below(5)))),
        6 => Scope::Run(run(1 + u128::from(draw.below(2)))),
        7 => Scope::Fleet(name("fleet1")),
        _ => Scope::Account(name("acme")),
    };
    let windows = [
        Window::Minute,
        Window::Rolling { length_ms: 60_000 },
        Window::Opened { length_ms: 60_000 },
        Window::Whole,
        Window::Whole,
    ];
    let measures = [Measure::Tokens, Measure::Tokens, Measure::Tokens, Measure::Compute];
    let count = if draw.one_in(3) { 2 } else { 1 };
    let limits = (0..count).map(|_| Limit {
        measure: draw.pick(&measures),
        most: draw.below(100),
        window: draw.pick(&windows),
    });
    BudgetSpec {
        limits: limits.collect(),
        name: name(draw.pick(&BUDGETS)),
        scope,
        enforcement: if draw.one_in(5) { Enforcement::Soft } else { Enforcement::Hard },
        warn_percent: 80,
        note: None,
    }
}

fn report(draw: &mut Draw) -> Report {
    Report { tokens_in: draw.below(120), tokens_out: draw.below(10), ..Report::default() }
}

#[test]
fn what_is_told_of_a_budget_says_its_figures_so_that_a_lowered_one_is_seen() {
    let mut world = World::empty(Limits::default());
    let told = |world: &World| match world.events.last() {
        Some(Event::Governed { what: Governing::BudgetPut, detail, .. }) => detail.to_string(),
        other => panic!("{other:?}"),
    };
    let limits = [
        (Measure::Tokens, 100, Window::Hour),
        (Measure::Cost, 2_500_000, Window::Rolling { length_ms: 5 * 3_600_000 }),
        (Measure::Compute, 1500, Window::Whole),
    ];
    let limits = limits.map(|(measure, most, window)| Limit { measure, most, window }).to_vec();
    let mut spec = BudgetSpec {
        name: name("b"),
        scope: Scope::Workspace(name("w")),
        limits,
        enforcement: Enforcement::Hard,
        warn_percent: 80,
        note: None,
    };
    let put = |spec: &BudgetSpec| Command::Budget(BudgetCommand::Put { spec: spec.clone().into() });
    world.ask(put(&spec)).unwrap();
    let others = "cost/rolling:5h=2500000 compute/whole=1500";
    let figures = format!("scope=workspace:w enforcement=hard warn_percent=80 tokens/hour=100 {others}");
    assert_eq!(told(&world), figures);
    (spec.limits[0].most, spec.enforcement) = (40, Enforcement::Soft);
    world.ask(put(&spec)).unwrap();
    let figures = format!("scope=workspace:w enforcement=soft warn_percent=80 tokens/hour=40 {others}");
    assert_eq!(told(&world), figures);
}
