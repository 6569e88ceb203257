//! From what happened to the frames of the event stream.
//!
//! A frame is `{"type", "timestamp", "data"}`. Clients know agents by name; a removed agent's name is gone from the
//! state, so each stream keeps the names it has seen. What that API has no event for makes no frame.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use synod_domain::agent::AgentStatus;
use synod_domain::event::Event;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::state::State;
use synod_domain::task::{AttemptEnd, Lane, Outcome, Phase, Task};
use synod_domain::time::Timestamp;

use crate::http::Context;

use super::extra::{self, AgentExtra};
use super::times::epoch;
use super::{priority, shown};

/// How much of a result stands in its frame, in characters.
const SUMMARY_CHARS: usize = 200;

/// Makes the frames of one stream.
pub(super) struct Frames {
    context: Context,
    names: BTreeMap<AgentId, String>,
}

/// Makes one frame.
pub(super) fn frame(kind: &str, at: Timestamp, data: Value) -> String {
    json!({ "type": kind, "timestamp": epoch(at), "data": data }).to_string()
}

impl Frames {
    pub(super) fn new(context: Context) -> Self {
        let names = context
            .node()
            .read(|state| state.agents().map(|agent| (agent.spec.id, agent.spec.name.to_string())).collect());
        Self { context, names }
    }

