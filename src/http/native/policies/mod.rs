//! `/api/v1/policies` and `/api/v1/policy/evaluate`: what may be done, what is asked, and what was denied.

mod dry_run;
mod read;
pub(crate) mod shown;

pub(crate) use read::policy as policy_of;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_actors::tools;
use synod_domain::approval::ApprovalStatus;
use synod_domain::command::Command;
use synod_domain::id::{ApprovalId, ViolationId};
use synod_domain::name::Name;
use synod_domain::permission::Permission::{PoliciesRead, PoliciesWrite};
use synod_domain::policy::{Defaults, PolicyCommand, Ruled};
use synod_domain::reply::Reply;
use synod_domain::violation::ViolationStatus;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::NotFound;
use super::{LONG_POLL_MAX, examples, read as native};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::sight::Sight;
use crate::http::{Caller, Context, Needs, Once, Problem, Routes, Thing};
use crate::node::Node;

/// The policies' part of the document.
#[derive(OpenApi)]
#[openapi(paths(
    list_policies,
    put_policy,
    get_policy,
    remove_policy,
    toggle_policy,
    get_defaults,
    set_defaults,
    evaluate,
    dry_run_policies,
    list_violations,
    get_violation,
    settle_violation
))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(PoliciesRead);
    let write = Needs::Permission(PoliciesWrite);
    Routes::default()
        .get("/api/v1/policies", read, list_policies)
        .post("/api/v1/policies", write.once(), put_policy)
        .get("/api/v1/policies/defaults", read, get_defaults)
        .put("/api/v1/policies/defaults", write.once(), set_defaults)
        .post("/api/v1/policies/dry-run", read.freely(), dry_run_policies)
        .get("/api/v1/policies/violations", read.own(), list_violations)
        .get("/api/v1/policies/violations/{id}", read.of(Thing::Violation), get_violation)
        .patch("/api/v1/policies/violations/{id}", write.once(), settle_violation)
        .get("/api/v1/policies/{name}", read, get_policy)
        .delete("/api/v1/policies/{name}", write.once(), remove_policy)
        .post("/api/v1/policies/{name}/toggle", write.once(), toggle_policy)
        .post("/api/v1/policy/evaluate", read.once().own(), evaluate)
}

/// List policies
#[utoipa::path(
    get,
    path = "/api/v1/policies",
    tag = "policies",
    description = "By name, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of policies.", body = api::Page<api::Policy>, example = json!(examples::page(examples::policies::policy())))),
)]
async fn list_policies(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Policy>>, Problem> {
    let after = native::optional_name("cursor", listing.cursor.as_deref())?;
    let page = context.node().read(|state| {
        let policies =
            state.policies().filter(|one| after.as_ref().is_none_or(|after| one.spec.name > *after));
        page(policies.map(|one| (one.spec.name.to_string(), shown::policy(one))), listing.limit)
    });
    Ok(Json(page))
}

/// Make a policy, or change it
///
/// One of the same name is replaced, and its version goes up. A policy that cannot be read is refused with the field,
/// and an expression with line and column; what there was stays in force.
#[utoipa::path(
    post,
    path = "/api/v1/policies",
    tag = "policies",
    request_body(content = api::NewPolicy, example = json!(examples::policies::new_policy())),
    responses((status = 200, description = "The policy.", body = api::Policy, example = json!(examples::policies::policy()))),
)]
async fn put_policy(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(wanted): Body<api::NewPolicy>,
) -> Result<Json<api::Policy>, Problem> {
    let spec = read::policy(&wanted)?;
    let name = spec.name.clone();
    once.propose(context.node(), Command::Policy(PolicyCommand::Put { spec: spec.into() })).await?;
    find(context.node(), &name).map(Json)
}

