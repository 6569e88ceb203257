//! `synod task submit` and `synod pool submit`

use std::collections::BTreeMap;
use std::io::Read;

use clap::Args;
use serde::Serialize;

use crate::api::{Estimate, Json, NewTask, OverBudget, Priority, Retry, Routing, Submitted};
use crate::cli::agent::{json, pair};
use crate::cli::budget::micros;
use crate::cli::exit;
use crate::cli::filter::priority;
use crate::cli::remote::{Failure, Session};
use crate::period::Period;

#[derive(Debug, Args)]
pub(in crate::cli) struct SubmitArgs {
    /// What sort of work it is.
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// What the agent is given: JSON, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON|@FILE|-")]
    payload: Option<String>,
    /// The pool it is for.
    #[arg(long, value_name = "POOL", conflicts_with = "agent")]
    pool: Option<String>,
    /// The agent it is for, by id or name.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// What the agent must offer: NAME or NAME@VERSION; may be given several times.
    #[arg(long = "capability", value_name = "CAPABILITY")]
    capabilities: Vec<String>,
    /// How urgent it is: critical, high, normal or low.
    #[arg(long, value_name = "PRIORITY", value_parser = priority, default_value = "normal")]
    priority: Priority,
    /// Whose work it is.
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<String>,
    /// A label; may be given several times.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Kept with it, any JSON.
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// Its own name: the same key gives the same task, however often it is submitted.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// By when it must have ended.
    #[arg(long, value_name = "PERIOD")]
    deadline: Option<Period>,
    /// How long it may wait before its first start.
    #[arg(long, value_name = "PERIOD")]
    waiting_timeout: Option<Period>,
    /// How long one attempt may run; 0s for ever.
    #[arg(long, value_name = "PERIOD")]
    running_timeout: Option<Period>,
    /// How long an attempt may be silent.
    #[arg(long, value_name = "PERIOD")]
    silence_timeout: Option<Period>,
    /// The region it is for; the one that is asked unless told.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Where it may go while its region cannot be reached; may be given several times, the first first.
    #[arg(long = "fallback-region", value_name = "REGION", requires = "region")]
    fallback_regions: Vec<String>,
    /// How much its region matters: any, preferred or strict; preferred unless told.
    #[arg(long, value_name = "ROUTING", value_parser = routing, requires = "region")]
    routing: Option<Routing>,
    /// A task that has to complete first; may be given several times.
    #[arg(long, value_name = "TASK")]
    after: Vec<String>,
    /// How much of which resource it needs while an agent has it; may be given several times.
    #[arg(long = "resource", value_name = "NAME=AMOUNT", value_parser = need)]
    resources: Vec<(String, u64)>,
    /// How long it may wait for its resources.
    #[arg(long, value_name = "PERIOD", requires = "resources")]
    resources_timeout: Option<Period>,
    /// How many tokens one attempt is expected to use; reserved in its budgets.
    #[arg(long, value_name = "N")]
    estimate_tokens: Option<u64>,
    /// What one attempt is expected to cost, in dollars; reserved in its budgets.
    #[arg(long, value_name = "DOLLARS", value_parser = micros)]
    estimate_cost: Option<u64>,
    /// The account of a provider that it is charged to.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// The model that it uses, for reports of usage.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// What becomes of it when a budget has too little left: wait or fail; wait unless told.
    #[arg(long, value_name = "WHAT", value_parser = over_budget)]
    over_budget: Option<OverBudget>,
    /// How many attempts in all.
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// Wait until it has ended and show it; exit code 0 only if it completed.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most; exit code 75 if it is not over by then.
    #[arg(long, value_name = "PERIOD", requires = "wait")]
    timeout: Option<Period>,
    /// Show what would be submitted, and submit nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What a submit answered, as it is shown.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    task_id: &'a str,
    duplicate: bool,
}

