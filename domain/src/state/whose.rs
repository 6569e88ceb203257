//! Whose something is that happened.
//!
//! What happens to work says it itself, and so does what becomes of an agent or a pool. What says of a thing that it is
//! there, or stands still, names the thing alone: whose that is, is looked up.

use std::borrow::Cow;

use crate::event::Event;
use crate::id::AgentId;
use crate::name::Name;
use crate::pause::Pausable;
use crate::state::State;
use crate::task::MailboxId;

impl State {
    /// Returns the workspace that is told of an event beside operators: the one that it names, or that of the agent, the
    /// pool or the token that it is about, while that is there. None of what is operators' alone.
    pub fn workspace_of_event<'a>(&self, event: &'a Event) -> Option<Cow<'a, Name>> {
        match event {
            Event::AgentRegistered { agent, .. } => self.whose_agent(*agent).map(Cow::Owned),
            Event::PoolChanged { pool, .. } => self.whose_pool(pool).map(Cow::Owned),
            Event::Paused { what, .. } | Event::Resumed { what } => match what {
                Pausable::Workspace(workspace) => Some(Cow::Borrowed(workspace)),
                Pausable::Pool(pool) | Pausable::Mailbox(MailboxId::Pool(pool)) => {
                    self.whose_pool(pool).map(Cow::Owned)
                }
                Pausable::Mailbox(MailboxId::Agent(agent)) => self.whose_agent(*agent).map(Cow::Owned),
                Pausable::Mailbox(MailboxId::Open) => None,
            },
            Event::TokenCreated { token, .. } | Event::TokenRotated { token, .. } => {
                self.workspace_of_token(*token).cloned().map(Cow::Owned)
            }
            other => other.workspace().map(Cow::Borrowed),
        }
    }

    fn whose_agent(&self, agent: AgentId) -> Option<Name> {
        self.agents.get(&agent).map(|agent| self.workspace_of_agent(&agent.spec))
    }

    fn whose_pool(&self, pool: &Name) -> Option<Name> {
        self.pools.contains_key(pool).then(|| self.workspace_of_pool(pool))
    }
}