/// Look at a policy
///
/// As it stands, with its version.
#[utoipa::path(
    get,
    path = "/api/v1/policies/{name}",
    tag = "policies",
    params(("name" = String, Path, description = "The policy's name.", example = json!(examples::policies::POLICY))),
    responses(
        (status = 200, description = "The policy.", body = api::Policy, example = json!(examples::policies::policy())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_policy(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Policy>, Problem> {
    find(context.node(), &native::name("the policy's name", &name)?).map(Json)
}

fn find(node: &Node, name: &Name) -> Result<api::Policy, Problem> {
    let found = node.read(|state| state.policy(name).map(|policy| shown::policy(policy)));
    found.ok_or_else(|| Problem::not_found("policy_unknown", format!("policy {name}")))
}

/// Remove a policy
///
/// What it denied stays noted.
#[utoipa::path(
    delete,
    path = "/api/v1/policies/{name}",
    tag = "policies",
    params(("name" = String, Path, description = "The policy's name.", example = json!(examples::policies::POLICY))),
    responses((status = 204, description = "It is gone."), (status = 404, response = NotFound)),
)]
async fn remove_policy(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let policy = native::name("the policy's name", &name)?;
    once.propose(context.node(), Command::Policy(PolicyCommand::Remove { policy })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a policy be asked, or not
///
/// Its version goes up.
#[utoipa::path(
    post,
    path = "/api/v1/policies/{name}/toggle",
    tag = "policies",
    params(("name" = String, Path, description = "The policy's name.", example = json!(examples::policies::POLICY))),
    request_body(content = api::TogglePolicy, example = json!(api::TogglePolicy { enabled: false })),
    responses(
        (status = 200, description = "The policy.", body = api::Policy, example = json!(examples::policies::policy())),
        (status = 404, response = NotFound),
    ),
)]
async fn toggle_policy(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::TogglePolicy>,
) -> Result<Json<api::Policy>, Problem> {
    let policy = native::name("the policy's name", &name)?;
    let command = PolicyCommand::Enable { policy: policy.clone(), enabled: wanted.enabled };
    once.propose(context.node(), Command::Policy(command)).await?;
    find(context.node(), &policy).map(Json)
}

/// Look at the defaults
#[utoipa::path(
    get,
    path = "/api/v1/policies/defaults",
    tag = "policies",
    description = "What holds where no rule matches.",
    responses((status = 200, description = "The defaults.", body = api::PolicyDefaults, example = json!(examples::policies::defaults()))),
)]
async fn get_defaults(
    State(context): State<Context>,
    _: InQuery<Everything>,
) -> Result<Json<api::PolicyDefaults>, Problem> {
    let Defaults { tools, tasks, others } = context.node().read(|state| state.policy_defaults());
    Ok(Json(api::PolicyDefaults { tools, tasks, others }))
}

/// Set the defaults
#[utoipa::path(
    put,
    path = "/api/v1/policies/defaults",
    tag = "policies",
    description = "What holds where no rule matches. `task.dispatch` is allowed whatever they say.",
    request_body(content = api::PolicyDefaults, example = json!(examples::policies::defaults())),
    responses((status = 200, description = "The defaults.", body = api::PolicyDefaults, example = json!(examples::policies::defaults()))),
)]
async fn set_defaults(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(wanted): Body<api::PolicyDefaults>,
) -> Result<Json<api::PolicyDefaults>, Problem> {
    let api::PolicyDefaults { tools, tasks, others } = wanted;
    let defaults = Defaults { tools, tasks, others };
    once.propose(context.node(), Command::Policy(PolicyCommand::SetDefaults { defaults })).await?;
    Ok(Json(wanted))
}

