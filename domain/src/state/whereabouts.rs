//! In which mailboxes the work of each workspace waits, so that nobody looks at all of them when a workspace may have more.
//!
//! Derived from the waiting tasks. Cost: O(log n) for each that comes or goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::mailbox::Mailbox;
use crate::name::Name;
use crate::task::MailboxId;

/// The mailboxes that have waiting work, by workspace.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(BTreeMap<Name, BTreeSet<MailboxId>>);

impl Whereabouts {
    /// Notes that a task comes to a mailbox.
    pub(super) fn add(&mut self, workspace: &Name, mailbox: &MailboxId) {
        match self.0.get_mut(workspace) {
            Some(known) if known.contains(mailbox) => {}
            Some(known) => drop(known.insert(mailbox.clone())),
            None => drop(self.0.insert(workspace.clone(), [mailbox.clone()].into())),
        }
    }

    /// Notes that a task has left a mailbox.
    pub(super) fn note(&mut self, workspace: &Name, id: &MailboxId, mailbox: &Mailbox) {
        if mailbox.depth_of_workspace(workspace) > 0 {
            return;
        }
        if let Some(known) = self.0.get_mut(workspace) {
            known.remove(id);
            if known.is_empty() {
                self.0.remove(workspace);
            }
        }
    }

    /// Walks the mailboxes in which work of a workspace waits.
    pub(super) fn of(&self, workspace: &Name) -> impl Iterator<Item = &MailboxId> {
        self.0.get(workspace).into_iter().flatten()
    }
}
