//! Figures for dashboards: of the whole, of the machine, of tasks, of one agent.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::http::InPath;
use crate::http::{Context, Problem};

use super::agents::last_heard;
use super::stats::{Unfinished, by_status, per_minute, today, unfinished};
use super::times::{epoch, mean_millis};
use super::{find, host, shown};

/// `GET /metrics`. Documents, audits and tokens are not counted here: 0.
pub(super) async fn dashboard(State(context): State<Context>) -> Json<Value> {
    Json(context.node().read(|state| {
        let Unfinished { pending, running } = unfinished(state);
        let with = |word| state.agents().filter(|agent| shown::status(agent) == word).count();
        json!({
            "active_jobs": running,
            "queued_jobs": pending,
            "completed_jobs": state.totals().completed,
            "agents_available": with("ready"),
            "agents_busy": with("busy"),
            "total_agents": state.agents().count(),
            "documents_processed_today": 0,
            "audits_completed_today": 0,
            "tokens_used_today": 0,
        })
    }))
}

/// `GET /metrics/system`, with what this node counted since its start of letters and datagrams, and how it hears the
/// voters of each region; nothing of the latter where it stands alone.
pub(super) async fn system(State(context): State<Context>) -> Json<Value> {
    let now = context.node().now();
    let today = context.node().read(|state| today(state, now));
    let machine = host::machine();
    Json(json!({
        "uptime_seconds": context.uptime().as_secs_f64(),
        "version": env!("CARGO_PKG_VERSION"),
        "cpu": { "load_average": machine.load },
        "memory": {
            "process_bytes": machine.process_bytes,
            "total_bytes": machine.total_bytes,
            "free_bytes": machine.free_bytes,
        },
        "throughput_per_minute": per_minute(today.completed, now),
        "courier": { "dead_letters": context.node().courier().dead_letters().total },
        "gossip": context.node().datagrams(),
        "regions": { "gossip": context.node().region_gossip(), "members": members_of_regions(&context) },
    }))
}

/// Counts the voters of each region by how gossip between regions finds them; none where there is no such gossip.
fn members_of_regions(context: &Context) -> Value {
    let regions = context.node().regions().into_iter().filter(|region| !region.members.is_empty());
    let counted = regions.map(|region| {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for member in &region.members {
            *counts.entry(member.health.to_string()).or_default() += 1;
        }
        (region.name.to_string(), json!(counts))
    });
    Value::Object(counted.collect())
}

/// `GET /metrics/tasks`
pub(super) async fn tasks(State(context): State<Context>) -> Json<Value> {
    let (totals, by_status) = context.node().read(|state| (state.totals().clone(), by_status(state)));
    let attempts = totals.completed + totals.failed + totals.timed_out + totals.retried;
    Json(json!({
        "submitted": totals.submitted,
        "completed": totals.completed,
        "failed": totals.failed + totals.timed_out,
        "cancelled": totals.cancelled,
        "retried": totals.retried,
        "completion_rate": share(totals.completed, totals.ended()),
        "avg_duration_ms": mean_millis(totals.worked, attempts),
        "by_status": by_status,
    }))
}

/// `GET /agents/{id}/metrics` and `GET /metrics/agents/{id}`
pub(super) async fn agent(
    State(context): State<Context>,
    InPath(id): InPath<String>,
) -> Result<Json<Value>, Problem> {
    let agent = find::agent(&context, &id)?;
    let ended = agent.completed + agent.failed;
    Ok(Json(json!({
        "agent_id": agent.spec.name.to_string(),
        "status": shown::status(&agent),
        "tasks_completed": agent.completed,
        "tasks_failed": agent.failed,
        "success_rate": share(agent.completed, ended),
        "avg_latency_ms": mean_millis(agent.worked, ended),
        "current_tasks": agent.held.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "registered_at": epoch(agent.registered_at),
        "last_heartbeat": epoch(last_heard(&context, &agent)),
    })))
}

/// Returns a share of 1; none of nothing.
fn share(part: u64, of: u64) -> Option<f64> {
    let number = |number: u64| u32::try_from(number).map_or(f64::from(u32::MAX), f64::from);
    (of > 0).then(|| number(part) / number(of))
}