/// Ask whether something may be done
///
/// What is denied is noted as a violation. What needs an approval asks for it, once for the same question of the same
/// task; with `wait_ms` the request waits for the outcome. Ask again to wait on: an approval that expires is a no.
#[utoipa::path(
    post,
    path = "/api/v1/policy/evaluate",
    tag = "policies",
    request_body(content = api::Evaluate, example = json!(examples::policies::evaluate())),
    responses((status = 200, description = "What policies say.", body = api::Evaluated, example = json!(examples::policies::evaluated()))),
)]
async fn evaluate(
    State(context): State<Context>,
    caller: Caller,
    once: Once,
    _: InQuery<Everything>,
    Body(wanted): Body<api::Evaluate>,
) -> Result<Json<api::Evaluated>, Problem> {
    let node = context.node();
    let ask = read::ask(node, &wanted)?;
    let wait = native::patience("wait_ms", wanted.wait_ms.unwrap_or(0), LONG_POLL_MAX)?;
    let ruled = node.read(|state| state.rule(&ask, node.now()))?;
    if wanted.dry || node.read(|state| state.is_plainly_allowed(&ask)) {
        return Ok(Json(shown::evaluated(&ruled)));
    }
    if ruled.approval.is_some() {
        // It was asked before; to wait on is no news to anybody.
        return waited(&context, &caller, ruled, wait).await;
    }
    let id = ApprovalId::from_raw(node.new_task_id().raw());
    let reply = once.propose(node, Command::Policy(PolicyCommand::Ask { id, ask: ask.into() })).await?;
    let ruled = match reply {
        Reply::Ruled(ruled) => *ruled,
        // A request sent again that was something else then.
        _ => ruled,
    };
    waited(&context, &caller, ruled, wait).await
}

/// Answers a question when it is clear, or after a while.
async fn waited(
    context: &Context,
    caller: &Caller,
    ruled: Ruled,
    wait: Duration,
) -> Result<Json<api::Evaluated>, Problem> {
    let node = context.node();
    let waited = async {
        tokio::select! {
            biased;
            ruled = decided(node, ruled.clone(), wait) => Ok(ruled),
            () = context.stopping() => Ok(ruled.clone()),
        }
    };
    Ok(Json(shown::evaluated(&caller.while_valid(node, waited).await?)))
}

/// Waits until the approval of a question is decided, for a while.
async fn decided(node: &Node, mut ruled: Ruled, wait: Duration) -> Ruled {
    let Some((id, _)) = ruled.approval else { return ruled };
    let look = || node.read(|state| state.approval(id).map(|approval| approval.status));
    // Heard from before the first look, so that what comes in between wakes.
    let events = node.events();
    let status = match wait.is_zero() {
        true => Err(look().unwrap_or(ApprovalStatus::Withdrawn)),
        false => tokio::time::timeout(wait, tools::decided(events, id, look))
            .await
            .map_err(|_| ApprovalStatus::Pending),
    };
    ruled.approval = Some((id, status.unwrap_or_else(|status| status)));
    ruled
}

/// Try policies on what is on record
///
/// Asks again what is on record, of the policies in force and of those that are tried, and tells what would come out
/// otherwise. Nothing is changed, noted or asked of anybody. On record are tasks, unfinished and ended, and the questions
/// that approvals were asked for; what was simply allowed or denied to a tool is not.
#[utoipa::path(
    post,
    path = "/api/v1/policies/dry-run",
    tag = "policies",
    request_body(content = api::DryRun, example = json!(examples::policies::dry_run())),
    responses((status = 200, description = "What would come out otherwise.", body = api::DryRunReport, example = json!(examples::policies::dry_run_report()))),
)]
async fn dry_run_policies(
    State(context): State<Context>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::DryRun>,
) -> Result<Json<api::DryRunReport>, Problem> {
    dry_run::dry_run(context.node(), &wanted).await.map(Json)
}

