//! `/api/v1/budgets` and `/api/v1/usage`: what may be spent, what was, and by whom.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use synod_domain::budget::Raise;
use synod_domain::budget::amount::{Amount, Measure, Report};
use synod_domain::budget::book::{DAYS_KEPT, UsageKey, Used, day};
use synod_domain::budget::command::{BudgetCommand, BudgetSettings};
use synod_domain::budget::spec::{BudgetSpec, Enforcement, Limit, WARN_PERCENT};
use synod_domain::budget::window::Window;
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::permission::Permission::{BudgetsRead, BudgetsWrite, TasksWork};
use synod_domain::refusal::Refusal;
use synod_domain::state::State as Agreed;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::{Conflict, NotFound};
use super::{examples, read, shown};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::sight::Sight;
use crate::http::{Context, Needs, Once, Problem, Routes, Thing};
use crate::node::Node;

/// How many days back a report looks that does not say.
const DAYS_DEFAULT: u32 = 7;

/// The reason of who gives none.
const NO_REASON: &str = "reset by a client";

/// The budgets' part of the document.
#[derive(OpenApi)]
#[openapi(paths(
    put_budget,
    list_budgets,
    summarize_budgets,
    get_budget_settings,
    set_budget_settings,
    get_budget,
    remove_budget,
    check_budget,
    list_budget_alerts,
    override_budget,
    reset_budget,
    report_usage,
    record_usage
))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(BudgetsRead);
    let write = Needs::Permission(BudgetsWrite);
    Routes::default()
        .post("/api/v1/budgets", write.once(), put_budget)
        .get("/api/v1/budgets", read.own(), list_budgets)
        .get("/api/v1/budgets/summary", read, summarize_budgets)
        .get("/api/v1/budgets/settings", read, get_budget_settings)
        .put("/api/v1/budgets/settings", write.once(), set_budget_settings)
        .get("/api/v1/budgets/{name}", read.of(Thing::Budget), get_budget)
        .delete("/api/v1/budgets/{name}", write.once(), remove_budget)
        .post("/api/v1/budgets/{name}/check", read.freely().about(Thing::Budget), check_budget)
        .get("/api/v1/budgets/{name}/alerts", read.of(Thing::Budget), list_budget_alerts)
        .post("/api/v1/budgets/{name}/override", write.once(), override_budget)
        .post("/api/v1/budgets/{name}/reset", write.once(), reset_budget)
        .get("/api/v1/usage", read.own(), report_usage)
        .post("/api/v1/usage", Needs::Permission(TasksWork).once().own(), record_usage)
}

/// Make a budget, or change it
///
/// A limit of the same measure and window goes on with what was spent of it; others begin with nothing.
#[utoipa::path(
    post,
    path = "/api/v1/budgets",
    tag = "budgets",
    request_body(content = api::NewBudget, example = json!(examples::new_budget())),
    responses(
        (status = 201, description = "The budget is made.", body = api::Budget, example = json!(examples::budget())),
        (status = 200, description = "The budget was there and is changed.", body = api::Budget, example = json!(examples::budget())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn put_budget(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(wanted): Body<api::NewBudget>,
) -> Result<Response, Problem> {
    let node = context.node();
    let spec = budget_of(&wanted)?;
    let name = spec.name.clone();
    let is_new = node.read(|state| state.budget(&name).is_none());
    once.propose(node, Command::Budget(BudgetCommand::Put { spec: Arc::new(spec) })).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(look(node, &name)?)).into_response())
}

/// List budgets
#[utoipa::path(
    get,
    path = "/api/v1/budgets",
    tag = "budgets",
    description = "With how they stand, in order of name, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of budgets.", body = api::Page<api::Budget>, example = json!(examples::page(examples::budget())))),
)]
async fn list_budgets(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Budget>>, Problem> {
    let after = read::optional_name("cursor", listing.cursor.as_deref())?;
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let budgets = state.budgets().filter(|one| after.as_ref().is_none_or(|after| one.spec.name > *after));
        let budgets = budgets.filter(|one| sight.budget(state, &one.spec.scope));
        page(budgets.map(|one| (one.spec.name.to_string(), shown::budget(state, one))), listing.limit)
    });
    Ok(Json(page))
}

