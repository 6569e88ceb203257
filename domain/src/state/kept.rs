//! Tasks that are kept here until another region has them.
//!
//! ```text
//!   KeepForRegion ─► kept ─► OfferToRegion ─► offered ─► ForwardedTo ───► a pointer
//!                     │ ▲                        │
//!                     │ └────── RegionRefused ───┴─ refused by all of its route ─► failed
//!                     ├─► TakeHere ─► an ordinary task
//!                     └─► cancelled, timed out
//! ```
//!
//! A task is kept, an ordinary task, or a pointer, and never two of them. While it is offered, only the region that it
//! was offered to can say what becomes of it: nobody cancels it here and no time runs out. The rule of where it may go
//! is [`Forwarding`](crate::region::Forwarding).

use std::sync::Arc;

use crate::event::Event;
use crate::id::TaskId;
use crate::name::Name;
use crate::refusal::Refusal;
use crate::region::{Arrival, FALLBACKS_MAX, Forwarding, NoWay, Pointer, Route, Routing};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step, keys, submit};
use crate::task::{Outcome, Task, TaskSpec, TaskStatus, bounded_reason};

impl State {
    pub(super) fn keep_for_region(&mut self, step: &mut Step, spec: &Arc<TaskSpec>, route: &Route) -> Answer {
        if let Some(answer) = self.earlier_submit(spec) {
            return answer;
        }
        submit::check_spec(spec, step.now)?;
        check_kept(spec, route)?;
        self.check_totals(spec)?;
        let forwarding = Box::new(Forwarding::new(route.clone()));
        self.accept(step, spec.clone(), TaskStatus::Kept { forwarding });
        Ok(Reply::Submitted { task: spec.id, duplicate: false })
    }

    pub(super) fn offer_to_region(&mut self, step: &mut Step, id: TaskId, region: &Name) -> Answer {
        let mut forwarding = self.kept(id, region)?.clone();
        if forwarding.offered.as_ref() == Some(region) {
            return Ok(Reply::Done);
        }
        if !forwarding.offer(region) {
            return Err(Refusal::TaskNotKept { task: id, region: region.clone() });
        }
        let workspace = self.keep(id, forwarding)?;
        step.events.push(Event::TaskOffered { task: id, workspace, region: region.clone() });
        Ok(Reply::Done)
    }

    pub(super) fn forwarded_to(
        &mut self,
        step: &mut Step,
        id: TaskId,
        region: &Name,
        known_as: TaskId,
    ) -> Answer {
        if self.pointers.get(id).is_some_and(|pointer| pointer.region == *region) {
            return Ok(Reply::Done);
        }
        self.offered_to(id, region)?;
        let Some(task) = self.tasks.remove(&id) else { return Err(Refusal::TaskUnknown(id)) };
        self.timers.clear(id);
        self.counts.remove(&task);
        self.groups.remove(&task);
        self.changes.task_gone(id);
        let workspace = task.spec.workspace.clone();
        let pointer =
            Pointer { region: region.clone(), known_as, workspace: workspace.clone(), at: step.now };
        self.pointers.insert(id, step.now, pointer);
        self.changes.touch(RowKey::Pointer(id));
        step.events.push(Event::TaskForwarded { task: id, workspace, region: region.clone() });
        Ok(Reply::Done)
    }

    pub(super) fn region_refused(&mut self, step: &mut Step, id: TaskId, region: &Name, why: &str) -> Answer {
        let mut forwarding = self.offered_to(id, region)?.clone();
        self.note_refused(step, id, &mut forwarding, region, why)
    }

    /// Makes a kept task an ordinary one. What would be wrong with it as a submit here makes this region one that
    /// refused it; without room it stays kept.
    pub(super) fn take_here(&mut self, step: &mut Step, id: TaskId, here: &Name) -> Answer {
        let mut forwarding = self.kept(id, here)?.clone();
        if forwarding.offered.is_some() || !forwarding.offer(here) {
            return Err(Refusal::TaskNotKept { task: id, region: here.clone() });
        }
        let spec = match self.tasks.get(&id) {
            Some(task) => task.spec.clone(),
            None => return Err(Refusal::TaskUnknown(id)),
        };
        let fits = self
            .check_mailbox(&spec.mailbox)
            .and_then(|()| self.check_open(&spec.mailbox))
            .and_then(|()| self.check_depth(&spec.mailbox));
        match fits {
            Err(refusal) if refusal.is_temporary() => Err(refusal),
            Err(refusal) => self.note_refused(step, id, &mut forwarding, here, &refusal.to_string()),
            Ok(()) => {
                let Some(task) = self.tasks.remove(&id) else { return Err(Refusal::TaskUnknown(id)) };
                self.counts.remove(&task);
                self.groups.remove(&task);
                let task = Task { status: TaskStatus::Waiting { since: step.now }, ..Task::clone(&task) };
                let workspace = spec.workspace.clone();
                step.events.push(Event::TaskReady { task: id, workspace, mailbox: spec.mailbox.clone() });
                self.put_in(step, task);
                self.changes.task_changed(id);
                Ok(Reply::Done)
            }
        }
    }

