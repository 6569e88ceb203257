//! What came of a scenario, and what tests ask about it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod::node::domain::event::Event;
use synod::node::domain::id::TaskId;
use synod::node::domain::task::Phase;

use crate::faults::Kind;
use crate::history::{Answer, Fact, Record, Request};
use crate::judges::Judge;
use crate::report::Report;
use crate::trace;

/// What came of a scenario.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Everything that happened, in order.
    pub history: Vec<Record>,
    /// What the judges say.
    pub report: Report,
}

impl Outcome {
    pub(super) fn of(history: Vec<Record>, judges: &[Judge]) -> Self {
        let report = Report::with(judges, &history, &trace::text(&history));
        Self { history, report }
    }

    /// Returns the records whose facts look so.
    pub fn facts(&self, is: impl Fn(&Fact) -> bool) -> impl Iterator<Item = &Record> {
        self.history.iter().filter(move |record| is(&record.fact))
    }

    /// Counts the facts that look so.
    pub fn count(&self, is: impl Fn(&Fact) -> bool) -> usize {
        self.facts(is).count()
    }

    /// Returns when faults of a kind came.
    pub fn injected(&self, kind: Kind) -> Vec<Duration> {
        let is = |fact: &Fact| matches!(fact, Fact::Injected(fault) if fault.kind() == kind);
        self.facts(is).map(|record| record.at).collect()
    }

    /// Returns when each fault of a kind was over, those without a length left out.
    pub fn healed(&self, kind: Kind) -> Vec<Duration> {
        let is = |fact: &Fact| matches!(fact, Fact::Healed(fault) if fault.kind() == kind);
        self.facts(is).map(|record| record.at).collect()
    }

    /// Returns the events that were told, with when and by whom.
    pub fn events(&self) -> impl Iterator<Item = (&Record, &Event)> {
        self.history.iter().filter_map(|record| match &record.fact {
            Fact::Happened { event, .. } => Some((record, event)),
            _ => None,
        })
    }

    /// Returns who began to lead when, and in which term, in the order in which they said so.
    pub fn leaders(&self) -> Vec<(Duration, u64, u64)> {
        let leads = |record: &Record| match (&record.fact, record.node) {
            (Fact::Leads { term: Some(term) }, Some(node)) => Some((record.at, node, *term)),
            _ => None,
        };
        self.history.iter().filter_map(leads).collect()
    }

    /// Returns which submits were acknowledged when: by the task, the client, and the node that answered.
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        let mut asked = BTreeMap::new();
        let mut acknowledged = Vec::new();
        for record in &self.history {
            match &record.fact {
                Fact::Asked { question, client, request: Request::Submit { .. } } => {
                    asked.insert(*question, (client.to_string(), record.at));
                }
                Fact::Answered { question, answer: Answer::Submitted(task) } => {
                    let Some((client, asked_at)) = asked.remove(question) else { continue };
                    let (task, node) = (*task, record.node);
                    acknowledged.push(Acknowledged { task, client, node, asked_at, at: record.at });
                }
                _ => {}
            }
        }
        acknowledged
    }

    /// Returns how each task ended that did, as the log tells it.
    pub fn ended(&self) -> BTreeMap<TaskId, Phase> {
        self.events()
            .filter_map(|(_, event)| match event {
                Event::TaskEnded { task, phase, .. } => Some((*task, *phase)),
                _ => None,
            })
            .collect()
    }

    /// Returns the attempts that were leased of a task: when, and under which number.
    pub fn attempts(&self, of: TaskId) -> Vec<(Duration, u32)> {
        self.events()
            .filter_map(|(record, event)| match event {
                Event::TaskLeased { task, attempt, .. } if *task == of => Some((record.at, *attempt)),
                _ => None,
            })
            .collect()
    }

    /// Returns how each task stands that was looked at last.
    pub fn stands(&self) -> BTreeMap<TaskId, Option<Phase>> {
        self.history
            .iter()
            .filter_map(|record| match &record.fact {
                Fact::Stands(standing) => Some((standing.task, standing.phase)),
                _ => None,
            })
            .collect()
    }

    /// Returns the entries that a node applied, by index; those that came with a snapshot are missing.
    pub fn applied(&self, node: u64) -> BTreeSet<u64> {
        let applied = |record: &Record| match &record.fact {
            Fact::Applied { index, .. } if record.node == Some(node) => Some(*index),
            _ => None,
        };
        self.history.iter().filter_map(applied).collect()
    }

    /// Returns what was noted by a client or an agent of the scenario.
    pub fn noted(&self, who: &str) -> Vec<(Duration, &serde_json::Value)> {
        self.history
            .iter()
            .filter_map(|record| match &record.fact {
                Fact::Noted { by, what } if &**by == who => Some((record.at, what)),
                _ => None,
            })
            .collect()
    }

    /// Returns the last lines of what happened, for a failing test.
    pub fn tail(&self, lines: usize) -> String {
        let from = self.history.len().saturating_sub(lines);
        trace::text(&self.history[from..])
    }
}

/// A submit that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The task.
    pub task: TaskId,
    /// Who asked.
    pub client: String,
    /// The node that answered.
    pub node: Option<u64>,
    /// When it was asked for.
    pub asked_at: Duration,
    /// When it was answered.
    pub at: Duration,
}
