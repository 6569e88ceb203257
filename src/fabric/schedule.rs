//! Work as it is being scheduled: what is said of it, until it is awaited.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use synod_domain::capability::{Capabilities, Capability};
use synod_domain::id::{AgentId, TaskId};
use synod_domain::name::Name;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{MailboxId, Timeouts};

use crate::fabric::{Error, Fabric, Priority, Task};
use crate::node::NewTask;

/// A task that is scheduled when this is awaited. What is not said gets its default.
#[must_use = "nothing is scheduled before it is awaited"]
#[derive(Debug)]
pub struct Schedule {
    fabric: Fabric,
    task: Result<NewTask, Error>,
    timeouts: Timeouts,
}

impl Fabric {
    /// Schedules a task for one agent. Awaited, it returns the task once it is durable.
    ///
    /// # Errors
    /// When awaited: there is no such agent, its queue is full, or something that was said of the task is not valid.
    ///
    /// ```no_run
    /// # async fn example(fabric: &synod::fabric::Fabric, agent: synod::fabric::AgentInfo) -> Result<(), synod::fabric::Error> {
    /// use std::time::Duration;
    /// use serde_json::json;
    /// use synod::fabric::Priority;
    ///
    /// let fix = fabric
    ///     .schedule(agent.id, "critical_fix", &json!({ "issue": "memory_leak" }))
    ///     .priority(Priority::High)
    ///     .await?;
    /// let report = fabric
    ///     .schedule(agent.id, "report", &json!({ "type": "weekly" }))
    ///     .deadline(Duration::from_secs(3600))
    ///     .depends_on([fix.id])
    ///     .await?;
    /// let browse = json!({ "goal": "Navigate to settings page", "max_steps": 10 });
    /// fabric.schedule(agent.id, "computer_use", &browse).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn schedule(&self, agent: AgentId, task_type: &str, payload: &impl Serialize) -> Schedule {
        Schedule::new(self, NewTask::to_agent(agent, task_type, payload).map_err(Error::from))
    }

    /// Schedules a task for the agents of a pool, whichever is free first. Awaited, it returns the task once it is
    /// durable.
    ///
    /// # Errors
    /// When awaited: there is no such pool, its queue is full, or something that was said of the task is not valid.
    pub fn schedule_to_pool(&self, pool: &str, task_type: &str, payload: &impl Serialize) -> Schedule {
        let task = Name::new(pool).map_err(Error::from).and_then(|pool| {
            NewTask::to_mailbox(MailboxId::Pool(pool), task_type, payload).map_err(Error::from)
        });
        Schedule::new(self, task)
    }
}

impl Schedule {
    fn new(fabric: &Fabric, task: Result<NewTask, Error>) -> Self {
        let timeouts = Timeouts { running: Some(fabric.config.default_timeout), ..Timeouts::default() };
        // A failure is one: whoever wants another attempt says so. A lost agent or node is none, and costs no attempt.
        let once = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
        let task = task.map(|task| task.workspace(fabric.workspace.clone()).retry(once));
        Self { fabric: fabric.clone(), task, timeouts }
    }

    fn with(mut self, say: impl FnOnce(NewTask) -> NewTask) -> Self {
        self.task = self.task.map(say);
        self
    }

    /// Sets how urgent it is.
    pub fn priority(self, priority: Priority) -> Self {
        self.with(|task| task.lane(priority.into()))
    }

    /// Sets when it must have ended, counted from now.
    pub fn deadline(self, within: Duration) -> Self {
        self.with(|task| task.deadline(Some(within)))
    }

    /// Sets how long an attempt may run, instead of the fabric's default.
    pub const fn timeout(mut self, running: Duration) -> Self {
        self.timeouts.running = Some(running);
        self
    }

    /// Lets it begin when all of these have completed. When one of them does not complete, it fails with that reason.
    pub fn depends_on(self, tasks: impl IntoIterator<Item = TaskId>) -> Self {
        let tasks: BTreeSet<TaskId> = tasks.into_iter().collect();
        self.with(|task| task.after(tasks))
    }

    /// Sets what an agent must be able to do to take it.
    pub fn requires<W: AsRef<str>>(mut self, capabilities: impl IntoIterator<Item = W>) -> Self {
        let read = |text: W| text.as_ref().parse::<Capability>().map_err(Error::from);
        let demand: Result<Capabilities, Error> = capabilities.into_iter().map(read).collect();
        self.task = self.task.and_then(|task| Ok(task.demand(demand?)));
        self
    }

    /// Sets how much of which resource it needs while an agent has it, such as `[("gpu", 2)]`. It gets all of it at once,
    /// or waits.
    pub fn resources<W: AsRef<str>>(mut self, needs: impl IntoIterator<Item = (W, u64)>) -> Self {
        let read = |(name, amount): (W, u64)| Ok((Name::new(name.as_ref())?, amount));
        let needs: Result<BTreeMap<Name, u64>, Error> = needs.into_iter().map(read).collect();
        self.task = self.task.and_then(|task| Ok(task.resources(needs?, None)));
        self
    }

    /// Sets what happens when an attempt fails, instead of one attempt.
    pub fn retry(self, retry: RetryPolicy) -> Self {
        self.with(|task| task.retry(retry))
    }

    /// Makes it safe to schedule again: the same key gives the same task.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.with(|task| task.idempotency_key(key))
    }
}

impl IntoFuture for Schedule {
    type Output = Result<Task, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { fabric, task, timeouts } = self;
        async move {
            let id = fabric.node.submit(task?.timeouts(timeouts)).await?;
            fabric.task(id)
        }
        .boxed()
    }
}
