//! What waits, and who works, as the events say it.

use std::collections::BTreeMap;

use serde::Serialize;
use synod::node::domain::event::Event;
use synod::node::domain::id::TaskId;
use synod::node::domain::task::Phase;

use crate::history::{Fact, Record};
use crate::view::film::Change;

/// A task that went to a node, or came from it: when, which node from 0, and what it is about.
#[derive(Debug, Serialize)]
pub(super) struct Flight(u64, usize, &'static str);

/// Who worked when, what waited when in which mailbox, and which task went where.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) works: Vec<Vec<Change<usize>>>,
    pub(super) waits: Vec<(String, Vec<Change<usize>>)>,
    pub(super) flights: Vec<Flight>,
}

/// Follows the tasks.
#[derive(Debug)]
pub(super) struct Work {
    /// In which mailbox each task belongs, and whether it waits there.
    tasks: BTreeMap<TaskId, (String, bool)>,
    /// On which node an agent works on a task.
    at_work: BTreeMap<TaskId, usize>,
    works: Vec<Vec<Change<usize>>>,
    waits: BTreeMap<String, Vec<Change<usize>>>,
    flights: Vec<Flight>,
}

impl Work {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            tasks: BTreeMap::new(),
            at_work: BTreeMap::new(),
            works: vec![vec![(0, 0)]; nodes],
            waits: BTreeMap::new(),
            flights: Vec::new(),
        }
    }

    pub(super) fn see(&mut self, at: u64, record: &Record) {
        match &record.fact {
            Fact::Acts { task, .. } => {
                let node = record.node.and_then(|node| usize::try_from(node.checked_sub(1)?).ok());
                if let Some(node) = node.filter(|node| *node < self.works.len()) {
                    self.rests(at, *task);
                    self.at_work.insert(*task, node);
                    self.count(at, node);
                    self.flights.push(Flight(at, node, "to"));
                }
            }
            Fact::Happened { event, .. } => self.hear(at, event),
            _ => {}
        }
    }

    /// Returns what was seen.
    pub(super) fn end(self) -> Done {
        Done { works: self.works, waits: self.waits.into_iter().collect(), flights: self.flights }
    }

    fn hear(&mut self, at: u64, event: &Event) {
        match event {
            Event::TaskSubmitted { task, mailbox, .. } => {
                self.tasks.insert(*task, (mailbox.to_string(), false));
                self.waits(at, *task, true);
            }
            Event::TaskReady { task, .. } => self.waits(at, *task, true),
            Event::TaskLeased { task, .. } => self.waits(at, *task, false),
            Event::TaskReturned { task, .. } => {
                if let Some(node) = self.rests(at, *task) {
                    self.flights.push(Flight(at, node, "back"));
                }
            }
            Event::TaskEnded { task, phase, .. } => {
                self.waits(at, *task, false);
                self.tasks.remove(task);
                if let Some(node) = self.rests(at, *task) {
                    let how = if *phase == Phase::Completed { "done" } else { "failed" };
                    self.flights.push(Flight(at, node, how));
                }
            }
            _ => {}
        }
    }

    fn waits(&mut self, at: u64, task: TaskId, waits: bool) {
        let Some((mailbox, before)) = self.tasks.get_mut(&task) else { return };
        if *before == waits {
            return;
        }
        *before = waits;
        let line = self.waits.entry(mailbox.clone()).or_insert_with(|| vec![(0, 0)]);
        let count = line.last().map_or(0, |(_, count)| *count);
        change(line, at, if waits { count + 1 } else { count.saturating_sub(1) });
    }

    fn rests(&mut self, at: u64, task: TaskId) -> Option<usize> {
        let node = self.at_work.remove(&task)?;
        self.count(at, node);
        Some(node)
    }

    fn count(&mut self, at: u64, node: usize) {
        let count = self.at_work.values().filter(|other| **other == node).count();
        change(&mut self.works[node], at, count);
    }
}

/// Only the last of several changes at one time can be seen.
fn change<T>(line: &mut Vec<Change<T>>, at: u64, to: T) {
    match line.last_mut() {
        Some(last) if last.0 == at => last.1 = to,
        _ => line.push((at, to)),
    }
}