    /// Returns the frames of one event, in order.
    pub(super) fn of(&mut self, at: Timestamp, event: &Event) -> Vec<String> {
        let frames = match event {
            Event::TaskSubmitted { task, lane, kind, .. } => {
                let demand = self.task(*task).map(|task| capabilities(&task)).unwrap_or_default();
                vec![submitted(*task, kind.as_str(), *lane, &demand)]
            }
            Event::TaskLeased { task, agent, .. } => vec![("task_claimed", self.about(*task, Some(*agent)))],
            Event::TaskStarted { task, agent, .. } => vec![("task_started", self.about(*task, Some(*agent)))],
            Event::TaskReturned { task, agent, attempt, reason, until, .. } => {
                self.returned(*task, *agent, *attempt, reason, *until)
            }
            Event::TaskEnded { task, phase, reason, agent, .. } => {
                self.ended(*task, *phase, reason.as_deref(), *agent)
            }
            Event::AgentRegistered { agent, name, .. } => {
                self.names.insert(*agent, name.to_string());
                vec![("agent_registered", self.registered(*agent))]
            }
            Event::AgentChanged { agent, status, reason, .. } => self.changed(*agent, *status, reason),
            Event::AgentRemoved { agent, .. } => {
                let name = self.name(*agent);
                self.names.remove(agent);
                vec![("agent_unregistered", json!({ "agent_id": name, "reason": "unregistered" }))]
            }
            Event::TaskProgressed { .. }
            | Event::TaskReady { .. }
            | Event::TaskRose { .. }
            | Event::DeadLetterRemoved { .. }
            | Event::PoolChanged { .. }
            | Event::PoolRemoved { .. }
            | Event::RunStarted { .. }
            | Event::RunEnded { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::TokenCreated { .. }
            | Event::TokenRotated { .. }
            | Event::TokenRevoked { .. }
            | Event::NodeAdmitted { .. }
            | Event::NodeStarted { .. }
            | Event::NodeDown { .. }
            | Event::NodeUp { .. }
            | Event::NodeDraining { .. }
            | Event::NodeRoleChanged { .. }
            | Event::NodeRemoved { .. }
            | Event::TermBegun { .. }
            | Event::TaskKept { .. }
            | Event::TaskOffered { .. }
            | Event::TaskRefusedThere { .. }
            | Event::TaskForwarded { .. }
            | Event::TaskParked { .. }
            | Event::Governed { .. } => Vec::new(),
        };
        frames.into_iter().map(|(kind, data)| frame(kind, at, data)).collect()
    }

    fn task(&self, task: TaskId) -> Option<Arc<Task>> {
        self.context.node().task(task).ok()
    }

    fn name(&self, agent: AgentId) -> String {
        self.names.get(&agent).cloned().unwrap_or_else(|| agent.to_string())
    }

    fn about(&self, task: TaskId, agent: Option<AgentId>) -> Value {
        json!({ "task_id": task.to_string(), "agent_id": agent.map(|agent| self.name(agent)) })
    }

    fn failed(&self, task: TaskId, agent: Option<AgentId>, error: &str, retries_left: u32) -> Named {
        let mut data = self.about(task, agent);
        data["error"] = error.into();
        data["retries_left"] = retries_left.into();
        ("task_failed", data)
    }

    /// A lease is over and the task waits again: after a failure, or because its agent was lost.
    fn returned(
        &self,
        id: TaskId,
        agent: AgentId,
        attempt: u32,
        reason: &str,
        until: Timestamp,
    ) -> Vec<Named> {
        let task = self.task(id);
        let end = task.as_ref().and_then(|task| task.attempts.iter().find(|one| one.number == attempt));
        let failed = end.is_some_and(|one| matches!(one.end, AttemptEnd::Failed(_)));
        let left = task.map_or(0, |task| {
            task.spec.retry.max_attempts.saturating_sub(1).saturating_sub(shown::retries(&task))
        });
        let mut frames = Vec::new();
        if failed {
            frames.push(self.failed(id, Some(agent), reason, left));
        }
        let data = json!({ "task_id": id.to_string(), "reason": reason, "retries_left": left, "retry_at": epoch(until) });
        frames.push(("task_retrying", data));
        frames
    }

    fn ended(&self, id: TaskId, phase: Phase, reason: Option<&str>, agent: Option<AgentId>) -> Vec<Named> {
        let reason = reason.unwrap_or_default();
        match phase {
            Phase::Completed => {
                let mut data = self.about(id, agent);
                data["result_summary"] = self.summary(id).into();
                vec![("task_completed", data)]
            }
            Phase::Failed | Phase::TimedOut => {
                let dead = json!({ "task_id": id.to_string(), "reason": reason });
                vec![self.failed(id, agent, reason, 0), ("task_dead_lettered", dead)]
            }
            Phase::Cancelled => {
                vec![("task_cancelled", json!({ "task_id": id.to_string(), "reason": reason }))]
            }
            Phase::Pending | Phase::Scheduled | Phase::Running => Vec::new(),
        }
    }

    /// Returns how a result begins. A large one is not fetched for it.
    fn summary(&self, id: TaskId) -> Option<String> {
        use synod_domain::payload::Payload;
        let task = self.task(id)?;
        let Outcome::Completed { result } = &task.end()?.outcome else { return None };
        match result {
            Payload::Inline(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                Some(text.chars().take(SUMMARY_CHARS).collect())
            }
            Payload::Blob { size, .. } => Some(format!("{size} bytes")),
        }
    }

    fn registered(&self, agent: AgentId) -> Value {
        let known = self.context.node().read(|state: &State| state.agent(agent).cloned());
        let extra = known.as_ref().map(|known| extra::split::<AgentExtra>(known.spec.metadata.as_ref()).1);
        let extra = extra.unwrap_or_default();
        let capabilities = known.iter().flat_map(|known| known.spec.capabilities.iter());
        json!({
            "agent_id": self.name(agent),
            "capabilities": capabilities.map(|one| one.to_string()).collect::<Vec<_>>(),
            "model": extra.model.unwrap_or_else(shown::unknown),
            "provider": extra.provider.unwrap_or_else(shown::unknown),
        })
    }

    fn changed(&self, agent: AgentId, status: AgentStatus, reason: &str) -> Vec<Named> {
        let data = json!({
            "agent_id": self.name(agent),
            "status": shown::status_word(status),
            "new_status": shown::status_word(status),
            "reason": reason,
        });
        vec![("agent_status_changed", data)]
    }
}

type Named = (&'static str, Value);

fn submitted(task: TaskId, kind: &str, lane: Lane, demand: &[String]) -> Named {
    let data = json!({
        "task_id": task.to_string(),
        "task_type": kind,
        "priority": priority::word(lane),
        "required_capabilities": demand,
    });
    ("task_submitted", data)
}

fn capabilities(task: &Task) -> Vec<String> {
    task.spec.demand.iter().map(|one| one.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_has_type_time_and_data() {
        let text = frame("connected", Timestamp::from_millis(1500), json!({"message": "hello"}));
        let shape = json!({"type": "connected", "timestamp": 1.5, "data": {"message": "hello"}});
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), shape);
    }
}
