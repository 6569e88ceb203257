//! Who has how much of which resource, and who is next.
//!
//! ```text
//!   claim ─► gate ─► all of it is there, and not set aside ─► granted, with the lease
//!              │                                                   │
//!              └─► parked, with a turn ◄── what came back is set   └─► given back, with the end of the attempt
//!                        │                 aside for the first        │
//!                        └──── let go when all of it is there ◄───────┘
//! ```
//!
//! What tasks have follows from their leases and their terms; only turns and capacities are rows. What is free is set
//! aside in the order of turns, for those who could take it: a task that is paused, that a quota or something else
//! holds back, keeps its turn and has nothing set aside, and neither has one that needs more than there is at all.
//!
//! Costs: O(log n) for each resource of a task, and for each turn that stands before it a look, until all that is free
//! is set aside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::event::{Event, Governing};
use crate::id::TaskId;
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::resource::{
    ABOUT_BYTES_MAX, RESOURCES_MAX, RESOURCES_OF_TASK_MAX, Resource, ResourceCommand, ResourceKey,
    ResourceRow, Wait,
};
use crate::row::RowKey;
use crate::state::retiring::Idle;
use crate::state::wakes::Wake;
use crate::state::{State, Step};
use crate::task::{Outcome, Task, TaskStatus};
use crate::terms::Terms;
use crate::time::Timestamp;

/// The place of a task in the order of turns.
type Place = (Timestamp, u64);

/// Resources, and what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Resources {
    all: BTreeMap<Name, Resource>,
    waits: BTreeMap<TaskId, Wait>,
    /// Who waits for a resource, in order. Derived from the turns and the terms.
    queues: BTreeMap<Name, BTreeMap<Place, TaskId>>,
    /// How much of a resource tasks have. Derived from the leases and the terms.
    holders: BTreeMap<Name, Holders>,
}

/// The tasks that have something of a resource.
#[derive(Debug, Default)]
struct Holders {
    amounts: BTreeMap<TaskId, u64>,
    sum: u64,
}

impl Resources {
    pub(super) fn keys(&self) -> impl Iterator<Item = RowKey> {
        let resources = self.all.keys().cloned().map(ResourceKey::Resource);
        let waits = self.waits.keys().copied().map(ResourceKey::Wait);
        resources.chain(waits).map(RowKey::Resource)
    }

    pub(super) fn row(&self, key: &ResourceKey) -> Option<ResourceRow> {
        match key {
            ResourceKey::Resource(name) => self.all.get(name).cloned().map(ResourceRow::Resource),
            ResourceKey::Wait(task) => Some(ResourceRow::Wait(*task, self.waits.get(task)?.clone())),
        }
    }

    pub(super) fn restore(&mut self, row: ResourceRow) {
        match row {
            ResourceRow::Resource(resource) => {
                self.all.insert(resource.name.clone(), resource);
            }
            ResourceRow::Wait(task, wait) => {
                self.waits.insert(task, wait);
            }
        }
    }

    fn capacity(&self, name: &Name) -> u64 {
        self.all.get(name).map_or(0, |resource| resource.capacity)
    }

    fn held(&self, name: &Name) -> u64 {
        self.holders.get(name).map_or(0, |holders| holders.sum)
    }

    fn enter(&mut self, task: TaskId, wait: &Wait, terms: &Terms) {
        for name in terms.resources.keys() {
            self.queues.entry(name.clone()).or_default().insert((wait.turn, wait.sequence), task);
        }
    }

    fn leave(&mut self, task: TaskId, terms: &Terms) -> bool {
        let Some(wait) = self.waits.remove(&task) else { return false };
        for name in terms.resources.keys() {
            if let Some(queue) = self.queues.get_mut(name) {
                queue.remove(&(wait.turn, wait.sequence));
                if queue.is_empty() {
                    self.queues.remove(name);
                }
            }
        }
        true
    }

