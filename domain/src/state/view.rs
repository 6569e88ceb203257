//! What can be asked of the state without changing it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::agent::{Agent, Pool};
use crate::id::{AgentId, RunId, TaskId};
use crate::limits::Limits;
use crate::mailbox::Mailbox;
use crate::name::Name;
use crate::run::Run;
use crate::state::State;
use crate::task::{MailboxId, Task};
use crate::time::Timestamp;

impl State {
    /// Returns the time of the last entry.
    pub const fn now(&self) -> Timestamp {
        self.meta.now
    }

    /// Returns the limits in force.
    pub const fn limits(&self) -> &Limits {
        &self.meta.limits
    }

    /// Returns an unfinished task, or one that ended too short a while ago to be in history.
    pub fn task(&self, task: TaskId) -> Option<&Arc<Task>> {
        self.tasks
            .get(&task)
            .or_else(|| self.changes.ended.get(&task))
            .or_else(|| self.changes.archiving.get(&task))
    }

    /// Walks the unfinished tasks below an id, the latest first; from the top without one. For pages of a list.
    pub fn tasks_below(&self, before: Option<TaskId>) -> impl Iterator<Item = &Arc<Task>> {
        below(&self.tasks, before)
    }

    /// Walks the unfinished tasks in order of id.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks.values()
    }

    /// Returns how many tasks of a workspace are unfinished.
    pub fn unfinished_of(&self, workspace: &Name) -> u64 {
        self.counts.of_workspace(workspace)
    }

    /// Returns how many tasks addressed to a pool are unfinished.
    pub fn unfinished_for(&self, pool: &Name) -> u64 {
        self.counts.of_pool(pool)
    }

    /// Returns how many bytes of payload the unfinished tasks hold.
    pub const fn payload_bytes(&self) -> u64 {
        self.counts.payload_bytes()
    }

    /// Returns how many tasks are unfinished.
    pub const fn unfinished(&self) -> u64 {
        self.counts.unfinished()
    }

    /// Walks the ended tasks that are not in history yet; those that a checkpoint is writing come first.
    pub fn recently_ended(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.changes.archiving.values().chain(self.changes.ended.values())
    }

    /// Walks the ended tasks that are not in history yet and are below an id, the latest first.
    pub fn recently_ended_below(&self, before: Option<TaskId>) -> impl Iterator<Item = &Arc<Task>> {
        let mut ended = below(&self.changes.ended, before).peekable();
        let mut archiving = below(&self.changes.archiving, before).peekable();
        std::iter::from_fn(move || {
            let id = |task: &&Arc<Task>| task.spec.id;
            if ended.peek().map(id) > archiving.peek().map(id) { ended.next() } else { archiving.next() }
        })
    }

    /// Walks the dead letters below an id, the latest first.
    pub fn dead_letters_below(&self, before: Option<TaskId>) -> impl Iterator<Item = &Arc<Task>> {
        below(&self.dead_letters, before)
    }

    /// Returns a dead letter.
    pub fn dead_letter(&self, task: TaskId) -> Option<&Arc<Task>> {
        self.dead_letters.get(&task)
    }

    /// Walks the dead letters, oldest submit first.
    pub fn dead_letters(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.dead_letters.values()
    }

    /// Returns an agent.
    pub fn agent(&self, agent: AgentId) -> Option<&Arc<Agent>> {
        self.agents.get(&agent)
    }

    /// Returns the agent of that name that runs elsewhere. Those that nodes run have theirs apart.
    pub fn agent_named(&self, name: &Name) -> Option<&Arc<Agent>> {
        self.agents.get(self.names.get(name)?)
    }

    /// Returns the agent of that name that a node runs. One that runs elsewhere may have the same.
    pub fn hosted_agent_named(&self, name: &Name) -> Option<&Arc<Agent>> {
        self.agents.get(self.hosted_names.get(name)?)
    }

    /// Walks the agents in order of id.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values()
    }

    /// Walks the agents of a pool in order of id.
    pub fn agents_of(&self, pool: &Name) -> impl Iterator<Item = &Arc<Agent>> {
        self.pool_agents.get(pool).into_iter().flatten().filter_map(|agent| self.agents.get(agent))
    }

    /// Returns a pool.
    pub fn pool(&self, pool: &Name) -> Option<&Arc<Pool>> {
        self.pools.get(pool)
    }

    /// Walks the pools in order of name.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.values()
    }

    /// Returns a mailbox that has waiting work.
    pub fn mailbox(&self, mailbox: &MailboxId) -> Option<&Mailbox> {
        self.mailboxes.get(mailbox)
    }

    /// Walks the mailboxes that have waiting work.
    pub fn mailboxes(&self) -> impl Iterator<Item = (&MailboxId, &Mailbox)> {
        self.mailboxes.iter()
    }

    /// Returns the task that has an idempotency key.
    pub fn task_of_key(&self, workspace: &Name, key: &Arc<str>) -> Option<TaskId> {
        self.keys.get(workspace, key).map(|usage| usage.task)
    }

    /// Walks the open runs in order of id.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// Returns an open run.
    pub fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.get(&run)
    }

    /// Returns the open run of a fleet.
    pub fn open_run_of(&self, fleet: &Name) -> Option<&Run> {
        self.runs.values().find(|run| run.fleet == *fleet)
    }
}

fn below(tasks: &BTreeMap<TaskId, Arc<Task>>, before: Option<TaskId>) -> impl Iterator<Item = &Arc<Task>> {
    let end = before.map_or(Bound::Unbounded, Bound::Excluded);
    tasks.range((Bound::Unbounded, end)).rev().map(|(_, task)| task)
}
