//! Violations: noting them, counting the same one again, and saying what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::event::{Event, Governing};
use crate::id::ViolationId;
use crate::name::Name;
use crate::policy::{Ask, Enforcement, Verdict};
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::policies::is_soft;
use crate::state::{State, Step};
use crate::task::bounded_reason;
use crate::time::Timestamp;
use crate::violation::{Offence, Settled, VIOLATIONS_MAX, Violation, ViolationStatus};

/// All violations, by id, by offence, and in the order in which they are forgotten.
#[derive(Debug, Default)]
pub(super) struct Violations {
    all: BTreeMap<ViolationId, Arc<Violation>>,
    by_offence: BTreeMap<Offence, BTreeSet<ViolationId>>,
    /// Which go first when there are too many: settled ones, then the oldest.
    order: BTreeSet<(bool, Timestamp, ViolationId)>,
}

impl Violations {
    pub(super) fn insert(&mut self, violation: Arc<Violation>) {
        let id = violation.id;
        self.remove(id);
        self.order.insert(place(&violation));
        self.by_offence.entry(violation.offence.clone()).or_default().insert(id);
        self.all.insert(id, violation);
    }

    fn remove(&mut self, id: ViolationId) {
        let Some(before) = self.all.remove(&id) else { return };
        self.order.remove(&place(&before));
        if let Some(ids) = self.by_offence.get_mut(&before.offence) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_offence.remove(&before.offence);
            }
        }
    }

    pub(super) fn get(&self, id: ViolationId) -> Option<&Arc<Violation>> {
        self.all.get(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ViolationId> {
        self.all.keys().copied()
    }

    fn of(&self, offence: &Offence) -> Option<&Arc<Violation>> {
        self.all.get(self.by_offence.get(offence)?.last()?)
    }
}

fn place(violation: &Violation) -> (bool, Timestamp, ViolationId) {
    (!violation.status.is_settled(), violation.last_at, violation.id)
}

impl State {
    /// Returns what is the same about a question and those like it.
    fn offence(&self, ask: &Ask, verdict: &Verdict) -> Offence {
        let task = ask.task.and_then(|task| self.tasks.get(&task));
        let agent = ask.agent.and_then(|agent| self.agents.get(&agent));
        let subject: Arc<str> = match (agent, ask.agent, task, &ask.task_type) {
            (Some(agent), ..) => agent.spec.name.as_str().into(),
            (None, Some(agent), ..) => agent.to_string().into(),
            (None, None, _, Some(kind)) => kind.as_str().into(),
            (None, None, Some(task), None) => task.spec.kind.as_str().into(),
            (None, None, None, None) => "".into(),
        };
        Offence {
            policy: verdict.by.as_ref().map(|by| by.policy.clone()),
            action: ask.action.as_str().into(),
            workspace: task.map(|task| task.spec.workspace.clone()).or_else(|| ask.workspace.clone()),
            subject,
        }
    }

    /// Tells whether somebody lets pass what a soft policy denies.
    pub(super) fn is_overridden(&self, ask: &Ask, verdict: &Verdict, now: Timestamp) -> bool {
        is_soft(verdict)
            && self.violations.of(&self.offence(ask, verdict)).is_some_and(|known| known.is_overridden(now))
    }

    /// Notes a violation, or counts it if it is the same as one that nobody has settled.
    pub(super) fn note_violation(&mut self, step: &mut Step, id: ViolationId, ask: &Ask, verdict: &Verdict) {
        let offence = self.offence(ask, verdict);
        let known = self.violations.of(&offence).filter(|known| !known.status.is_settled());
        let violation = match known {
            Some(known) => Violation {
                by: verdict.by.clone(),
                allowed: verdict.warned,
                task: ask.task.or(known.task),
                agent: ask.agent.or(known.agent),
                why: verdict.why.clone(),
                count: known.count + 1,
                last_at: step.now,
                ..Violation::clone(known)
            },
            None => Violation {
                id,
                offence,
                by: verdict.by.clone(),
                allowed: verdict.warned,
                task: ask.task,
                agent: ask.agent,
                why: verdict.why.clone(),
                count: 1,
                first_at: step.now,
                last_at: step.now,
                status: ViolationStatus::Open,
                settled: None,
            },
        };
        step.events.push(Event::Governed {
            what: Governing::PolicyViolated,
            subject: violation.id.to_string().into(),
            workspace: violation.offence.workspace.clone(),
            task: violation.task,
            agent: violation.agent,
            detail: format!("{}: {}", violation.offence.action, violation.why).into(),
        });
        self.changes.touch(RowKey::Violation(violation.id));
        self.violations.insert(Arc::new(violation));
        while self.violations.all.len() > VIOLATIONS_MAX {
            let Some((_, _, first)) = self.violations.order.first().copied() else { break };
            self.violations.remove(first);
            self.changes.touch(RowKey::Violation(first));
        }
    }

    /// Says what becomes of a violation.
    pub(super) fn settle_violation(
        &mut self,
        step: &mut Step,
        id: ViolationId,
        status: ViolationStatus,
        by: &Name,
        note: &str,
    ) -> Answer {
        let known = self.violations.get(id).ok_or(Refusal::ViolationUnknown(id))?;
        let soft = known.by.as_ref().is_some_and(|by| by.enforcement == Enforcement::Soft);
        if status == ViolationStatus::Overridden && !soft {
            let why = "only what a soft policy denies can be overridden".to_owned();
            return Err(Refusal::Invalid { field: "status".to_owned(), why });
        }
        let settled = Settled { by: by.clone(), at: step.now, note: bounded_reason(note) };
        let violation = Violation { status, settled: Some(settled), ..Violation::clone(known) };
        step.events.push(Event::Governed {
            what: Governing::ViolationChanged,
            subject: id.to_string().into(),
            workspace: violation.offence.workspace.clone(),
            task: violation.task,
            agent: violation.agent,
            detail: format!("{status}, by {by}").into(),
        });
        self.violations.insert(Arc::new(violation));
        self.changes.touch(RowKey::Violation(id));
        Ok(Reply::Done)
    }

    /// Walks the violations, oldest first.
    pub fn violations(&self) -> impl DoubleEndedIterator<Item = &Arc<Violation>> {
        self.violations.all.values()
    }

    /// Returns a violation.
    pub fn violation(&self, id: ViolationId) -> Option<&Arc<Violation>> {
        self.violations.get(id)
    }
}
