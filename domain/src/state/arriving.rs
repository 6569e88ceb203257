//! Tasks that other regions offer: taken once, or refused for good.
//!
//! ```text
//!   TakeOffered ─┬─► taken: an ordinary task, or the one that has its key ──► the same answer from then on
//!                └─► refused, and nothing changes ─► RefuseOffered: noted ──► refused from then on
//! ```
//!
//! A region that offers a task goes by the first answer that it hears. So every later copy of the offer must get the same
//! answer, and what is refused for good is noted before it is said. A refusal that passes by itself is not noted: the
//! task is offered again, and to no other region meanwhile.

use std::sync::Arc;

use crate::id::TaskId;
use crate::name::Name;
use crate::refusal::Refusal;
use crate::region::{Arrival, Declined, Verdict};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step, keys};
use crate::task::{Task, TaskSpec, bounded_reason};

impl State {
    /// Takes a task that another region offers, as a submit, and remembers that it came.
    pub(super) fn take_offered(&mut self, step: &mut Step, spec: &Arc<TaskSpec>, from: &Name) -> Answer {
        match self.arrivals.get(spec.id) {
            Some(Verdict::Taken(arrival)) => {
                return Ok(Reply::Submitted { task: arrival.known_as, duplicate: true });
            }
            Some(Verdict::Declined(declined)) => {
                return Err(Refusal::OfferDeclined { task: spec.id, why: declined.why.to_string() });
            }
            None => {}
        }
        let comes_back = match self.other_of_key(spec) {
            // The same request was made in both regions. It went there as this task, so nobody else has it.
            Some(other) if self.is_at(other, from, spec.id) => true,
            // Each region keeps one for the other. If both took theirs for the other's, neither would be left.
            Some(other) if other < spec.id && self.is_offered(other, from) => {
                return Err(Refusal::TaskElsewhere { task: other, region: from.clone() });
            }
            Some(_) | None => false,
        };
        let answer = if comes_back { self.submit_new(step, spec)? } else { self.submit(step, spec)? };
        if let Reply::Submitted { task, .. } = &answer {
            let arrival = Arrival { from: from.clone(), known_as: *task, at: step.now };
            self.arrivals.insert(spec.id, Verdict::Taken(arrival));
            self.changes.touch(RowKey::Arrival(spec.id));
        }
        Ok(answer)
    }

    /// Notes that a task that another region offers is refused for good. One that was taken meanwhile stays so: what was
    /// missing has come between the refusal and this, and with it another copy of the offer.
    pub(super) fn refuse_offered(&mut self, step: &Step, id: TaskId, from: &Name, why: &str) -> Answer {
        match self.arrivals.get(id) {
            Some(Verdict::Taken(arrival)) => {
                return Ok(Reply::Submitted { task: arrival.known_as, duplicate: true });
            }
            Some(Verdict::Declined(_)) => return Ok(Reply::Done),
            None => {}
        }
        // It came in another way, or so long ago that it is not remembered how.
        if self.knows_task(id) {
            return Ok(Reply::Submitted { task: id, duplicate: true });
        }
        let declined = Declined { from: from.clone(), why: bounded_reason(why), at: step.now };
        self.arrivals.insert(id, Verdict::Declined(declined));
        self.changes.touch(RowKey::Arrival(id));
        Ok(Reply::Done)
    }

    /// Returns the other task that was submitted here with the same key and content.
    fn other_of_key(&self, spec: &TaskSpec) -> Option<TaskId> {
        let usage = self.keys.get(&spec.workspace, spec.idempotency_key.as_ref()?)?;
        (usage.digest == keys::digest(spec) && usage.task != spec.id).then_some(usage.task)
    }

    /// Tells whether a task went to a region and is that one there.
    fn is_at(&self, id: TaskId, region: &Name, known_as: TaskId) -> bool {
        self.pointers.get(id).is_some_and(|there| there.region == *region && there.known_as == known_as)
    }

    /// Tells whether a kept task is offered to a region.
    fn is_offered(&self, id: TaskId, region: &Name) -> bool {
        let offered = |task: &Arc<Task>| task.forwarding()?.offered.clone();
        self.tasks.get(&id).and_then(offered).as_ref() == Some(region)
    }
}
