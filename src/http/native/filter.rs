//! Which tasks are meant: a filter, read and ready to be asked.

use std::collections::{BTreeMap, BTreeSet};

use synod_domain::id::{AgentId, RunId};
use synod_domain::name::Name;
use synod_domain::task::{Lane, MailboxId, Phase, Task};
use synod_domain::time::Timestamp;

use super::shown::lane;
use super::{read, shown};
use crate::api;
use crate::http::Problem;
use crate::node::Node;

/// A filter that is ready to be asked.
#[derive(Debug)]
pub(super) struct Wanted {
    phases: Option<BTreeSet<Phase>>,
    kind: Option<Name>,
    pool: Option<Name>,
    /// `Some(None)` is an agent that does not exist: nothing is meant then.
    agent: Option<Option<AgentId>>,
    workspace: Option<Name>,
    lane: Option<Lane>,
    labels: BTreeMap<Name, String>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
    run: Option<RunId>,
}

impl Wanted {
    /// Reads a filter.
    pub(super) fn read(node: &Node, filter: &api::Filter) -> Result<Self, Problem> {
        let agent = filter.agent.as_deref();
        Ok(Self {
            phases: filter.status.as_deref().map(phases).transpose()?,
            kind: read::optional_name("type", filter.kind.as_deref())?,
            pool: read::optional_name("pool", filter.pool.as_deref())?,
            agent: agent.map(|text| named(node, text)),
            workspace: read::own_workspace(node, filter.workspace.as_deref())?,
            lane: filter.priority.map(lane),
            labels: filter.label.as_deref().map(labels).transpose()?.unwrap_or_default(),
            after: optional_time("submitted_after", filter.submitted_after.as_deref())?,
            before: optional_time("submitted_before", filter.submitted_before.as_deref())?,
            run: filter.run.as_deref().map(|text| read::id("run", text)).transpose()?,
        })
    }

    /// Tells whether the task is meant.
    pub(super) fn meets(&self, task: &Task) -> bool {
        let spec = &task.spec;
        let wants = |wanted: &Option<Name>, has: Option<&Name>| {
            wanted.as_ref().is_none_or(|wanted| has.is_some_and(|has| has == wanted))
        };
        let pool = match &spec.mailbox {
            MailboxId::Pool(pool) => Some(pool),
            MailboxId::Agent(_) | MailboxId::Open => None,
        };
        self.phases.as_ref().is_none_or(|phases| phases.contains(&task.phase()))
            && wants(&self.kind, Some(&spec.kind))
            && wants(&self.pool, pool)
            && wants(&self.workspace, Some(&spec.workspace))
            && self.agent.is_none_or(|agent| agent.is_some_and(|agent| concerns(task, agent)))
            && self.lane.is_none_or(|lane| lane == spec.lane)
            && self.after.is_none_or(|after| task.submitted_at >= after)
            && self.before.is_none_or(|before| task.submitted_at < before)
            && self.run.is_none_or(|run| spec.run == Some(run))
            && self
                .labels
                .iter()
                .all(|(name, value)| spec.labels.get(name).is_some_and(|has| **has == **value))
    }

    /// Tells whether that a task is meant tells what is withheld of it: it was found by its labels.
    pub(super) fn tells_of(&self, node: &Node, task: &Task) -> bool {
        !self.labels.is_empty() && node.withholds(task.spec.id)
    }

    /// Tells whether unfinished tasks can be meant.
    pub(super) fn wants_unfinished(&self) -> bool {
        self.phases.as_ref().is_none_or(|phases| phases.iter().any(|phase| !phase.is_end()))
    }

    /// Tells whether ended tasks can be meant.
    pub(super) fn wants_ended(&self) -> bool {
        self.phases.as_ref().is_none_or(|phases| phases.iter().any(|phase| phase.is_end()))
    }
}

/// Tells whether a filter excludes nothing.
pub(super) fn is_empty(filter: &api::Filter) -> bool {
    *filter == api::Filter::default()
}

/// Tells whether a task is addressed to an agent, or it holds or held its last lease.
fn concerns(task: &Task, agent: AgentId) -> bool {
    task.spec.mailbox == MailboxId::Agent(agent)
        || match task.lease() {
            Some(lease) => lease.agent == agent,
            None => task.attempts.last().is_some_and(|last| last.agent == agent),
        }
}

fn named(node: &Node, text: &str) -> Option<AgentId> {
    // One that is forgotten is still in history, so an id is taken as it is.
    let by_id = text.parse().ok();
    by_id.or_else(|| node.read(|state| read::agent_in(state, text).map(|agent| agent.spec.id)))
}

fn phases(text: &str) -> Result<BTreeSet<Phase>, Problem> {
    let all = [
        Phase::Pending,
        Phase::Scheduled,
        Phase::Running,
        Phase::Completed,
        Phase::Failed,
        Phase::TimedOut,
        Phase::Cancelled,
    ];
    let one = |word: &str| {
        all.into_iter().find(|phase| phase.as_str() == word).ok_or_else(|| {
            let known: Vec<&str> = api::TaskStatus::ALL.into_iter().map(api::TaskStatus::as_str).collect();
            Problem::bad_request("status", format!("{word:?} is none of {}", known.join(", ")))
        })
    };
    read::parts(text).map(one).collect()
}

fn labels(text: &str) -> Result<BTreeMap<Name, String>, Problem> {
    let one = |part: &str| {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| Problem::bad_request("label", format!("{part:?} is not NAME=VALUE")))?;
        Ok((read::name("label", name)?, value.to_owned()))
    };
    read::parts(text).map(one).collect()
}

fn optional_time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| shown::read_time(field, text)).transpose()
}