/// Look at all budgets at a glance
#[utoipa::path(
    get,
    path = "/api/v1/budgets/summary",
    tag = "budgets",
    description = "Which are near their limits or used up, what waits for them, and which accounts are left alone.",
    responses((status = 200, description = "The summary.", body = api::BudgetSummary, example = json!(examples::budget_summary()))),
)]
async fn summarize_budgets(
    State(context): State<Context>,
    _: InQuery<Everything>,
) -> Result<Json<api::BudgetSummary>, Problem> {
    Ok(Json(context.node().read(shown::budget_summary)))
}

/// Look at what holds for all budgets
#[utoipa::path(
    get,
    path = "/api/v1/budgets/settings",
    tag = "budgets",
    description = "What is reserved where nothing better is known, and the grace of who passed a limit.",
    responses((status = 200, description = "The settings.", body = api::BudgetSettings, example = json!(examples::budget_settings()))),
)]
async fn get_budget_settings(
    State(context): State<Context>,
    _: InQuery<Everything>,
) -> Result<Json<api::BudgetSettings>, Problem> {
    Ok(Json(context.node().read(|state| settings(state.budget_settings()))))
}

/// Set what holds for all budgets
#[utoipa::path(
    put,
    path = "/api/v1/budgets/settings",
    tag = "budgets",
    description = "Attempts in hand keep what they reserved.",
    request_body(content = api::BudgetSettings, example = json!(examples::budget_settings())),
    responses((status = 200, description = "The settings.", body = api::BudgetSettings, example = json!(examples::budget_settings()))),
)]
async fn set_budget_settings(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(wanted): Body<api::BudgetSettings>,
) -> Result<Json<api::BudgetSettings>, Problem> {
    let api::Estimate { tokens, cost_microusd, compute_ms } = wanted.estimate;
    let estimate = Amount { tokens, cost_microusd, compute_ms, requests: wanted.requests };
    let wanted = BudgetSettings { estimate, grace: Duration::from_millis(wanted.grace_ms) };
    let node = context.node();
    once.propose(node, Command::Budget(BudgetCommand::Configure { settings: wanted })).await?;
    Ok(Json(node.read(|state| settings(state.budget_settings()))))
}