impl SubmitArgs {
    /// Submits, to `pool` if the command names one by itself.
    pub(in crate::cli) async fn run(&self, session: &Session, pool: Option<&str>) -> Result<u8, Failure> {
        let Session { client, output } = session;
        if pool.is_some() && (self.pool.is_some() || self.agent.is_some()) {
            return Err(Failure::Usage("the pool is named already: leave out --pool and --agent".to_owned()));
        }
        let task = self.task()?;
        if self.dry_run {
            let task = NewTask { pool: pool.map(str::to_owned).or(task.pool.clone()), ..task };
            return Ok(output.one("new_task", "", &task));
        }
        let submitted = match pool {
            Some(pool) => client.submit_to_pool(pool, &task).await?,
            None => client.submit(&task).await?,
        };
        let id = task_of(&submitted)?;
        if self.wait {
            return super::wait(session, id, self.timeout.map(|period| period.0)).await;
        }
        let shown = Shown { task_id: id, duplicate: submitted.duplicate };
        Ok(output.streamed("submitted", id, &shown, id).err().unwrap_or(exit::OK))
    }

    fn task(&self) -> Result<NewTask, Failure> {
        let millis = |period: Option<Period>| {
            period.map(|period| u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX))
        };
        Ok(NewTask {
            kind: self.kind.clone(),
            payload: self.payload.as_deref().map(payload).transpose()?,
            pool: self.pool.clone(),
            agent: self.agent.clone(),
            required_capabilities: self.capabilities.clone(),
            priority: self.priority,
            workspace: self.workspace.clone(),
            labels: self.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
            metadata: self.metadata.clone().map(|text| json("--metadata", text)).transpose()?,
            deadline_ms: millis(self.deadline),
            waiting_timeout_ms: millis(self.waiting_timeout),
            running_timeout_ms: millis(self.running_timeout),
            silence_timeout_ms: millis(self.silence_timeout),
            retry: self.attempts.map(|attempts| Retry { max_attempts: Some(attempts), ..Retry::default() }),
            run: None,
            idempotency_key: self.key.clone(),
            region: self.region.clone(),
            fallback_regions: self.fallback_regions.clone(),
            routing: self.routing,
            after: self.after.clone(),
            resources: self.resources.iter().cloned().collect(),
            resources_timeout_ms: millis(self.resources_timeout),
            estimate: (self.estimate_tokens.is_some() || self.estimate_cost.is_some()).then(|| Estimate {
                tokens: self.estimate_tokens.unwrap_or_default(),
                cost_microusd: self.estimate_cost.unwrap_or_default(),
                compute_ms: 0,
            }),
            account: self.account.clone(),
            model: self.model.clone(),
            over_budget: self.over_budget,
        })
    }
}

/// Reads how much of which resource is needed.
fn need(text: &str) -> Result<(String, u64), String> {
    let wrong = || format!("{text:?} names no resource and amount; write it as gpu=2");
    let (name, amount) = text.split_once('=').ok_or_else(wrong)?;
    Ok((name.to_owned(), amount.parse().map_err(|_| wrong())?))
}

/// Reads what becomes of a task that a budget has too little left for.
fn over_budget(text: &str) -> Result<OverBudget, String> {
    match text {
        "wait" => Ok(OverBudget::Wait),
        "fail" => Ok(OverBudget::Fail),
        _ => Err(format!("{text:?} is neither wait nor fail")),
    }
}

fn routing(text: &str) -> Result<Routing, String> {
    match text {
        "any" => Ok(Routing::Any),
        "preferred" => Ok(Routing::Preferred),
        "strict" => Ok(Routing::Strict),
        other => Err(format!("{other:?} is none of any, preferred, strict")),
    }
}

fn task_of(submitted: &Submitted) -> Result<&str, Failure> {
    // A single task that is refused is an error already.
    submitted.task_id.as_deref().ok_or_else(|| {
        let why = submitted.problem.as_ref().map_or("without saying why", |problem| problem.detail.as_str());
        Failure::Usage(format!("the task was refused: {why}"))
    })
}

fn payload(text: &str) -> Result<Json, Failure> {
    let read = |what: &str, read: std::io::Result<String>| {
        read.map_err(|error| Failure::Usage(format!("the payload cannot be read from {what}: {error}")))
    };
    let text = if text == "-" {
        let mut said = String::new();
        read("standard input", std::io::stdin().lock().read_to_string(&mut said).map(|_| said))?
    } else if let Some(path) = text.strip_prefix('@') {
        read(path, std::fs::read_to_string(path))?
    } else {
        text.to_owned()
    };
    json("the payload", text)
}
