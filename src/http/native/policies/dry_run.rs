//! What another set of policies would have said to what is on record.
//!
//! On record in full are tasks, unfinished and ended, which were asked for as `task.submit` and given out as
//! `task.dispatch`, and the questions of which an approval came, with all that was said of them. They are asked again: of the
//! policies in force and of those that are tried. What was denied is kept as a violation, without what was said of it,
//! and what was simply allowed is not kept at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_domain::agent::Agent;
use synod_domain::approval::Approval;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::policy::set::DISPATCH;
use synod_domain::policy::{
    Attributes, Context, Decision, Defaults, Policy, PolicySet, PolicySpec, Question,
};
use synod_domain::refusal::Refusal;
use synod_domain::state::State;
use synod_domain::task::Task;
use synod_domain::time::Timestamp;

use super::{read, shown};
use crate::api;
use crate::http::Problem;
use crate::http::native::shown as native;
use crate::node::{Error, Node};

/// The action of asking for a task.
const SUBMIT: &str = "task.submit";

/// How many tasks are looked at unless it is said, and at most.
const TASKS_DEFAULT: u32 = 1000;
const TASKS_MAX: u32 = 10_000;

/// How many tasks are read at a time; others get their turn in between.
const PAGE: usize = 1000;

/// How many changes are told one by one; all are counted.
const CHANGES_TOLD_MAX: usize = 1000;

/// Two sets of policies, asked the same things.
struct Trial {
    before: PolicySet,
    after: PolicySet,
    report: api::DryRunReport,
}

/// Who asked for what.
struct Of<'a> {
    task: Option<&'a Task>,
    agent: Option<&'a Agent>,
    approval: Option<&'a Approval>,
    at: Timestamp,
}

/// Asks what is on record again.
pub(super) async fn dry_run(node: &Node, wanted: &api::DryRun) -> Result<api::DryRunReport, Problem> {
    let tasks = wanted.tasks.unwrap_or(TASKS_DEFAULT);
    if tasks > TASKS_MAX {
        return Err(Problem::bad_request("tasks", format!("at most {TASKS_MAX} can be looked at")));
    }
    let mut trial = Trial::new(node, wanted)?;
    let mut below = None;
    let mut left = tasks as usize;
    while left > 0 {
        let page = page(node, below, left.min(PAGE))?;
        let Some(last) = page.last() else { break };
        below = Some(last.spec.id);
        left -= page.len();
        for task in &page {
            let agent = agent_of(task).and_then(|id| node.read(|state| state.agent(id).cloned()));
            trial.task(task, agent.as_deref());
        }
        tokio::task::yield_now().await;
    }
    for approval in node.read(|state| state.approvals().cloned().collect::<Vec<_>>()) {
        trial.approval(node, &approval)?;
    }
    Ok(trial.report)
}

/// The latest tasks below an id: unfinished ones and those that ended, each once.
fn page(node: &Node, below: Option<TaskId>, limit: usize) -> Result<Vec<Arc<Task>>, Problem> {
    // Read in the order in which tasks move from one place to the other.
    let unfinished: Vec<Arc<Task>> =
        node.read(|state| state.tasks_below(below).take(limit).cloned().collect());
    let line = unfinished.into_iter().chain(node.ended(below, limit)?);
    let line: BTreeMap<TaskId, Arc<Task>> = line.map(|task| (task.spec.id, task)).collect();
    Ok(line.into_values().rev().take(limit).collect())
}

/// The agent that a task was given to last.
fn agent_of(task: &Task) -> Option<AgentId> {
    task.lease().map(|lease| lease.agent).or_else(|| task.attempts.last().map(|attempt| attempt.agent))
}

