//! `/api/v1/hooks`: work that is pinned to an agent and kept in git.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::command::Command;
use synod_domain::hook::{Hook, HookCommand, HookRefusal, HookStatus};
use synod_domain::id::{AgentId, HookId};
use synod_domain::name::Name;
use synod_domain::permission::Permission::{HooksRead, HooksWrite};
use synod_domain::refusal::Refusal;
use synod_domain::terms::{Estimate, Terms};
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::{Conflict, NotFound};
use super::{LONG_POLL_MAX, examples, read, shown};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::sight::Sight;
use crate::http::{Caller, Context, Needs, Once, Problem, Routes, Thing};
use crate::node::{NewHook, Node};

/// How long a wait lasts that does not say.
const WAIT_DEFAULT_MS: u64 = 30_000;

/// How long an agent of a pool is waited for that shall do a new hook: nodes start one within seconds.
const AGENT_PATIENCE: Duration = Duration::from_secs(5);

/// The hooks' part of the document.
#[derive(OpenApi)]
#[openapi(paths(
    create_hook,
    list_hooks,
    pending_hooks,
    get_hook,
    wait_hook,
    delete_hook,
    start_hook,
    complete_hook,
    fail_hook,
    abandon_hook,
    reassign_hook,
    import_hooks
))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(HooksRead);
    let write = Needs::Permission(HooksWrite);
    Routes::default()
        .post("/api/v1/hooks", write.once(), create_hook)
        .get("/api/v1/hooks", read.own(), list_hooks)
        .get("/api/v1/hooks/pending", read.own(), pending_hooks)
        .post("/api/v1/hooks/import", write.freely(), import_hooks)
        .get("/api/v1/hooks/{id}", read.of(Thing::Hook), get_hook)
        .get("/api/v1/hooks/{id}/wait", read.long().agreed().about(Thing::Hook), wait_hook)
        .delete("/api/v1/hooks/{id}", write.once().about(Thing::Hook), delete_hook)
        .post("/api/v1/hooks/{id}/start", write.once().about(Thing::Hook), start_hook)
        .post("/api/v1/hooks/{id}/complete", write.once().about(Thing::Hook), complete_hook)
        .post("/api/v1/hooks/{id}/fail", write.once().about(Thing::Hook), fail_hook)
        .post("/api/v1/hooks/{id}/abandon", write.once().about(Thing::Hook), abandon_hook)
        .post("/api/v1/hooks/{id}/reassign", write.once().about(Thing::Hook), reassign_hook)
}

