//! A node's verbs about pools, and about pausing.

use std::sync::Arc;

use synod_domain::agent::{PoolSpec, RuntimeSpec};
use synod_domain::command::Command;
use synod_domain::id::{AgentId, RequestId, TaskId};
use synod_domain::name::Name;
use synod_domain::pause::Pausable;
use synod_domain::refusal::Refusal;
use synod_domain::task::MailboxId;

use crate::node::{Error, Node, Pool};

impl Node {
    /// Creates a pool or changes it.
    ///
    /// # Errors
    /// When its sizes are not valid.
    pub async fn put_pool(&self, pool: impl Into<Pool>) -> Result<(), Error> {
        self.propose(Command::PutPool { spec: Arc::new(pool.into().0) }).await.map(drop)
    }

    /// Changes how many agents a pool has, within its bounds. Surplus agents finish what they have.
    ///
    /// # Errors
    /// When there is no such pool.
    pub async fn scale_pool(&self, pool: &Name, target: u32) -> Result<(), Error> {
        self.propose(Command::ScalePool { pool: pool.clone(), target }).await.map(drop)
    }

    /// Lets a pool finish its work, taking no more, and removes it then, its agents before it. With `force`
    /// its work is called off and its agents do not finish what they have.
    ///
    /// # Errors
    /// When there is no such pool.
    pub async fn retire_pool(&self, pool: &Name, force: bool) -> Result<(), Error> {
        self.retire_pool_as(self.new_request_id(), pool, force).await
    }

    /// Removes a pool as [`Node::retire_pool`] does, under a request id that the caller chose. What `force` does
    /// besides is as good twice as once, as long as the pool retires.
    ///
    /// # Errors
    /// As [`Node::retire_pool`].
    pub async fn retire_pool_as(&self, request: RequestId, pool: &Name, force: bool) -> Result<(), Error> {
        self.propose_as(request, Command::RetirePool { pool: pool.clone() }).await?;
        if !force {
            return Ok(());
        }
        let mailbox = MailboxId::Pool(pool.clone());
        let (tasks, agents) = self.read(|state| {
            let tasks = state.tasks().filter(|task| task.spec.mailbox == mailbox);
            let agents = state.agents_of(pool).map(|agent| agent.spec.id);
            (tasks.map(|task| task.spec.id).collect::<Vec<TaskId>>(), agents.collect::<Vec<AgentId>>())
        });
        let cancels = tasks.into_iter().map(|task| {
            self.unless_gone(Command::Cancel { task, reason: "its pool was removed by force".into() })
        });
        futures::future::try_join_all(cancels).await?;
        // Its own work is over; what its agents have from elsewhere goes to others.
        let removals = agents.iter().map(|agent| self.unless_gone(Command::RetireAgent { agent: *agent }));
        futures::future::try_join_all(removals).await?;
        for agent in agents {
            self.hosted.evict(agent);
        }
        Ok(())
    }

    /// Proposes something about what may have ended meanwhile.
    async fn unless_gone(&self, command: Command) -> Result<(), Error> {
        match self.propose(command).await {
            Err(Error::Refused(
                Refusal::AlreadyEnded { .. } | Refusal::TaskUnknown(_) | Refusal::AgentUnknown(_),
            )) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Stops giving out the work of a mailbox, a pool or a workspace. Work in hand goes on, and so do timeouts.
    ///
    /// # Errors
    /// When too much is paused already, or there is no such thing.
    pub async fn pause(&self, what: Pausable, reason: &str) -> Result<(), Error> {
        self.propose(Command::Pause { what, reason: reason.into() }).await.map(drop)
    }

    /// Takes a pause back.
    ///
    /// # Errors
    /// When the log does not take it.
    pub async fn resume(&self, what: Pausable) -> Result<(), Error> {
        self.propose(Command::Resume { what }).await.map(drop)
    }

    /// Checks that agents of such a pool could work on this node: that its program is there, that its
    /// Rust type is registered.
    ///
    /// # Errors
    /// With a text for people: what is wrong and what to do.
    pub async fn check_pool(&self, pool: &PoolSpec) -> Result<(), String> {
        match pool.runtime {
            RuntimeSpec::External => Ok(()),
            RuntimeSpec::Process(_) | RuntimeSpec::Native(_) => {
                self.world.runtimes.runtime_of(pool)?.prepare().await
            }
        }
    }
}
