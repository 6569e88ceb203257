//! The broker: work that asks providers for something, under accounts that have quotas, which come, change and go.
//!
//! A type says whose account it is, `asks-acme`. How often the window of a quota lets work begin at the most is said before
//! the world begins. At the end of new work there are no quotas, so that all ends that waits for one; what waits for a
//! provider's pause waits for that alone.

use std::sync::Arc;

use synod::node::domain::budget::amount::Measure;
use synod::node::domain::budget::command::BudgetCommand;
use synod::node::domain::budget::scope::Scope;
use synod::node::domain::budget::spec::{BudgetSpec, Enforcement, Limit, WARN_PERCENT};
use synod::node::domain::budget::window::Window;
use synod::node::domain::command::Command;
use synod::node::domain::name::Name;

use crate::history::{Change, Covers, Promise};
use crate::workload::governed::{ASKS, CALLERS, Errand, Office, Wanted, named};

/// What it is called, and its workspace.
pub(super) const NAME: &str = "broker";

/// The accounts.
pub(super) const ACCOUNTS: [&str; 2] = ["acme", "zeno"];

/// The quotas: what each is called, whose it is, its window, and the most that it ever allows.
const QUOTAS: [(&str, &str, Window, u64); 4] = [
    ("minute-acme-9", "acme", Window::Minute, 9),
    ("opened-acme-16", "acme", Window::Opened { length_ms: 60_000 }, 16),
    ("minute-zeno-12", "zeno", Window::Minute, 12),
    ("opened-zeno-7", "zeno", Window::Opened { length_ms: 60_000 }, 7),
];

/// Asks until the world settles, then has no quota any more.
pub(super) async fn run(mut office: Office) {
    while office.is_busy() {
        match office.stream.between(0, 99) {
            0..76 => submit(&mut office).await,
            76..88 => put(&mut office).await,
            _ => {
                let there = there(&office);
                if let Some(quota) = office.stream.pick(&there).cloned() {
                    remove(&office, quota).await;
                }
            }
        }
        office.pause(50, 700).await;
    }
    while office.looks_again().await {
        for quota in there(&office) {
            remove(&office, quota).await;
        }
    }
}

/// Says what its quotas promise.
pub(super) fn promises() -> impl Iterator<Item = (String, Promise)> {
    QUOTAS.iter().map(|(name, account, window, most)| {
        let covers = Covers::Account((*account).to_owned());
        ((*name).to_owned(), Promise { most: *most, window: *window, covers })
    })
}

async fn submit(office: &mut Office) {
    let account = office.stream.pick(&ACCOUNTS).copied().unwrap_or("acme");
    let errand = Errand::of(&mut office.stream, (50, 900), Vec::new());
    let wanted = Wanted { account: Some(named(account)), ..Wanted::of(&format!("{ASKS}{account}"), errand) };
    office.submit_to(CALLERS, wanted).await;
}

async fn put(office: &mut Office) {
    let Some((name, account, window, ceiling)) = office.stream.pick(&QUOTAS).copied() else { return };
    let most = office.stream.between(ceiling / 2, ceiling);
    let spec = BudgetSpec {
        name: named(name),
        scope: Scope::Account(named(account)),
        limits: vec![Limit { measure: Measure::Requests, most, window }],
        enforcement: Enforcement::Hard,
        warn_percent: WARN_PERCENT,
        note: None,
    };
    let change = Change::PutBudget { budget: spec.name.clone(), most };
    office.govern(change, Command::Budget(BudgetCommand::Put { spec: Arc::new(spec) })).await;
}

async fn remove(office: &Office, budget: Name) {
    let command = Command::Budget(BudgetCommand::Remove { budget: budget.clone() });
    office.govern(Change::RemoveBudget { budget }, command).await;
}

/// Returns those of its quotas that there are; others have budgets, too.
fn there(office: &Office) -> Vec<Name> {
    let quotas = QUOTAS.iter().map(|(name, ..)| named(name));
    office.node.read(|state| quotas.filter(|name| state.budget(name).is_some()).collect())
}
