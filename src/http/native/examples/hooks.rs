//! Examples of hooks.

use serde_json::json;

use super::{AGENT, LEASED, NODE, POOL, SUBMITTED, any};
use crate::api;

pub(in crate::http::native) const HOOK: &str = "hook_01kxs5c9v40010mgr61qf4tqjs";

pub(in crate::http::native) fn new_hook() -> api::NewHook {
    api::NewHook {
        agent_id: AGENT.to_owned(),
        repository: "/srv/repositories/site".to_owned(),
        work: any(json!({ "task": "refactor", "file": "api.py" })).unwrap_or_default(),
        branch: Some("agent/refactor-123".to_owned()),
        ..api::NewHook::default()
    }
}

pub(in crate::http::native) fn hook_line() -> api::Hook {
    api::Hook {
        id: HOOK.to_owned(),
        status: "ACTIVE".to_owned(),
        agent_id: AGENT.to_owned(),
        pool: Some(POOL.to_owned()),
        attempt: 1,
        max_retries: 3,
        workspace: "default".to_owned(),
        kind: "hook".to_owned(),
        task_id: "task_01kxs5c9v40010mgr61qf4tqjt".to_owned(),
        node: NODE.to_owned(),
        repository: "/srv/repositories/site".to_owned(),
        branch: "agent/refactor-123".to_owned(),
        base: "8a1f0c1b2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f70".to_owned(),
        worktree: Some(format!("/var/lib/synod/hooks/{HOOK}/worktree")),
        stale_after_ms: 300_000,
        heard_at: LEASED.to_owned(),
        created_at: SUBMITTED.to_owned(),
        updated_at: LEASED.to_owned(),
        ..api::Hook::default()
    }
}

pub(in crate::http::native) fn hook() -> api::Hook {
    api::Hook { work: any(json!({ "task": "refactor", "file": "api.py" })), ..hook_line() }
}

pub(in crate::http::native) fn completed_hook() -> api::Hook {
    api::Hook { status: "COMPLETED".to_owned(), result: any(json!({ "tests_passed": true })), ..hook() }
}

pub(in crate::http::native) fn start_hook() -> api::StartHook {
    api::StartHook { attempt: 1 }
}

pub(in crate::http::native) fn complete_hook() -> api::CompleteHook {
    api::CompleteHook { attempt: 1, result: any(json!({ "tests_passed": true })).unwrap_or_default() }
}

pub(in crate::http::native) fn fail_hook() -> api::FailHook {
    api::FailHook { attempt: 1, reason: "the tests do not pass".to_owned() }
}

pub(in crate::http::native) fn reassign_hook() -> api::ReassignHook {
    api::ReassignHook { agent_id: Some(AGENT.to_owned()) }
}

pub(in crate::http::native) fn import_hooks() -> api::ImportHooks {
    api::ImportHooks { repository: "/srv/repositories/site".to_owned() }
}

pub(in crate::http::native) fn imported_hooks() -> api::ImportedHooks {
    api::ImportedHooks { hooks: vec![HOOK.to_owned()] }
}
