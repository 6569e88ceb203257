//! A hook, as a line and as a whole. What only the node that has its repository knows is shown by that node.

use synod_domain::hook::Hook;

use super::{millis, time};
use crate::api;
use crate::http::Problem;
use crate::node::Node;

/// Shows a hook as a line of a list.
pub(crate) fn hook_line(node: &Node, hook: &Hook) -> api::Hook {
    let spec = &hook.spec;
    api::Hook {
        id: spec.id.to_string(),
        status: hook.status().to_string(),
        agent_id: hook.agent.to_string(),
        pool: hook.pool.as_ref().map(ToString::to_string),
        attempt: hook.attempt,
        retries: hook.retries,
        max_retries: spec.max_retries,
        workspace: spec.workspace.to_string(),
        kind: spec.kind.to_string(),
        task_id: hook.task().to_string(),
        node: spec.node.to_string(),
        repository: spec.repository.to_string(),
        branch: spec.branch.to_string(),
        base: spec.base.to_string(),
        worktree: node.worktree_of(hook).map(|path| path.display().to_string()),
        work: None,
        result: None,
        reason: hook.reason().map(ToString::to_string),
        last_error: hook.last_error.as_ref().map(ToString::to_string),
        trouble: node.trouble_of(spec.id),
        stale_after_ms: millis(spec.stale_after),
        heard_at: time(hook.heard_at),
        created_at: time(hook.created_at),
        updated_at: time(hook.updated_at),
    }
}

/// Shows the whole of a hook.
pub(crate) async fn hook(node: &Node, hook: &Hook) -> Result<api::Hook, Problem> {
    let work = api::Json::from_bytes(&node.fetch(&hook.spec.work).await?);
    let result = match hook.result() {
        Some(result) => Some(api::Json::from_bytes(&node.fetch(result).await?)),
        None => None,
    };
    Ok(api::Hook { work: Some(work), result, ..hook_line(node, hook) })
}
