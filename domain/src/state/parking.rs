//! The tasks that are held back although their turn had come, by what holds them back.
//!
//! Within one cause they go in the order of a mailbox without its workspaces: lane, deadline, sequence. Derived from the
//! tasks, and rebuilt with them. Whoever lets tasks go says how many: as many as have room, so that none of the others
//! is given a look in vain.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::capability::Capabilities;
use crate::event::Event;
use crate::id::TaskId;
use crate::name::Name;
use crate::parking::{ParkedOn, Parking};
use crate::state::wakes::Wake;
use crate::state::{State, Step, submit};
use crate::task::{Lane, MailboxId, Task, TaskStatus};
use crate::time::Timestamp;

/// The place of a parked task among those that the same thing holds back.
pub(super) type Place = (Lane, Timestamp, u64, TaskId);

/// Tasks that the same agents may take, and whose turn is of the same workspace. That one of them is let go helps those
/// of another line little: nobody may be there to take it.
pub(super) type Line = (MailboxId, Name, Capabilities);

/// How many lines one look lets go of at most. More would let others wait for it.
const LINES_AT_ONCE: usize = 64;

/// The parked tasks.
#[derive(Debug, Default)]
pub(super) struct Parked {
    by_cause: BTreeMap<ParkedOn, BTreeSet<Place>>,
    by_mailbox: BTreeMap<MailboxId, u64>,
    /// Of what lets go as room comes and goes; the others let go of all that they hold back.
    by_line: BTreeMap<ParkedOn, BTreeMap<Line, BTreeSet<Place>>>,
}

impl Parked {
    pub(super) fn add(&mut self, task: &Task) {
        let Some(parking) = task.parking() else { return };
        self.by_cause.entry(parking.on.clone()).or_default().insert(place(task));
        *self.by_mailbox.entry(task.spec.mailbox.clone()).or_default() += 1;
        if has_lines(&parking.on) {
            let lines = self.by_line.entry(parking.on.clone()).or_default();
            lines.entry(line(task)).or_default().insert(place(task));
        }
    }

    pub(super) fn remove(&mut self, task: &Task) {
        let Some(parking) = task.parking() else { return };
        if let Some(places) = self.by_cause.get_mut(&parking.on) {
            places.remove(&place(task));
            if places.is_empty() {
                self.by_cause.remove(&parking.on);
            }
        }
        if let Some(count) = self.by_mailbox.get_mut(&task.spec.mailbox) {
            *count -= 1;
            if *count == 0 {
                self.by_mailbox.remove(&task.spec.mailbox);
            }
        }
        let Some(lines) = self.by_line.get_mut(&parking.on) else { return };
        let line = line(task);
        if let Some(places) = lines.get_mut(&line) {
            places.remove(&place(task));
            if places.is_empty() {
                lines.remove(&line);
            }
        }
        if lines.is_empty() {
            self.by_line.remove(&parking.on);
        }
    }

    /// Returns how many tasks are held back that go back to a mailbox.
    pub(super) fn of_mailbox(&self, mailbox: &MailboxId) -> u64 {
        self.by_mailbox.get(mailbox).copied().unwrap_or(0)
    }

    pub(super) fn count(&self, on: &ParkedOn) -> usize {
        self.by_cause.get(on).map_or(0, BTreeSet::len)
    }

    pub(super) fn first(&self, on: &ParkedOn) -> Option<TaskId> {
        self.by_cause.get(on)?.first().map(|(_, _, _, task)| *task)
    }

    /// Walks those that something holds back, first come first.
    pub(super) fn of(&self, on: &ParkedOn) -> impl Iterator<Item = TaskId> {
        self.by_cause.get(on).into_iter().flatten().map(|(_, _, _, task)| *task)
    }

    pub(super) fn causes(&self) -> impl Iterator<Item = &ParkedOn> {
        self.by_cause.keys()
    }

    /// Returns the keys of a limit set that hold tasks back, from one on.
    pub(super) fn keys_of_set(
        &self,
        set: &Name,
        after: Option<&Arc<str>>,
    ) -> impl Iterator<Item = &Arc<str>> {
        let on = |key: Arc<str>| ParkedOn::Limit { set: set.clone(), key };
        let begin =
            after.map_or_else(|| Bound::Included(on("".into())), |after| Bound::Excluded(on(after.clone())));
        self.by_cause.range((begin, Bound::Unbounded)).map_while(move |(on, _)| match on {
            ParkedOn::Limit { set: other, key } if other == set => Some(key),
            _ => None,
        })
    }

    /// Returns the first tasks of the lines that come after one, `count` of each, and begins again behind the last.
    fn heads(&self, on: &ParkedOn, after: Option<&Line>, count: usize) -> Vec<TaskId> {
        let Some(lines) = self.by_line.get(on) else { return Vec::new() };
        let behind = lines.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let before = lines.iter().take_while(|(line, _)| after.is_some_and(|after| *line <= after));
        let lines = behind.chain(before).take(LINES_AT_ONCE);
        lines.flat_map(|(_, places)| places.iter().take(count)).map(|(_, _, _, task)| *task).collect()
    }
}

/// Tells whether something lets a few go at a time, for as long as there is room.
const fn has_lines(on: &ParkedOn) -> bool {
    match on {
        ParkedOn::Breaker(_) | ParkedOn::Limit { .. } => true,
        ParkedOn::Task(_)
        | ParkedOn::Approval(_)
        | ParkedOn::Budget(_)
        | ParkedOn::Account(_)
        | ParkedOn::Resource(_)
        | ParkedOn::Quota(_)
        | ParkedOn::Policy(_)
        | ParkedOn::Beyond(_) => false,
    }
}

