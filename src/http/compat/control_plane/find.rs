//! Finds what a path or body names, or says that there is none in the words of this API.

use std::sync::Arc;

use synod_domain::agent::Agent;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::name::Name;
use synod_domain::state::State;
use synod_domain::task::Task;

use crate::http::sight::Sight;
use crate::http::{Context, Problem};
use crate::node::Error;

use super::missing;

/// Returns the agent of a name or id, if there is one. Of agents that nodes run and that share a name, it is the
/// oldest.
pub(super) fn known_agent<'a>(state: &'a State, text: &str) -> Option<&'a Arc<Agent>> {
    if let Ok(id) = text.parse::<AgentId>() {
        return state.agent(id);
    }
    let name = Name::new(text).ok()?;
    state.agent_named(&name).or_else(|| state.agents().find(|agent| agent.spec.name == name))
}

/// Returns the agent of a name or id.
pub(super) fn agent(context: &Context, text: &str) -> Result<Arc<Agent>, Problem> {
    let sight = Sight::of_caller(context.node());
    let found = context
        .node()
        .read(|state| known_agent(state, text).filter(|one| sight.agent(state, &one.spec)).cloned());
    found.ok_or_else(|| agent_not_found(text))
}

pub(super) fn agent_not_found(text: &str) -> Problem {
    missing("agent_unknown", format!("Agent not found: {text}"))
}

/// Returns a task, unfinished or from history.
pub(super) fn task(context: &Context, text: &str) -> Result<Arc<Task>, Problem> {
    let not_found = || missing("task_unknown", format!("Task not found: {text}"));
    let id: TaskId = text.parse().map_err(|_| not_found())?;
    let task = context.node().task(id).map_err(|error| match error {
        Error::NoTask(_) => not_found(),
        other => other.into(),
    })?;
    // One of another workspace is not there either.
    Some(task)
        .filter(|task| Sight::of_caller(context.node()).workspace(&task.spec.workspace))
        .ok_or_else(not_found)
}

/// Returns what an agent is called, or its id when it is gone.
pub(super) fn name_of(state: &State, agent: AgentId) -> String {
    state.agent(agent).map_or_else(|| agent.to_string(), |agent| agent.spec.name.to_string())
}
