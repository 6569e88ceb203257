//! Drives an open run to its end.

use serde_json::{Map, Value};
use synod_actors::events::{Heard, Subscription};
use synod_domain::agent::AgentStatus;
use synod_domain::command::Command;
use synod_domain::event::{Event, Governing};
use synod_domain::task::Phase;

use crate::node::Node;
use crate::run::entry::{Entry, Stage, results};
use crate::run::outcome::{self, Outcome};
use crate::run::work::Work;
use crate::run::{Error, Run};

/// Hears how a run goes, to show it to people.
pub trait Progress: Send {
    /// An entry has been submitted: so many tasks for the agents of this pool.
    fn submitted(&mut self, pool: &str, entry: &str, tasks: usize);
    /// A task of an entry ended; `resumed` if it had before this run was continued.
    fn ended(&mut self, pool: &str, entry: &str, phase: Phase, resumed: bool);
    /// Something a person should know.
    fn notice(&mut self, text: &str);
}

impl Run {
    /// Submits the entries as they become ready, waits for all ends, and closes the run.
    ///
    /// # Errors
    /// When the node fails meanwhile; the run stays open and can be continued.
    pub async fn drive(&self, node: &Node, progress: &mut dyn Progress) -> Result<Outcome, Error> {
        let mut events = node.events();
        let mut entries: Vec<Entry> = self.plan.entries.iter().cloned().map(Entry::new).collect();
        loop {
            self.begin_ready(node, &mut entries, progress).await?;
            if entries.iter().all(|entry| matches!(entry.stage, Stage::Done | Stage::Skipped(_))) {
                break;
            }
            hear(node, &mut events, &mut entries, progress).await?;
        }
        let outcome = outcome::gather(node, self, &entries).await?;
        let summary = outcome.summary().into();
        node.propose(Command::EndRun { run: self.id, summary }).await?;
        Ok(outcome)
    }

    /// Submits every entry whose predecessors are done; skips those whose predecessors failed. Entries
    /// come in topological order, so one pass finds all that follow from each other.
    async fn begin_ready(
        &self,
        node: &Node,
        entries: &mut [Entry],
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        for place in 0..entries.len() {
            if !matches!(entries[place].stage, Stage::Waiting) {
                continue;
            }
            match readiness(entries, place) {
                Readiness::NotYet => {}
                Readiness::Never(reason) => {
                    let entry = &mut entries[place];
                    progress.notice(&format!("{} is not begun: {reason}", entry.plan.name));
                    entry.stage = Stage::Skipped(reason);
                }
                Readiness::Ready => {
                    let after = handed_over(node, entries, place).await?;
                    let entry = &mut entries[place];
                    let ended = entry.submit(node, self, after.as_ref()).await?;
                    progress.submitted(entry.pool(), entry.plan.name.as_str(), entry.work.len());
                    for (work, phase) in ended {
                        entry.note_end(work, phase);
                        let resumed = self.continued.is_some();
                        progress.ended(entry.pool(), entry.plan.name.as_str(), phase, resumed);
                    }
                    if entry.work.is_empty() {
                        entry.stage = Stage::Done;
                    }
                }
            }
        }
        Ok(())
    }
}

pub(super) enum Readiness {
    NotYet,
    Ready,
    Never(String),
}

pub(super) fn readiness(entries: &[Entry], place: usize) -> Readiness {
    let mut ready = Readiness::Ready;
    for name in &entries[place].plan.after {
        let Some(before) = entries.iter().find(|entry| entry.plan.name == *name) else { continue };
        match &before.stage {
            Stage::Done if before.failed == 0 => {}
            Stage::Done => {
                let (failed, all) = (before.failed, before.work.len());
                return Readiness::Never(format!("{failed} of {all} tasks of {name} did not complete"));
            }
            Stage::Skipped(_) => return Readiness::Never(format!("{name} was not begun")),
            Stage::Waiting | Stage::Open(_) => ready = Readiness::NotYet,
        }
    }
    ready
}

/// The results that an entry is handed, by the name of the entry they come from.
async fn handed_over(node: &Node, entries: &[Entry], place: usize) -> Result<Option<Value>, Error> {
    let names = &entries[place].plan.after;
    if names.is_empty() {
        return Ok(None);
    }
    let mut fields = Map::new();
    for name in names {
        if let Some(before) = entries.iter().find(|entry| entry.plan.name == *name) {
            fields.insert(name.to_string(), results(node, before).await?);
        }
    }
    Ok(Some(Value::Object(fields)))
}

/// Waits for the next happening and notes what it means for the entries.
async fn hear(
    node: &Node,
    events: &mut Subscription,
    entries: &mut [Entry],
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    match heard(node, events).await? {
        Heard::Happening(happening) => {
            for event in &happening.events {
                note(node, event, entries, progress)?;
            }
        }
        Heard::Missed(_) => {
            for entry in entries {
                for (work, phase) in entry.find_ended(node)? {
                    note_end(entry, work, phase, progress);
                }
            }
        }
        Heard::Closed => {}
    }
    Ok(())
}

/// Waits for what happens next, while the node lives.
pub(super) async fn heard(node: &Node, events: &mut Subscription) -> Result<Heard, Error> {
    let heard = tokio::select! {
        biased;
        heard = events.next() => heard,
        reason = node.failed() => return Err(crate::node::Error::Failed(reason).into()),
    };
    match heard {
        Heard::Closed => Err(crate::node::Error::Failed("the node has stopped".to_owned()).into()),
        heard => Ok(heard),
    }
}

fn note(node: &Node, event: &Event, entries: &mut [Entry], progress: &mut dyn Progress) -> Result<(), Error> {
    match event {
        Event::TaskEnded { task, phase, reason, .. } => {
            tell_end(entries, Work::Task(*task), *phase, reason.as_deref(), progress);
        }
        Event::Governed { what: Governing::HookEnded | Governing::HookRemoved, subject, .. } => {
            let Ok(hook) = subject.parse() else { return Ok(()) };
            let work = Work::Hook(hook);
            if entries.iter().any(|entry| entry.key_of(work).is_some()) {
                let (phase, reason) = (work.phase(node)?, work.reason(node)?);
                tell_end(entries, work, phase, reason.as_deref(), progress);
            }
        }
        Event::Governed {
            what: Governing::HookAbandoned | Governing::HookReturned, subject, detail, ..
        } => {
            let Ok(hook) = subject.parse() else { return Ok(()) };
            if let Some(key) = entries.iter().find_map(|entry| entry.key_of(Work::Hook(hook))) {
                progress.notice(&format!("{key} is {detail}"));
            }
        }
        Event::AgentChanged { agent, status: AgentStatus::Failed, reason, .. } => {
            let name = node.read(|state| state.agent(*agent).map(|agent| agent.spec.name.clone()));
            if let Some(name) = name {
                progress.notice(&format!("agent {name} failed: {reason}"));
            }
        }
        _ => {}
    }
    Ok(())
}

fn tell_end(
    entries: &mut [Entry],
    work: Work,
    phase: Phase,
    reason: Option<&str>,
    progress: &mut dyn Progress,
) {
    for entry in entries {
        if note_end(entry, work, phase, progress)
            && let Some(reason) = reason
        {
            let what = entry.key_of(work).unwrap_or(entry.plan.name.as_str());
            progress.notice(&format!("{what} is {phase}: {reason}"));
        }
    }
}

fn note_end(entry: &mut Entry, work: Work, phase: Phase, progress: &mut dyn Progress) -> bool {
    let news = entry.note_end(work, phase);
    if news {
        progress.ended(entry.pool(), entry.plan.name.as_str(), phase, false);
    }
    news
}