impl Trial {
    fn new(node: &Node, wanted: &api::DryRun) -> Result<Self, Problem> {
        let specs = wanted.policies.iter().map(read::policy).collect::<Result<Vec<PolicySpec>, _>>()?;
        for spec in &specs {
            spec.check().map_err(|error| Problem::bad_request(&error.field, error.why))?;
        }
        let removed = wanted
            .removed
            .iter()
            .map(|name| crate::http::native::read::name("removed", name))
            .collect::<Result<Vec<_>, _>>()?;
        let known: Vec<Arc<Policy>> = node.read(|state| state.policies().cloned().collect());
        let defaults = node.read(State::policy_defaults);
        let mut after: BTreeMap<_, Arc<Policy>> = match wanted.replace {
            true => BTreeMap::new(),
            false => known.iter().map(|one| (one.spec.name.clone(), one.clone())).collect(),
        };
        after.retain(|name, _| !removed.contains(name));
        let now = node.now();
        for spec in specs {
            let version = after.get(&spec.name).map_or(1, |known| known.version + 1);
            let (name, spec) = (spec.name.clone(), Arc::new(spec));
            after.insert(name, Arc::new(Policy { spec, version, created_at: now, changed_at: now }));
        }
        let after_defaults = match &wanted.defaults {
            Some(api::PolicyDefaults { tools, tasks, others }) => {
                Defaults { tools: *tools, tasks: *tasks, others: *others }
            }
            None => defaults,
        };
        let refused =
            |error: synod_domain::policy::PolicyError| Problem::bad_request(&error.field, error.why);
        let before = PolicySet::build(&known, defaults, &PolicySet::default()).map_err(refused)?;
        let after = PolicySet::build(after.values(), after_defaults, &before).map_err(refused)?;
        Ok(Self { before, after, report: api::DryRunReport::default() })
    }

    fn task(&mut self, task: &Task, agent: Option<&Agent>) {
        self.report.tasks += 1;
        let context = Context::of_task(&task.spec);
        let of = Of { task: Some(task), agent: None, approval: None, at: task.submitted_at };
        self.ask(SUBMIT, context, &Attributes::new(), &of);
        if let Some(agent) = agent {
            let of = Of { agent: Some(agent), ..of };
            self.ask(DISPATCH, context.with_agent(agent), &Attributes::new(), &of);
        }
    }

    fn approval(&mut self, node: &Node, approval: &Approval) -> Result<(), Problem> {
        // Those of tasks are asked about with their tasks.
        if matches!(&*approval.action, SUBMIT | DISPATCH) {
            return Ok(());
        }
        self.report.approvals += 1;
        let task = match approval.task.map(|id| node.task(id)) {
            Some(Ok(task)) => Some(task),
            // History is not kept for ever.
            Some(Err(Error::NoTask(_) | Error::Refused(Refusal::TaskElsewhere { .. }))) | None => None,
            Some(Err(error)) => return Err(error.into()),
        };
        let agent = approval.agent.and_then(|id| node.read(|state| state.agent(id).cloned()));
        let mut context = task.as_ref().map(|task| Context::of_task(&task.spec)).unwrap_or_default();
        context.workspace = context.workspace.or(approval.workspace.as_ref().map(|name| name.as_str()));
        if let Some(agent) = &agent {
            context = context.with_agent(agent);
        }
        let of = Of {
            task: task.as_deref(),
            agent: agent.as_deref(),
            approval: Some(approval),
            at: approval.requested_at,
        };
        self.ask(&approval.action, context, &approval.attributes, &of);
        Ok(())
    }

    fn ask(&mut self, action: &str, context: Context<'_>, attributes: &Attributes, of: &Of<'_>) {
        self.report.questions += 1;
        let question = Question { action, context, attributes };
        let (before, after) = (self.before.decide(&question), self.after.decide(&question));
        let (was, would) = (word(&before), word(&after));
        if was == would {
            return;
        }
        self.report.changed += 1;
        *self.report.counts.entry(format!("{action}: {was} to {would}")).or_default() += 1;
        if self.report.changes.len() < CHANGES_TOLD_MAX {
            self.report.changes.push(api::DryRunChange {
                action: action.to_owned(),
                task_id: of
                    .task
                    .map(|task| task.spec.id.to_string())
                    .or_else(|| of.approval.and_then(|approval| approval.task).map(|task| task.to_string())),
                agent_id: of.agent.map(|agent| agent.spec.id.to_string()),
                approval_id: of.approval.map(|approval| approval.id.to_string()),
                workspace: context.workspace.map(str::to_owned),
                at: native::time(of.at),
                before: said(&before, action),
                after: said(&after, action),
            });
        }
    }
}

/// What comes of a decision, in a word; what is done although a policy that warns says no is allowed.
fn word(decision: &Decision<'_>) -> &'static str {
    match decision {
        decision if decision.approval().is_some() => "require_approval",
        decision if decision.warns() => "warn",
        decision if decision.allows() => "allow",
        _ => "deny",
    }
}

fn said(decision: &Decision<'_>, action: &str) -> api::Evaluated {
    let verdict = decision.verdict(action);
    shown::evaluated(&synod_domain::policy::Ruled { verdict, approval: None })
}
