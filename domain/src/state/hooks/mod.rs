//! Hooks: who has which, and which branches they have.
//!
//! Hooks stand in rows; everything else here follows from them and from the agents, and is rebuilt when the state is
//! restored, the times at which they are looked at among it. [`rules`] judges what is asked, [`patrol`] what happens when nobody asks. Cost: O(log n) for what is asked;
//! a hook that changes hands looks at the agents of its pool.

mod patrol;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::hook::{Hook, HookTerms};
use crate::id::{AgentId, HookId, NodeId, RunId, TaskId};
use crate::name::Name;
use crate::state::State;
use crate::state::wakes::Wake;
use crate::task::Task;
use crate::time::Timestamp;

/// Where a branch is: node, repository, name.
type Branch = (NodeId, Arc<str>, Arc<str>);

/// All hooks that are remembered.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    all: BTreeMap<HookId, Arc<Hook>>,
    /// Those that have not ended, by who has them.
    of_agent: BTreeMap<AgentId, BTreeSet<HookId>>,
    /// Those that wait for another agent of their pool.
    abandoned: BTreeMap<Name, BTreeSet<HookId>>,
    /// The branches of those that have not ended.
    branches: BTreeMap<Branch, HookId>,
    /// Those that have ended, the longest ago first.
    ended: BTreeSet<(Timestamp, HookId)>,
    /// The terms of those that have some of their own.
    terms: BTreeMap<HookId, Arc<HookTerms>>,
}

impl Hooks {
    pub(super) fn get(&self, hook: HookId) -> Option<&Arc<Hook>> {
        self.all.get(&hook)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = HookId> {
        self.all.keys().copied()
    }

    pub(super) fn terms(&self, hook: HookId) -> Option<&Arc<HookTerms>> {
        self.terms.get(&hook)
    }

    pub(super) fn with_terms(&self) -> impl Iterator<Item = HookId> {
        self.terms.keys().copied()
    }

    pub(super) fn restore_terms(&mut self, hook: HookId, terms: Arc<HookTerms>) {
        self.terms.insert(hook, terms);
    }

    /// Keeps a hook as it stands from here on.
    pub(super) fn put(&mut self, hook: Arc<Hook>) {
        let id = hook.spec.id;
        self.take(id);
        if hook.status().is_end() {
            self.ended.insert((hook.updated_at, id));
        } else {
            self.of_agent.entry(hook.agent).or_default().insert(id);
            self.branches.insert(branch_of(&hook), id);
            if !hook.is_held()
                && let Some(pool) = &hook.pool
            {
                self.abandoned.entry(pool.clone()).or_default().insert(id);
            }
        }
        self.all.insert(id, hook);
    }

    /// Forgets a hook.
    fn take(&mut self, id: HookId) -> Option<Arc<Hook>> {
        let hook = self.all.remove(&id)?;
        self.ended.remove(&(hook.updated_at, id));
        leave(&mut self.of_agent, &hook.agent, id);
        if let Some(pool) = &hook.pool {
            leave(&mut self.abandoned, pool, id);
        }
        let branch = branch_of(&hook);
        if self.branches.get(&branch) == Some(&id) {
            self.branches.remove(&branch);
        }
        Some(hook)
    }

    fn of_agent(&self, agent: AgentId) -> Vec<HookId> {
        self.of_agent.get(&agent).into_iter().flatten().copied().collect()
    }

    fn held_by(&self, agent: AgentId) -> usize {
        self.of_agent.get(&agent).map_or(0, BTreeSet::len)
    }

    fn unfinished(&self) -> usize {
        self.all.len() - self.ended.len()
    }
}

fn branch_of(hook: &Hook) -> Branch {
    let spec = &hook.spec;
    (spec.node, spec.repository.clone(), spec.branch.clone())
}

fn leave<K: Ord + Clone>(groups: &mut BTreeMap<K, BTreeSet<HookId>>, group: &K, id: HookId) {
    if let Some(members) = groups.get_mut(group) {
        members.remove(&id);
        if members.is_empty() {
            groups.remove(group);
        }
    }
}

impl State {
    /// Returns a hook.
    pub fn hook(&self, hook: HookId) -> Option<&Arc<Hook>> {
        self.hooks.get(hook)
    }

    /// Returns the terms of a hook that has some of its own.
    pub fn hook_terms(&self, hook: HookId) -> Option<&Arc<HookTerms>> {
        self.hooks.terms(hook)
    }

    /// Walks the hooks in order of id.
    pub fn hooks(&self) -> impl Iterator<Item = &Arc<Hook>> {
        self.hooks.all.values()
    }

    /// Walks the hooks below an id, the latest first; from the top without one. For pages of a list.
    pub fn hooks_below(&self, before: Option<HookId>) -> impl Iterator<Item = &Arc<Hook>> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        self.hooks.all.range((Bound::Unbounded, end)).rev().map(|(_, hook)| hook)
    }

    /// Walks the hooks of an agent that have not ended, in order of id.
    pub fn hooks_of(&self, agent: AgentId) -> impl Iterator<Item = &Arc<Hook>> {
        let ids = self.hooks.of_agent.get(&agent).into_iter().flatten();
        ids.filter_map(|id| self.hooks.get(*id))
    }

    /// Returns the hook whose present attempt is done under a task.
    pub fn hook_of_task(&self, task: TaskId) -> Option<&Arc<Hook>> {
        let (first, last) = HookId::range_of(task);
        self.hooks.all.range(first..=last).map(|(_, hook)| hook).find(|hook| hook.task() == task)
    }

    /// Returns the run whose spending a task is: its own, or that of the hook whose work it does.
    pub(super) fn run_of(&self, task: &Task) -> Option<RunId> {
        let of_hook = || {
            // Mostly no hook has terms.
            let id = Some(task.spec.id).filter(|_| !self.hooks.terms.is_empty())?;
            self.hooks.terms(self.hook_of_task(id)?.spec.id)?.run
        };
        task.spec.run.or_else(of_hook)
    }

    /// Sets when every hook is looked at again, after a restore.
    pub(super) fn rearm_hooks(&mut self) {
        let ids: Vec<HookId> = self.hooks.ids().collect();
        for id in ids {
            self.rearm_hook(id);
        }
    }

    /// Sets when a hook is looked at again, going by how it and its agent stand.
    fn rearm_hook(&mut self, id: HookId) {
        let at = self.hooks.get(id).and_then(|hook| {
            let agent = self.agents.get(&hook.agent);
            hook.stale_at(agent.map(AsRef::as_ref))
        });
        self.wakes.set(Wake::Hook(id), at);
    }
}
