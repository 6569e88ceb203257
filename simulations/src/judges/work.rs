//! What agents have in hand, as far as it is known, and of which type it is.
//!
//! Types of governed tasks say what judges must know of them. What is known of leases errs on the side of less: events of
//! a crash of all may be lost, and then nothing is known to be in hand until it is given out anew.

use std::collections::BTreeMap;

use synod::node::domain::event::{Event, Governing};
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::task::Phase;
use synod::node::domain::time::Timestamp;

use crate::agent::SCRIPTED_FAILURE;
use crate::history::{Fact, Governance, Record};
use crate::judges::lives::Lives;

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) task: TaskId,
    pub(super) workspace: Name,
    pub(super) attempt: u32,
    pub(super) agent: AgentId,
    /// When it was given, by the time of the log.
    pub(super) at: Timestamp,
}

/// What a record says that matters to whoever judges what governs.
#[derive(Debug)]
pub(super) enum Heard<'a> {
    /// From here on only what is looked up is known.
    Forgot,
    /// A lease was given.
    Leased(Lease),
    /// A lease is over, and the task completed with it.
    Completed(Lease),
    /// A lease is over in another way.
    Returned(Lease),
    /// Something happened to what governs.
    Governed { what: Governing, subject: &'a str, task: Option<TaskId>, detail: &'a str },
    /// Everything that governs was looked up.
    Governs(&'a Governance),
    /// Nothing of that.
    Other,
}

/// Follows leases.
#[derive(Debug, Default)]
pub(super) struct Work {
    lives: Lives,
    kinds: BTreeMap<TaskId, Name>,
    held: BTreeMap<TaskId, Lease>,
}

impl Work {
    /// Takes note of a record.
    pub(super) fn hear<'a>(&mut self, record: &'a Record) -> Heard<'a> {
        if self.lives.forget(record) {
            self.held.clear();
            return Heard::Forgot;
        }
        match &record.fact {
            Fact::Governs(governance) => Heard::Governs(governance),
            Fact::Happened { event, at, .. } => self.told(event, *at),
            _ => Heard::Other,
        }
    }

    fn told<'a>(&mut self, event: &'a Event, at: Timestamp) -> Heard<'a> {
        match event {
            Event::TaskSubmitted { task, kind, .. } => {
                self.kinds.insert(*task, kind.clone());
                Heard::Other
            }
            Event::TaskLeased { task, workspace, agent, attempt } => {
                let workspace = workspace.clone();
                let lease = Lease { task: *task, workspace, attempt: *attempt, agent: *agent, at };
                self.held.insert(*task, lease.clone());
                Heard::Leased(lease)
            }
            Event::TaskReturned { task, .. } => self.held.remove(task).map_or(Heard::Other, Heard::Returned),
            Event::TaskEnded { task, phase, .. } => match self.held.remove(task) {
                Some(lease) if *phase == Phase::Completed => Heard::Completed(lease),
                Some(lease) => Heard::Returned(lease),
                None => Heard::Other,
            },
            Event::Governed { what, subject, task, detail, .. } => {
                Heard::Governed { what: *what, subject, task: *task, detail }
            }
            _ => Heard::Other,
        }
    }

    /// Returns the type of a task; nothing when no event told it.
    pub(super) fn kind(&self, task: TaskId) -> &str {
        self.kinds.get(&task).map_or("", Name::as_str)
    }

    /// Walks what is known to be in hand.
    pub(super) fn held(&self) -> impl Iterator<Item = &Lease> {
        self.held.values()
    }
}

/// Tells whether an attempt that ended for this reason failed by itself, and not with its agent, its node or its budget.
pub(super) fn is_failure(reason: &str) -> bool {
    let is_late = reason.contains("gave no heartbeat") || reason.contains("ran longer than");
    reason == SCRIPTED_FAILURE || reason.starts_with("attempt ") && is_late
}

/// Reads a figure from the end of a name: what is called `purse-3000` has 3000.
pub(super) fn figure(name: &str) -> Option<u64> {
    name.rsplit_once('-')?.1.parse().ok()
}