/// List violations
#[utoipa::path(
    get,
    path = "/api/v1/policies/violations",
    tag = "policies",
    description = "Oldest first, a page at a time. The same thing asked for again is counted and not listed again.",
    params(api::ViolationFilter, api::PageQuery),
    responses((status = 200, description = "A page of violations.", body = api::Page<api::Violation>, example = json!(examples::page(examples::policies::violation())))),
)]
async fn list_violations(
    State(context): State<Context>,
    listing: Listing<api::ViolationFilter>,
) -> Result<Json<api::Page<api::Violation>>, Problem> {
    let after: Option<ViolationId> =
        listing.cursor.as_deref().map(|cursor| native::id("cursor", cursor)).transpose()?;
    let filter = &listing.filter;
    let status = filter.status.as_deref().map(violation_status).transpose()?;
    let same = |wanted: &Option<String>, name: Option<&Name>| {
        wanted.as_deref().is_none_or(|wanted| name.is_some_and(|name| name.as_str() == wanted))
    };
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let found = state.violations().filter(|one| {
            sight.violation(one)
                && after.is_none_or(|after| one.id > after)
                && status.is_none_or(|status| one.status == status)
                && same(&filter.policy, one.offence.policy.as_ref())
                && same(&filter.workspace, one.offence.workspace.as_ref())
        });
        page(found.map(|one| (one.id.to_string(), shown::violation(one))), listing.limit)
    });
    Ok(Json(page))
}

pub(crate) fn violation_status(word: &str) -> Result<ViolationStatus, Problem> {
    let found = ViolationStatus::ALL.into_iter().find(|status| status.as_str() == word);
    found.ok_or_else(|| {
        let words = ViolationStatus::ALL.map(ViolationStatus::as_str).join(", ");
        Problem::bad_request("status", format!("{word:?} is none of {words}"))
    })
}

/// Look at a violation
#[utoipa::path(
    get,
    path = "/api/v1/policies/violations/{id}",
    tag = "policies",
    description = "Settled ones are forgotten first when there are too many.",
    params(("id" = String, Path, description = "The violation's id.", example = json!(examples::policies::VIOLATION))),
    responses(
        (status = 200, description = "The violation.", body = api::Violation, example = json!(examples::policies::violation())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_violation(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Violation>, Problem> {
    find_violation(context.node(), native::id("the violation's id", &id)?).map(Json)
}

fn find_violation(node: &Node, id: ViolationId) -> Result<api::Violation, Problem> {
    let found = node.read(|state| state.violation(id).map(|one| shown::violation(one)));
    found.ok_or_else(|| Problem::not_found("violation_unknown", format!("violation {id}")))
}

/// Say what becomes of a violation
#[utoipa::path(
    patch,
    path = "/api/v1/policies/violations/{id}",
    tag = "policies",
    description = "`overridden` lets what a soft policy denied pass for an hour.",
    params(("id" = String, Path, description = "The violation's id.", example = json!(examples::policies::VIOLATION))),
    request_body(content = api::SettleViolation, example = json!(api::SettleViolation { status: "resolved".to_owned(), note: Some("the agent was corrected".to_owned()) })),
    responses(
        (status = 200, description = "The violation.", body = api::Violation, example = json!(examples::policies::violation())),
        (status = 404, response = NotFound),
    ),
)]
async fn settle_violation(
    State(context): State<Context>,
    caller: Caller,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::SettleViolation>,
) -> Result<Json<api::Violation>, Problem> {
    let node = context.node();
    let id: ViolationId = native::id("the violation's id", &id)?;
    let status = violation_status(&wanted.status)?;
    let by = name_of(node, &caller);
    let note = wanted.note.as_deref().unwrap_or_default().into();
    let command = PolicyCommand::Settle { violation: id, status, by, note };
    once.propose(node, Command::Policy(command)).await?;
    find_violation(node, id).map(Json)
}

/// Returns what a caller is called: the name of the token, or where it comes from.
pub(crate) fn name_of(node: &Node, caller: &Caller) -> Name {
    let agreed = caller.token.and_then(|id| node.read(|state| Some(state.token(id)?.spec.name.clone())));
    agreed.or_else(|| Name::new(&caller.accessor).ok()).unwrap_or_default()
}