    fn take(&mut self, task: TaskId, terms: &Terms) {
        for (name, amount) in &terms.resources {
            let holders = self.holders.entry(name.clone()).or_default();
            let before = holders.amounts.insert(task, *amount).unwrap_or(0);
            holders.sum = holders.sum - before + amount;
        }
    }

    fn give_back(&mut self, task: TaskId, terms: &Terms) {
        for name in terms.resources.keys() {
            if let Some(holders) = self.holders.get_mut(name) {
                holders.sum -= holders.amounts.remove(&task).unwrap_or(0);
                if holders.amounts.is_empty() {
                    self.holders.remove(name);
                }
            }
        }
    }
}

impl State {
    pub(super) fn judge_resource(&mut self, step: &mut Step, command: &ResourceCommand) -> Answer {
        match command {
            ResourceCommand::Put { name, capacity, about } => self.put_resource(step, name, *capacity, about),
            ResourceCommand::Remove { name } => self.remove_resource(step, name),
        }
    }

    fn put_resource(&mut self, step: &mut Step, name: &Name, capacity: u64, about: &Arc<str>) -> Answer {
        if about.len() > ABOUT_BYTES_MAX {
            let why = format!("{} bytes; at most {ABOUT_BYTES_MAX} are allowed", about.len());
            return Err(Refusal::Invalid { field: "about".to_owned(), why });
        }
        let known = self.resources.all.get(name);
        if known.is_none() && self.resources.all.len() >= RESOURCES_MAX {
            return Err(Refusal::Full { bound: Bound::Resources, limit: RESOURCES_MAX as u64 });
        }
        let created_at = known.map_or(step.now, |known| known.created_at);
        let resource = Resource { name: name.clone(), capacity, about: about.clone(), created_at };
        if known != Some(&resource) {
            self.resources.all.insert(name.clone(), resource);
            self.changes.touch(RowKey::Resource(ResourceKey::Resource(name.clone())));
            step.events.push(told(Governing::ResourcePut, name, &format!("capacity {capacity}")));
            // For whoever needs more than there is now, nothing of the others is set aside any more.
            let line = self.resources.queues.get(name).into_iter().flat_map(BTreeMap::values);
            let of_line = line.filter_map(|task| self.needs(*task));
            let mut freed: BTreeSet<Name> =
                of_line.flat_map(|terms| terms.resources.keys().cloned()).collect();
            freed.insert(name.clone());
            step.idle.push(Idle::Freed(freed));
        }
        Ok(Reply::Done)
    }

    fn remove_resource(&mut self, step: &mut Step, name: &Name) -> Answer {
        if !self.resources.all.contains_key(name) {
            return Err(Refusal::ResourceUnknown(name.clone()));
        }
        let (held, waiting) = (self.resources.held(name), self.resource_waiting(name) as u64);
        if held > 0 || waiting > 0 {
            return Err(Refusal::ResourceInUse { resource: name.clone(), held, waiting });
        }
        self.resources.all.remove(name);
        self.changes.touch(RowKey::Resource(ResourceKey::Resource(name.clone())));
        step.events.push(told(Governing::ResourceRemoved, name, ""));
        Ok(Reply::Done)
    }

    /// Refuses what could never be granted.
    pub(super) fn check_resources(&self, terms: &Terms) -> Result<(), Refusal> {
        let refuse = |why: String| Err(Refusal::Invalid { field: "resources".to_owned(), why });
        if terms.resources.len() > RESOURCES_OF_TASK_MAX {
            return refuse(format!("a task needs at most {RESOURCES_OF_TASK_MAX} of them"));
        }
        for (name, amount) in &terms.resources {
            let Some(resource) = self.resources.all.get(name) else {
                return Err(Refusal::ResourceUnknown(name.clone()));
            };
            if *amount == 0 {
                return refuse(format!("of {name} it asks for nothing; leave it out"));
            }
            if *amount > resource.capacity {
                return refuse(format!(
                    "it asks for {amount} of {name}, and there are {}",
                    resource.capacity
                ));
            }
        }
        Ok(())
    }

