//! Counts of agents and tasks, of the queue, and of circuit breakers.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use synod_domain::agent::Agent;
use synod_domain::breaker::{Breaker, Circuit};
use synod_domain::state;
use synod_domain::task::{Lane, Task};
use synod_domain::time::Timestamp;

use crate::http::Context;

use super::extra::{self, AgentExtra};
use super::queue::LOOK_MAX;
use super::tasks::TIMEOUT_DEFAULT;
use super::times::{self, mean_millis};
use super::{priority, shown};

/// Milliseconds of a day and of a minute.
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
const MINUTE_MS: u64 = 60_000;

/// Unfinished tasks, by what they are doing.
pub(super) struct Unfinished {
    pub(super) pending: u64,
    pub(super) running: u64,
}

/// Counts the unfinished tasks without looking at each.
pub(super) fn unfinished(state: &state::State) -> Unfinished {
    let held: usize = state.agents().map(|agent| agent.held.len()).sum();
    let running = u64::try_from(held).unwrap_or(u64::MAX);
    Unfinished { pending: state.unfinished().saturating_sub(running), running }
}

/// `GET /stats`. Priorities and types are counted of the oldest unfinished tasks only: see
/// [`LOOK_MAX`](super::queue::LOOK_MAX).
pub(super) async fn all(State(context): State<Context>) -> Json<Value> {
    let (agents, tasks, scheduler) = context.node().read(|state| {
        let agents: Vec<_> = state.agents().cloned().collect();
        let tasks: Vec<_> = state.tasks().take(LOOK_MAX).cloned().collect();
        (agents, tasks, by_status(state))
    });
    let total: u64 = scheduler.values().sum();
    let heartbeat_timeout = context.options().agent_timeout.as_secs_f64();
    Json(json!({
        "registry": registry(agents.iter().map(|agent| &**agent), heartbeat_timeout),
        "scheduler": {
            "by_status": scheduler,
            "by_priority": by_priority(tasks.iter().map(|task| &**task)),
            "by_type": counts(tasks.iter().map(|task| task.spec.kind.to_string())),
            "total": total,
        },
        "config": {
            "redis_url": null,
            "heartbeat_timeout": heartbeat_timeout,
            "task_timeout": TIMEOUT_DEFAULT.as_secs_f64(),
        },
    }))
}

fn registry<'a>(agents: impl Iterator<Item = &'a Agent> + Clone, heartbeat_timeout: f64) -> Value {
    let status = |agent: &Agent| shown::status(agent).to_owned();
    let provider = |agent: &Agent| {
        let (_, extra) = extra::split::<AgentExtra>(agent.spec.metadata.as_ref());
        extra.provider.unwrap_or_else(shown::unknown)
    };
    json!({
        "total_agents": agents.clone().count(),
        "available_agents": agents.clone().filter(|agent| shown::status(agent) == "ready").count(),
        "by_status": counts(agents.clone().map(status)),
        "by_capability": counts(agents.clone().flat_map(|agent| {
            agent.spec.capabilities.iter().map(|one| one.to_string()).collect::<Vec<_>>()
        })),
        "by_provider": counts(agents.map(provider)),
        "heartbeat_timeout": heartbeat_timeout,
    })
}

/// Counts the tasks of every status, ended ones since ever.
pub(super) fn by_status(state: &state::State) -> BTreeMap<&'static str, u64> {
    let totals = state.totals();
    let Unfinished { pending, running } = unfinished(state);
    BTreeMap::from([
        ("pending", pending),
        ("running", running),
        ("completed", totals.completed),
        ("failed", totals.failed),
        ("cancelled", totals.cancelled),
        ("timeout", totals.timed_out),
    ])
}

fn by_priority<'a>(tasks: impl Iterator<Item = &'a Task>) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<_, _> = Lane::ALL.into_iter().map(|lane| (priority::word(lane), 0)).collect();
    for task in tasks {
        *counts.entry(priority::word(task.lane)).or_default() += 1;
    }
    counts
}

fn counts(words: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

/// `GET /queue/metrics`
pub(super) async fn queue(State(context): State<Context>) -> Json<Value> {
    let now = context.node().now();
    let (Unfinished { pending, running }, totals, today) =
        context.node().read(|state| (unfinished(state), state.totals().clone(), today(state, now)));
    let started = totals.ended().saturating_sub(totals.cancelled) + running;
    let attempts = totals.completed + totals.failed + totals.timed_out + totals.retried;
    Json(json!({
        "pending": pending,
        "running": running,
        "completed_today": today.completed,
        "failed_today": today.failed,
        "avg_wait_time_ms": mean_millis(totals.waited, started),
        "avg_execution_time_ms": mean_millis(totals.worked, attempts),
        "throughput_per_minute": per_minute(today.completed, now),
    }))
}

/// What was done today.
pub(super) struct Today {
    pub(super) completed: u64,
    pub(super) failed: u64,
}

/// Returns what was done on the day of `now`; that of the last entry may be over.
pub(super) fn today(state: &state::State, now: Timestamp) -> Today {
    let today = state.today();
    if today.day != now.as_millis() / DAY_MS {
        return Today { completed: 0, failed: 0 };
    }
    Today { completed: today.totals.completed, failed: today.totals.failed + today.totals.timed_out }
}

/// Returns how many were done in a minute of today, on average since midnight UTC.
pub(super) fn per_minute(completed: u64, now: Timestamp) -> f64 {
    let minutes = (now.as_millis() % DAY_MS / MINUTE_MS).max(1);
    let whole = |number: u64| u32::try_from(number).map_or(f64::MAX, f64::from);
    whole(completed) / whole(minutes)
}

/// `GET /breakers`: those of pools and of types of tasks. A half-open one is told as such; `reset_timeout_ms` is how
/// long one that is open stays so in all.
pub(super) async fn breakers(State(context): State<Context>) -> Json<Value> {
    let breakers = context.node().read(|state| state.breakers().map(breaker).collect::<Vec<_>>());
    Json(json!({ "breakers": breakers }))
}

fn breaker(breaker: &Breaker) -> Value {
    let times = match &breaker.circuit {
        Circuit::Open { times, .. } | Circuit::HalfOpen { times, .. } => *times,
        Circuit::Closed { .. } => 1,
    };
    json!({
        "name": breaker.spec.of.path(),
        "state": breaker.circuit.word(),
        "failure_count": breaker.failed,
        "success_count": breaker.succeeded,
        "last_failure": breaker.last_failure.as_ref().map(|(at, _)| times::epoch(*at)),
        "reset_timeout_ms": u64::try_from(breaker.spec.open_time(times).as_millis()).unwrap_or(u64::MAX),
    })
}
