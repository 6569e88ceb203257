//! A leased task of the API, as a runtime takes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use synod_actors::ports::{Report, ToolRequest, Work};
use synod_domain::capability::Capabilities;
use synod_domain::name::Name;
use synod_domain::payload::Payload;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{Lane, MailboxId, TaskSpec, Timeouts};
use synod_domain::time::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::{Agent, Json, Priority, Task};

/// Makes the work of an attempt. The error says, for people, which part is not understood.
pub(super) fn work_of(
    agent: &Agent,
    task: &Task,
    attempt: u32,
    now: Timestamp,
    stop: CancellationToken,
    reports: mpsc::Sender<Report>,
    tools: mpsc::Sender<ToolRequest>,
) -> Result<Work, String> {
    let name = |what: &str, text: &str| Name::new(text).map_err(|error| format!("its {what}: {error}"));
    let millis = |millis: Option<u64>| millis.filter(|millis| *millis > 0).map(Duration::from_millis);
    let mut labels = BTreeMap::new();
    for (label, value) in &task.labels {
        labels.insert(name("label", label)?, Arc::from(value.as_str()));
    }
    let deadline = task.deadline.as_deref().map(read_time).transpose()?;
    let running = millis(task.running_timeout_ms);
    let until = running.map(|running| now.after(running));
    let spec = TaskSpec {
        id: task.id.parse().map_err(|error| format!("its id: {error}"))?,
        workspace: name("workspace", &task.workspace)?,
        kind: name("type", &task.kind)?,
        mailbox: MailboxId::Open,
        demand: Capabilities::default(),
        lane: lane(task.lane),
        deadline,
        timeouts: Timeouts {
            waiting: millis(task.waiting_timeout_ms),
            running,
            silence: millis(task.silence_timeout_ms),
        },
        retry: RetryPolicy { max_attempts: task.max_attempts, ..RetryPolicy::default() },
        // What is worked on are the bytes below.
        payload: Payload::inline(&b""[..]),
        idempotency_key: None,
        labels,
        run: None,
        redriven_from: None,
        metadata: None,
    };
    Ok(Work {
        spec: Arc::new(spec),
        payload: Bytes::copy_from_slice(task.payload.as_ref().map_or("", Json::text).as_bytes()),
        agent: agent.id.parse().map_err(|error| format!("its agent: {error}"))?,
        agent_name: name("agent", &agent.name)?,
        attempt,
        deadline: [deadline, until].into_iter().flatten().min(),
        stop,
        reports,
        tools,
    })
}

fn read_time(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp = text.parse().map_err(|error| format!("its deadline: {error}"))?;
    u64::try_from(time.as_millisecond())
        .map(Timestamp::from_millis)
        .map_err(|error| format!("its deadline: {error}"))
}

const fn lane(priority: Priority) -> Lane {
    match priority {
        Priority::Critical => Lane::Critical,
        Priority::High => Lane::High,
        Priority::Normal => Lane::Normal,
        Priority::Low => Lane::Low,
    }
}
