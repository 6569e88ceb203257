//! Health: of the whole, of its parts, of each agent.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use synod_actors::runtimes::process::Vitals;
use synod_domain::agent::{Agent, AgentStatus};
use synod_domain::id::AgentId;

use crate::http::InPath;
use crate::http::{Context, Problem};

use super::agents::last_heard;
use super::times::epoch;
use super::{find, missing, shown};

/// The most agents of one answer; the status counts all.
const SHOWN_MAX: usize = 10_000;

/// What is known of an agent's health.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    agent_id: String,
    status: &'static str,
    /// Agents are not probed: they come to us.
    latency_ms: f64,
    timestamp: f64,
    error: Option<String>,
    metadata: Map<String, Value>,
}

/// Returns the word for an agent's health.
const fn health(status: AgentStatus) -> &'static str {
    match status {
        AgentStatus::Ready | AgentStatus::Busy | AgentStatus::Standby => "healthy",
        AgentStatus::Starting | AgentStatus::Draining => "degraded",
        AgentStatus::Offline | AgentStatus::Failed => "unhealthy",
    }
}

fn check(context: &Context, agent: &Agent, vitals: &BTreeMap<AgentId, Vitals>) -> Check {
    let status = health(agent.status());
    let does = crate::http::native::shown::health(context.node(), agent, vitals);
    let mut metadata = Map::from_iter([
        ("agent_status".to_owned(), shown::status(agent).into()),
        ("task_queue_size".to_owned(), (does.held + does.queue_depth).into()),
        ("error_rate".to_owned(), (does.error_percent / 100.0).into()),
    ]);
    if let Some(programs) = does.programs {
        metadata.insert("cpu_usage".to_owned(), programs.cpu_percent.into());
        metadata.insert("memory_usage".to_owned(), programs.memory_bytes.into());
    }
    Check {
        agent_id: agent.spec.name.to_string(),
        status,
        latency_ms: 0.0,
        timestamp: epoch(last_heard(context, agent)),
        error: (status != "healthy").then(|| agent.reason.to_string()),
        metadata,
    }
}

/// Returns the word for the whole: healthy while no agent is gone, unhealthy when all are.
fn whole(context: &Context) -> &'static str {
    let status = context.node().status();
    if status.leader.is_none() {
        return "critical";
    }
    let (all, gone) = context.node().read(|state| {
        state.agents().fold((0_u64, 0_u64), |(all, gone), agent| {
            (all + 1, gone + u64::from(health(agent.status()) == "unhealthy"))
        })
    });
    match gone {
        0 => "healthy",
        gone if gone == all => "unhealthy",
        _ => "degraded",
    }
}

/// `GET /health`
pub(super) async fn all(State(context): State<Context>) -> Json<Value> {
    let agents: Vec<_> = context.node().read(|state| state.agents().take(SHOWN_MAX).cloned().collect());
    let vitals = context.node().vitals().await;
    let checks: BTreeMap<String, Check> =
        agents.iter().map(|agent| (agent.spec.name.to_string(), check(&context, agent, &vitals))).collect();
    Json(json!({ "status": whole(&context), "agents": checks }))
}

/// `GET /health/{agent_id}`
pub(super) async fn of_agent(
    State(context): State<Context>,
    InPath(id): InPath<String>,
) -> Result<Json<Check>, Problem> {
    let unknown = |_| missing("agent_unknown", format!("No health data for agent: {id}"));
    let agent = find::agent(&context, &id).map_err(unknown)?;
    let vitals = context.node().vitals().await;
    Ok(Json(check(&context, &agent, &vitals)))
}

/// `GET /health/detailed`
pub(super) async fn detailed(State(context): State<Context>) -> Json<Value> {
    let node = context.node().status();
    let leads = node.leader.is_some();
    let log = if leads { "healthy" } else { "critical" };
    let mut components = vec![
        json!({ "name": "scheduler", "status": log, "latency_ms": 0.0 }),
        json!({ "name": "registry", "status": "healthy", "latency_ms": 0.0 }),
        json!({ "name": "log", "status": log, "latency_ms": 0.0 }),
    ];
    if !leads {
        for component in &mut components {
            if component["status"] != "healthy" {
                component["error"] = "no leader is known here".into();
            }
        }
    }
    Json(json!({
        "status": whole(&context),
        "uptime_seconds": context.uptime().as_secs_f64(),
        "version": env!("CARGO_PKG_VERSION"),
        "components": components,
    }))
}
