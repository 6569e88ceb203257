//! New tasks and pools, as callers describe them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use synod_domain::agent::{POOL_SIZE_MAX, PoolSpec, ProcessSpec, RuntimeSpec};
use synod_domain::capability::Capabilities;
use synod_domain::id::{AgentId, RunId, TaskId};
use synod_domain::name::Name;
use synod_domain::placement::Strategy;
use synod_domain::region::{Route, Routing};
use synod_domain::restart::RestartPolicy;
use synod_domain::retry::RetryPolicy;
use synod_domain::spread::{Recovery, SpreadSpec};
use synod_domain::task::{Lane, MailboxId, Timeouts};
use synod_domain::terms::Terms;

use crate::node::Error;

/// How long one attempt may run unless the task says otherwise.
const RUNNING_TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);

/// A task to submit. Fields that are left alone get their defaults.
#[derive(Debug, Clone)]
pub struct NewTask {
    pub(super) workspace: Name,
    pub(super) kind: Name,
    pub(super) mailbox: MailboxId,
    pub(super) demand: Capabilities,
    pub(super) lane: Lane,
    pub(super) deadline: Option<Duration>,
    pub(super) timeouts: Timeouts,
    pub(super) retry: RetryPolicy,
    pub(super) payload: Vec<u8>,
    pub(super) idempotency_key: Option<Arc<str>>,
    pub(super) labels: BTreeMap<Name, Arc<str>>,
    pub(super) run: Option<RunId>,
    pub(super) metadata: Option<Arc<str>>,
    pub(super) route: Option<Route>,
    pub(super) after: BTreeSet<TaskId>,
    pub(super) terms: Option<Terms>,
}

impl NewTask {
    fn new(mailbox: MailboxId, kind: &str, payload: &impl Serialize) -> Result<Self, Error> {
        let payload = serde_json::to_vec(payload).map_err(|error| Error::Json { what: "payload", error })?;
        Ok(Self {
            workspace: Name::default(),
            kind: Name::new(kind)?,
            mailbox,
            demand: Capabilities::default(),
            lane: Lane::default(),
            deadline: None,
            timeouts: Timeouts { running: Some(RUNNING_TIMEOUT_DEFAULT), ..Timeouts::default() },
            retry: RetryPolicy::default(),
            payload,
            idempotency_key: None,
            labels: BTreeMap::new(),
            run: None,
            metadata: None,
            route: None,
            after: BTreeSet::new(),
            terms: None,
        })
    }

    /// Describes work for whoever takes from a mailbox.
    ///
    /// # Errors
    /// When the kind is not a name or the payload is not JSON.
    pub fn to_mailbox(mailbox: MailboxId, kind: &str, payload: &impl Serialize) -> Result<Self, Error> {
        Self::new(mailbox, kind, payload)
    }

    /// Describes work for the agents of a pool.
    ///
    /// # Errors
    /// When a name is not a name or the payload is not JSON.
    pub fn to_pool(pool: &str, kind: &str, payload: &impl Serialize) -> Result<Self, Error> {
        Self::new(MailboxId::Pool(Name::new(pool)?), kind, payload)
    }

    /// Describes work for one agent.
    ///
    /// # Errors
    /// When the kind is not a name or the payload is not JSON.
    pub fn to_agent(agent: AgentId, kind: &str, payload: &impl Serialize) -> Result<Self, Error> {
        Self::new(MailboxId::Agent(agent), kind, payload)
    }

    /// Describes work for any agent that can do it.
    ///
    /// # Errors
    /// When the kind is not a name or the payload is not JSON.
    pub fn to_any(demand: Capabilities, kind: &str, payload: &impl Serialize) -> Result<Self, Error> {
        Ok(Self { demand, ..Self::new(MailboxId::Open, kind, payload)? })
    }

    /// Returns where it will wait.
    pub const fn mailbox(&self) -> &MailboxId {
        &self.mailbox
    }

    /// Sets whose work it is.
    #[must_use]
    pub fn workspace(mut self, workspace: Name) -> Self {
        self.workspace = workspace;
        self
    }

    /// Sets what the agent must be able to do.
    #[must_use]
    pub fn demand(mut self, demand: Capabilities) -> Self {
        self.demand = demand;
        self
    }

    /// Sets how urgent it is.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// Sets which region it is for, and how much that matters; see [`NewTask::fallback_regions`].
    #[must_use]
    pub fn region(mut self, region: Name, routing: Routing) -> Self {
        let fallbacks = self.route.take().map_or_else(Vec::new, |route| route.fallbacks);
        self.route = Some(Route { region, fallbacks, routing });
        self
    }