/// Make a hook
///
/// Asked of the node that has the repository. Its agent gets the work at once, as a task in its own mailbox, with a worktree
/// on a branch of the repository. What cannot be done there is answered before anything is made.
#[utoipa::path(
    post,
    path = "/api/v1/hooks",
    tag = "hooks",
    request_body(content = api::NewHook, example = json!(examples::new_hook())),
    responses(
        (status = 201, description = "The hook is durable.", body = api::Hook, example = json!(examples::hook())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn create_hook(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(wanted): Body<api::NewHook>,
) -> Result<(StatusCode, Json<api::Hook>), Problem> {
    let node = context.node();
    let id = match wanted.id.as_deref() {
        Some(id) => read::id("id", id)?,
        // The same request names the same hook.
        None => HookId::from_raw(once.request().raw()),
    };
    if let Ok(made) = node.hook(id) {
        return Ok((StatusCode::CREATED, Json(shown::hook(node, &made).await?)));
    }
    let agent = taker(node, id, &wanted).await?;
    let work = wanted.work.text().as_bytes().to_vec();
    let mut new = NewHook::of_json(agent, PathBuf::from(&wanted.repository), work);
    if let Some(branch) = &wanted.branch {
        new = new.branch(branch);
    }
    if let Some(base) = &wanted.base {
        new = new.base(base);
    }
    if let Some(kind) = read::optional_name("type", wanted.kind.as_deref())? {
        new = new.kind(kind);
    }
    if let Some(workspace) = read::optional_name("workspace", wanted.workspace.as_deref())? {
        new = new.workspace(workspace);
    }
    if let Some(retries) = wanted.max_retries {
        new = new.max_retries(retries);
    }
    if let Some(millis) = wanted.stale_after_ms {
        new = new.stale_after(Duration::from_millis(millis));
    }
    if let Some(run) = wanted.run.as_deref() {
        new = new.run(read::id("run", run)?);
    }
    if let Some(terms) = terms(&wanted)? {
        new = new.terms(terms);
    }
    let made = node.create_hook_as(once.request(), id, new).await?;
    Ok((StatusCode::CREATED, Json(shown::hook(node, &made).await?)))
}

/// Reads on which terms its tasks are given out, if it says something of that.
fn terms(wanted: &api::NewHook) -> Result<Option<Terms>, Problem> {
    let estimate = wanted.estimate.as_ref().map(|estimate| Estimate {
        tokens: estimate.tokens,
        cost_microusd: estimate.cost_microusd,
        compute: Duration::from_millis(estimate.compute_ms),
    });
    let account = read::optional_name("account", wanted.account.as_deref())?;
    let model = read::optional_name("model", wanted.model.as_deref())?;
    let terms = Terms { estimate, account, model, ..Terms::default() };
    Ok(Some(terms).filter(|terms| *terms != Terms::default()))
}

/// Returns who is to do a new hook.
async fn taker(node: &Node, hook: HookId, wanted: &api::NewHook) -> Result<AgentId, Problem> {
    let Some(pool) = &wanted.pool else { return read::id("agent_id", &wanted.agent_id) };
    if !wanted.agent_id.is_empty() {
        return Err(Problem::bad_request("pool", "name an agent or a pool, not both"));
    }
    let pool: Name = read::name("pool", pool)?;
    if node.read(|state| state.pool(&pool).is_none()) {
        return Err(Refusal::PoolUnknown(pool).into());
    }
    match tokio::time::timeout(AGENT_PATIENCE, node.agent_for_hook(&pool)).await {
        Ok(agent) => Ok(agent?),
        Err(_) => Err(Refusal::from(HookRefusal::Nobody(hook)).into()),
    }
}

/// List hooks, latest first
#[utoipa::path(
    get,
    path = "/api/v1/hooks",
    tag = "hooks",
    description = "Without work and results, a page at a time. Ended hooks are remembered for a week.",
    params(api::HookFilter, api::PageQuery),
    responses((status = 200, description = "A page of hooks.", body = api::Page<api::Hook>, example = json!(examples::page(examples::hook_line())))),
)]
async fn list_hooks(
    State(context): State<Context>,
    listing: Listing<api::HookFilter>,
) -> Result<Json<api::Page<api::Hook>>, Problem> {
    let wanted = Wanted::read(&listing.filter)?;
    list(context.node(), listing.cursor.as_deref(), listing.limit, |hook| wanted.meets(hook))
}

