//! Every task by itself is linearizable: there is an order of all that was done with it, and of all that was told of it,
//! that a single task could have gone through, and in which nothing comes before what was over when it was asked.
//!
//! Source: Herlihy and Wing, "Linearizability", 1990. It is local, so tasks may be looked at one by one. Calls are placed
//! between their question and their answer. Events stand in the order of the log, and each had happened when the first
//! node told it, so a look that was asked after that and does not show it is a stale read.

mod register;
mod search;

use std::collections::BTreeMap;
use std::sync::Arc;

use synod::node::domain::event::Event;
use synod::node::domain::id::TaskId;
use synod::node::domain::task::Phase;

use crate::history::{Answer, Change, Fact, Record, Request};
use crate::judges::{Judge, Verdict, broken};
use crate::workload::{CALLERS, OUTSIDE};

use register::{Silent, Step};
use search::{Call, Course, Disorder};

pub(super) const JUDGE: Judge = Judge {
    name: "linearizable per task",
    says: "what clients were answered about a task has an order that keeps real time and that one task could go through",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let courses = Courses::of(history);
    for (task, course) in &courses.tasks {
        match course.search() {
            Ok(()) => {}
            Err(Disorder::At(place)) => {
                return broken(place, Some(*task), "no order of what was done with it explains this");
            }
            Err(Disorder::TooMany(place)) => {
                return broken(place, Some(*task), "the search for an order was given up");
            }
        }
    }
    Ok(courses.tasks.len())
}

/// What makes two submits of a client the same one: its key, or what it asks for, which is drawn anew for every task.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Same {
    Key(Arc<str>),
    Content(u64),
}

/// Who sent a submit, and what it is known by: what is repeated is the same submit.
type Known = (Arc<str>, Same);

fn known(client: &Arc<str>, key: Option<&Arc<str>>, content: u64) -> Known {
    (Arc::clone(client), key.map_or(Same::Content(content), |key| Same::Key(Arc::clone(key))))
}

/// Everything that is known of each task that a client was told of.
#[derive(Default)]
struct Courses {
    tasks: BTreeMap<TaskId, Course>,
}

impl Courses {
    fn of(history: &[Record]) -> Self {
        let mut courses = Self::default();
        let mut asked = BTreeMap::<u64, (usize, &Arc<str>, &Request)>::new();
        let mut submitted = BTreeMap::<Known, TaskId>::new();
        for (place, record) in history.iter().enumerate() {
            match &record.fact {
                Fact::Asked { question, client, request } => {
                    asked.insert(*question, (place, client, request));
                    if let Request::Govern(Change::Vote { task: Some(task), approve: false, .. }) = request {
                        // A no calls the task off that waits for a yes, at once, later or not at all.
                        courses.tasks.entry(*task).or_default().silent.push((place, Silent::Cancel));
                    }
                }
                // Nobody knows what became of it, as if there were no answer.
                Fact::Answered { answer: Answer::Failed(_), .. } => {}
                Fact::Answered { question, answer } => {
                    let Some((since, client, request)) = asked.remove(question) else { continue };
                    if let (Request::Submit { key, content, .. }, Answer::Submitted(task)) = (request, answer)
                    {
                        submitted.insert(known(client, key.as_ref(), *content), *task);
                    }
                    courses.answered(since, place, request, answer);
                }
                Fact::Happened { event, .. } => courses.told(place, event),
                _ => {}
            }
        }
        for (since, client, request) in asked.into_values() {
            courses
                .silent(since, request, |key, content| submitted.get(&known(client, key, content)).copied());
        }
        // What was never acknowledged may or may not be there.
        let acknowledged = |call: &Call| call.step == Step::Submitted;
        courses.tasks.retain(|_, course| course.calls.iter().any(acknowledged));
        for course in courses.tasks.values_mut() {
            course.calls.sort_by_key(|call| call.asked);
            course.silent.sort_by_key(|(asked, _)| *asked);
        }
        courses
    }