    /// Sets where it may go when its region cannot be reached, the first first. Without a region it changes nothing.
    #[must_use]
    pub fn fallback_regions(mut self, fallbacks: Vec<Name>) -> Self {
        self.route = self.route.map(|route| Route { fallbacks, ..route });
        self
    }

    /// Sets when it must have ended, counted from its submit.
    #[must_use]
    pub fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the other three timeouts.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets what happens when an attempt fails.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Makes the same submit safe to send again: the same key answers with the same task.
    #[must_use]
    pub fn idempotency_key(mut self, key: &str) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Sets what people filter by.
    #[must_use]
    pub fn labels(mut self, labels: BTreeMap<Name, Arc<str>>) -> Self {
        self.labels = labels;
        self
    }

    /// Lets it begin when all of these have completed. When one of them does not complete, it fails with that reason.
    #[must_use]
    pub fn after(mut self, tasks: impl IntoIterator<Item = TaskId>) -> Self {
        self.after.extend(tasks);
        self
    }

    /// Sets how much of which resource it needs while an agent has it, and how long it may wait for that.
    #[must_use]
    pub fn resources(mut self, needs: BTreeMap<Name, u64>, within: Option<Duration>) -> Self {
        let terms = self.terms.get_or_insert_default();
        terms.resources = needs;
        terms.resources_within = within;
        self
    }

    /// Sets on which terms it is given out: what it may cost, who pays, what it needs besides an agent.
    #[must_use]
    pub fn terms(mut self, terms: Terms) -> Self {
        self.terms = Some(terms);
        self
    }

    /// Makes it part of a run.
    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// Attaches something of the submitter's own, as JSON text; it is kept and never looked at.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Arc<str>>) -> Self {
        self.metadata = Some(metadata.into());
        self
    }
}

/// A pool to create or change. Fields that are left alone get their defaults.
#[derive(Debug, Clone)]
pub struct Pool(pub(super) PoolSpec);

impl Pool {
    fn new(name: &str, runtime: RuntimeSpec) -> Result<Self, Error> {
        Ok(Self(PoolSpec {
            name: Name::new(name)?,
            runtime,
            capabilities: Capabilities::default(),
            min: 1,
            max: 1,
            concurrency: 1,
            strategy: Strategy::default(),
            restart: RestartPolicy::default(),
            spread: SpreadSpec::default(),
            recovery: Recovery::default(),
        }))
    }

    /// Describes a pool of agents that are a Rust type, registered under `agent`.
    ///
    /// # Errors
    /// When a name is not a name.
    pub fn native(name: &str, agent: &str) -> Result<Self, Error> {
        Self::new(name, RuntimeSpec::Native(Name::new(agent)?))
    }

    /// Describes a pool of agents that start a program for each task.
    ///
    /// # Errors
    /// When the name is not a name.
    pub fn process(name: &str, command: &[&str]) -> Result<Self, Error> {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        Self::new(name, RuntimeSpec::Process(ProcessSpec { command, cwd: None, env: BTreeMap::new() }))
    }

    /// Describes a pool whose agents register themselves, as many as come unless a size is set.
    ///
    /// # Errors
    /// When the name is not a name.
    pub fn external(name: &str) -> Result<Self, Error> {
        let mut pool = Self::new(name, RuntimeSpec::External)?;
        (pool.0.min, pool.0.max) = (0, POOL_SIZE_MAX);
        Ok(pool)
    }

    /// Sets how many agents it has.
    #[must_use]
    pub fn size(mut self, size: u32) -> Self {
        self.0.min = size;
        self.0.max = size;
        self
    }

    /// Sets between how many agents it may have; it grows when work waits.
    #[must_use]
    pub fn between(mut self, min: u32, max: u32) -> Self {
        self.0.min = min;
        self.0.max = max;
        self
    }

    /// Sets how many tasks each agent may hold.
    #[must_use]
    pub fn concurrency(mut self, concurrency: u32) -> Self {
        self.0.concurrency = concurrency;
        self
    }

    /// Sets what its agents can do.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.0.capabilities = capabilities;
        self
    }

    /// Sets how agents are chosen for waiting work.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.0.strategy = strategy;
        self
    }

    /// Sets when and how often a broken agent is restarted.
    #[must_use]
    pub fn restart(mut self, restart: RestartPolicy) -> Self {
        self.0.restart = restart;
        self
    }

    /// Sets on which nodes its agents may be, and how many on each.
    #[must_use]
    pub fn spread(mut self, spread: SpreadSpec) -> Self {
        self.0.spread = spread;
        self
    }

    /// Sets what becomes of its agents whose node goes down.
    #[must_use]
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.0.recovery = recovery;
        self
    }
}

impl From<PoolSpec> for Pool {
    fn from(spec: PoolSpec) -> Self {
        Self(spec)
    }
}