    /// Returns the terms of a task that needs resources.
    fn needs(&self, task: TaskId) -> Option<&Arc<Terms>> {
        self.terms.get(&task).filter(|terms| !terms.resources.is_empty())
    }

    /// Returns the first resource that a task lacks, and with it what it waits for.
    pub(super) fn held_by_resources(&self, task: &Task) -> Option<ParkedOn> {
        let terms = self.needs(task.spec.id)?;
        let place = match self.resources.waits.get(&task.spec.id) {
            Some(wait) => (wait.turn, wait.sequence),
            None => (self.turn_of(task, self.meta.now), task.sequence),
        };
        let lacks = |(name, amount): &(&Name, &u64)| !self.is_there_for(name, **amount, place);
        terms.resources.iter().find(lacks).map(|(name, _)| ParkedOn::Resource(name.clone()))
    }

    /// Tells whether so much of a resource is free and not set aside for somebody before this place.
    fn is_there_for(&self, name: &Name, amount: u64, place: Place) -> bool {
        let free = self.resources.capacity(name).saturating_sub(self.resources.held(name));
        if free < amount {
            return false;
        }
        let mut aside: u64 = 0;
        for (_, before) in self.resources.queues.get(name).into_iter().flat_map(|queue| queue.range(..place))
        {
            aside = aside.saturating_add(self.set_aside(name, *before));
            if free - amount < aside {
                return false;
            }
        }
        true
    }

    /// Returns how much of a resource is set aside for one who waits.
    fn set_aside(&self, name: &Name, task: TaskId) -> u64 {
        let (Some(task), Some(terms)) = (self.tasks.get(&task), self.needs(task)) else { return 0 };
        let waits_for_it = match &task.status {
            TaskStatus::Waiting { .. } => true,
            TaskStatus::Parked { parking } => matches!(parking.on, ParkedOn::Resource(_)),
            TaskStatus::BackingOff { .. }
            | TaskStatus::Scheduled { .. }
            | TaskStatus::Running { .. }
            | TaskStatus::Kept { .. }
            | TaskStatus::Ended(_) => false,
        };
        let could = terms.resources.iter().all(|(name, amount)| *amount <= self.resources.capacity(name));
        if waits_for_it && could && !self.is_at_rest(&task.spec.workspace) && self.why_paused(task).is_none()
        {
            terms.resources.get(name).copied().unwrap_or(0)
        } else {
            0
        }
    }

    /// Returns the turn of a task that begins to wait now.
    fn turn_of(&self, task: &Task, now: Timestamp) -> Timestamp {
        let lanes = u32::try_from(task.lane.rank()).unwrap_or(u32::MAX);
        now.after(self.meta.limits.ageing.saturating_mul(lanes))
    }

    /// Notes what holds a task back: it has a turn from when it first lacked a resource, and while something else holds
    /// it back, what was set aside for it is there for others.
    pub(super) fn note_parked(&mut self, step: &mut Step, id: TaskId, on: &ParkedOn) {
        let Some(terms) = self.needs(id).cloned() else { return };
        let waits = self.resources.waits.contains_key(&id);
        if !matches!(on, ParkedOn::Resource(_)) {
            if waits {
                step.idle.push(Idle::Freed(terms.resources.keys().cloned().collect()));
            }
            return;
        }
        let Some(task) = self.tasks.get(&id).filter(|_| !waits) else { return };
        let wait = Wait { since: step.now, turn: self.turn_of(task, step.now), sequence: task.sequence };
        self.resources.enter(id, &wait, &terms);
        self.resources.waits.insert(id, wait);
        self.changes.touch(RowKey::Resource(ResourceKey::Wait(id)));
        self.arm_wait(id, &terms);
    }

    /// Sets the time at which a task has waited too long for its resources.
    fn arm_wait(&mut self, task: TaskId, terms: &Terms) {
        let since = self.resources.waits.get(&task).map(|wait| wait.since);
        let at = since.zip(terms.resources_within).map(|(since, within)| since.after(within));
        self.wakes.set(Wake::Resources(task), at);
    }

