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
}

impl Counts {
    pub(super) fn add(&mut self, task: &Task) {
        one_more(&mut self.by_workspace, &task.spec.workspace);
        if let Some(MailboxId::Pool(pool)) = task.mailbox_here() {
            one_more(&mut self.by_pool, pool);
        }
        self.unfinished += 1;
        self.payload_bytes += task.spec.weight() as u64;
    }

    pub(super) fn remove(&mut self, task: &Task) {
        one_less(&mut self.by_workspace, &task.spec.workspace);
        if let Some(MailboxId::Pool(pool)) = task.mailbox_here() {
            one_less(&mut self.by_pool, pool);
        }
        self.unfinished -= 1;
        self.payload_bytes -= task.spec.weight() as u64;
    }

    pub(super) fn of_workspace(&self, workspace: &Name) -> u64 {
        self.by_workspace.get(workspace).copied().unwrap_or(0)
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