fn settings(settings: &BudgetSettings) -> api::BudgetSettings {
    let Amount { tokens, cost_microusd, compute_ms, requests } = settings.estimate;
    api::BudgetSettings {
        estimate: api::Estimate { tokens, cost_microusd, compute_ms },
        requests,
        grace_ms: u64::try_from(settings.grace.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Look at a budget
#[utoipa::path(
    get,
    path = "/api/v1/budgets/{name}",
    tag = "budgets",
    description = "With what is settled, reserved and left of each of its limits.",
    params(("name" = String, Path, description = "The budget's name.", example = json!(examples::BUDGET))),
    responses(
        (status = 200, description = "The budget.", body = api::Budget, example = json!(examples::budget())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_budget(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Budget>, Problem> {
    look(context.node(), &read::name("the budget's name", &name)?).map(Json)
}

/// Remove a budget
#[utoipa::path(
    delete,
    path = "/api/v1/budgets/{name}",
    tag = "budgets",
    description = "What waits for it goes on; what was spent of it is forgotten, and stays in the usage.",
    params(("name" = String, Path, description = "The budget's name.", example = json!(examples::BUDGET))),
    responses(
        (status = 204, description = "The budget is gone."),
        (status = 404, response = NotFound),
    ),
)]
async fn remove_budget(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let budget = read::name("the budget's name", &name)?;
    once.propose(context.node(), Command::Budget(BudgetCommand::Remove { budget })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask whether a budget covers something
#[utoipa::path(
    post,
    path = "/api/v1/budgets/{name}/check",
    tag = "budgets",
    description = "Whether so much would be given out now. Nothing is reserved.",
    params(("name" = String, Path, description = "The budget's name.", example = json!(examples::BUDGET))),
    request_body(content = api::Estimate, example = json!(examples::estimate())),
    responses(
        (status = 200, description = "Whether it does.", body = api::BudgetVerdict, example = json!(examples::budget_verdict())),
        (status = 404, response = NotFound),
    ),
)]
async fn check_budget(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(asked): Body<api::Estimate>,
) -> Result<Json<api::BudgetVerdict>, Problem> {
    let name = read::name("the budget's name", &name)?;
    let api::Estimate { tokens, cost_microusd, compute_ms } = asked;
    let asked = Amount { tokens, cost_microusd, compute_ms, requests: 1 };
    let found = context.node().read(|state| state.budget_covers(&name, &asked));
    let verdict = found.ok_or_else(|| Problem::from(Refusal::BudgetUnknown(name)))?;
    Ok(Json(match verdict {
        Ok(()) => api::BudgetVerdict { allowed: true, reason: None, turns_at: None },
        Err(short) => api::BudgetVerdict {
            allowed: false,
            turns_at: short.turns_at.map(shown::time),
            reason: Some(short.to_string()),
        },
    }))
}

/// List what was told of a budget
#[utoipa::path(
    get,
    path = "/api/v1/budgets/{name}/alerts",
    tag = "budgets",
    description = "The last 32 warnings, ends and reopenings, oldest first, on one page.",
    params(("name" = String, Path, description = "The budget's name.", example = json!(examples::BUDGET))),
    responses(
        (status = 200, description = "What was told.", body = api::Page<api::BudgetAlert>, example = json!(examples::page(examples::budget_alert()))),
        (status = 404, response = NotFound),
    ),
)]
async fn list_budget_alerts(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Page<api::BudgetAlert>>, Problem> {
    let name = read::name("the budget's name", &name)?;
    let found = context.node().read(|state| {
        let budget = state.budget(&name)?;
        Some(budget.alerts.iter().map(shown::budget_alert).collect())
    });
    let alerts: Vec<api::BudgetAlert> = found.ok_or_else(|| Problem::from(Refusal::BudgetUnknown(name)))?;
    Ok(Json(api::Page::of(alerts, None)))
}

/// Raise the limits of a budget for a while
///
/// All of them, by a part of each. 0 percent ends a raise.
#[utoipa::path(
    post,
    path = "/api/v1/budgets/{name}/override",
    tag = "budgets",
    params(("name" = String, Path, description = "The budget's name.", example = json!(examples::BUDGET))),
    request_body(content = api::OverrideBudget, example = json!(examples::override_budget())),
    responses(
        (status = 200, description = "The budget.", body = api::Budget, example = json!(examples::budget())),
        (status = 404, response = NotFound),
    ),
)]
async fn override_budget(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::OverrideBudget>,
) -> Result<Json<api::Budget>, Problem> {
    let node = context.node();
    let budget = read::name("the budget's name", &name)?;
    let until = node.now().after(Duration::from_millis(wanted.for_ms));
    let raise = Raise { percent: wanted.percent, until, reason: wanted.reason.into() };
    let command = BudgetCommand::Override { budget: budget.clone(), raise };
    once.propose(node, Command::Budget(command)).await?;
    look(node, &budget).map(Json)
}

/// Forget what was spent of a budget
///
/// In the windows that are open. What running attempts hold stays, and so does the usage.
#[utoipa::path(
    post,
    path = "/api/v1/budgets/{name}/reset",
    tag = "budgets",
    params(("name" = String, Path, description = "The budget's name.", example = json!(examples::BUDGET))),
    request_body(content = api::ResetBudget, example = json!(examples::reset_budget())),
    responses(
        (status = 200, description = "The budget.", body = api::Budget, example = json!(examples::budget())),
        (status = 404, response = NotFound),
    ),
)]
async fn reset_budget(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(reset): Body<api::ResetBudget>,
) -> Result<Json<api::Budget>, Problem> {
    let node = context.node();
    let budget = read::name("the budget's name", &name)?;
    let reason = reset.reason.as_deref().unwrap_or(NO_REASON).into();
    let command = BudgetCommand::Reset { budget: budget.clone(), reason };
    once.propose(node, Command::Budget(command)).await?;
    look(node, &budget).map(Json)
}

/// Report what was used
#[utoipa::path(
    get,
    path = "/api/v1/usage",
    tag = "budgets",
    description = "By agent, model, workspace or day, of attempts that said what they used or ran under a budget.",
    params(api::UsageQuery),
    responses((status = 200, description = "The sums.", body = api::UsageReport, example = json!(examples::usage_report()))),
)]
async fn report_usage(
    State(context): State<Context>,
    InQuery(query): InQuery<api::UsageQuery>,
) -> Result<Json<api::UsageReport>, Problem> {
    let days = query.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_KEPT).contains(&days) {
        return Err(Problem::bad_request("days", format!("it is from 1 to {DAYS_KEPT}")));
    }
    let by = query.by.unwrap_or_default();
    let node = context.node();
    let workspace = read::own_workspace(node, query.workspace.as_deref())?;
    let first = (day(node.now()) + 1).saturating_sub(days);
    Ok(Json(node.read(|state| usage(state, first, by, days, workspace.as_ref()))))
}

