//! What somebody is shown: everything, or what is of the workspace that they are bound to.
//!
//! The API's lists go by it, and so does what a path names. An embedder who serves tenants of its own asks within
//! [`asking`](crate::node::asking), in the name of an actor of the workspace: then the rules hold every change against it,
//! and what is shown goes by [`Sight::of_caller`]. What says of no workspace that it is its own is an operator's.

use synod_domain::access::{Owned, RoleBinding};
use synod_domain::agent::AgentSpec;
use synod_domain::approval::Approval;
use synod_domain::breaker::Guarded;
use synod_domain::budget::scope::Scope;
use synod_domain::hook::Hook;
use synod_domain::id::{AgentId, TaskId, TokenId};
use synod_domain::limit_set::LimitSetSpec;
use synod_domain::name::Name;
use synod_domain::pause::Pausable;
use synod_domain::state::State;
use synod_domain::task::MailboxId;
use synod_domain::violation::Violation;

use crate::node::Node;

/// What somebody is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight(Option<Name>);

impl Sight {
    /// Returns that of whoever asks.
    pub fn of_caller(node: &Node) -> Self {
        Self(node.bound_to())
    }

    /// Returns that of somebody of a workspace.
    pub fn of_workspace(workspace: &Name) -> Self {
        Self(Some(workspace.clone()))
    }

    /// Tells whether things of a workspace are shown.
    pub fn workspace(&self, of: &Name) -> bool {
        self.0.as_ref().is_none_or(|own| own == of)
    }

    /// The same of something that may be of none.
    fn maybe(&self, of: Option<&Name>) -> bool {
        self.0.is_none() || of.is_some_and(|of| self.workspace(of))
    }

    /// Tells whether a pool is shown.
    pub fn pool(&self, state: &State, pool: &Name) -> bool {
        self.0.is_none() || state.pool(pool).is_some() && self.workspace(&state.workspace_of_pool(pool))
    }

    /// Tells whether an agent is shown.
    pub fn agent(&self, state: &State, agent: &AgentSpec) -> bool {
        self.0.is_none() || self.workspace(&state.workspace_of_agent(agent))
    }

    /// Tells whether the agent of an id is shown; one that is gone is not.
    pub fn agent_id(&self, state: &State, agent: AgentId) -> bool {
        self.0.is_none() || state.agent(agent).is_some_and(|agent| self.agent(state, &agent.spec))
    }

    /// Tells whether a task is shown, unfinished or in history.
    pub fn task(&self, node: &Node, task: TaskId) -> bool {
        self.0.is_none() || node.task(task).is_ok_and(|task| self.workspace(&task.spec.workspace))
    }

    /// Tells whether a mailbox is shown. The open one is everybody's: what waits there tells of others.
    pub fn mailbox(&self, state: &State, mailbox: &MailboxId) -> bool {
        match mailbox {
            MailboxId::Open => self.0.is_none(),
            MailboxId::Pool(pool) => self.pool(state, pool),
            MailboxId::Agent(agent) => self.agent_id(state, *agent),
        }
    }

    /// Tells whether a pause is shown.
    pub fn pause(&self, state: &State, what: &Pausable) -> bool {
        match what {
            Pausable::Mailbox(mailbox) => self.mailbox(state, mailbox),
            Pausable::Pool(pool) => self.pool(state, pool),
            Pausable::Workspace(workspace) => self.workspace(workspace),
        }
    }

    /// Tells whether a breaker is shown. A type of tasks is everybody's.
    pub fn breaker(&self, state: &State, of: &Guarded) -> bool {
        match of {
            Guarded::Pool(pool) => self.pool(state, pool),
            Guarded::Kind(_) => self.0.is_none(),
        }
    }

    /// Tells whether a budget of a scope is shown.
    pub fn budget(&self, state: &State, scope: &Scope) -> bool {
        match scope {
            Scope::Workspace(workspace) => self.workspace(workspace),
            Scope::Pool(pool) => self.pool(state, pool),
            Scope::Agent(agent) => self.agent_id(state, *agent),
            Scope::Global | Scope::Run(_) | Scope::Fleet(_) | Scope::Account(_) => self.0.is_none(),
        }
    }

    /// Tells whether a limit set is shown: one that is for a workspace alone.
    pub fn limit(&self, spec: &LimitSetSpec) -> bool {
        self.maybe(spec.workspace.as_ref())
    }

    /// Tells whether an approval is shown.
    pub fn approval(&self, approval: &Approval) -> bool {
        self.maybe(approval.workspace.as_ref())
    }

    /// Tells whether a violation is shown.
    pub fn violation(&self, violation: &Violation) -> bool {
        self.maybe(violation.offence.workspace.as_ref())
    }

    /// Tells whether a hook is shown.
    pub fn hook(&self, hook: &Hook) -> bool {
        self.workspace(&hook.spec.workspace)
    }

    /// Tells whether a token is shown.
    pub fn token(&self, state: &State, token: TokenId) -> bool {
        self.maybe(state.workspace_of_token(token))
    }

    /// Tells whether a binding of a role is shown.
    pub fn binding(&self, binding: &RoleBinding) -> bool {
        self.maybe(binding.workspace.as_ref())
    }

    /// Tells whether it is shown whose something is.
    pub fn owned(&self, state: &State, owned: &Owned) -> bool {
        match owned {
            Owned::Pool(pool) => self.pool(state, pool),
            Owned::Agent(agent) => self.agent_id(state, *agent),
        }
    }
}
