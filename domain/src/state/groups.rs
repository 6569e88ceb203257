//! Which unfinished tasks belong together, for those who end them together.
//!
//! Only runs, single agents and other regions have their groups: nobody ends all tasks of a pool or of the open mailbox at once,
//! and those hold nearly all of the work.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{AgentId, RunId, TaskId};
use crate::task::{MailboxId, Task};

/// The unfinished tasks of each run, those addressed to each agent, and those kept for other regions.
#[derive(Debug, Default)]
pub(super) struct Groups {
    of_run: BTreeMap<RunId, BTreeSet<TaskId>>,
    of_agent: BTreeMap<AgentId, BTreeSet<TaskId>>,
    kept: BTreeSet<TaskId>,
}

impl Groups {
    pub(super) fn add(&mut self, task: &Task) {
        if let Some(run) = task.spec.run {
            self.of_run.entry(run).or_default().insert(task.spec.id);
        }
        if task.forwarding().is_some() {
            self.kept.insert(task.spec.id);
        }
        if let Some(MailboxId::Agent(agent)) = task.mailbox_here().cloned() {
            self.of_agent.entry(agent).or_default().insert(task.spec.id);
        }
    }

    pub(super) fn remove(&mut self, task: &Task) {
        if let Some(run) = task.spec.run {
            leave(&mut self.of_run, run, task.spec.id);
        }
        if task.forwarding().is_some() {
            self.kept.remove(&task.spec.id);
        }
        if let Some(MailboxId::Agent(agent)) = task.mailbox_here().cloned() {
            leave(&mut self.of_agent, agent, task.spec.id);
        }
    }

    /// Walks the tasks that are kept for other regions, in order of id.
    pub(super) fn kept(&self) -> impl Iterator<Item = TaskId> {
        self.kept.iter().copied()
    }

    /// Returns the unfinished tasks of a run, in order of id.
    pub(super) fn of_run(&self, run: RunId) -> Vec<TaskId> {
        self.of_run.get(&run).into_iter().flatten().copied().collect()
    }

    /// Returns the unfinished tasks that only this agent may take, in order of id.
    pub(super) fn of_agent(&self, agent: AgentId) -> Vec<TaskId> {
        self.of_agent.get(&agent).into_iter().flatten().copied().collect()
    }
}

fn leave<K: Ord>(groups: &mut BTreeMap<K, BTreeSet<TaskId>>, key: K, task: TaskId) {
    if let Some(tasks) = groups.get_mut(&key) {
        tasks.remove(&task);
        if tasks.is_empty() {
            groups.remove(&key);
        }
    }
}