/// Record what an agent used outside of tasks
///
/// It counts in the budgets of the agent, its pool, the workspace, the account and of all. What a task uses is reported
/// with its heartbeats and its end instead.
#[utoipa::path(
    post,
    path = "/api/v1/usage",
    tag = "budgets",
    request_body(content = api::RecordUsage, example = json!(examples::record_usage())),
    responses(
        (status = 204, description = "It is counted."),
        (status = 404, response = NotFound),
    ),
)]
async fn record_usage(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(used): Body<api::RecordUsage>,
) -> Result<StatusCode, Problem> {
    let node = context.node();
    let command = BudgetCommand::Record {
        agent: read::agent(node, &used.agent_id)?.spec.id,
        workspace: read::own_workspace(node, used.workspace.as_deref())?.unwrap_or_default(),
        account: read::optional_name("account", used.account.as_deref())?,
        model: read::optional_name("model", used.model.as_deref())?,
        report: Report {
            tokens_in: used.tokens_in,
            tokens_out: used.tokens_out,
            cost_microusd: used.cost_microusd,
            requests: used.requests,
        },
    };
    once.propose(node, Command::Budget(command)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn look(node: &Node, name: &Name) -> Result<api::Budget, Problem> {
    let found = node.read(|state| state.budget(name).map(|budget| shown::budget(state, budget)));
    found.ok_or_else(|| Refusal::BudgetUnknown(name.clone()).into())
}

/// Reads a budget.
pub(crate) fn budget_of(wanted: &api::NewBudget) -> Result<BudgetSpec, Problem> {
    Ok(BudgetSpec {
        name: read::name("name", &wanted.name)?,
        scope: read::id("scope", &wanted.scope)?,
        limits: wanted.limits.iter().map(limit).collect::<Result<_, _>>()?,
        enforcement: match wanted.enforcement {
            api::Enforcement::Hard => Enforcement::Hard,
            api::Enforcement::Soft => Enforcement::Soft,
        },
        warn_percent: wanted.warn_percent.unwrap_or(WARN_PERCENT),
        note: wanted.note.as_deref().map(Arc::from),
    })
}

fn limit(wanted: &api::BudgetLimit) -> Result<Limit, Problem> {
    let measure = match wanted.measure {
        api::Measure::Tokens => Measure::Tokens,
        api::Measure::Cost => Measure::Cost,
        api::Measure::Compute => Measure::Compute,
        api::Measure::Requests => Measure::Requests,
    };
    let window = match (wanted.window, wanted.length_ms) {
        (api::WindowKind::Minute, None) => Window::Minute,
        (api::WindowKind::Hour, None) => Window::Hour,
        (api::WindowKind::Day, None) => Window::Day,
        (api::WindowKind::Week, None) => Window::Week,
        (api::WindowKind::Month, None) => Window::Month,
        (api::WindowKind::Whole, None) => Window::Whole,
        (api::WindowKind::Rolling, Some(length_ms)) => Window::Rolling { length_ms },
        (api::WindowKind::Opened, Some(length_ms)) => Window::Opened { length_ms },
        _ => {
            let why = "a rolling or opened window has a length_ms, and no other has one";
            return Err(Problem::bad_request("limits", why));
        }
    };
    Ok(Limit { measure, most: wanted.most, window })
}

fn usage(
    state: &Agreed,
    first: u32,
    by: api::UsageBy,
    days: u32,
    workspace: Option<&Name>,
) -> api::UsageReport {
    let mut sums: BTreeMap<String, Used> = BTreeMap::new();
    let mut total = Used::default();
    let is_wanted = |key: &UsageKey| workspace.is_none_or(|workspace| key.workspace == *workspace);
    for (key, used) in state.usage_since(first).filter(|(key, _)| is_wanted(key)) {
        let called = match by {
            api::UsageBy::Agent => key.agent.map(|agent| agent.to_string()).unwrap_or_default(),
            api::UsageBy::Model => key.model.as_ref().map(Name::to_string).unwrap_or_default(),
            api::UsageBy::Workspace => key.workspace.to_string(),
            api::UsageBy::Day => shown::day(key.day),
        };
        sums.entry(called).or_default().add(used);
        total.add(used);
    }
    let items = sums.into_iter().map(|(key, used)| {
        let agent = key.parse().ok().and_then(|agent| state.agent(agent));
        let name = agent.map(|agent| agent.spec.name.to_string());
        shown::used(key, name, &used)
    });
    let items = items.collect();
    api::UsageReport { by, days, items, total: shown::used("total".to_owned(), None, &total) }
}
