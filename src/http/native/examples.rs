//! The examples of the document: real values of the API's types, so that they cannot go out of date.

use std::collections::BTreeMap;

use serde_json::{Value, json};

mod access;
mod audit;
mod budgets;
mod cluster;
mod governing;
pub(super) mod policies;
mod pools;

pub(super) use access::*;
pub(super) use audit::*;
pub(super) use budgets::*;
pub(super) use cluster::*;
pub(super) use governing::*;
pub(super) use pools::*;
mod hooks;

pub(super) use hooks::*;
mod resources;
mod webhooks;

pub(super) use resources::*;
pub(super) use webhooks::*;

use crate::api::{self, Priority, TaskStatus};

pub(super) const TASK: &str = "task_01kxs5c9v40010mgr61qf4tqjs";
pub(super) const AGENT: &str = "agent_01kxs5bz6r001xkqrsb5q8p3vd";
pub(super) const NODE: &str = "node_01kxs5a0m80015v2yv0f3wq1t9";
pub(super) const TOKEN: &str = "token_01kxs5a15c001d8h9sdt4ge2km";
pub(super) const POOL: &str = "builders";
pub(super) const MAILBOX: &str = "pool/builders";

const NEW_TASK: &str = "task_01kxs6qgr2001e77x5k1c5z9pm";
const AGENT_NAME: &str = "builder-1";
const REQUEST: &str = "req_01kxs5d0e20010s6b5zsgj6d2v";

/// A few times in order, in the life of one task.
const REGISTERED: &str = "2026-11-21T05:54:02.118Z";
const SUBMITTED: &str = "2026-11-21T05:55:10.007Z";
const LEASED: &str = "2026-11-21T05:55:10.481Z";
const HEARD: &str = "2026-11-21T05:55:40.502Z";
const EXPIRES: &str = "2026-11-21T05:56:40.502Z";
const ENDED: &str = "2026-11-21T05:57:03.944Z";

/// Writes a value as the API's types carry any JSON.
fn any(value: Value) -> Option<api::Json> {
    api::Json::from_text(value.to_string())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("team".to_owned(), "search".to_owned())])
}

pub(super) fn page<T>(item: T) -> api::Page<T> {
    api::Page::of(vec![item], None)
}

pub(super) fn new_task() -> api::NewTask {
    api::NewTask {
        kind: "review".to_owned(),
        payload: any(json!({ "path": "src/lib.rs" })),
        pool: Some(POOL.to_owned()),
        required_capabilities: words(&["rust"]),
        priority: Priority::High,
        labels: labels(),
        running_timeout_ms: Some(600_000),
        retry: Some(api::Retry { max_attempts: Some(4), ..api::Retry::default() }),
        ..api::NewTask::default()
    }
}

pub(super) fn submitted() -> api::Submitted {
    api::Submitted { task_id: Some(TASK.to_owned()), duplicate: false, region: None, problem: None }
}

pub(super) fn submitted_before() -> api::Submitted {
    api::Submitted { duplicate: true, ..submitted() }
}

pub(super) fn submit_refused() -> api::Submitted {
    api::Submitted {
        task_id: None,
        duplicate: false,
        region: None,
        problem: Some(problem(
            404,
            "pool_unknown",
            "Not found",
            "there is no pool bilders",
            "create the pool first, or correct its name",
        )),
    }
}

fn problem(status: u16, code: &str, title: &str, detail: &str, hint: &str) -> api::Problem {
    api::Problem {
        kind: format!("urn:synod:problem:{code}"),
        title: title.to_owned(),
        status,
        detail: detail.to_owned(),
        code: code.to_owned(),
        hint: hint.to_owned(),
        request_id: REQUEST.to_owned(),
        retry_after_ms: None,
    }
}

pub(super) fn lease() -> api::Lease {
    api::Lease {
        agent: AGENT.to_owned(),
        attempt: 1,
        granted_at: LEASED.to_owned(),
        expires_at: Some(EXPIRES.to_owned()),
        heard_at: HEARD.to_owned(),
        over_budget_at: None,
    }
}

