//! Running totals that the limits are checked against.

use std::collections::BTreeMap;

use crate::name::Name;
use crate::task::{MailboxId, Task};

/// Totals over unfinished tasks.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Counts {
    by_workspace: BTreeMap<Name, u64>,
    by_pool: BTreeMap<Name, u64>,
    unfinished: u64,
    payload_bytes: u64,
    bytes_by_workspace: BTreeMap<Name, u64>,
}

impl Counts {
    pub(super) fn add(&mut self, task: &Task) {
        one_more(&mut self.by_workspace, &task.spec.workspace);
        if let Some(MailboxId::Pool(pool)) = task.mailbox_here() {
            one_more(&mut self.by_pool, pool);
        }
        self.unfinished += 1;
        self.payload_bytes += task.spec.weight() as u64;
        *self.bytes_by_workspace.entry(task.spec.workspace.clone()).or_default() += task.spec.weight() as u64;
    }

    pub(super) fn remove(&mut self, task: &Task) {
        one_less(&mut self.by_workspace, &task.spec.workspace);
        if let Some(MailboxId::Pool(pool)) = task.mailbox_here() {
            one_less(&mut self.by_pool, pool);
        }
        self.unfinished -= 1;
        self.payload_bytes -= task.spec.weight() as u64;
        // None are left with the last task of a workspace.
        if self.by_workspace.contains_key(&task.spec.workspace) {
            let bytes = self.bytes_by_workspace.entry(task.spec.workspace.clone()).or_default();
            *bytes = bytes.saturating_sub(task.spec.weight() as u64);
        } else {
            self.bytes_by_workspace.remove(&task.spec.workspace);
        }
    }

    pub(super) fn of_workspace(&self, workspace: &Name) -> u64 {
        self.by_workspace.get(workspace).copied().unwrap_or(0)
    }

    /// Walks the workspaces that have unfinished tasks.
    pub(super) fn workspaces(&self) -> impl Iterator<Item = &Name> {
        self.by_workspace.keys()
    }

    pub(super) fn bytes_of(&self, workspace: &Name) -> u64 {
        self.bytes_by_workspace.get(workspace).copied().unwrap_or(0)
    }

    pub(super) fn of_pool(&self, pool: &Name) -> u64 {
        self.by_pool.get(pool).copied().unwrap_or(0)
    }

    pub(super) const fn unfinished(&self) -> u64 {
        self.unfinished
    }

    pub(super) const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }
}

fn one_more(counts: &mut BTreeMap<Name, u64>, name: &Name) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.clone(), 1);
        }
    }
}

fn one_less(counts: &mut BTreeMap<Name, u64>, name: &Name) {
    if let Some(count) = counts.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            counts.remove(name);
        }
    }
}
