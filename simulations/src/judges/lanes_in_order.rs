//! What is more urgent is given out first, and what waits long enough rises.
//!
//! Source: domain, laws of order; issue 5. The order is that of the log, and the times are those of its entries, so both
//! are exact, on whatever node and whatever its clock does. A mailbox ages when it gives something out, before it does.
//! Events may be lost with a crash: what stands as held waits no more, and after a crash of all nodes whoever is the
//! first to start again begins with nothing known. What was returned or held back counts again when it is said to be ready.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::event::{Event, Governing};
use synod::node::domain::id::TaskId;
use synod::node::domain::name::Name;
use synod::node::domain::pause::Pausable;
use synod::node::domain::task::{Lane, MailboxId};
use synod::node::domain::time::Timestamp;

use crate::history::{Fact, Record};
use crate::host::AGEING;
use crate::judges::lives::Lives;
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "lanes in order",
    says: "no task is given out before a more urgent one of its mailbox, and none waits in a lane past the ageing time",
    look,
};

#[derive(Debug)]
struct Task {
    workspace: Name,
    mailbox: MailboxId,
    lane: Lane,
    /// Since when it waits in its lane, while it does.
    since: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Mailboxes {
    tasks: BTreeMap<TaskId, Task>,
    paused: BTreeSet<Name>,
    /// Workspaces that a quota may hold back, from when the first is known of: whether it does is for another judge.
    bounded: BTreeSet<Name>,
}

fn look(history: &[Record]) -> Verdict {
    let mut mailboxes = Mailboxes::default();
    let (mut lives, mut checked) = (Lives::default(), 0);
    for (place, record) in history.iter().enumerate() {
        if lives.forget(record) {
            // What is paused stays so, and is looked up before anybody takes work.
            mailboxes.tasks.clear();
        }
        match &record.fact {
            Fact::Governs(governance) => mailboxes.bounded.extend(governance.quotas.iter().cloned()),
            Fact::Paused(what) => mailboxes.paused = what.iter().filter_map(workspace).collect(),
            Fact::Happened { event: Event::TaskLeased { task, .. }, at, .. } => {
                if let Some(wrong) = mailboxes.passed_over(*task, *at) {
                    return broken(place, Some(*task), wrong);
                }
                mailboxes.waits(*task, None);
                checked += 1;
            }
            Fact::Happened { event, at, .. } => mailboxes.hear(event, *at),
            // That it was given out may be news which a crash took along.
            Fact::Stands(standing) if standing.holder.is_some() => mailboxes.waits(standing.task, None),
            _ => {}
        }
    }
    Ok(checked)
}

fn workspace(what: &Pausable) -> Option<Name> {
    match what {
        Pausable::Workspace(workspace) => Some(workspace.clone()),
        Pausable::Mailbox(_) | Pausable::Pool(_) => None,
    }
}

impl Mailboxes {
    fn waits(&mut self, task: TaskId, since: Option<Timestamp>) {
        if let Some(known) = self.tasks.get_mut(&task) {
            known.since = since;
        }
    }

    fn hear(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::TaskSubmitted { task, workspace, mailbox, lane, .. } => {
                let (workspace, mailbox) = (workspace.clone(), mailbox.clone());
                self.tasks.insert(*task, Task { workspace, mailbox, lane: *lane, since: Some(at) });
            }
            Event::TaskReady { task, .. } => self.waits(*task, Some(at)),
            Event::TaskReturned { task, .. } | Event::TaskParked { task, .. } => self.waits(*task, None),
            Event::TaskRose { task, lane, .. } => {
                if let Some(known) = self.tasks.get_mut(task) {
                    known.lane = *lane;
                    known.since = known.since.map(|_| at);
                }
            }
            Event::TaskEnded { task, .. } => {
                self.tasks.remove(task);
            }
            Event::Governed { what: Governing::QuotaPut, workspace: Some(workspace), .. } => {
                self.bounded.insert(workspace.clone());
            }
            Event::Paused { what, .. } => self.paused.extend(workspace(what)),
            Event::Resumed { what } => {
                if let Some(workspace) = workspace(what) {
                    self.paused.remove(&workspace);
                }
            }
            _ => {}
        }
    }