/// A task at work.
pub(super) fn task() -> api::Task {
    api::Task { payload: any(json!({ "path": "src/lib.rs" })), ..task_line() }
}

/// The same as a line of a list.
pub(super) fn task_line() -> api::Task {
    api::Task {
        id: TASK.to_owned(),
        kind: "review".to_owned(),
        workspace: "default".to_owned(),
        pool: Some(POOL.to_owned()),
        agent: None,
        region: "default".to_owned(),
        from_region: None,
        kept_for: None,
        status: TaskStatus::Running,
        priority: Priority::High,
        lane: Priority::High,
        required_capabilities: words(&["rust"]),
        labels: labels(),
        metadata: None,
        payload: None,
        payload_bytes: 21,
        submitted_at: SUBMITTED.to_owned(),
        started_at: Some(LEASED.to_owned()),
        ended_at: None,
        retry_at: None,
        deadline: None,
        waiting_timeout_ms: None,
        running_timeout_ms: Some(600_000),
        silence_timeout_ms: Some(60_000),
        attempt: 1,
        max_attempts: 4,
        failures: 0,
        losses: 0,
        lease: Some(lease()),
        progress: Some(progress()),
        usage: api::Usage::default(),
        reason: None,
        result: None,
        attempts: Vec::new(),
        run: None,
        redriven_from: None,
        withheld: None,
    }
}

fn progress() -> api::Progress {
    api::Progress { percent: Some(40), message: Some("read 12 of 30 files".to_owned()) }
}

fn ended(status: TaskStatus, end: &str, reason: &str) -> api::Task {
    api::Task {
        status,
        ended_at: Some(ENDED.to_owned()),
        lease: None,
        progress: None,
        reason: Some(reason.to_owned()),
        attempts: vec![api::Attempt {
            number: 1,
            agent: AGENT.to_owned(),
            leased_at: LEASED.to_owned(),
            ended_at: ENDED.to_owned(),
            end: end.to_owned(),
            reason: (end == "failed").then(|| reason.to_owned()),
        }],
        ..task()
    }
}

pub(super) fn cancelled() -> api::Task {
    ended(TaskStatus::Cancelled, "stopped", "superseded by a newer plan")
}

pub(super) fn dead_letter() -> api::DeadLetter {
    api::Task {
        failures: 1,
        max_attempts: 1,
        ..ended(TaskStatus::Failed, "failed", "the tests did not pass")
    }
}

pub(super) fn dead_letter_line() -> api::DeadLetter {
    api::Task { payload: None, ..dead_letter() }
}

pub(super) fn cancel() -> api::Cancel {
    api::Cancel { reason: Some("superseded by a newer plan".to_owned()) }
}

pub(super) fn set_priority() -> api::SetPriority {
    api::SetPriority { priority: Priority::Critical }
}

pub(super) fn bulk() -> api::Bulk {
    let filter = api::Filter {
        kind: Some("review".to_owned()),
        workspace: Some("default".to_owned()),
        ..api::Filter::default()
    };
    api::Bulk { filter, ..api::Bulk::default() }
}

pub(super) fn bulk_done() -> api::BulkDone {
    api::BulkDone {
        matched: 3,
        done: 2,
        failures: vec![api::BulkFailure {
            task_id: TASK.to_owned(),
            code: "already_ended".to_owned(),
            detail: format!("{TASK} has already ended: it is completed"),
        }],
        more: false,
    }
}

pub(super) fn redriven() -> api::Redrive {
    api::Redrive { task_id: NEW_TASK.to_owned() }
}

pub(super) fn why() -> api::Why {
    api::Why {
        task_id: TASK.to_owned(),
        status: TaskStatus::Pending,
        cause: "no_capable_agent".to_owned(),
        sentence: "it waits because none of the 3 agents that serve it offers rust@1.95".to_owned(),
        detail: any(json!({ "cause": "no_capable_agent", "demand": ["rust@1.95"], "missing": ["rust@1.95"], "looked_at": 3 }))
            .unwrap_or_default(),
    }
}

