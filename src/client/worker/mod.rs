//! A remote worker: an external agent that claims tasks over the API and lets a runtime do them.
//!
//! ```text
//!             ┌──────────────── for each slot ───────────────┐
//!  register ─►│ claim (one key until answered) ─► attempt ─► tell the outcome until it is heard │─► leave
//!             └──────────────────────────────────────────────┘
//!      heartbeats beside it: what the node does not count as held any more is stopped
//! ```
//!
//! Promises: a claim whose answer was lost is asked again under its key, so the lease is found and not taken twice;
//! an attempt whose lease is lost is stopped; while the node is away work goes on and its outcome is told when the
//! node is back; when told to stop it takes nothing new, finishes what it has within a bound, gives the rest back,
//! and says that it is gone.
//!
//! Leaves to others: how a task is done ([`AgentRuntime`]), and when to stop.

mod attempt;
mod hands;
mod outcome;
mod slot;
mod tools;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod_actors::ports::AgentRuntime;
use synod_domain::sources::Clock;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::hands::Hands;
use super::{Client, Error, backoff};
use crate::api::{Agent, RegisterAgent};

/// How many attempts one worker may do at a time. Each waits for work with a connection of its own; more tasks at
/// a time are for several workers.
pub const CONCURRENCY_MAX: u32 = 256;

/// How long a worker may be silent unless it says otherwise: short enough that its work is soon given to others,
/// long enough for a node that is being restarted.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a heartbeat is sent in the time a worker may be silent: two may be lost.
const HEARTBEATS_PER_TIMEOUT: u32 = 3;

/// How long saying goodbye may take; the node notices the silence by itself.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// How long a stopped attempt and the giving back of its lease may take.
const GIVE_BACK_MAX: Duration = Duration::from_secs(10);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What people call it; an agent of that name is this one.
    pub name: String,
    /// The pool whose work it does, besides open work.
    pub pool: Option<String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// What people filter by.
    pub labels: BTreeMap<String, String>,
    /// Where it is.
    pub region: Option<String>,
    /// How many tasks at a time, 1 to [`CONCURRENCY_MAX`].
    pub concurrency: u32,
    /// How long it may be silent. Longer leaves the work of a dead worker lying.
    pub heartbeat_timeout: Duration,
    /// How long attempts may go on when it is told to stop.
    pub drain: Duration,
}

/// What a worker did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Attempts that completed their task.
    pub completed: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts whose lease was lost, or whose outcome nobody wanted any more.
    pub lost: u64,
    /// Attempts that were given back unfinished.
    pub released: u64,
}

/// Works until it is told to stop. Cheap to clone.
#[derive(Clone)]
pub struct Worker(Arc<Inner>);

struct Inner {
    /// Never patient: the worker knows better for how long to go on.
    client: Client,
    settings: Settings,
    runtime: Arc<dyn AgentRuntime>,
    clock: Arc<dyn Clock>,
    hands: Hands,
    /// Cancelled when nothing new is to be taken.
    leaving: CancellationToken,
    /// Cancelled when nobody waits for outcomes any more.
    gone: CancellationToken,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Worker {
    /// Describes a worker that does its tasks by `runtime`.
    pub fn new(
        client: &Client,
        settings: Settings,
        runtime: Arc<dyn AgentRuntime>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Inner {
            client: client.patient(Duration::ZERO),
            settings,
            runtime,
            clock,
            hands: Hands::default(),
            leaving: CancellationToken::new(),
            gone: CancellationToken::new(),
        }))
    }

    /// Works until `stop` is cancelled, then leaves in order; returns what it did.
    ///
    /// # Errors
    /// When the node cannot be reached at first within the patience of `client`, or refuses for good: the token
    /// does not allow it, or the settings are not valid.
    pub async fn run(&self, client: &Client, stop: CancellationToken) -> Result<Tally, Error> {
        let agent = client.register_agent(&self.registration()).await?;
        tracing::info!(
            agent = agent.id,
            name = agent.name,
            node = client.url(),
            "registered, waiting for work"
        );
        let mut slots = JoinSet::new();
        for _ in 0..self.0.settings.concurrency.clamp(1, CONCURRENCY_MAX) {
            let (worker, agent) = (self.clone(), agent.clone());
            slots.spawn(async move { worker.serve(&agent).await });
        }
        let beating = tokio::spawn({
            let (worker, id) = (self.clone(), agent.id.clone());
            async move { worker.beat(&id).await }
        });
        let worked = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            // A slot ends by itself only when nothing new is to be taken, or never can be.
            ended = slots.join_next() => flatten(ended),
        };
        self.leave(&agent, slots).await;
        beating.abort();
        worked.map(|()| self.0.hands.tally())
    }

    fn registration(&self) -> RegisterAgent {
        let settings = &self.0.settings;
        RegisterAgent {
            name: settings.name.clone(),
            pool: settings.pool.clone(),
            capabilities: settings.capabilities.clone(),
            labels: settings.labels.clone(),
            metadata: None,
            region: settings.region.clone(),
            concurrency: Some(settings.concurrency.clamp(1, CONCURRENCY_MAX)),
            heartbeat_timeout_ms: u64::try_from(settings.heartbeat_timeout.as_millis()).ok(),
            hosted: None,
        }
    }

    /// Sends heartbeats, and stops what the node gave to others meanwhile.
    async fn beat(&self, agent: &str) {
        let every = self.0.settings.heartbeat_timeout / HEARTBEATS_PER_TIMEOUT;
        let mut tries = 0;
        let mut next = Instant::now() + every;
        loop {
            tokio::time::sleep_until(next).await;
            let held = self.0.hands.held();
            match self.0.client.heartbeat_agent(agent).await {
                Ok(seen) => {
                    tries = 0;
                    next = Instant::now() + every;
                    self.0.hands.drop_all_but(&seen.held, &held);
                }
                Err(error) => {
                    tracing::debug!(%error, "a heartbeat was not heard");
                    next = Instant::now() + backoff(tries, self.0.client.draw()).min(every);
                    tries += 1;
                }
            }
        }
    }

    /// Takes nothing new, finishes what there is or gives it back, and says goodbye.
    async fn leave(&self, agent: &Agent, mut slots: JoinSet<Result<(), Error>>) {
        self.0.leaving.cancel();
        let finished = async { while slots.join_next().await.is_some() {} };
        if tokio::time::timeout(self.0.settings.drain, finished).await.is_err() {
            tracing::warn!(held = self.0.hands.held().len(), "not finished in time; giving the rest back");
            self.0.hands.give_back_all();
            let given_back = async { while slots.join_next().await.is_some() {} };
            if tokio::time::timeout(GIVE_BACK_MAX, given_back).await.is_err() {
                self.0.gone.cancel();
                slots.shutdown().await;
            }
        }
        let goodbye = self.0.client.delete_agent(&agent.id, true);
        match tokio::time::timeout(GOODBYE_MAX, goodbye).await {
            Ok(Ok(())) => tracing::info!(agent = agent.id, "gone"),
            Ok(Err(error)) => tracing::info!(%error, "the node was not told that this worker is gone"),
            Err(_) => tracing::info!("the node was not told that this worker is gone: it does not answer"),
        }
    }
}

fn flatten(ended: Option<Result<Result<(), Error>, tokio::task::JoinError>>) -> Result<(), Error> {
    match ended {
        Some(Ok(ended)) => ended,
        Some(Err(panic)) => Err(Error::Setup(format!("a part of the worker broke: {panic}"))),
        None => Ok(()),
    }
}
