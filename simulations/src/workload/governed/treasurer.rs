//! The treasurer: budgets at their limit, and work that keeps to what it was expected to use, burns more, lies about it
//! or says nothing.
//!
//! There are four budgets, for a minute, for ever, for the time just past and for the pool. None ever allows more than was
//! said before the world began, also with a raise.

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::budget::Raise;
use synod::node::domain::budget::amount::Measure;
use synod::node::domain::budget::command::{BudgetCommand, BudgetSettings};
use synod::node::domain::budget::scope::Scope;
use synod::node::domain::budget::spec::{BudgetSpec, Enforcement, Limit, WARN_PERCENT};
use synod::node::domain::budget::window::Window;
use synod::node::domain::command::Command;
use synod::node::domain::name::Name;
use synod::node::domain::state::State;
use synod::node::domain::terms::OverBudget;

use crate::history::{Change, Covers, Promise};
use crate::workload::governed::{Errand, GOVERNED, Office, Wanted, named};

/// What it is called, and its workspace.
pub(super) const NAME: &str = "treasurer";

/// A budget.
#[derive(Clone, Copy)]
struct Purse {
    name: &'static str,
    window: Window,
    /// The most that it ever allows.
    ceiling: u64,
    /// Whether it is raised instead of changed.
    is_raised: bool,
    /// Whether it is the pool's, which others work in.
    is_of_pool: bool,
}

/// The budgets.
const BUDGETS: [Purse; 4] = [
    Purse { name: "purse-3000", window: Window::Minute, ceiling: 3_000, is_raised: false, is_of_pool: false },
    Purse { name: "vault-5000", window: Window::Whole, ceiling: 5_000, is_raised: false, is_of_pool: false },
    Purse {
        name: "lent-4000",
        window: Window::Rolling { length_ms: 60_000 },
        ceiling: 4_000,
        is_raised: true,
        is_of_pool: false,
    },
    Purse { name: "team-6000", window: Window::Minute, ceiling: 6_000, is_raised: false, is_of_pool: true },
];

/// What tasks are expected to use.
const ESTIMATES: [u64; 3] = [250, 500, 1000];

/// How long an attempt may go on that used more than there was: shorter than it may run.
const GRACE: Duration = Duration::from_secs(1);

/// A lie that no budget covers.
const ABSURD: u64 = u64::MAX / 4;

/// Governs until the world settles, then has no budget any more.
pub(super) async fn run(mut office: Office) {
    let liars = office.shared.streams.open("liars").happens(40);
    let settings = BudgetSettings { grace: GRACE, ..BudgetSettings::default() };
    // Without an answer the usual grace may stay, which is longer than an attempt may run.
    let _ = office.node.propose(Command::Budget(BudgetCommand::Configure { settings })).await;
    while office.is_busy() {
        match office.stream.between(0, 99) {
            0..62 => spend(&mut office, liars).await,
            62..76 => put(&mut office).await,
            76..80 => remove_one(&mut office).await,
            80..90 => reset(&mut office).await,
            _ => raise(&mut office).await,
        }
        office.pause(10, 250).await;
    }
    remove_all(&office).await;
    while office.looks_again().await {
        remove_all(&office).await;
    }
}

async fn spend(office: &mut Office, liars: bool) {
    let tokens = office.stream.pick(&ESTIMATES).copied().unwrap_or(500);
    let fails = office.stream.happens(5);
    let (spends, millis) = match office.stream.between(0, 99) {
        0..55 => (vec![tokens / 2, office.stream.between(0, tokens / 2)], (100, 1_500)),
        // It burns, for longer than it is left to.
        55..70 => (vec![tokens; 6], (1_500, 4_000)),
        70..85 => (Vec::new(), (100, 1_500)),
        85..92 => (vec![0, 0], (100, 1_500)),
        _ if liars => (vec![1, ABSURD, ABSURD], (100, 2_000)),
        _ => (vec![tokens * 3], (100, 1_500)),
    };
    let errand = Errand::of(&mut office.stream, millis, spends);
    let over_budget = if fails { OverBudget::Fail } else { OverBudget::Wait };
    office.submit(Wanted { tokens, over_budget, ..Wanted::of(&format!("spends-{tokens}"), errand) }).await;
}

/// Says what its budgets promise.
pub(super) fn promises() -> impl Iterator<Item = (String, Promise)> {
    BUDGETS.iter().map(|purse| {
        let covers = if purse.is_of_pool { Covers::Pool } else { Covers::Spenders };
        (purse.name.to_owned(), Promise { most: purse.ceiling, window: purse.window, covers })
    })
}

async fn put(office: &mut Office) {
    let Some(purse) = office.stream.pick(&BUDGETS).copied() else { return };
    let Purse { name, window, ceiling, is_raised, is_of_pool } = purse;
    let half = ceiling / 2;
    let most = if is_raised { half } else { half + office.stream.between(0, 4) * half / 4 };
    let spec = BudgetSpec {
        name: named(name),
        scope: if is_of_pool { Scope::Pool(named(GOVERNED)) } else { Scope::Workspace(named(NAME)) },
        limits: vec![Limit { measure: Measure::Tokens, most, window }],
        enforcement: Enforcement::Hard,
        warn_percent: WARN_PERCENT,
        note: None,
    };
    let change = Change::PutBudget { budget: spec.name.clone(), most };
    office.govern(change, Command::Budget(BudgetCommand::Put { spec: Arc::new(spec) })).await;
}

async fn remove_one(office: &mut Office) {
    let there = there(office);
    if let Some(budget) = office.stream.pick(&there).cloned() {
        remove(office, budget).await;
    }
}

async fn remove_all(office: &Office) {
    for budget in there(office) {
        remove(office, budget).await;
    }
}

async fn remove(office: &Office, budget: Name) {
    let command = Command::Budget(BudgetCommand::Remove { budget: budget.clone() });
    office.govern(Change::RemoveBudget { budget }, command).await;
}

async fn reset(office: &mut Office) {
    let there = there(office);
    if let Some(budget) = office.stream.pick(&there).cloned() {
        let reason = "a new month, says the treasurer".into();
        let command = Command::Budget(BudgetCommand::Reset { budget: budget.clone(), reason });
        office.govern(Change::ResetBudget { budget }, command).await;
    }
}

async fn raise(office: &mut Office) {
    let lent = BUDGETS.iter().filter(|purse| purse.is_raised).map(|purse| named(purse.name));
    let lent: Vec<Name> = lent.collect();
    let percent = u32::try_from(office.stream.between(0, 4) * 25).unwrap_or(0);
    let until = office.node.now().after(office.stream.millis(500, 5_000));
    let Some(budget) = office.stream.pick(&lent).cloned() else { return };
    let raise = Raise { percent, until, reason: "the release is tonight".into() };
    let command = Command::Budget(BudgetCommand::Override { budget: budget.clone(), raise });
    office.govern(Change::RaiseBudget { budget, percent }, command).await;
}

/// Returns those of its budgets that there are; others have some, too.
fn there(office: &Office) -> Vec<Name> {
    let is_own = |budget: &Name| BUDGETS.iter().any(|purse| purse.name == budget.as_str());
    let names =
        |state: &State| state.budgets().map(|budget| budget.spec.name.clone()).filter(is_own).collect();
    office.node.read(names)
}
