//! Nothing that is paused is given out, from the entry that pauses it to the entry that resumes it.
//!
//! Source: domain, laws of pauses. Events tell leases and pauses in the order of the log. Those of a crash may be
//! lost, so each life begins with what is paused, looked up; where a task waits and whose agent it is are known
//! from any life that told of it, because they do not change.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::event::Event;
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::pause::Pausable;
use synod::node::domain::task::MailboxId;

use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "paused is not given out",
    says: "no lease is granted on work of a paused workspace, mailbox or pool, nor to an agent of a paused pool",
    look,
};

#[derive(Debug, Default)]
struct Watch {
    paused: BTreeSet<Pausable>,
    mailboxes: BTreeMap<TaskId, MailboxId>,
    pools: BTreeMap<AgentId, Name>,
}

fn look(history: &[Record]) -> Verdict {
    let mut watch = Watch::default();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Starting { .. } => watch.paused.clear(),
            Fact::Paused(what) => watch.paused = what.iter().cloned().collect(),
            Fact::Happened { event, .. } => {
                if let Some((task, what)) = watch.hear(event) {
                    return broken(place, Some(task), format!("it was given out while {what} is paused"));
                }
                checked += usize::from(!watch.paused.is_empty() && matches!(event, Event::TaskLeased { .. }));
            }
            _ => {}
        }
    }
    Ok(checked)
}

impl Watch {
    /// Returns the task that an event gives out and the pause that should have held it.
    fn hear(&mut self, event: &Event) -> Option<(TaskId, Pausable)> {
        match event {
            Event::Paused { what, .. } => {
                self.paused.insert(what.clone());
            }
            Event::Resumed { what } => {
                self.paused.remove(what);
            }
            Event::TaskSubmitted { task, mailbox, .. } => {
                self.mailboxes.insert(*task, mailbox.clone());
            }
            Event::AgentRegistered { agent, pool: Some(pool), .. } => {
                self.pools.insert(*agent, pool.clone());
            }
            Event::TaskLeased { task, workspace, agent, .. } => {
                let held = self.held_by(*task, workspace, *agent)?;
                return Some((*task, held));
            }
            _ => {}
        }
        None
    }

    fn held_by(&self, task: TaskId, workspace: &Name, agent: AgentId) -> Option<Pausable> {
        let mailbox = self.mailboxes.get(&task).cloned();
        let of_mailbox = match &mailbox {
            Some(MailboxId::Pool(pool)) => Some(pool.clone()),
            Some(MailboxId::Agent(_) | MailboxId::Open) | None => None,
        };
        let pools = of_mailbox.into_iter().chain(self.pools.get(&agent).cloned());
        let mut could = [Pausable::Workspace(workspace.clone())]
            .into_iter()
            .chain(mailbox.map(Pausable::Mailbox))
            .chain(pools.map(Pausable::Pool));
        could.find(|what| self.paused.contains(what))
    }
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    fn pool() -> Name {
        Name::new("pool").unwrap_or_default()
    }

    fn paused(index: u64, what: Pausable) -> Fact {
        happened(index, Event::Paused { what, reason: "moving".into() })
    }

    fn registered(index: u64) -> Fact {
        happened(index, Event::AgentRegistered { agent: agent(9), name: pool(), pool: Some(pool()) })
    }

    #[test]
    fn a_lease_on_paused_work_is_found_whatever_is_paused() {
        for what in
            [Pausable::Workspace(Name::default()), Pausable::Mailbox(MailboxId::Open), Pausable::Pool(pool())]
        {
            let before = || [submitted(1, 1), registered(2), paused(3, what.clone())];
            assert!(look(&history(before().into_iter().chain([leased(4, 1, 1)]))).is_err(), "{what}");
            let resumed = happened(4, Event::Resumed { what: what.clone() });
            assert_eq!(look(&history(before().into_iter().chain([resumed, leased(5, 1, 1)]))), Ok(0));
        }
    }

    #[test]
    fn a_lease_on_other_work_is_not_held_against_a_pause() {
        let other = Pausable::Workspace(pool());
        assert_eq!(look(&history([submitted(1, 1), paused(2, other), leased(3, 1, 1)])), Ok(1));
    }

    #[test]
    fn a_pause_that_was_looked_up_holds_in_the_next_life_and_one_that_was_lost_does_not() {
        let what = Pausable::Workspace(Name::default());
        let next = |paused| [Fact::Starting { life: 2 }, Fact::Paused(paused), leased(9, 1, 1)];
        assert!(look(&history(next(vec![what.clone()]))).is_err());
        assert_eq!(look(&history([paused(1, what)].into_iter().chain(next(Vec::new())))), Ok(0));
    }
}