pub(super) fn line(task: &Task) -> Line {
    let spec = &task.spec;
    (spec.mailbox.clone(), spec.workspace.clone(), spec.demand.clone())
}

pub(super) fn place(task: &Task) -> Place {
    (task.lane, task.spec.deadline.unwrap_or(Timestamp::NEVER), task.sequence, task.spec.id)
}

impl State {
    /// Takes a waiting task out of its mailbox until what holds it back lets it go.
    pub(super) fn park(&mut self, step: &mut Step, id: TaskId, on: ParkedOn) {
        let Some(task) = self.tasks.get(&id).cloned() else { return };
        let TaskStatus::Waiting { since } = task.status else { return };
        self.dequeue(&task);
        self.put_parked(step, id, on, since);
    }

    /// Notes that a task is parked that is in no mailbox.
    pub(super) fn put_parked(&mut self, step: &mut Step, id: TaskId, on: ParkedOn, lane_since: Timestamp) {
        let Some(task) = self.tasks.get_mut(&id).map(Arc::make_mut) else { return };
        let (word, what) = (on.word().into(), on.to_string().into());
        let parking = Box::new(Parking { on: on.clone(), at: step.now, lane_since });
        task.status = TaskStatus::Parked { parking };
        let workspace = task.spec.workspace.clone();
        self.timers.set(task);
        self.parked.add(task);
        self.barred.add(task, self.policies.set(), self.terms.get(&id).map(AsRef::as_ref));
        self.changes.task_changed(id);
        step.events.push(Event::TaskParked { task: id, workspace, on: word, what });
        self.note_parked(step, id, &on);
        self.rearm(&on);
    }

    /// Notes that a parked task is held back by something else from here on.
    pub(super) fn park_elsewhere(&mut self, step: &mut Step, id: TaskId, on: ParkedOn) {
        let Some(task) = self.tasks.get(&id).cloned() else { return };
        let Some(parking) = task.parking() else { return };
        self.parked.remove(&task);
        self.barred.remove(id);
        self.rearm(&parking.on);
        self.put_parked(step, id, on, parking.lane_since);
    }

    /// Lets the first tasks go that something holds back, `count` at most; each goes back to its place in its mailbox.
    pub(super) fn let_go(&mut self, step: &mut Step, on: &ParkedOn, count: usize) {
        for _ in 0..count {
            let Some(id) = self.parked.first(on) else { break };
            self.unpark(step, id);
        }
        self.rearm(on);
    }

    /// Lets the first tasks of each line go, `count` of each at most, beginning behind the line that room came from: so
    /// all lines get their turn, and one whose agents are away holds none of the others up. Whoever comes too late for
    /// the room is held back again when it is asked.
    pub(super) fn let_heads_go(
        &mut self,
        step: &mut Step,
        on: &ParkedOn,
        after: Option<&Line>,
        count: usize,
    ) {
        if count > 0 {
            for id in self.parked.heads(on, after, count) {
                self.unpark(step, id);
            }
        }
        self.rearm(on);
    }

    /// Puts a parked task back into its mailbox.
    pub(super) fn unpark(&mut self, step: &mut Step, id: TaskId) {
        let Some(task) = self.tasks.get(&id).cloned() else { return };
        let Some(parking) = task.parking() else { return };
        let since = parking.lane_since;
        self.parked.remove(&task);
        self.barred.remove(id);
        let Some(task) = self.tasks.get_mut(&id).map(Arc::make_mut) else { return };
        task.status = TaskStatus::Waiting { since };
        self.timers.set(task);
        let (workspace, mailbox) = (task.spec.workspace.clone(), task.spec.mailbox.clone());
        let waiting = submit::waiting(task, since);
        self.enqueue(&mailbox, waiting);
        self.changes.task_changed(id);
        step.events.push(Event::TaskReady { task: id, workspace, mailbox });
    }

    /// Sets the time at which something that holds tasks back is looked at again by itself, or clears it.
    ///
    /// That time follows from the state alone ([`State::opens_at`]), so that a replica that was restored looks at the
    /// same moments.
    pub(super) fn rearm(&mut self, on: &ParkedOn) {
        let at = if self.parked.count(on) > 0 { self.opens_at(on) } else { None };
        // What is past is not waited for: somebody has just looked.
        let at = at.filter(|at| *at > self.meta.now);
        self.wakes.set(Wake::Parked(on.clone()), at);
    }

    /// Sets the times of everything that holds tasks back, after a restore.
    pub(super) fn rearm_all(&mut self) {
        let causes: Vec<ParkedOn> = self.parked.causes().cloned().collect();
        for on in causes {
            self.rearm(&on);
        }
    }

    /// Returns how many tasks wait for a mailbox: in it, or held back although their turn had come.
    pub fn pending_in(&self, mailbox: &MailboxId) -> u64 {
        let waiting = self.mailboxes.get(mailbox).map_or(0, |mailbox| mailbox.depth() as u64);
        waiting + self.parked.of_mailbox(mailbox)
    }

    /// Returns how many tasks something holds back.
    pub fn parked_on(&self, on: &ParkedOn) -> usize {
        self.parked.count(on)
    }
}