pub(super) fn log_chunk() -> api::LogChunk {
    api::LogChunk {
        task_id: TASK.to_owned(),
        attempt: 1,
        text: "reading src/lib.rs\n".to_owned(),
        offset: 0,
        next_offset: 19,
        more: true,
        note: None,
    }
}

pub(super) fn result() -> Value {
    json!({ "findings": 2 })
}

pub(super) fn claim() -> api::Claim {
    api::Claim { agent_id: AGENT_NAME.to_owned(), capabilities: None, max: 1, wait_ms: 30_000, start: true }
}

pub(super) fn claimed() -> api::Claimed {
    let task = api::Task { progress: None, ..task() };
    api::Claimed { tasks: vec![api::LeasedTask { task, attempt: 1, expires_at: Some(EXPIRES.to_owned()) }] }
}

pub(super) fn start_task() -> api::StartTask {
    api::StartTask { attempt: 1 }
}

pub(super) fn heartbeat_task() -> api::HeartbeatTask {
    api::HeartbeatTask { attempt: 1, progress: Some(progress()), usage: Some(usage()), model: None }
}

pub(super) fn release() -> api::Release {
    api::Release { attempt: 1, reason: Some("this machine shuts down".to_owned()) }
}

fn usage() -> api::Usage {
    api::Usage { tokens_in: 1200, tokens_out: 340, cost_microusd: 2100 }
}

pub(super) fn complete() -> api::Complete {
    api::Complete { attempt: 1, result: any(result()), usage: Some(usage()) }
}

pub(super) fn completed() -> api::Completed {
    api::Completed { status: TaskStatus::Completed }
}

pub(super) fn complete_many() -> api::CompleteMany {
    let one = |task: &str| api::CompleteOne {
        task_id: task.to_owned(),
        attempt: 1,
        result: any(result()),
        usage: None,
    };
    api::CompleteMany { items: vec![one(TASK), one(NEW_TASK)] }
}

pub(super) fn completed_many() -> api::CompletedMany {
    let lost = problem(
        409,
        "lease_lost",
        "Lease lost",
        &format!("attempt 1 holds no lease on {NEW_TASK}"),
        "stop this attempt and drop its result; another attempt has the task",
    );
    api::CompletedMany {
        items: vec![
            api::CompletedOne { status: Some(TaskStatus::Completed), problem: None },
            api::CompletedOne { status: None, problem: Some(lost) },
        ],
    }
}

pub(super) fn fail() -> api::Fail {
    api::Fail {
        attempt: 1,
        reason: "the tests did not pass".to_owned(),
        retryable: true,
        usage: None,
        rate_limited_for_ms: None,
    }
}

pub(super) fn failed() -> api::Failed {
    api::Failed { status: TaskStatus::Pending, retry_at: Some(ENDED.to_owned()) }
}

pub(super) fn register_agent() -> api::RegisterAgent {
    api::RegisterAgent {
        name: AGENT_NAME.to_owned(),
        pool: Some(POOL.to_owned()),
        capabilities: words(&["rust"]),
        concurrency: Some(2),
        heartbeat_timeout_ms: Some(90_000),
        ..api::RegisterAgent::default()
    }
}

pub(super) fn agent() -> api::Agent {
    api::Agent {
        id: AGENT.to_owned(),
        name: AGENT_NAME.to_owned(),
        pool: Some(POOL.to_owned()),
        status: "READY".to_owned(),
        reason: "registered".to_owned(),
        since: REGISTERED.to_owned(),
        host: "external".to_owned(),
        node_name: None,
        capabilities: words(&["rust"]),
        labels: BTreeMap::new(),
        metadata: None,
        region: None,
        concurrency: 2,
        held: words(&[TASK]),
        heartbeat_timeout_ms: Some(90_000),
        heard_ms_ago: None,
        registered_at: REGISTERED.to_owned(),
        completed: 17,
        failed: 1,
        restarts: 0,
        average_ms: Some(41_200),
        version: 0,
        renewing: None,
        health: Some(agent_health()),
    }
}

