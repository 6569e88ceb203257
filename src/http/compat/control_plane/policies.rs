//! Policies and their violations, as clients of older control planes see them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use synod_domain::command::Command;
use synod_domain::id::ViolationId;
use synod_domain::name::Name;
use synod_domain::policy::PolicyCommand;
use synod_domain::violation::{Violation, ViolationStatus};

use crate::api;
use crate::http::native::policies::{name_of, policy_of, shown};
use crate::http::{Body, Caller, Context, InPath, InQuery, Once, Problem};

use super::{invalid, missing};

/// How many violations a page has that does not say, as there.
const LIMIT_DEFAULT: usize = 100;

/// The most violations of a page.
const LIMIT_MAX: usize = 1_000;

/// What a violation can be.
const STATUSES: [&str; 4] = ["open", "investigating", "resolved", "false_positive"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    policy_id: Option<String>,
    violation_type: Option<String>,
    status: Option<String>,
    workspace_id: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

/// `GET /policies`
pub(super) async fn list(State(context): State<Context>) -> Json<Value> {
    let policies: Vec<api::Policy> =
        context.node().read(|state| state.policies().map(|one| shown::policy(one)).collect());
    Json(json!({ "total": policies.len(), "policies": policies }))
}

/// `POST /policies`
pub(super) async fn create(
    State(context): State<Context>,
    once: Once,
    Body(wanted): Body<api::NewPolicy>,
) -> Result<Json<Value>, Problem> {
    let spec = policy_of(&wanted)?;
    let name = spec.name.clone();
    once.propose(context.node(), Command::Policy(PolicyCommand::Put { spec: spec.into() })).await?;
    let policy = context.node().read(|state| state.policy(&name).map(|one| shown::policy(one)));
    Ok(Json(json!({ "policy": policy })))
}

/// `GET /policies/violations`
pub(super) async fn violations(
    State(context): State<Context>,
    InQuery(wanted): InQuery<Wanted>,
) -> Json<Value> {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    let offset = wanted.offset.unwrap_or(0);
    let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    let text = |name: Option<&Name>| name.map(Name::as_str).unwrap_or_default().to_owned();
    let (total, page) = context.node().read(|state| {
        // The newest first, as people look at them.
        let found: Vec<&Violation> = state
            .violations()
            .rev()
            .map(AsRef::as_ref)
            .filter(|one| {
                same(&wanted.policy_id, &text(one.offence.policy.as_ref()))
                    && same(&wanted.violation_type, &one.offence.action)
                    && same(&wanted.status, one.status.as_str())
                    && same(&wanted.workspace_id, &text(one.offence.workspace.as_ref()))
            })
            .collect();
        let page: Vec<Value> = found.iter().skip(offset).take(limit).map(|one| shape(one)).collect();
        (found.len(), page)
    });
    Json(json!({ "violations": page, "total": total, "limit": limit, "offset": offset }))
}

/// `GET /policies/violations/stats`
pub(super) async fn stats(State(context): State<Context>) -> Json<Value> {
    let (mut total, mut open, mut resolved) = (0_u64, 0_u64, 0_u64);
    let (mut by_type, mut open_by_type) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    context.node().read(|state| {
        for one in state.violations() {
            total += 1;
            let kind = one.offence.action.to_string();
            *by_type.entry(kind.clone()).or_default() += 1;
            if one.status == ViolationStatus::Open {
                open += 1;
                *open_by_type.entry(kind).or_default() += 1;
            }
            resolved += u64::from(one.status == ViolationStatus::Resolved);
        }
    });
    Json(json!({
        "total": total,
        "open": open,
        "resolved": resolved,
        "by_type": by_type,
        "open_by_type": open_by_type,
    }))
}

/// `GET /policies/violations/{id}`
pub(super) async fn violation(
    State(context): State<Context>,
    InPath(id): InPath<String>,
) -> Result<Json<Value>, Problem> {
    let found = id.parse().ok().and_then(|known: ViolationId| {
        context.node().read(|state| state.violation(known).map(|one| shape(one)))
    });
    found.map(|violation| Json(json!({ "violation": violation }))).ok_or_else(|| unknown(&id))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Update {
    status: Option<String>,
    notes: Option<String>,
}

/// `PATCH /policies/violations/{id}`
pub(super) async fn update(
    State(context): State<Context>,
    caller: Caller,
    once: Once,
    InPath(id): InPath<String>,
    Body(update): Body<Update>,
) -> Result<Json<Value>, Problem> {
    let word = update.status.as_deref().filter(|word| !word.is_empty());
    let word = word.ok_or_else(|| invalid("status is required"))?;
    let status = ViolationStatus::ALL
        .into_iter()
        .find(|status| status.as_str() == word && STATUSES.contains(&word))
        .ok_or_else(|| invalid(format!("Invalid status: {word}; use {}", STATUSES.join(", "))))?;
    let known: ViolationId = id.parse().map_err(|_| unknown(&id))?;
    let node = context.node();
    if node.read(|state| state.violation(known).is_none()) {
        return Err(unknown(&id));
    }
    let by = name_of(node, &caller);
    let note = update.notes.unwrap_or_default().as_str().into();
    let command = PolicyCommand::Settle { violation: known, status, by, note };
    once.propose(node, Command::Policy(command)).await?;
    let message = format!("Violation status updated to {word}");
    Ok(Json(json!({ "updated": true, "violation_id": id, "status": word, "message": message })))
}

/// A violation in the words of there, beside ours.
fn shape(violation: &Violation) -> Value {
    let ours = shown::violation(violation);
    json!({
        "id": ours.id,
        "policy_id": ours.policy,
        "policy_name": ours.policy,
        "policy_version": ours.policy_version,
        "violation_type": ours.action,
        "description": ours.reason,
        "task_id": ours.task_id,
        "agent_id": ours.agent_id,
        "workspace_id": ours.workspace,
        "enforcement_level": ours.enforcement,
        "count": ours.count,
        "timestamp": ours.last_at,
        "status": ours.status,
        "resolved_by": ours.settled_by,
        "resolution_notes": ours.note,
    })
}

fn unknown(id: &str) -> Problem {
    missing("violation_unknown", format!("Violation not found: {id}"))
}
