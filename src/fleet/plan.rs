//! A fleet file made ready for one run: every task, with everything it needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use synod_domain::agent::PoolSpec;
use synod_domain::assignment::Assignment;
use synod_domain::capability::Capabilities;
use synod_domain::name::Name;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{Lane, Timeouts};
use synod_domain::terms::Terms;

use super::Governing;
use crate::node::PoolTending;

/// What one run does. Stored when the run begins, so that a continued run does what it began even when the
/// fleet file or the folders it looks into have changed.
///
/// Holds JSON values, so it is stored as JSON and not in a format that does not describe itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The fleet's name.
    pub name: Name,
    /// SHA-256 of everything else in the plan, in hexadecimal. Equal digests mean equal work, with equal
    /// paths: a fleet file in another folder has another digest.
    pub digest: String,
    /// The pools, in order of name.
    pub pools: Vec<PoolSpec>,
    /// How those of them look after themselves that do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tending: BTreeMap<Name, PoolTending>,
    /// What is put in force before the work begins.
    #[serde(default, skip_serializing_if = "Governing::is_empty")]
    pub governing: Governing,
    /// The entries, each after those it waits for.
    pub entries: Vec<EntryPlan>,
}

impl Plan {
    /// Returns how many tasks the plan has.
    pub fn task_count(&self) -> usize {
        self.entries.iter().map(|entry| entry.items.len()).sum()
    }

    /// Tells whether work of it hangs on hooks.
    pub fn hangs_hooks(&self) -> bool {
        self.entries.iter().flat_map(|entry| &entry.items).any(|item| item.hook.is_some())
    }

    /// Tells whether it has a pool that refuses what no agent is free for.
    pub fn lets_nothing_wait(&self) -> bool {
        self.tending.values().any(|tending| tending.assignment == Assignment::Immediate)
    }

    /// Returns the entry of a name.
    pub fn entry(&self, name: &str) -> Option<&EntryPlan> {
        self.entries.iter().find(|entry| entry.name.as_str() == name)
    }
}

/// Who does an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The agents of this pool.
    Pool(Name),
    /// Any agent that can do this.
    Capabilities(Capabilities),
}

/// One entry of the work: tasks that differ only in their payload and labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryPlan {
    /// Its name; also the kind of its tasks.
    pub name: Name,
    /// Who does it.
    pub target: Target,
    /// How urgent it is.
    pub lane: Lane,
    /// The entries of which all tasks must have completed first, in the order of the file. Their results are
    /// added to each payload, which then is an object, under `after`.
    pub after: Vec<Name>,
    /// When each task must have ended, counted from its submit.
    pub deadline: Option<Duration>,
    /// The other timeouts, those of the pool included.
    pub timeouts: Timeouts,
    /// What happens when an attempt fails.
    pub retry: RetryPolicy,
    /// On which terms each is given out, if it says something of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// Its tasks, in the order of the items; one without an item when the entry has no `for_each`.
    pub items: Vec<ItemPlan>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemPlan {
    /// Unique in the plan and the same whenever the same file is expanded over the same items: the name of
    /// the entry, and with `for_each` the item in brackets, as in `files[src/lib.rs]`.
    pub key: String,
    /// The item; null for an entry without `for_each`.
    pub item: Value,
    /// What the agent is given, apart from the results of earlier entries.
    pub payload: Value,
    /// What people filter by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, String>,
    /// Where its work is kept, if it is pinned to an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookPlan>,
}

/// The hook that a task's work hangs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookPlan {
    /// The repository's folder.
    pub repository: PathBuf,
    /// The branch, if it has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Where a new branch begins, if not where the repository stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// How often it is tried again.
    pub max_retries: u32,
    /// How long its agent may be silent, if not as the node is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Duration>,
}
