//! What somebody outside has seen: leases granted and ended, answers given. It judges what the rules say by it.

use std::collections::BTreeSet;

use synod_domain::event::Event;
use synod_domain::reply::Reply;
use synod_domain::state::State;
use synod_domain::task::Phase;
use synod_domain::time::Timestamp;

use crate::protocol::Op;
use crate::replica::Step;
use crate::setting;

/// What must never be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    /// A lease was granted while another one was valid, or under an attempt that was used before.
    TwoLeases,
    /// A task that had ended, ended again.
    EndedTwice,
    /// A completion was accepted from an attempt that had lost its lease.
    StaleCompletion,
    /// A request that had counted, counted again, or was answered otherwise.
    CountedTwice,
    /// A lease was taken for a silence of which a part was before the term, within the grace of that term.
    NotForgiven,
    /// The same log made another state.
    ReplicasDiffer,
}

/// How the task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ended {
    /// In which phase.
    pub phase: Phase,
    /// Under which attempt, if one held it.
    pub attempt: Option<u32>,
    /// Whether the second leader applied it.
    pub after_failover: bool,
}

/// The memory of the one who looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Outside {
    /// The attempt whose lease is valid.
    pub lease: Option<u32>,
    /// The highest attempt that was granted.
    pub granted: u32,
    /// How the task ended, once it has.
    pub ended: Option<Ended>,
    /// When the second leader began.
    pub term_began: Option<Timestamp>,
    /// Which requests were accepted, one bit each.
    accepted: u64,
    /// What was seen that must not be.
    pub broken: BTreeSet<Broken>,
}

impl Outside {
    /// Tells whether a request was accepted already.
    pub(crate) fn has_accepted(&self, op: Op) -> bool {
        op.request().is_some_and(|request| self.accepted & (1 << request) != 0)
    }

    /// Looks at what came of one operation.
    pub(crate) fn see(&mut self, op: Op, before: &State, step: &Step, after_failover: bool) {
        let (answer, events) = (step.answer.as_ref(), &step.events);
        let now = step.replica.state().now();
        if op == Op::Term {
            self.term_began = Some(now);
        }
        if self.is_too_strict(op, before, now) && events.iter().any(ends_lease) {
            self.broken.insert(Broken::NotForgiven);
        }
        let accepted = matches!(answer, Some(Ok(_)));
        if self.has_accepted(op) && (!accepted || !events.is_empty()) {
            self.broken.insert(Broken::CountedTwice);
        }
        if let Op::Complete { attempt, .. } = op
            && let Some(Ok(Reply::Ended { phase: Phase::Completed })) = answer
            && !self.may_complete(attempt)
        {
            self.broken.insert(Broken::StaleCompletion);
        }
        for event in events {
            self.hear(event, after_failover);
        }
        if accepted {
            self.accepted |= op.request().map_or(0, |request| 1 << request);
        }
    }

    /// Tells whether nothing may be held against the holder of the lease: nobody was there to hear it.
    fn is_too_strict(&self, op: Op, before: &State, now: Timestamp) -> bool {
        let Some(began) = self.term_began else { return false };
        let lease = before.task(setting::TASK).and_then(|task| task.lease());
        matches!(op, Op::Tick { .. })
            && lease.is_some_and(|lease| lease.heard_at <= began)
            && now < began.after(before.limits().grace)
    }

    /// Who holds the lease may, and so may who says again what it has said.
    fn may_complete(&self, attempt: u32) -> bool {
        let said = |ended: Ended| ended.phase == Phase::Completed && ended.attempt == Some(attempt);
        self.lease == Some(attempt) || self.ended.is_some_and(said)
    }

    fn hear(&mut self, event: &Event, after_failover: bool) {
        if let Event::TaskLeased { attempt, .. } = event {
            if self.lease.is_some() || *attempt <= self.granted || self.ended.is_some() {
                self.broken.insert(Broken::TwoLeases);
            }
            self.lease = Some(*attempt);
            self.granted = *attempt;
        } else if let Event::TaskReturned { .. } = event {
            self.lease = None;
        } else if let Event::TaskEnded { phase, .. } = event {
            let ended = Ended { phase: *phase, attempt: self.lease.take(), after_failover };
            if self.ended.replace(ended).is_some() {
                self.broken.insert(Broken::EndedTwice);
            }
        }
    }
}

fn ends_lease(event: &Event) -> bool {
    matches!(event, Event::TaskReturned { .. } | Event::TaskEnded { .. })
}
