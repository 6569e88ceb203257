//! A task, whole or as a line of a list.

use std::time::Duration;

use synod_domain::payload::Payload;
use synod_domain::region::{Forwarding, Routing};
use synod_domain::task::{Attempt, AttemptEnd, MailboxId, Outcome, Task, TaskStatus, Usage};

use super::lease::lease;
use super::{priority, status, time};
use crate::api;
use crate::http::Problem;
use crate::node::Node;

/// How much of a task is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Payload and result too; those that are large are fetched from the disk.
    Whole,
    /// Neither payload nor result.
    Line,
}

/// Shows a task.
pub(crate) async fn task(node: &Node, task: &Task, detail: Detail) -> Result<api::Task, Problem> {
    let spec = &task.spec;
    let (pool, agent) = match &spec.mailbox {
        MailboxId::Pool(pool) => (Some(pool.to_string()), None),
        MailboxId::Agent(agent) => (None, Some(agent.to_string())),
        MailboxId::Open => (None, None),
    };
    // What it holds stays here when it is strict and whoever asks does so through another region.
    let withheld = node.withholds(spec.id);
    let detail = if withheld { Detail::Line } else { detail };
    let end = task.end();
    let result = match end.map(|end| &end.outcome) {
        Some(Outcome::Completed { result }) => content(node, result, detail).await?,
        Some(Outcome::Failed { .. } | Outcome::TimedOut { .. } | Outcome::Cancelled { .. }) | None => None,
    };
    let retry_at = match &task.status {
        TaskStatus::BackingOff { until } => Some(time(*until)),
        TaskStatus::Waiting { .. }
        | TaskStatus::Scheduled { .. }
        | TaskStatus::Running { .. }
        | TaskStatus::Ended(_)
        | TaskStatus::Kept { .. }
        | TaskStatus::Parked { .. } => None,
    };
    let labels = spec.labels.iter().filter(|_| !withheld);
    let from = node.read(|state| state.arrival(spec.id).map(|arrival| arrival.from.to_string()));
    Ok(api::Task {
        id: spec.id.to_string(),
        kind: spec.kind.to_string(),
        workspace: spec.workspace.to_string(),
        pool,
        agent,
        region: node.region().to_string(),
        from_region: from,
        withheld: withheld.then(|| "strict".to_owned()),
        kept_for: task.forwarding().map(kept),
        status: status(task.phase()),
        priority: priority(spec.lane),
        lane: priority(task.lane),
        required_capabilities: spec.demand.iter().map(|one| one.to_string()).collect(),
        labels: labels.map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        metadata: spec
            .metadata
            .as_deref()
            .filter(|_| !withheld)
            .map(|text| api::Json::from_bytes(text.as_bytes())),
        payload: content(node, &spec.payload, detail).await?,
        payload_bytes: spec.payload.size(),
        submitted_at: time(task.submitted_at),
        started_at: task.first_started_at.map(time),
        ended_at: end.map(|end| time(end.at)),
        retry_at,
        deadline: spec.deadline.map(time),
        waiting_timeout_ms: spec.timeouts.waiting.map(millis),
        running_timeout_ms: spec.timeouts.running.map(millis),
        silence_timeout_ms: spec.timeouts.silence.map(millis),
        attempt: task.attempt,
        max_attempts: spec.retry.max_attempts,
        failures: task.failures,
        losses: task.losses,
        lease: task.lease().map(lease),
        progress: task.progress.as_ref().map(|progress| api::Progress {
            percent: progress.percent,
            message: progress.message.as_deref().filter(|_| !withheld).map(str::to_owned),
        }),
        usage: usage(&task.usage),
        reason: end.and_then(|end| end.outcome.reason()).filter(|_| !withheld).map(str::to_owned),
        result,
        attempts: task.attempts.iter().map(|one| attempt(one, withheld)).collect(),
        run: spec.run.map(|run| run.to_string()),
        redriven_from: spec.redriven_from.map(|task| task.to_string()),
    })
}

fn kept(forwarding: &Forwarding) -> api::Kept {
    let Forwarding { route, offered, refused } = forwarding;
    api::Kept {
        region: route.region.to_string(),
        fallback_regions: route.fallbacks.iter().map(ToString::to_string).collect(),
        routing: match route.routing {
            Routing::Any => api::Routing::Any,
            Routing::Preferred => api::Routing::Preferred,
            Routing::Strict => api::Routing::Strict,
        },
        offered_to: offered.as_ref().map(ToString::to_string),
        refused: refused.iter().map(|(region, why)| (region.to_string(), why.to_string())).collect(),
    }
}

async fn content(node: &Node, payload: &Payload, detail: Detail) -> Result<Option<api::Json>, Problem> {
    match detail {
        Detail::Whole => Ok(Some(api::Json::from_bytes(&node.fetch(payload).await?))),
        Detail::Line => Ok(None),
    }
}

fn usage(usage: &Usage) -> api::Usage {
    api::Usage {
        tokens_in: usage.tokens_in,
        tokens_out: usage.tokens_out,
        cost_microusd: usage.cost_microusd,
    }
}

fn attempt(attempt: &Attempt, withheld: bool) -> api::Attempt {
    let (end, reason) = match &attempt.end {
        AttemptEnd::Completed => ("completed", None),
        AttemptEnd::Failed(reason) => ("failed", Some(reason)),
        AttemptEnd::Lost(reason) => ("lost", Some(reason)),
        AttemptEnd::Stopped => ("stopped", None),
    };
    api::Attempt {
        number: attempt.number,
        agent: attempt.agent.to_string(),
        leased_at: time(attempt.leased_at),
        ended_at: time(attempt.ended_at),
        end: end.to_owned(),
        reason: reason.filter(|_| !withheld).map(|reason| reason.to_string()),
    }
}

/// Returns whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
