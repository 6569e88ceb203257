//! Verbs about agents.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{Agent, AgentFilter, HeartbeatAgent, Page, PageQuery, RegisterAgent, RemoveQuery};

impl Client {
    /// Lists agents, a page at a time.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn agents(&self, filter: &AgentFilter, page: &PageQuery) -> Result<Page<Agent>, Error> {
        self.send(Ask::get(["agents"]).with_fields(filter)?.with_fields(page)?).await
    }

    /// Reads one agent, by id or name.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn agent(&self, agent: &str) -> Result<Agent, Error> {
        self.send(Ask::get(["agents", agent])).await
    }

    /// Registers an agent; an external agent's name is its own, so doing it again changes that agent.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn register_agent(&self, agent: &RegisterAgent) -> Result<Agent, Error> {
        self.send(self.post(["agents"]).body(agent)?).await
    }

    /// Removes an agent; it finishes what it has first unless `force`, which redelivers its work.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn delete_agent(&self, agent: &str, force: bool) -> Result<(), Error> {
        self.tell(self.delete(["agents", agent]).with_fields(&RemoveQuery { force })?).await
    }

    /// Restarts a hosted agent. Not repeated: it would be stopped twice.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn restart_agent(&self, agent: &str) -> Result<Agent, Error> {
        self.send(Ask::post(["agents", agent, "restart"])).await
    }

    /// Lets an agent finish what it has and take nothing new.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn drain_agent(&self, agent: &str) -> Result<Agent, Error> {
        self.send(self.post(["agents", agent, "drain"])).await
    }

    /// Says that an agent lives, and returns how the node sees it.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn heartbeat_agent(&self, agent: &str) -> Result<Agent, Error> {
        let ask = Ask::post(["agents", agent, "heartbeat"]).body(&HeartbeatAgent::default())?;
        self.send(ask.repeatable()).await
    }
}
