//! Pauses: what is not given out, and what can be.
//!
//! A pause is looked at when a task is about to be given out and nowhere else. So it changes nothing but that:
//! submits, leases, timeouts and the order of what waits go on as if it were not there. A mailbox that gives
//! nothing out is not looked at by claims, so its tasks do not rise to the next lane before it is resumed.

use std::collections::BTreeMap;

use crate::agent::Agent;
use crate::event::Event;
use crate::name::Name;
use crate::pause::{PAUSES_MAX, Pausable, Pause};
use crate::placement::WaitingWork;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::task::{MailboxId, bounded_reason};

/// The pauses in force.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    all: BTreeMap<Pausable, Pause>,
}

impl Pauses {
    pub(super) fn insert(&mut self, pause: Pause) {
        self.all.insert(pause.what.clone(), pause);
    }

    fn remove(&mut self, what: &Pausable) -> Option<Pause> {
        self.all.remove(what)
    }

    pub(super) fn get(&self, what: &Pausable) -> Option<&Pause> {
        self.all.get(what)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Pause> {
        self.all.values()
    }

    /// Returns the pause for which an agent of this pool claims nothing.
    pub(super) fn of_pool(&self, pool: Option<&Name>) -> Option<&Pause> {
        if self.all.is_empty() {
            return None;
        }
        self.get(&Pausable::Pool(pool?.clone()))
    }

    /// Returns the pause for which a mailbox gives nothing out to anybody.
    pub(super) fn of_mailbox(&self, mailbox: &MailboxId) -> Option<&Pause> {
        if self.all.is_empty() {
            return None;
        }
        let own = self.get(&Pausable::Mailbox(mailbox.clone()));
        own.or_else(|| match mailbox {
            MailboxId::Pool(pool) => self.of_pool(Some(pool)),
            MailboxId::Agent(_) | MailboxId::Open => None,
        })
    }
}

impl State {
    pub(super) fn pause(&mut self, step: &mut Step, what: &Pausable, reason: &str) -> Answer {
        match what {
            Pausable::Mailbox(mailbox) => self.check_mailbox(mailbox)?,
            Pausable::Pool(pool) if !self.pools.contains_key(pool) => {
                return Err(Refusal::PoolUnknown(pool.clone()));
            }
            Pausable::Pool(_) | Pausable::Workspace(_) => {}
        }
        let reason = bounded_reason(reason);
        let known = self.pauses.get(what);
        if known.is_some_and(|known| known.reason == reason) {
            return Ok(Reply::Done);
        }
        if known.is_none() && self.pauses.all.len() >= PAUSES_MAX {
            return Err(Refusal::Full { bound: Bound::Pauses, limit: PAUSES_MAX as u64 });
        }
        // Another reason does not begin it anew.
        let since = known.map_or(step.now, |known| known.since);
        self.pauses.insert(Pause { what: what.clone(), reason: reason.clone(), since });
        self.changes.touch(RowKey::Pause(what.clone()));
        step.events.push(Event::Paused { what: what.clone(), reason });
        self.note_stir(step);
        self.note_rest_of(step, what);
        Ok(Reply::Done)
    }

    pub(super) fn resume(&mut self, step: &mut Step, what: &Pausable) -> Answer {
        if self.pauses.remove(what).is_some() {
            self.changes.touch(RowKey::Pause(what.clone()));
            step.events.push(Event::Resumed { what: what.clone() });
            // What came back meanwhile was not offered to those that stood still.
            self.note_stir(step);
            self.note_rest_of(step, what);
        }
        Ok(Reply::Done)
    }

    /// Ends the pauses of a mailbox that is no more, and of its pool: whoever makes one of that name again does
    /// not expect it to stand still.
    pub(super) fn forget_pauses(&mut self, step: &mut Step, mailbox: &MailboxId) {
        let of_pool = match mailbox {
            MailboxId::Pool(pool) => Some(Pausable::Pool(pool.clone())),
            MailboxId::Agent(_) | MailboxId::Open => None,
        };
        for what in of_pool.into_iter().chain([Pausable::Mailbox(mailbox.clone())]) {
            // Nothing is refused here.
            let _ = self.resume(step, &what);
        }
    }

    /// Walks the pauses in force, in order of what they are about.
    pub fn pauses(&self) -> impl Iterator<Item = &Pause> {
        self.pauses.iter()
    }

    /// Returns the pause of something.
    pub fn pause_of(&self, what: &Pausable) -> Option<&Pause> {
        self.pauses.get(what)
    }

    /// Returns the waiting work of a mailbox that may be given out, by demand; none of it while the mailbox is
    /// paused, and of a workspace with a quota no more than it has room for. What it costs does not grow with the backlog.
    ///
    /// Whoever proposes claims plans for this and for nothing else: a claim for work that is paused comes back
    /// empty, and the next would as well.
    pub fn claimable(&self, mailbox: &MailboxId) -> Vec<WaitingWork> {
        let Some(found) = self.mailboxes.get(mailbox) else { return Vec::new() };
        if self.pauses.of_mailbox(mailbox).is_some() || self.is_behind_breaker(mailbox) {
            return Vec::new();
        }
        let demands = found.claimable(self.rooms_in(found)).into_iter();
        demands.map(|(demand, count)| WaitingWork { demand, count }).collect()
    }

    /// Tells whether nothing holds an agent back from all work: a pause of its pool, its pool's breaker, a budget.
    pub(super) fn may_give(&self, agent: &Agent) -> bool {
        let pool = agent.spec.pool.as_ref();
        self.pauses.of_pool(pool).is_none() && self.left_by_breaker(pool) != Some(0) && self.may_spend(agent)
    }

    /// Tells whether a claim for an agent may be given something now, if there is something for it.
    pub fn may_claim(&self, agent: &Agent) -> bool {
        agent.takes_work() && self.may_give(agent)
    }
}
