//! What an agent is made from: a Rust function, a program, or nothing, when it runs elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use synod_actors::ports::AgentRuntime;
use synod_actors::runtimes::native::{AgentError, Context, NativeAgent, NativeRuntime};
use synod_domain::agent::{PoolSpec, ProcessSpec, RuntimeSpec};
use synod_domain::capability::{Capabilities, Capability};
use synod_domain::name::Name;
use synod_domain::placement::Strategy;
use synod_domain::restart::RestartPolicy;
use synod_domain::spread::{Recovery, SpreadSpec};

use crate::fabric::{BudgetConfig, Error};

/// The variable in which a program finds the model of its agent.
const MODEL_VARIABLE: &str = "SYNOD_MODEL";

/// What an agent is, or all agents of a pool. What is not said gets its default.
#[derive(Clone)]
pub struct AgentConfig {
    pub(super) model: Arc<str>,
    pub(super) name: Arc<str>,
    capabilities: Vec<String>,
    isolation: Isolation,
    concurrency: Option<u32>,
    pub(super) budget: Option<BudgetConfig>,
    does: Does,
}

/// Where a program runs and what of the world it sees. It always has a process group of its own and a cleared
/// environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Isolation {
    /// Its working directory, absolute; the node's when `None`.
    pub folder: Option<PathBuf>,
    /// Variables that are added to the few that are passed on.
    pub env: BTreeMap<String, String>,
}

/// Who does the work.
#[derive(Clone)]
enum Does {
    Native(Arc<dyn AgentRuntime>),
    Program(Vec<String>),
    Elsewhere,
}

impl fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentConfig({}, {})", self.name, self.model)
    }
}

impl AgentConfig {
    /// Describes an agent that uses this model and is called so. Unless more is said it runs elsewhere: it claims its
    /// work through the node or its API, and lives by its heartbeats.
    pub fn new(model: &str, name: &str) -> Self {
        Self {
            model: model.into(),
            name: name.into(),
            capabilities: Vec::new(),
            isolation: Isolation::default(),
            concurrency: None,
            budget: None,
            does: Does::Elsewhere,
        }
    }

    /// Lets a function of this program do the work: it gets the payload, and gives back the result.
    #[must_use]
    pub fn handler<I, O, F, R>(self, run: F) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
        F: Fn(Context, I) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, AgentError>> + Send + 'static,
    {
        self.agent(Handler { run, of: PhantomData })
    }

    /// Lets a Rust type do the work, as [`AgentConfig::handler`] does a function.
    #[must_use]
    pub fn agent<A: NativeAgent>(mut self, agent: A) -> Self {
        self.does = Does::Native(Arc::new(NativeRuntime::new(agent)));
        self
    }

    /// Lets a program do the work, started once for each task: payload on its standard input, result on its standard
    /// output. It finds the model in `SYNOD_MODEL`.
    #[must_use]
    pub fn command<W: Into<String>>(mut self, command: impl IntoIterator<Item = W>) -> Self {
        self.does = Does::Program(command.into_iter().map(Into::into).collect());
        self
    }

    /// Sets what it can do. Tasks may ask for it.
    #[must_use]
    pub fn capabilities<W: Into<String>>(mut self, capabilities: impl IntoIterator<Item = W>) -> Self {
        self.capabilities = capabilities.into_iter().map(Into::into).collect();
        self
    }

    /// Sets where its program runs and what of the world it sees.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Sets how many tasks it may hold at a time, instead of as many as the fabric allows.
    #[must_use]
    pub const fn concurrency(mut self, tasks: u32) -> Self {
        self.concurrency = Some(tasks);
        self
    }

    /// Sets what it may spend: of a single agent as [`Budgets::set_budget`](crate::fabric::Budgets::set_budget) does;
    /// the agents of a pool have it together, for they come and go.
    #[must_use]
    pub const fn budget(mut self, budget: BudgetConfig) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Tells whether it runs elsewhere.
    pub(super) const fn runs_elsewhere(&self) -> bool {
        matches!(self.does, Does::Elsewhere)
    }

    /// Returns what is to be registered with the node before there are agents, if anything is.
    pub(super) const fn native(&self) -> Option<&Arc<dyn AgentRuntime>> {
        match &self.does {
            Does::Native(runtime) => Some(runtime),
            Does::Program(_) | Does::Elsewhere => None,
        }
    }

    /// Returns what can be done, checked.
    pub(super) fn can_do(&self) -> Result<Capabilities, Error> {
        let read = |text: &String| text.parse::<Capability>().map_err(Error::from);
        self.capabilities.iter().map(read).collect()
    }

    /// Returns how many tasks an agent holds when the fabric allows so many.
    pub(super) fn holds(&self, most: u32) -> u32 {
        self.concurrency.unwrap_or(most)
    }

    /// Describes a pool of such agents.
    pub(super) fn pool(&self, name: Name, (min, max): (u32, u32), most: u32) -> Result<PoolSpec, Error> {
        let runtime = match &self.does {
            Does::Native(_) => RuntimeSpec::Native(native_name(&name)?),
            Does::Program(command) => RuntimeSpec::Process(self.process(command)?),
            Does::Elsewhere => RuntimeSpec::External,
        };
        if self.isolation != Isolation::default() && !matches!(self.does, Does::Program(_)) {
            return Err(self.refuse("isolation is for programs; give it a command, or leave isolation out"));
        }
        Ok(PoolSpec {
            name,
            runtime,
            capabilities: self.can_do()?,
            min,
            max,
            concurrency: self.holds(most),
            strategy: Strategy::default(),
            restart: RestartPolicy::default(),
            spread: SpreadSpec::default(),
            recovery: Recovery::default(),
        })
    }

    fn process(&self, command: &[String]) -> Result<ProcessSpec, Error> {
        let cwd = match &self.isolation.folder {
            Some(folder) if folder.is_absolute() => {
                let text = folder.to_str();
                Some(text.ok_or_else(|| self.refuse("its folder is not a text"))?.to_owned())
            }
            Some(_) => return Err(self.refuse("its folder is not absolute; give the whole path")),
            None => None,
        };
        let mut env = self.isolation.env.clone();
        env.entry(MODEL_VARIABLE.to_owned()).or_insert_with(|| self.model.to_string());
        Ok(ProcessSpec { command: command.to_vec(), cwd, env })
    }

    fn refuse(&self, why: &str) -> Error {
        Error::Agent { agent: self.name.to_string(), why: why.to_owned() }
    }
}

/// Native agents of the fabric have names of their own, so that they are never taken for those of others.
pub(super) fn native_name(pool: &Name) -> Result<Name, Error> {
    Ok(Name::new(&format!("fabric/{pool}"))?)
}

/// A function as an agent.
struct Handler<F, I, O> {
    run: F,
    of: PhantomData<fn(I) -> O>,
}

impl<F, I, O, R> NativeAgent for Handler<F, I, O>
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + Send + 'static,
    F: Fn(Context, I) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, AgentError>> + Send + 'static,
{
    type Input = I;
    type Output = O;

    async fn run(&self, context: Context, input: I) -> Result<O, AgentError> {
        (self.run)(context, input).await
    }
}
