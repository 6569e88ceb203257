//! What an attempt knows of itself, and how it speaks to the node.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use synod_domain::id::TaskId;
use synod_domain::name::Name;
use synod_domain::task::Usage;
use synod_domain::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::ports::{Report, ToolAnswer, ToolRequest, Work};
use crate::runtimes::{TEXT_BYTES_MAX, shortened};

/// One attempt, as the agent sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// The task.
    pub task: TaskId,
    /// The attempt's number, from 1. With the task's id it names this attempt in other systems.
    pub attempt: u32,
    /// What people call the agent that does it.
    pub agent: Name,
    /// What sort of work it is.
    pub kind: Name,
    /// Whose work it is.
    pub workspace: Name,
    /// What people filter by.
    pub labels: Arc<BTreeMap<Name, Arc<str>>>,
    /// When the attempt is stopped at the latest.
    pub deadline: Option<Timestamp>,
    stop: CancellationToken,
    reports: mpsc::Sender<Report>,
    tools: mpsc::Sender<ToolRequest>,
}

impl Context {
    pub(super) fn new(work: &Work, stop: CancellationToken) -> Self {
        Self {
            task: work.spec.id,
            attempt: work.attempt,
            agent: work.agent_name.clone(),
            kind: work.spec.kind.clone(),
            workspace: work.spec.workspace.clone(),
            labels: Arc::new(work.spec.labels.clone()),
            deadline: work.deadline,
            stop,
            reports: work.reports.clone(),
            tools: work.tools.clone(),
        }
    }

    /// Waits until the attempt must stop; what it returns then no longer counts.
    pub async fn cancelled(&self) {
        self.stop.cancelled().await;
    }

    /// Tells whether the attempt must stop.
    pub fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Returns a token that is cancelled when the attempt must stop, to pass on. It is the agent's own: cancelling
    /// it stops nobody else.
    pub fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells that the attempt lives.
    pub fn heartbeat(&self) {
        self.report(Report::Heartbeat);
    }

    /// Tells how far the attempt is, 0 to 100 percent, and what it does; an empty message says nothing.
    pub fn progress(&self, percent: u8, message: &str) {
        let message = (!message.is_empty()).then(|| shortened(message, TEXT_BYTES_MAX).to_owned());
        self.report(Report::Progress { percent: Some(percent.min(100)), message });
    }

    /// Tells what the attempt has used since it last told.
    pub fn usage(&self, usage: Usage, model: Option<&str>) {
        let model = model.map(|model| shortened(model, TEXT_BYTES_MAX).to_owned());
        self.report(Report::Usage { usage, model });
    }

    /// Asks whether it may use a tool, such as `shell.execute`, and waits for the answer: at once when policies say yes
    /// or no, as long as people take when they have to agree. What is said of its use is written as a JSON object;
    /// rules look at it, and exactly this is agreed to. The same question of the same task is asked once, however many
    /// attempts ask it.
    pub async fn may_use(&self, tool: &str, attributes: impl Serialize) -> ToolAnswer {
        self.may_use_for(tool, attributes, None).await
    }

    /// Asks as [`Context::may_use`] does, with a text that shows those who may have to agree what is to be done.
    pub async fn may_use_for(
        &self,
        tool: &str,
        attributes: impl Serialize,
        content: Option<&str>,
    ) -> ToolAnswer {
        let attributes = match serde_json::to_value(attributes) {
            Ok(serde_json::Value::Object(attributes)) => attributes,
            Ok(serde_json::Value::Null) => serde_json::Map::new(),
            Ok(_) => return ToolAnswer::no("the attributes are no object".to_owned()),
            Err(error) => {
                return ToolAnswer::no(format!("the attributes cannot be written as JSON: {error}"));
            }
        };
        let (answer, answered) = oneshot::channel();
        let (tool, content) = (tool.to_owned(), content.map(str::to_owned));
        let asked = self.tools.send(ToolRequest { tool, attributes, content, answer }).await;
        match asked.is_ok() {
            true => answered.await.ok(),
            false => None,
        }
        .unwrap_or_else(|| ToolAnswer::no("the attempt is over".to_owned()))
    }

    fn report(&self, report: Report) {
        // A full channel drops the newest, reports are hints.
        let _ = self.reports.try_send(report);
    }
}
