//! A node's verbs about single agents.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod_actors::runtimes::process::Vitals;
use synod_domain::agent::{AgentSpec, Host, Standing};
use synod_domain::command::Command;
use synod_domain::id::{AgentId, RequestId};

use crate::node::{Error, Node};

impl Node {
    /// Registers an agent that runs outside of the node and is ready for work.
    ///
    /// # Errors
    /// When its pool does not exist or its numbers are not valid.
    pub async fn register_agent(&self, spec: AgentSpec) -> Result<(), Error> {
        self.register_agent_as([self.new_request_id(), self.new_request_id()], spec).await
    }

    /// Registers an agent as [`Node::register_agent`] does, under request ids that the caller chose: one for the
    /// agent, one for its being ready.
    ///
    /// # Errors
    /// As [`Node::register_agent`].
    pub async fn register_agent_as(&self, requests: [RequestId; 2], spec: AgentSpec) -> Result<(), Error> {
        let agent = spec.id;
        let [registering, readying] = requests;
        self.propose_as(registering, Command::RegisterAgent { spec: Arc::new(spec) }).await?;
        self.liveness.heard(agent);
        let ready = Command::SetStanding { agent, standing: Standing::Ready, reason: "registered".into() };
        self.propose_as(readying, ready).await.map(drop)
    }

    /// Hears that an agent lives that runs outside of the node. Nothing is written, unless it was offline
    /// because it was silent: then this returns when it is in service again.
    ///
    /// # Errors
    /// When there is no such agent, or its return cannot be recorded.
    pub async fn heartbeat_agent(&self, agent: AgentId) -> Result<(), Error> {
        self.check_agent(agent)?;
        self.liveness.hear(agent).await??;
        Ok(())
    }

    /// Returns how long ago an agent that runs outside of the node was heard of; `None` when it was not, since
    /// this node listens.
    pub fn heard_ago(&self, agent: AgentId) -> Option<Duration> {
        self.liveness.heard_ago(agent)
    }

    /// Returns what the programs of each agent with work in hand on this node take of the machine, as of a second ago
    /// at most.
    pub async fn vitals(&self) -> BTreeMap<AgentId, Vitals> {
        match &self.processes {
            Some(processes) => processes.vitals().await,
            None => BTreeMap::new(),
        }
    }

    /// Lets an agent finish what it has and take nothing new. It is in service again when it is
    /// [restarted](Node::restart_agent) here, or registers again elsewhere.
    ///
    /// # Errors
    /// When there is no such agent.
    pub async fn drain_agent(&self, agent: AgentId, reason: &str) -> Result<(), Error> {
        let standing = Standing::Draining;
        self.propose(Command::SetStanding { agent, standing, reason: reason.into() }).await.map(drop)
    }

    /// Stops what an agent has in hand, gives it back unharmed, and starts the agent afresh, however often it
    /// failed before. Returns when it has been started.
    ///
    /// # Errors
    /// When there is no such agent, it runs outside of this node, is leaving, or does not stop.
    pub async fn restart_agent(&self, agent: AgentId) -> Result<(), Error> {
        self.check_agent(agent)?;
        Ok(self.hosted.restart(agent).await?)
    }

    /// Lets an agent finish what it has and removes it then; at once with `force`, and what it has goes to
    /// others. The pool of an agent that runs here is smaller by one from then on.
    ///
    /// # Errors
    /// When there is no such agent, or its pool would be smaller than it may be.
    pub async fn retire_agent(&self, agent: AgentId, force: bool) -> Result<(), Error> {
        self.retire_agent_as(self.new_request_id(), agent, force).await
    }

    /// Removes an agent as [`Node::retire_agent`] does, under a request id that the caller chose.
    ///
    /// # Errors
    /// As [`Node::retire_agent`].
    pub async fn retire_agent_as(
        &self,
        request: RequestId,
        agent: AgentId,
        force: bool,
    ) -> Result<(), Error> {
        let host = self.read(|state| state.agent(agent).map(|agent| agent.spec.host.clone()));
        let at_once = force && host == Some(Host::External);
        let command = if at_once { Command::RemoveAgent { agent } } else { Command::RetireAgent { agent } };
        self.propose_as(request, command).await?;
        if force && !at_once {
            self.hosted.evict(agent);
        }
        Ok(())
    }
}
