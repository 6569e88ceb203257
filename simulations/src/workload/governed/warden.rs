//! The warden: limit sets that are made, changed live and taken back, over work that presses against them.
//!
//! A set is called by the most that it ever lets through: `at-once-3`, `rate-4-2000` in milliseconds, `tokens-1500` a minute.
//! Its key is the type of a task.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::command::Command;
use synod::node::domain::limit_set::{LimitSetCommand, LimitSetSpec, Rate};
use synod::node::domain::name::Name;

use crate::history::Change;
use crate::workload::governed::{Errand, Office, Wanted, named};

/// What it is called, and its workspace.
pub(super) const NAME: &str = "warden";

/// The keys.
const KINDS: [&str; 3] = ["tight-a", "tight-b", "tight-c"];

/// The sets.
const SETS: [&str; 4] = ["at-once-3", "at-once-1", "rate-4-2000", "tokens-1500"];

/// Governs until the world settles, then has no limit any more.
pub(super) async fn run(mut office: Office) {
    while office.is_busy() {
        match office.stream.between(0, 99) {
            0..72 => {
                let kind = office.stream.pick(&KINDS).copied().unwrap_or("tight-a");
                let spends = vec![office.stream.between(0, 200)];
                let errand = Errand::of(&mut office.stream, (100, 1_200), spends);
                office.submit(Wanted::of(kind, errand)).await;
            }
            72..92 => put(&mut office).await,
            _ => {
                let there = there(&office);
                if let Some(set) = office.stream.pick(&there).cloned() {
                    remove(&office, set).await;
                }
            }
        }
        office.pause(0, 200).await;
    }
    while office.looks_again().await {
        for set in there(&office) {
            remove(&office, set).await;
        }
    }
}

fn there(office: &Office) -> Vec<Name> {
    office.node.read(|state| state.limit_sets().map(|set| set.spec.name.clone()).collect())
}

async fn remove(office: &Office, set: Name) {
    let command = Command::LimitSet(LimitSetCommand::Remove { set: set.clone() });
    office.govern(Change::RemoveLimits { set }, command).await;
}

async fn put(office: &mut Office) {
    let Some(name) = office.stream.pick(&SETS).copied() else { return };
    let Ok(key) = "type".parse() else { return };
    let mut spec = LimitSetSpec {
        name: named(name),
        key,
        workspace: Some(named(NAME)),
        kinds: BTreeSet::new(),
        concurrency: None,
        rate: None,
        tokens_per_minute: None,
    };
    let most = match name {
        "at-once-1" => 1,
        "at-once-3" => office.stream.between(1, 3),
        "rate-4-2000" => office.stream.between(1, 4),
        _ => office.stream.between(300, 1_500),
    };
    match name {
        "at-once-1" | "at-once-3" => spec.concurrency = u32::try_from(most).ok(),
        "rate-4-2000" => spec.rate = Some(Rate { count: most, window: Duration::from_secs(2) }),
        _ => spec.tokens_per_minute = Some(most),
    }
    let change = Change::PutLimits { set: spec.name.clone(), most };
    office.govern(change, Command::LimitSet(LimitSetCommand::Put { spec: Arc::new(spec) })).await;
}