    /// Ends a task that has waited too long for its resources.
    pub(super) fn wait_is_over(&mut self, step: &mut Step, task: TaskId) {
        let within = self.needs(task).and_then(|terms| terms.resources_within);
        if let (true, Some(within)) = (self.resources.waits.contains_key(&task), within) {
            let reason = format!("its resources were not all there within {within:?}").into();
            self.stop(step, task, Outcome::TimedOut { reason });
        }
    }

    /// Takes what a task needs, in the step that gives it out.
    pub(super) fn take_resources(&mut self, task: TaskId) {
        if let Some(terms) = self.needs(task).cloned() {
            if !mutant(Mutant::TakeNoResources) {
                self.resources.take(task, &terms);
            }
            self.forget_wait(task, &terms);
        }
    }

    /// Gives back what an attempt had.
    pub(super) fn give_resources_back(&mut self, step: &mut Step, task: TaskId) {
        if let Some(terms) = self.needs(task).cloned() {
            self.resources.give_back(task, &terms);
            step.idle.push(Idle::Freed(terms.resources.keys().cloned().collect()));
        }
    }

    /// Notes that a task has ended: it waits no more. Its terms are still there.
    pub(super) fn leave_resources(&mut self, step: &mut Step, task: TaskId) {
        if let Some(terms) = self.needs(task).cloned()
            && self.forget_wait(task, &terms)
        {
            step.idle.push(Idle::Freed(terms.resources.keys().cloned().collect()));
        }
    }

    fn forget_wait(&mut self, task: TaskId, terms: &Terms) -> bool {
        let waited = self.resources.leave(task, terms);
        if waited {
            self.changes.touch(RowKey::Resource(ResourceKey::Wait(task)));
            self.wakes.set(Wake::Resources(task), None);
        }
        waited
    }

    /// Gives a waiting task its turn in another lane.
    pub(super) fn turn_in_lane(&mut self, step: &mut Step, id: TaskId) {
        let Some(wait) = self.resources.waits.get(&id).cloned() else { return };
        let (Some(terms), Some(task)) = (self.needs(id).cloned(), self.tasks.get(&id)) else { return };
        let turn = self.turn_of(task, wait.since);
        self.resources.leave(id, &terms);
        let wait = Wait { turn, ..wait };
        self.resources.enter(id, &wait, &terms);
        self.resources.waits.insert(id, wait);
        self.changes.touch(RowKey::Resource(ResourceKey::Wait(id)));
        step.idle.push(Idle::Freed(terms.resources.keys().cloned().collect()));
    }

    /// Notes that what was set aside may be there for others, because something is not given out any more, or is theirs
    /// again who waited while it was not.
    pub(super) fn note_stir(&self, step: &mut Step) {
        if !self.resources.queues.is_empty() {
            step.idle.push(Idle::Freed(self.resources.queues.keys().cloned().collect()));
        }
    }

    /// Lets those go for whom all is there, of those who wait for these resources.
    pub(super) fn settle_resources(&mut self, step: &mut Step, names: &BTreeSet<Name>) {
        for id in self.first_in_line(names) {
            let Some(task) = self.tasks.get(&id).cloned() else { continue };
            let Some(parking) = task.parking() else { continue };
            match self.held_by_resources(&task) {
                None => self.unpark(step, id),
                Some(on) if on != parking.on => self.park_elsewhere(step, id, on),
                Some(_) => {}
            }
        }
    }

    /// Returns the parked tasks for which something of these resources is set aside or left, in order of their turns.
    fn first_in_line(&self, names: &BTreeSet<Name>) -> Vec<TaskId> {
        let mut line: BTreeMap<Place, TaskId> = BTreeMap::new();
        for name in names {
            let mut left = self.resources.capacity(name).saturating_sub(self.resources.held(name));
            for (place, id) in self.resources.queues.get(name).into_iter().flatten() {
                if left == 0 {
                    break;
                }
                let aside = self.set_aside(name, *id);
                left = left.saturating_sub(aside);
                let parked = self.tasks.get(id).and_then(|task| task.parking());
                if aside > 0 && parked.is_some() {
                    line.insert(*place, *id);
                }
            }
        }
        line.into_values().collect()
    }