    /// Takes a task that another region offers, as a submit, and remembers that it came.
    pub(super) fn take_offered(&mut self, step: &mut Step, spec: &Arc<TaskSpec>, from: &Name) -> Answer {
        if let Some(arrival) = self.arrivals.get(spec.id) {
            return Ok(Reply::Submitted { task: arrival.known_as, duplicate: true });
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
            self.arrivals.insert(
                spec.id,
                step.now,
                Arrival { from: from.clone(), known_as: *task, at: step.now },
            );
            self.changes.touch(RowKey::Arrival(spec.id));
        }
        Ok(answer)
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

    /// Notes that a region does not take a task, and ends it if no other is left.
    fn note_refused(
        &mut self,
        step: &mut Step,
        id: TaskId,
        forwarding: &mut Forwarding,
        region: &Name,
        why: &str,
    ) -> Answer {
        let reason = bounded_reason(why);
        if !forwarding.refuse(region, reason.clone()) {
            return Err(Refusal::TaskNotKept { task: id, region: region.clone() });
        }
        let no_way = forwarding.no_way();
        let workspace = self.keep(id, forwarding.clone())?;
        step.events.push(Event::TaskRefusedThere { task: id, workspace, region: region.clone(), reason });
        if let Some(no_way) = no_way {
            let reason = bounded_reason(&no_way.to_string());
            self.stop(step, id, Outcome::Failed { reason });
        }
        // Its time may have run out while it was offered.
        self.advance(step);
        Ok(Reply::Done)
    }

    /// Stores how far a kept task is; returns whose it is.
    fn keep(&mut self, id: TaskId, forwarding: Forwarding) -> Result<Name, Refusal> {
        let Some(task) = self.tasks.get_mut(&id).map(Arc::make_mut) else {
            return Err(Refusal::TaskUnknown(id));
        };
        task.status = TaskStatus::Kept { forwarding: Box::new(forwarding) };
        self.timers.set(task);
        self.changes.task_changed(id);
        Ok(task.spec.workspace.clone())
    }

    /// Returns how far a kept task is, or says why it is not one.
    fn kept(&self, id: TaskId, region: &Name) -> Result<&Forwarding, Refusal> {
        let task = self.unfinished_task(id)?;
        task.forwarding().ok_or_else(|| Refusal::TaskNotKept { task: id, region: region.clone() })
    }

    fn offered_to(&self, id: TaskId, region: &Name) -> Result<&Forwarding, Refusal> {
        let forwarding = self.kept(id, region)?;
        if forwarding.offered.as_ref() == Some(region) {
            return Ok(forwarding);
        }
        Err(Refusal::TaskNotKept { task: id, region: region.clone() })
    }

    /// Refuses what only the region can judge that a task was offered to.
    pub(super) fn check_not_offered(&self, task: &Task) -> Result<(), Refusal> {
        match task.forwarding().and_then(|forwarding| forwarding.offered.as_ref()) {
            Some(region) => Err(Refusal::TaskElsewhere { task: task.spec.id, region: region.clone() }),
            None => Ok(()),
        }
    }

    /// Walks the kept tasks, oldest first. Looks at those alone.
    pub fn kept_tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.groups.kept().filter_map(|task| self.tasks.get(&task))
    }

    /// Returns the route of a dead letter that was kept for another region.
    pub fn route_of(&self, task: TaskId) -> Option<&Route> {
        self.routes.get(&task)
    }
}

fn check_kept(spec: &TaskSpec, route: &Route) -> Result<(), Refusal> {
    let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
    if route.fallbacks.len() > FALLBACKS_MAX {
        return refuse("fallback_regions", NoWay::TooManyFallbacks(route.fallbacks.len()).to_string());
    }
    match route.routing {
        Routing::Preferred => {}
        Routing::Any | Routing::Strict => {
            return refuse("routing", format!("{} tasks are not kept for other regions", route.routing));
        }
    }
    if spec.run.is_some() {
        return refuse("region", "work of a run stays in the region of its run".to_owned());
    }
    Ok(())
}