/// List hooks that nobody works on
#[utoipa::path(
    get,
    path = "/api/v1/hooks/pending",
    tag = "hooks",
    description = "Pending and abandoned ones, latest first, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of hooks.", body = api::Page<api::Hook>, example = json!(examples::page(examples::hook_line())))),
)]
async fn pending_hooks(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Hook>>, Problem> {
    let waits = |hook: &Hook| matches!(hook.status(), HookStatus::Pending | HookStatus::Abandoned);
    list(context.node(), listing.cursor.as_deref(), listing.limit, waits)
}

/// Look at a hook
#[utoipa::path(
    get,
    path = "/api/v1/hooks/{id}",
    tag = "hooks",
    description = "With its work and its result. Where its worktree is, and what keeps it from going on, is known to the node that has its repository.",
    params(("id" = String, Path, description = "The hook's id.", example = json!(examples::HOOK))),
    responses(
        (status = 200, description = "The hook.", body = api::Hook, example = json!(examples::hook())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_hook(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Hook>, Problem> {
    show(context.node(), read::id("the hook's id", &id)?).await
}

/// Wait until a hook has ended
///
/// Answers with the hook as soon as it has completed or failed, or as it is when the time is over; look at its status. The
/// end wakes the waiting request; nothing is polled.
#[utoipa::path(
    get,
    path = "/api/v1/hooks/{id}/wait",
    tag = "hooks",
    params(("id" = String, Path, description = "The hook's id.", example = json!(examples::HOOK)), api::WaitQuery),
    responses(
        (status = 200, description = "The hook, ended or not.", body = api::Hook, example = json!(examples::hook())),
        (status = 404, response = NotFound),
    ),
)]
async fn wait_hook(
    State(context): State<Context>,
    caller: Caller,
    InPath(id): InPath<String>,
    InQuery(query): InQuery<api::WaitQuery>,
) -> Result<Json<api::Hook>, Problem> {
    let (node, id) = (context.node(), read::id("the hook's id", &id)?);
    let wait = read::patience("timeout_ms", query.timeout_ms.unwrap_or(WAIT_DEFAULT_MS), LONG_POLL_MAX)?;
    let ended = async {
        tokio::select! {
            biased;
            ended = node.wait_for_hook(id, wait) => Ok(ended?),
            () = context.stopping() => Ok(node.hook(id)?),
        }
    };
    let ended = caller.while_valid(node, ended).await?;
    Ok(Json(shown::hook(node, &ended).await?))
}

/// Remove a hook
#[utoipa::path(
    delete,
    path = "/api/v1/hooks/{id}",
    tag = "hooks",
    description = "One that has ended or is abandoned. Its worktree is saved to its branch and removed; the branch and the record in the repository stay.",
    params(("id" = String, Path, description = "The hook's id.", example = json!(examples::HOOK))),
    responses(
        (status = 204, description = "The hook is forgotten."),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn delete_hook(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let hook = read::id("the hook's id", &id)?;
    once.propose(context.node(), Command::Hook(HookCommand::Remove { hook })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Start a hook, or say that work on it goes on
///
/// An agent that does its task need not: the node says it for as long as the agent has the lease.
#[utoipa::path(
    post,
    path = "/api/v1/hooks/{id}/start",
    tag = "hooks",
    params(("id" = String, Path, description = "The hook's id.", example = json!(examples::HOOK))),
    request_body(content = api::StartHook, example = json!(examples::start_hook())),
    responses(
        (status = 200, description = "The hook.", body = api::Hook, example = json!(examples::hook())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn start_hook(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(api::StartHook { attempt }): Body<api::StartHook>,
) -> Result<Json<api::Hook>, Problem> {
    ask(context.node(), once, &id, |hook| HookCommand::Start { hook, attempt }).await
}

/// Complete a hook
///
/// What lies uncommitted in its worktree is committed to its branch.
#[utoipa::path(
    post,
    path = "/api/v1/hooks/{id}/complete",
    tag = "hooks",
    params(("id" = String, Path, description = "The hook's id.", example = json!(examples::HOOK))),
    request_body(content = api::CompleteHook, example = json!(examples::complete_hook())),
    responses(
        (status = 200, description = "The hook.", body = api::Hook, example = json!(examples::completed_hook())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn complete_hook(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(api::CompleteHook { attempt, result }): Body<api::CompleteHook>,
) -> Result<Json<api::Hook>, Problem> {
    let result = context.node().store(result.text().as_bytes()).await?;
    ask(context.node(), once, &id, |hook| HookCommand::Complete { hook, attempt, result }).await
}

/// Fail an attempt at a hook
///
/// The hook waits for the next attempt, or has failed when its retries are used.
#[utoipa::path(
    post,
    path = "/api/v1/hooks/{id}/fail",
    tag = "hooks",
    params(("id" = String, Path, description = "The hook's id.", example = json!(examples::HOOK))),
    request_body(content = api::FailHook, example = json!(examples::fail_hook())),
    responses(
        (status = 200, description = "The hook.", body = api::Hook, example = json!(examples::hook())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn fail_hook(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(api::FailHook { attempt, reason }): Body<api::FailHook>,
) -> Result<Json<api::Hook>, Problem> {
    let reason: Arc<str> = reason.into();
    ask(context.node(), once, &id, |hook| HookCommand::Fail { hook, attempt, reason }).await
}

/// Abandon a hook
///
/// Its agent does not work on it any more; another one of its pool takes it over if there is one.
#[utoipa::path(
    post,
    path = "/api/v1/hooks/{id}/abandon",
    tag = "hooks",
    params(("id" = String, Path, description = "The hook's id.", example = json!(examples::HOOK))),
    request_body(content = api::FailHook, example = json!(examples::fail_hook())),
    responses(
        (status = 200, description = "The hook.", body = api::Hook, example = json!(examples::hook())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn abandon_hook(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(api::FailHook { attempt, reason }): Body<api::FailHook>,
) -> Result<Json<api::Hook>, Problem> {
    let reason: Arc<str> = reason.into();
    ask(context.node(), once, &id, |hook| HookCommand::Abandon { hook, attempt, reason }).await
}

/// Reassign a hook
///
/// Whoever has it loses it: what lies in its worktree is committed to its branch, and the next attempt begins.
#[utoipa::path(
    post,
    path = "/api/v1/hooks/{id}/reassign",
    tag = "hooks",
    params(("id" = String, Path, description = "The hook's id.", example = json!(examples::HOOK))),
    request_body(content = api::ReassignHook, example = json!(examples::reassign_hook())),
    responses(
        (status = 200, description = "The hook.", body = api::Hook, example = json!(examples::hook())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn reassign_hook(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::ReassignHook>,
) -> Result<Json<api::Hook>, Problem> {
    let agent: Option<AgentId> =
        wanted.agent_id.as_deref().map(|agent| read::id("agent_id", agent)).transpose()?;
    ask(context.node(), once, &id, |hook| HookCommand::Reassign { hook, agent }).await
}

/// Take over the hooks of a repository
///
/// Those that are on record there and that the cluster does not know. One that has not ended goes on, under the next attempt.
#[utoipa::path(
    post,
    path = "/api/v1/hooks/import",
    tag = "hooks",
    request_body(content = api::ImportHooks, example = json!(examples::import_hooks())),
    responses(
        (status = 200, description = "Those that were taken over.", body = api::ImportedHooks, example = json!(examples::imported_hooks())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn import_hooks(
    State(context): State<Context>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::ImportHooks>,
) -> Result<Json<api::ImportedHooks>, Problem> {
    let taken = context.node().import_hooks(Path::new(&wanted.repository)).await?;
    Ok(Json(api::ImportedHooks { hooks: taken.iter().map(ToString::to_string).collect() }))
}

/// Asks something of a hook and shows how it stands then.
async fn ask(
    node: &Node,
    once: Once,
    id: &str,
    command: impl FnOnce(HookId) -> HookCommand,
) -> Result<Json<api::Hook>, Problem> {
    let hook = read::id("the hook's id", id)?;
    once.propose(node, Command::Hook(command(hook))).await?;
    show(node, hook).await
}

async fn show(node: &Node, hook: HookId) -> Result<Json<api::Hook>, Problem> {
    let hook = node.hook(hook)?;
    Ok(Json(shown::hook(node, &hook).await?))
}

fn list(
    node: &Node,
    cursor: Option<&str>,
    limit: usize,
    meets: impl Fn(&Hook) -> bool,
) -> Result<Json<api::Page<api::Hook>>, Problem> {
    let before: Option<HookId> = cursor.map(|cursor| read::id("cursor", cursor)).transpose()?;
    let sight = Sight::of_caller(node);
    // So few are kept that all of them may be looked at.
    let found: Vec<Arc<Hook>> = node.read(|state| {
        state.hooks_below(before).filter(|hook| sight.hook(hook) && meets(hook)).cloned().collect()
    });
    let shown = found.iter().map(|hook| (hook.spec.id.to_string(), shown::hook_line(node, hook)));
    Ok(Json(page(shown, limit)))
}

/// The filter of a list, read.
struct Wanted {
    agent: Option<AgentId>,
    statuses: Option<Vec<HookStatus>>,
    workspace: Option<Name>,
}

impl Wanted {
    fn read(filter: &api::HookFilter) -> Result<Self, Problem> {
        let status = |word: &str| {
            let found = HookStatus::ALL.into_iter().find(|status| status.as_str() == word);
            let words = HookStatus::ALL.map(HookStatus::as_str).join(", ");
            found.ok_or_else(|| Problem::bad_request("status", format!("{word:?} is none of {words}")))
        };
        let words = filter.status.as_deref().map(|words| words.split(',').map(status).collect());
        Ok(Self {
            agent: filter.agent.as_deref().map(|agent| read::id("agent", agent)).transpose()?,
            statuses: words.transpose()?,
            workspace: read::optional_name("workspace", filter.workspace.as_deref())?,
        })
    }

    fn meets(&self, hook: &Hook) -> bool {
        self.agent.is_none_or(|agent| agent == hook.agent)
            && self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&hook.status()))
            && self.workspace.as_ref().is_none_or(|workspace| *workspace == hook.spec.workspace)
    }
}
