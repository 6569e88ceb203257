//! Tells the history what a node shows of itself: what happened, what it has applied, how everything stands.
//!
//! Events are noted once for the whole world, by whoever tells them first; what is special to a node is noted of
//! each. A look at everything is taken only where everything that was ever told is applied, and in one moment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use synod::node::domain::id::TaskId;
use synod::node::domain::task::{Phase, Task};
use synod::node::events::{Happening, Heard, Subscription};
use synod::node::storage::{MemoryDisk, encode};
use synod::node::{Error, Node};
use tokio::task::unconstrained;
use tokio::time::sleep;

use crate::entries::Entry;
use crate::history::{Answer, Fact, Standing};
use crate::machine::Machine;
use crate::story::Story;
use crate::{trace, workload};

/// The pause between two looks whether a node has caught up.
const LOOK: Duration = Duration::from_millis(10);

/// How often it is looked at what governs, if anything happened.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the last look asks for a result that cannot be read: more often than copies of it are away.
const READS_MAX: u32 = 10;

/// The pause between two of these.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Observes one life of a node.
pub(crate) struct Observer {
    machine: Arc<Machine>,
    events: Subscription,
    disk: MemoryDisk,
    /// The last entry whose application was noted.
    noted: u64,
    /// The entry after which it was looked last at what governs.
    looked: u64,
}

impl Observer {
    pub(crate) fn new(machine: Arc<Machine>, node: &Node) -> Self {
        let (events, noted) = (node.events(), applied(node));
        // What it restored instead of hearing it, and nobody has told yet, nobody will tell.
        if noted > machine.last_told() {
            machine.note(Fact::Skipped);
        }
        Self { events, disk: machine.disk(), machine, noted, looked: 0 }
    }

    pub(crate) async fn run(mut self, node: Arc<Node>, life: u32) {
        let mut looked = false;
        let mut quiet_since = applied(&node);
        let mut next_look = LOOK_EVERY;
        loop {
            tokio::select! {
                biased;
                heard = unconstrained(self.events.next()) => match heard {
                    Heard::Happening(happening) => self.tell(&happening),
                    // A snapshot took its place, and a look at everything is due.
                    Heard::Missed(_) => looked = self.skips(&node),
                    Heard::Closed => return,
                },
                () = std::future::ready(()) => {
                    // Nothing is left to hear: what is told is what is applied here.
                    self.note_applied(&node);
                    if !looked && node.waits_for().is_none() && self.has_caught_up(&node) {
                        look(&self.machine, &node);
                        self.machine.note(Fact::Started { life });
                        looked = true;
                    }
                    let now = self.machine.elapsed();
                    let applied = applied(&node);
                    if applied == quiet_since {
                        self.compare(&node, applied, now);
                        if now >= next_look {
                            self.look_at_governance(&node, applied);
                            next_look = now + LOOK_EVERY;
                        }
                    }
                    quiet_since = applied;
                    tokio::select! {
                        biased;
                        heard = self.events.next() => match heard {
                            Heard::Happening(happening) => self.tell(&happening),
                            Heard::Missed(_) => looked = self.skips(&node),
                            Heard::Closed => return,
                        },
                        () = sleep(self.machine.pace.look) => {}
                    }
                }
            }
        }
    }

    /// Passes over what came at once instead of entry by entry; what the log has there may be about to be cut off. Returns
    /// that nobody has looked since.
    fn skips(&mut self, node: &Node) -> bool {
        let applied = applied(node);
        self.noted = self.noted.max(applied);
        // What another has told of them is known; of the rest nobody will tell anything any more.
        if applied > self.machine.last_told() {
            self.machine.note(Fact::Skipped);
        }
        false
    }

    fn tell(&self, happening: &Arc<Happening>) {
        if !self.machine.is_news(happening) {
            return;
        }
        for event in &happening.events {
            let (index, at, event) = (happening.index, happening.at, event.clone());
            self.machine.note(Fact::Happened { index, at, event });
        }
    }

    fn has_caught_up(&self, node: &Node) -> bool {
        applied(node) >= self.machine.last_told()
    }

    /// Notes the entries that were applied since the last time, as far as the log still has them.
    fn note_applied(&mut self, node: &Node) {
        let applied = applied(node);
        while self.noted < applied {
            // The storage numbers records from 1, Raft from 0.
            let records = self.disk.peek(self.noted + 2, applied + 2);
            if records.is_empty() {
                // They were purged, or the disk is lost.
                self.noted = applied;
            }
            for record in records {
                let Entry { index, term, hash } = self.machine.entries.look(&record);
                self.machine.note(Fact::Applied { index, term, hash });
                self.noted = index;
            }
        }
    }

    /// Notes the states of all nodes that are quiet where this one is, when it is time to.
    fn compare(&self, node: &Arc<Node>, place: u64, now: Duration) {
        let (machine, alone) = (&self.machine, self.machine.machines().len() == 1);
        let pace = (now, machine.pace.hash_every);
        for (host, node) in machine.abreast.meet((machine.node, node), place, alone, pace) {
            // It may have gone on since it was quiet.
            if applied(&node) == place {
                machine.history.of(host).note(Fact::State { index: place, hash: hash_of(&node) });
            }
        }
    }

    fn look_at_governance(&mut self, node: &Node, applied: u64) {
        // One that is behind would show what others have seen taken back.
        if applied != self.looked && self.has_caught_up(node) {
            workload::look_at_governance(&self.machine, node);
        }
        self.looked = applied;
    }
}

/// Notes the entries that the log has at a start and the state does not: they may be decided, or not.
pub(crate) fn note_tail(machine: &Machine, applied: u64) {
    for record in machine.disk().peek(applied + 1, u64::MAX) {
        let Entry { index, term, hash } = machine.entries.look(&record);
        machine.note(Fact::Stored { index, term, hash });
    }
}