    /// Rebuilds what follows from turns, leases and terms, after a restore.
    pub(super) fn restore_resources(&mut self) {
        let waits: Vec<(TaskId, Wait)> =
            self.resources.waits.iter().map(|(task, wait)| (*task, wait.clone())).collect();
        for (task, wait) in waits {
            if let Some(terms) = self.needs(task).cloned() {
                self.resources.enter(task, &wait, &terms);
                self.arm_wait(task, &terms);
            }
        }
        let leased: Vec<TaskId> = self
            .terms
            .keys()
            .copied()
            .filter(|task| self.tasks.get(task).is_some_and(|task| task.lease().is_some()))
            .collect();
        for task in leased {
            if let Some(terms) = self.needs(task).cloned() {
                self.resources.take(task, &terms);
            }
        }
    }

    /// Walks the resources in order of name.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.all.values()
    }

    /// Returns a resource.
    pub fn resource(&self, name: &Name) -> Option<&Resource> {
        self.resources.all.get(name)
    }

    /// Walks the tasks that have something of a resource, with how much.
    pub fn resource_holders(&self, name: &Name) -> impl Iterator<Item = (TaskId, u64)> + '_ {
        let holders = self.resources.holders.get(name).into_iter().flat_map(|holders| &holders.amounts);
        holders.map(|(task, amount)| (*task, *amount))
    }

    /// Walks the tasks that wait for a resource, the next first, with how much each needs of it.
    pub fn resource_line(&self, name: &Name) -> impl Iterator<Item = (TaskId, u64)> + '_ {
        let line = self.resources.queues.get(name).into_iter().flat_map(BTreeMap::values);
        let name = name.clone();
        line.filter_map(move |task| Some((*task, *self.needs(*task)?.resources.get(&name)?)))
    }

    /// Returns how much of a resource tasks have.
    pub fn resource_in_use(&self, name: &Name) -> u64 {
        self.resources.held(name)
    }

    /// Returns how many tasks wait for a resource.
    pub fn resource_waiting(&self, name: &Name) -> usize {
        self.resources.queues.get(name).map_or(0, BTreeMap::len)
    }

    /// Returns the first resource that a task lacks that needs some; `None` when all is there, or it needs none.
    pub fn lacks_resource(&self, task: TaskId) -> Option<Name> {
        match self.held_by_resources(self.tasks.get(&task)?)? {
            ParkedOn::Resource(name) => Some(name),
            _ => None,
        }
    }

    /// Says what a task lacks of a resource.
    pub(super) fn why_lacking(&self, task: &Task, name: &Name) -> String {
        let wanted = self.needs(task.spec.id).and_then(|terms| terms.resources.get(name)).copied();
        let Some(resource) = self.resources.all.get(name) else {
            return format!("there is no resource {name}; make it, or cancel the task");
        };
        let (wanted, capacity) = (wanted.unwrap_or(0), resource.capacity);
        if wanted > capacity {
            return format!("it needs {wanted} and there are {capacity}; raise that, or cancel the task");
        }
        let held = self.resources.held(name);
        let mine = self.resources.waits.get(&task.spec.id).map(|wait| (wait.turn, wait.sequence));
        let before = match (mine, self.resources.queues.get(name)) {
            (Some(mine), Some(queue)) => queue.range(..mine).count(),
            _ => 0,
        };
        format!(
            "it needs {wanted} of {capacity}, of which {held} are in use, and {before} tasks come before it; wait, or add to its capacity"
        )
    }
}

fn told(what: Governing, name: &Name, detail: &str) -> Event {
    Event::Governed {
        what,
        subject: name.as_str().into(),
        workspace: None,
        task: None,
        agent: None,
        detail: detail.into(),
    }
}