    fn answered(&mut self, asked: usize, answered: usize, request: &Request, answer: &Answer) {
        if let Answer::Claimed(leases) = answer {
            for (task, attempt) in leases {
                self.call(*task, Call { asked, answered, step: Step::Leased(*attempt) });
            }
            return;
        }
        if let (Request::Submit { pool, .. }, Answer::Submitted(task)) = (request, answer) {
            let outside = [OUTSIDE, CALLERS].contains(&&**pool);
            self.tasks.entry(*task).or_default().inside = !outside;
            return self.call(*task, Call { asked, answered, step: Step::Submitted });
        }
        if let (Some(task), Some(step)) = (request.task(), step(request, answer)) {
            self.call(task, Call { asked, answered, step });
        }
    }

    fn call(&mut self, task: TaskId, call: Call) {
        self.tasks.entry(task).or_default().calls.push(call);
    }

    fn told(&mut self, place: usize, event: &Event) {
        let step = match event {
            Event::TaskSubmitted { .. } => Step::Submitted,
            // Where a lease was not told, its start is the first word of it.
            Event::TaskLeased { attempt, .. } | Event::TaskStarted { attempt, .. } => Step::Leased(*attempt),
            Event::TaskReturned { attempt, .. } => Step::Returned(*attempt),
            Event::TaskEnded { phase, .. } => Step::Over(*phase),
            _ => return,
        };
        if let Some(task) = event.task() {
            self.tasks.entry(task).or_default().told.push((place, step));
        }
    }

    fn silent(
        &mut self,
        asked: usize,
        request: &Request,
        named: impl Fn(Option<&Arc<str>>, u64) -> Option<TaskId>,
    ) {
        let (task, silent) = match request {
            Request::Submit { key, content, .. } => (named(key.as_ref(), *content), Silent::Submit),
            Request::Complete { task, attempt } => (Some(*task), Silent::Complete(*attempt)),
            Request::Fail { task, attempt } | Request::Limited { task, attempt, .. } => {
                (Some(*task), Silent::Fail(*attempt))
            }
            Request::Cancel { task } => (Some(*task), Silent::Cancel),
            _ => return,
        };
        if let Some(task) = task {
            self.tasks.entry(task).or_default().silent.push((asked, silent));
        }
    }
}

/// Says what an answer about one task shows; none where it shows nothing.
fn step(request: &Request, answer: &Answer) -> Option<Step> {
    let said = match request {
        Request::Complete { .. } => Some(Phase::Completed),
        Request::Fail { .. } => Some(Phase::Failed),
        Request::Cancel { .. } => Some(Phase::Cancelled),
        _ => None,
    };
    match (request, answer) {
        (_, Answer::Refused { code: "task_unknown", .. }) => Some(Step::NotKnown),
        (_, Answer::Refused { code: "already_ended", .. }) => Some(Step::EndedOtherwise(said)),
        (
            Request::Heartbeat { attempt, .. }
            | Request::Complete { attempt, .. }
            | Request::Fail { attempt, .. }
            | Request::Limited { attempt, .. },
            Answer::Refused { code: "lease_lost", .. },
        ) => Some(Step::LeaseLost(*attempt)),
        (Request::Heartbeat { attempt, .. }, Answer::Done) => Some(Step::Renewed(*attempt)),
        (Request::Complete { attempt, .. }, Answer::Ended(Phase::Completed)) => {
            Some(Step::Completed(*attempt))
        }
        (Request::Fail { attempt, .. }, Answer::Done) => Some(Step::Failed(*attempt)),
        (Request::Limited { attempt, .. }, Answer::Done) => Some(Step::Failed(*attempt)),
        (Request::Cancel { .. }, Answer::Done) => Some(Step::Cancelled),
        (Request::Wait { .. }, Answer::Ended(phase)) => Some(Step::Over(*phase)),
        (Request::Look { .. }, Answer::Looked(seen)) => Some(Step::Seen(*seen)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