fn hash_of(node: &Node) -> u64 {
    let mut bytes = Vec::new();
    for (key, row) in node.read(|state| state.rows()) {
        bytes.extend(key.to_bytes());
        // A row is what a node has on its disk, so it can be written.
        bytes.extend(encode(&row).unwrap_or_default());
    }
    trace::digest(&bytes)
}

fn applied(node: &Node) -> u64 {
    node.status().applied.unwrap_or(0)
}

/// Notes whenever the node begins to lead and ceases to.
pub(crate) async fn follow_the_lead(machine: Arc<Machine>, node: Arc<Node>) {
    let Ok(mut leading) = node.leading() else { return };
    while leading.changed().await.is_ok() {
        let term = *leading.borrow_and_update();
        machine.note(Fact::Leads { term });
    }
}

/// Closes the world for a node that can: looks at everything for the last time, if nobody else does, and waits until all
/// nodes stand at one place.
pub(crate) async fn close(machine: &Arc<Machine>, node: &Arc<Node>) {
    if node.ready().await.is_err() {
        return;
    }
    if machine.takes_last_look() {
        look_last(machine, node).await;
    }
    workload::check_audit(machine, node).await;
    machine.now_waits(machine.node, node);
    while !all_rest(machine) {
        sleep(LOOK).await;
    }
}

/// Notes where every node rests, in the first moment in which all stand at one place, and tells whether there was one.
fn all_rest(machine: &Machine) -> bool {
    if machine.has_rested() {
        return true;
    }
    let nodes = machine.closing_nodes();
    let mut places = nodes.values().map(|node| applied(node));
    let first = places.next();
    if nodes.keys().copied().collect::<BTreeSet<u64>>() != machine.machines()
        || places.any(|place| Some(place) != first)
    {
        return false;
    }
    for (host, node) in nodes {
        let (index, hash) = (applied(&node), hash_of(&node));
        machine.history.of(host).note(Fact::Rests { index, hash });
    }
    machine.now_rests();
    true
}

async fn look_last(machine: &Arc<Machine>, node: &Arc<Node>) {
    while applied(node) < machine.last_told() {
        sleep(LOOK).await;
    }
    look(machine, node);
    // Agents of others say elsewhere what they used.
    let bills = matches!(machine.story, Story::Clients(_)) && !machine.cast.has_own_agents();
    for task in known(machine, node) {
        if let Ok(found) = node.task(task) {
            let result_of = result_of(machine, node, &found).await;
            machine.note(Fact::Stands(Standing { result_of, ..standing(&found) }));
            if bills {
                machine.note(Fact::Used { task, usage: found.usage.clone() });
            }
        }
    }
    let letters = node.read(|state| state.dead_letters().map(|letter| letter.spec.id).collect());
    machine.note(Fact::Letters(letters));
    let noted = workload::note_audit(machine, node);
    // What cannot be read is what the checks are about.
    if let Err(error) = noted {
        machine.note(Fact::Checked { to: 0, broken: Some(error.to_string()) });
    }
    machine.note(Fact::Closed);
}

/// Returns every task that anybody ever heard of.
pub(crate) fn known(machine: &Machine, node: &Node) -> BTreeSet<TaskId> {
    let mut known = BTreeSet::new();
    machine.history.look(0, |record| known.extend(named(&record.fact)));
    known.extend(node.read(|state| state.tasks().map(|task| task.spec.id).collect::<Vec<_>>()));
    known
}

/// Notes how every task stands, what is paused, and which tokens open. In one moment: it waits for nothing.
fn look(machine: &Machine, node: &Node) {
    for task in known(machine, node) {
        machine.note(match node.task(task) {
            Ok(found) => Fact::Stands(standing(&found)),
            Err(Error::NoTask(_) | Error::Refused(_)) => {
                Fact::Stands(Standing { task, phase: None, attempt: 0, holder: None, result_of: None })
            }
            Err(error) => Fact::Unread { task, why: error.to_string() },
        });
    }
    machine.note(Fact::Paused(node.read(|state| state.pauses().map(|pause| pause.what.clone()).collect())));
    workload::look(machine, node);
    workload::look_at_governance(machine, node);
}

fn named(fact: &Fact) -> Option<TaskId> {
    match fact {
        Fact::Happened { event, .. } => event.task(),
        Fact::Answered { answer: Answer::Submitted(task), .. } => Some(*task),
        Fact::Stands(standing) => Some(standing.task),
        _ => None,
    }
}

fn standing(task: &Task) -> Standing {
    Standing {
        task: task.spec.id,
        phase: Some(task.phase()),
        attempt: task.attempt,
        holder: task.lease().map(|lease| lease.agent),
        result_of: None,
    }
}

/// Returns the attempt that a task's result says it is of. What cannot be read is asked for again, as people do, and
/// the reason is noted.
async fn result_of(machine: &Machine, node: &Node, task: &Task) -> Option<u32> {
    let mut tries = 0;
    let result = loop {
        match node.result(task).await {
            Ok(result) => break result,
            Err(_) if task.phase() != Phase::Completed => return None,
            Err(error) => machine.note(Fact::NoResult { task: task.spec.id, why: error.to_string() }),
        }
        tries += 1;
        if tries == READS_MAX {
            return None;
        }
        sleep(READ_AGAIN).await;
    };
    let value = serde_json::from_slice::<Value>(&result).ok()?;
    match value.get("attempt").and_then(Value::as_u64) {
        Some(attempt) => u32::try_from(attempt).ok(),
        // Agents of embedders do not say it: then it counts that there is a result.
        None => machine.cast.has_own_agents().then_some(task.attempt),
    }
}
