//! What an attempt knows of itself, and how it speaks to the node.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_domain::id::TaskId;
use synod_domain::name::Name;
use synod_domain::task::Usage;
use synod_domain::time::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::ports::{Report, Work};
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

    fn report(&self, report: Report) {
        // A full channel drops the newest, reports are hints.
        let _ = self.reports.try_send(report);
    }
}
