//! One attempt: the runtime works, what it says is passed on, and a lost lease stops it.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use synod_actors::ports::{Finish, Report};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hands::Left;
use super::tools;
use super::work::work_of;
use super::{Worker, outcome::Told};
use crate::api::{Agent, HeartbeatTask, LeasedTask, Progress, Task, Usage};
use crate::client::{Client, Error, backoff};

/// How many reports may wait; they are hints, and the newest are dropped first.
const REPORTS_WAITING: usize = 64;

/// How many tools an attempt may wait for at a time; whoever asks for more waits to ask.
const TOOLS_WAITING: usize = 16;

/// How often progress is passed on at most; people read it, and each costs the node a sync.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How long an attempt runs before the node is asked to say when its task ends: most are over by then.
const WATCH_AFTER: Duration = Duration::from_secs(1);

/// What an attempt may run beyond its time before it is stopped here: the node's clock is the one that counts.
const OVERTIME: Duration = Duration::from_secs(1);

impl Worker {
    /// Does an attempt and tells its outcome. The error is for good.
    pub(super) async fn attempt(
        &self,
        agent: &Agent,
        leased: LeasedTask,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let LeasedTask { task, attempt, .. } = leased;
        tracing::info!(task = task.id, attempt, kind = task.kind, "began");
        let (finish, usage) = self.work(agent, &task, attempt, &stop).await;
        let told = self.tell(&task.id, attempt, &finish, usage, &stop).await;
        let left = match (&told, &finish) {
            (Ok(Told::Heard), Finish::Completed { .. }) => Left::Completed,
            (Ok(Told::Heard), Finish::Failed { .. }) => Left::Failed,
            (Ok(Told::Heard), Finish::Stopped) => Left::Released,
            (Ok(Told::Unwanted) | Err(_), _) => Left::Lost,
        };
        tracing::info!(task = task.id, attempt, outcome = ?left, "over");
        self.0.hands.let_go(&task.id, attempt, left);
        told.map(drop)
    }

    async fn work(
        &self,
        agent: &Agent,
        task: &Task,
        attempt: u32,
        stop: &CancellationToken,
    ) -> (Finish, Usage) {
        let (reports, mut heard) = mpsc::channel(REPORTS_WAITING);
        let (tools, mut asked) = mpsc::channel(TOOLS_WAITING);
        let now = self.0.clock.now();
        let work = match work_of(agent, task, attempt, now, stop.clone(), reports, tools) {
            Ok(work) => work,
            Err(reason) => return (Finish::Failed { reason, retryable: false }, Usage::default()),
        };
        let mut teller = Teller::new(self.0.client.clone(), task, attempt, stop.clone());
        let mut asking = FuturesUnordered::new();
        let mut watching = std::pin::pin!(watch(&self.0.client, task, attempt));
        let mut working = std::pin::pin!(self.0.runtime.run(work));
        let finish = loop {
            tokio::select! {
                biased;
                finish = &mut working => break finish,
                () = &mut watching, if !stop.is_cancelled() => stop.cancel(),
                () = teller.tell_when_due() => {}
                Some(()) = asking.next() => teller.waits = !asking.is_empty(),
                Some(report) = heard.recv() => teller.take(report),
                Some(request) = asked.recv(), if asking.len() < TOOLS_WAITING => {
                    asking.push(tools::answer(&self.0.client, &task.id, &agent.id, request));
                    teller.waits = true;
                }
            }
        };
        while let Ok(report) = heard.try_recv() {
            teller.take(report);
        }
        (finish, teller.usage)
    }
}

/// Returns when the attempt's lease is lost: its task ended otherwise, went to another attempt, or is over its
/// time.
async fn watch(client: &Client, task: &Task, attempt: u32) {
    let limit = task.running_timeout_ms.filter(|millis| *millis > 0).map(Duration::from_millis);
    let over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit + OVERTIME).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = over => tracing::info!(task = task.id, attempt, "over its time"),
        () = lost(client, &task.id, attempt) => tracing::info!(task = task.id, attempt, "the lease is lost"),
    }
}

/// Waits, by long polls, until the attempt is not the one that holds the task.
async fn lost(client: &Client, task: &str, attempt: u32) {
    tokio::time::sleep(WATCH_AFTER).await;
    let mut tries = 0;
    loop {
        match client.wait(task, Some(super::super::tasks::WAIT_MAX)).await {
            Ok(seen) if seen.lease.as_ref().is_none_or(|lease| lease.attempt != attempt) => return,
            Ok(_) => tries = 0,
            Err(error) if error.status() == Some(404) => return,
            Err(_) => {
                tokio::time::sleep(backoff(tries, client.draw())).await;
                tries = tries.saturating_add(1);
            }
        }
    }
}

/// Collects what an attempt says and passes it on, not more often than it matters.
struct Teller {
    client: Client,
    task: String,
    attempt: u32,
    stop: CancellationToken,
    /// Whether silence ends the lease, so that a sign of life must be passed on.
    renews: bool,
    every: Duration,
    next: Instant,
    alive: bool,
    /// Whether it waits for an answer to what it asked: that is no silence.
    waits: bool,
    progress: Option<Progress>,
    usage: Usage,
    /// With which model, as it said last.
    model: Option<String>,
    /// Whether it used something since that was told.
    used: bool,
}

impl Teller {
    fn new(client: Client, task: &Task, attempt: u32, stop: CancellationToken) -> Self {
        // A third of the silence allowed: two words may be lost before the lease is.
        let silence = task.silence_timeout_ms.map(Duration::from_millis);
        let every = silence.map_or(PROGRESS_EVERY, |silence| (silence / 3).min(PROGRESS_EVERY));
        Self {
            client,
            task: task.id.clone(),
            attempt,
            stop,
            renews: silence.is_some(),
            every,
            next: Instant::now(),
            alive: false,
            waits: false,
            progress: None,
            usage: Usage::default(),
            model: None,
            used: false,
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Heartbeat => {}
            Report::Progress { percent, message } => self.progress = Some(Progress { percent, message }),
            Report::Usage { usage, model } => {
                self.model = model.or_else(|| self.model.take());
                self.used = true;
                self.usage.tokens_in = self.usage.tokens_in.saturating_add(usage.tokens_in);
                self.usage.tokens_out = self.usage.tokens_out.saturating_add(usage.tokens_out);
                self.usage.cost_microusd = self.usage.cost_microusd.saturating_add(usage.cost_microusd);
            }
        }
        self.alive = true;
    }

    /// Tells what there is to tell when it is time for it; waits for ever when there is nothing. What was being
    /// told when the future is dropped is told again.
    async fn tell_when_due(&mut self) {
        let lives = self.alive || self.waits;
        if !(lives && self.renews) && self.progress.is_none() && !self.used {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep_until(self.next).await;
        let usage = Some(self.usage.clone()).filter(|usage| *usage != Usage::default());
        let (attempt, progress, model) = (self.attempt, self.progress.clone(), self.model.clone());
        let heartbeat = HeartbeatTask { attempt, progress, usage, model };
        let told = self.client.heartbeat(&self.task, &heartbeat).await;
        self.next = Instant::now() + self.every;
        self.alive = false;
        match told {
            Ok(()) => (self.progress, self.used) = (None, false),
            Err(error) if error.is_passing() => self.alive = true,
            Err(error) => {
                tracing::info!(task = self.task, attempt = self.attempt, %error, "a heartbeat was refused");
                (self.progress, self.used) = (None, false);
                if matches!(error.status(), Some(404 | 409)) {
                    self.stop.cancel();
                }
            }
        }
    }
}
