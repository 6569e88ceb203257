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
//! is [`Forwarding`](crate::region::Forwarding). A region that is removed is off all routes, but a task that was offered
//! to it waits all the same: it may run there. Only whoever declares that region lost lets it go elsewhere.

use std::sync::Arc;

use crate::event::Event;
use crate::id::TaskId;
use crate::name::Name;
use crate::refusal::Refusal;
use crate::region::{FALLBACKS_MAX, Forwarding, NoWay, Pointer, Route, Routing};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step, submit};
use crate::task::{Outcome, Task, TaskSpec, TaskStatus, bounded_reason};

/// Why no task goes to a region that was removed.
const REMOVED: &str = "it was removed";

impl State {
    pub(super) fn keep_for_region(&mut self, step: &mut Step, spec: &Arc<TaskSpec>, route: &Route) -> Answer {
        if let Some(answer) = self.earlier_submit(spec) {
            return answer;
        }
        submit::check_spec(spec, step.now)?;
        check_kept(spec, route)?;
        self.check_totals(spec)?;
        self.check_quota(step, spec)?;
        let forwarding = Box::new(self.begin_forwarding(route));
        if forwarding.no_way().is_some() {
            return Err(Refusal::RegionNotKnown(route.region.clone()));
        }
        self.note_pace(step, &spec.workspace);
        self.accept(step, spec.clone(), TaskStatus::Kept { forwarding });
        Ok(Reply::Submitted { task: spec.id, duplicate: false })
    }

    /// Tells whether a route has a region that was not removed.
    pub(super) fn leads_somewhere(&self, route: &Route) -> bool {
        self.begin_forwarding(route).no_way().is_none()
    }

    /// Returns the way of a task on this route, without the regions that were removed.
    fn begin_forwarding(&self, route: &Route) -> Forwarding {
        let mut forwarding = Forwarding::new(route.clone());
        for (region, _) in self.federation.removed() {
            forwarding.strike(region, REMOVED.into());
        }
        forwarding
    }

    pub(super) fn offer_to_region(&mut self, step: &mut Step, id: TaskId, region: &Name) -> Answer {
        let mut forwarding = self.kept(id, region)?.clone();
        if forwarding.offered.as_ref() == Some(region) {
            return Ok(Reply::Done);
        }
        // One that was removed is off the route.
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
        self.pointers.insert(id, pointer);
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
            .and_then(|()| self.check_owner(&spec))
            .and_then(|()| self.check_open(&spec.mailbox))
            .and_then(|()| self.check_depth(&spec.mailbox))
            .and_then(|()| self.check_policies(&spec, step.now));
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
                let held_back = self.policies_on_submit(step, &task);
                self.put_in(step, task);
                self.changes.task_changed(id);
                if let Some(on) = held_back {
                    self.park(step, id, on);
                }
                Ok(Reply::Done)
            }
        }
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
        self.go_on_without(step, id, forwarding, region, reason)?;
        // Its time may have run out while it was offered.
        self.advance(step);
        Ok(Reply::Done)
    }

    /// Stores that a region does not take a task, and ends it if no other is left.
    fn go_on_without(
        &mut self,
        step: &mut Step,
        id: TaskId,
        forwarding: &Forwarding,
        region: &Name,
        reason: Arc<str>,
    ) -> Result<(), Refusal> {
        let no_way = forwarding.no_way();
        let workspace = self.keep(id, forwarding.clone())?;
        step.events.push(Event::TaskRefusedThere { task: id, workspace, region: region.clone(), reason });
        if let Some(no_way) = no_way {
            let reason = bounded_reason(&no_way.to_string());
            self.stop(step, id, Outcome::Failed { reason });
        }
        Ok(())
    }

    /// Takes a region that is removed off the routes of all kept tasks. One that was offered to it stays as it is, because
    /// that region may have it, unless the region is `lost`: then it goes elsewhere.
    pub(super) fn take_off_routes(&mut self, step: &mut Step, region: &Name, lost: Option<&str>) {
        let kept: Vec<TaskId> = self.groups.kept().collect();
        for id in kept {
            let Some(mut forwarding) = self.tasks.get(&id).and_then(|task| task.forwarding()).cloned() else {
                continue;
            };
            let offered = forwarding.offered.as_ref() == Some(region);
            let reason = match lost {
                Some(lost) if offered => {
                    bounded_reason(&format!("{REMOVED} and declared lost, and may have done it: {lost}"))
                }
                None if offered => continue,
                Some(_) | None => REMOVED.into(),
            };
            let off = if offered {
                forwarding.refuse(region, reason.clone())
            } else {
                forwarding.strike(region, reason.clone())
            };
            if off {
                // It is kept, and that is all that could be refused.
                let _ = self.go_on_without(step, id, &forwarding, region, reason);
            }
        }
        // The time of some may have run out while they were offered.
        self.advance(step);
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
