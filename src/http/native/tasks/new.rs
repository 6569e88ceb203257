//! Reading new tasks.

use std::ops::RangeInclusive;
use std::time::Duration;

use axum::body::Bytes;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::name::Name;
use synod_domain::region::Routing;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{MailboxId, Timeouts};
use synod_domain::terms::{Estimate, OverBudget, Terms};

use crate::api;
use crate::http::Problem;
use crate::http::extract::read_json;
use crate::http::native::{read, shown};
use crate::node::{NewTask, Node};

/// The largest batch. More makes one request hold what the others wait for.
pub(super) const BATCH_MAX: usize = 1000;

/// How long one attempt may run unless the task says otherwise.
const RUNNING_TIMEOUT_DEFAULT_MS: u64 = 300_000;

/// Reads one task or a batch; a task is an object and a batch is an array.
pub(crate) fn new_tasks(body: &Bytes) -> Result<api::NewTasks, Problem> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'[') {
        return Ok(api::NewTasks::One(Box::new(read_json(body)?)));
    }
    let batch: Vec<api::NewTask> = read_json(body)?;
    if batch.is_empty() || batch.len() > BATCH_MAX {
        let why = format!("a batch has 1 to {BATCH_MAX} tasks, this one has {}", batch.len());
        return Err(Problem::bad_request("the body", why));
    }
    Ok(api::NewTasks::Many(batch))
}

/// Reads what is asked for. `pool` is the one that the address names, if it does.
pub(super) fn read_task(node: &Node, task: api::NewTask, pool: Option<&Name>) -> Result<NewTask, Problem> {
    let kind = read::name("type", &task.kind)?;
    let mailbox = mailbox(node, &task, pool)?;
    let demand = read::capabilities("required_capabilities", &task.required_capabilities)?;
    let timeouts = Timeouts {
        waiting: task.waiting_timeout_ms.map(Duration::from_millis),
        running: match task.running_timeout_ms.unwrap_or(RUNNING_TIMEOUT_DEFAULT_MS) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        },
        silence: task.silence_timeout_ms.map(Duration::from_millis),
    };
    let mut new = NewTask::to_mailbox(mailbox, kind.as_str(), &task.payload)?
        .demand(demand)
        .lane(shown::lane(task.priority))
        .deadline(task.deadline_ms.map(Duration::from_millis))
        .timeouts(timeouts)
        .retry(retry(task.retry.as_ref())?)
        .labels(read::labels(&task.labels)?);
    if let Some(workspace) = read::own_workspace(node, task.workspace.as_deref())? {
        new = new.workspace(workspace);
    }
    if let Some(metadata) = read::metadata(task.metadata.as_ref())? {
        new = new.metadata(metadata);
    }
    if let Some(run) = &task.run {
        new = new.run(read::id("run", run)?);
    }
    if let Some(key) = &task.idempotency_key {
        new = new.idempotency_key(key);
    }
    if let Some(terms) = terms(&task)? {
        new = new.terms(terms);
    }
    if !task.after.is_empty() {
        let after = task.after.iter().map(|id| read::id("after", id));
        new = new.after(after.collect::<Result<Vec<TaskId>, _>>()?);
    }
    if !task.resources.is_empty() {
        let needs = task.resources.iter().map(|(name, amount)| Ok((read::name("resources", name)?, *amount)));
        let within = task.resources_timeout_ms.map(Duration::from_millis);
        new = new.resources(needs.collect::<Result<_, Problem>>()?, within);
    } else if task.resources_timeout_ms.is_some() {
        return Err(Problem::bad_request("resources_timeout_ms", "it says nothing without resources"));
    }
    routed(new, &task)
}

/// Reads on which terms it is given out, if it says something of that.
fn terms(task: &api::NewTask) -> Result<Option<Terms>, Problem> {
    let estimate = task.estimate.as_ref().map(|estimate| Estimate {
        tokens: estimate.tokens,
        cost_microusd: estimate.cost_microusd,
        compute: Duration::from_millis(estimate.compute_ms),
    });
    let terms = Terms {
        estimate,
        account: read::optional_name("account", task.account.as_deref())?,
        model: read::optional_name("model", task.model.as_deref())?,
        over_budget: match task.over_budget.unwrap_or_default() {
            api::OverBudget::Wait => OverBudget::Wait,
            api::OverBudget::Fail => OverBudget::Fail,
        },
        ..Terms::default()
    };
    Ok(Some(terms).filter(|terms| *terms != Terms::default()))
}

fn routed(new: NewTask, task: &api::NewTask) -> Result<NewTask, Problem> {
    let Some(region) = read::optional_name("region", task.region.as_deref())? else {
        if task.fallback_regions.is_empty() && task.routing.is_none() {
            return Ok(new);
        }
        let why = "it says nothing without a region: name one";
        let field = if task.routing.is_some() { "routing" } else { "fallback_regions" };
        return Err(Problem::bad_request(field, why));
    };
    let routing = match task.routing {
        None | Some(api::Routing::Preferred) => Routing::Preferred,
        Some(api::Routing::Any) => Routing::Any,
        Some(api::Routing::Strict) => Routing::Strict,
    };
    let fallbacks = task.fallback_regions.iter().map(|region| read::name("fallback_regions", region));
    Ok(new.region(region, routing).fallback_regions(fallbacks.collect::<Result<_, _>>()?))
}

fn mailbox(node: &Node, task: &api::NewTask, pool: Option<&Name>) -> Result<MailboxId, Problem> {
    let named = read::optional_name("pool", task.pool.as_deref())?;
    if let (Some(named), Some(pool)) = (&named, pool)
        && named != pool
    {
        return Err(Problem::bad_request("pool", format!("the address names {pool} and the task {named}")));
    }
    match (named.or_else(|| pool.cloned()), task.agent.as_deref()) {
        (Some(_), Some(_)) => {
            Err(Problem::bad_request("agent", "a task is for a pool or for an agent, not for both"))
        }
        (Some(pool), None) => Ok(MailboxId::Pool(pool)),
        (None, Some(agent)) => match agent.parse::<AgentId>() {
            // Whether it exists is for the rules to judge, at the moment of the submit.
            Ok(id) => Ok(MailboxId::Agent(id)),
            Err(_) => Ok(MailboxId::Agent(read::agent(node, agent)?.spec.id)),
        },
        (None, None) => Ok(MailboxId::Open),
    }
}

/// What a backoff may be multiplied by, in hundredths: it never becomes shorter.
const FACTOR_PERCENT: RangeInclusive<u32> = 100..=10_000;

fn retry(retry: Option<&api::Retry>) -> Result<RetryPolicy, Problem> {
    let default = RetryPolicy::default();
    let Some(retry) = retry else { return Ok(default) };
    if retry.backoff_factor_percent.is_some_and(|factor| !FACTOR_PERCENT.contains(&factor)) {
        return Err(Problem::bad_request("retry.backoff_factor_percent", "it must be from 100 to 10000"));
    }
    Ok(RetryPolicy {
        max_attempts: retry.max_attempts.unwrap_or(default.max_attempts),
        initial: retry.backoff_ms.map_or(default.initial, Duration::from_millis),
        factor_percent: retry.backoff_factor_percent.unwrap_or(default.factor_percent),
        max: retry.backoff_max_ms.map_or(default.max, Duration::from_millis),
    })
}