    /// Says which task should have been given out instead, or should have risen by then.
    fn passed_over(&self, given: TaskId, at: Timestamp) -> Option<String> {
        let leased = self.tasks.get(&given).filter(|task| task.since.is_some())?;
        let others = self.tasks.iter().filter(|(id, task)| **id != given && task.mailbox == leased.mailbox);
        for (id, task) in others {
            let Some(since) = task.since else { continue };
            let held_back = self.paused.contains(&task.workspace) || self.bounded.contains(&task.workspace);
            if task.lane < leased.lane && !held_back {
                return Some(format!(
                    "{id} waits in {} and this one of {} is given out",
                    task.lane, leased.lane
                ));
            }
            if task.lane.above().is_some() && since.after(AGEING) <= at {
                return Some(format!("{id} waits in {} since {since} and has not risen by {at}", task.lane));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use synod::node::domain::task::Phase;

    use crate::history::Standing;
    use crate::judges::histories::*;

    use super::*;

    fn submitted_in(index: u64, number: u128, lane: Lane) -> Fact {
        let (task, workspace) = (task(number), Name::default());
        let mailbox = MailboxId::Open;
        let kind = workspace.clone();
        happened(index, Event::TaskSubmitted { task, workspace, kind, mailbox, lane, run: None })
    }

    #[test]
    fn a_lane_that_is_passed_over_is_found() {
        let submitted = || [submitted_in(1, 1, Lane::Low), submitted_in(2, 2, Lane::Critical)];
        let in_order = [leased(3, 2, 1), leased(4, 1, 1)];
        assert_eq!(look(&history(submitted().into_iter().chain(in_order))), Ok(2));
        assert!(look(&history(submitted().into_iter().chain([leased(3, 1, 1)]))).is_err());
        let paused = Fact::Paused(vec![Pausable::Workspace(Name::default())]);
        assert!(look(&history(submitted().into_iter().chain([paused, leased(3, 1, 1)]))).is_ok());
    }

    #[test]
    fn what_is_paused_stays_so_when_another_node_starts() {
        let paused = Fact::Paused(vec![Pausable::Workspace(Name::default())]);
        let after = [submitted_in(1, 1, Lane::Critical), submitted_in(2, 2, Lane::Low), leased(3, 2, 1)];
        let before = [paused, Fact::Stopped, Fact::Starting { life: 2 }];
        assert_eq!(look(&history(before.into_iter().chain(after))), Ok(1));
    }

    #[test]
    fn what_stands_as_held_does_not_wait() {
        let facts = || [submitted_in(1, 1, Lane::Critical), submitted_in(2, 2, Lane::Low)];
        let held = Fact::Stands(Standing {
            task: task(1),
            phase: Some(Phase::Running),
            attempt: 1,
            holder: Some(agent(9)),
            result_of: None,
        });
        assert!(look(&history(facts().into_iter().chain([held, leased(3, 2, 1)]))).is_ok());
        assert!(look(&history(facts().into_iter().chain([leased(3, 2, 1)]))).is_err());
    }

    #[test]
    fn a_task_that_never_rises_is_found() {
        let given_at = |millis: u64| {
            let facts = [submitted_in(1, 1, Lane::Low), submitted_in(2, 2, Lane::High)];
            let leased =
                Event::TaskLeased { task: task(2), workspace: Name::default(), agent: agent(9), attempt: 1 };
            look(&history(facts.into_iter().chain([happened_at(3, millis, leased)])))
        };
        let ageing = u64::try_from(AGEING.as_millis()).unwrap();
        assert_eq!(given_at(ageing - 1), Ok(1));
        assert!(given_at(ageing).is_err());
    }
}