pub(super) fn agent_health() -> api::AgentHealth {
    api::AgentHealth {
        held: 1,
        queue_depth: 0,
        recent_attempts: 18,
        recent_failed: 1,
        error_percent: 5.6,
        began_at: REGISTERED.to_owned(),
        programs: Some(api::AgentPrograms { processes: 2, memory_bytes: 48_000_000, cpu_percent: 87.5 }),
        unmeasured: None,
    }
}

pub(super) fn draining() -> api::Agent {
    api::Agent { status: "DRAINING".to_owned(), reason: "drained by a client".to_owned(), ..agent() }
}

pub(super) fn mailbox() -> api::Mailbox {
    api::Mailbox {
        name: MAILBOX.to_owned(),
        waiting: 12,
        lanes: api::LaneDepths { critical: 0, high: 2, normal: 10, low: 0 },
        oldest_since: Some(SUBMITTED.to_owned()),
        paused: None,
    }
}

pub(super) fn pause_of() -> api::PauseOf {
    let reason = Some("the build machines are being moved".to_owned());
    api::PauseOf { pool: Some(POOL.to_owned()), reason, ..api::PauseOf::default() }
}

pub(super) fn resume_of() -> api::PauseOf {
    api::PauseOf { pool: Some(POOL.to_owned()), ..api::PauseOf::default() }
}

pub(super) fn pause() -> api::Pause {
    api::Pause {
        of: "pool".to_owned(),
        name: POOL.to_owned(),
        reason: "the build machines are being moved".to_owned(),
        since: SUBMITTED.to_owned(),
    }
}

pub(super) fn event() -> api::Event {
    api::Event {
        id: "1042.0".to_owned(),
        at: SUBMITTED.to_owned(),
        kind: "task_submitted".to_owned(),
        workspace: Some("default".to_owned()),
        data: any(json!({ "task": TASK, "workspace": "default", "kind": "review", "mailbox": MAILBOX, "lane": "high", "run": null }))
            .unwrap_or_default(),
    }
}

pub(super) fn sse_text() -> String {
    let event = event();
    let data = serde_json::to_string(&event).unwrap_or_default();
    format!("event: {}\ndata: {data}\nid: {}\n\n", event.kind, event.id)
}

pub(super) fn stats() -> api::Stats {
    api::Stats {
        unfinished: 14,
        waiting: 12,
        lanes: api::LaneDepths { critical: 0, high: 2, normal: 10, low: 0 },
        leased: 2,
        agents: 3,
        agents_serving: 3,
        agents_busy: 2,
        submitted: 1031,
        completed: 1009,
        failed: 5,
        cancelled: 3,
        dead_letters: 5,
        completed_today: 117,
        failed_today: 1,
        average_wait_ms: Some(430),
        average_work_ms: Some(41_200),
        ..api::Stats::default()
    }
}

pub(super) fn new_token() -> api::NewToken {
    api::NewToken {
        name: "ci".to_owned(),
        kind: "client".to_owned(),
        permissions: Some(words(&["tasks:read", "tasks:write"])),
        workspace: None,
        expires_in_ms: Some(2_592_000_000),
    }
}

pub(super) fn token() -> api::Token {
    api::Token {
        workspace: None,
        id: TOKEN.to_owned(),
        name: "ci".to_owned(),
        kind: "client".to_owned(),
        permissions: words(&["tasks:read", "tasks:write"]),
        created_at: REGISTERED.to_owned(),
        created_by: None,
        rotated_at: None,
        expires_at: Some("2026-12-21T05:54:02.118Z".to_owned()),
    }
}

pub(super) fn token_with_secret() -> api::TokenWithSecret {
    // Not a real one: its checksum is wrong.
    let secret = format!("synod_client_{}", "x".repeat(49));
    api::TokenWithSecret { token: token(), secret }
}

pub(super) fn rotate_token() -> api::RotateToken {
    api::RotateToken { keep_old_ms: 600_000 }
}

pub(super) fn document() -> Value {
    json!({ "openapi": "3.1.0", "info": { "title": "synod" } })
}

pub(super) fn html() -> &'static str {
    "<!doctype html>"
}
