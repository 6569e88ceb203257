//! What an event is about: its kind, and the things it names.

use crate::event::Event;
use crate::id::{AgentId, NodeId, TaskId, TokenId};
use crate::name::Name;
use crate::pause::Pausable;
use crate::task::MailboxId;

impl Event {
    /// The words for everything that can happen, as [`Event::kind`] says them.
    pub const KINDS: [&str; 35] = [
        "task_submitted",
        "task_leased",
        "task_started",
        "task_progressed",
        "task_returned",
        "task_ready",
        "task_rose",
        "task_ended",
        "dead_letter_removed",
        "agent_registered",
        "agent_changed",
        "agent_removed",
        "pool_changed",
        "pool_removed",
        "run_started",
        "run_ended",
        "paused",
        "resumed",
        "token_created",
        "token_rotated",
        "token_revoked",
        "node_admitted",
        "node_started",
        "node_down",
        "node_up",
        "node_draining",
        "node_role_changed",
        "node_removed",
        "term_begun",
        "task_kept",
        "task_offered",
        "task_refused_there",
        "task_forwarded",
        "task_parked",
        "governed",
    ];

    /// Returns the word for what happened; the `type` of its JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TaskSubmitted { .. } => "task_submitted",
            Self::TaskLeased { .. } => "task_leased",
            Self::TaskStarted { .. } => "task_started",
            Self::TaskProgressed { .. } => "task_progressed",
            Self::TaskReturned { .. } => "task_returned",
            Self::TaskReady { .. } => "task_ready",
            Self::TaskRose { .. } => "task_rose",
            Self::TaskEnded { .. } => "task_ended",
            Self::DeadLetterRemoved { .. } => "dead_letter_removed",
            Self::AgentRegistered { .. } => "agent_registered",
            Self::AgentChanged { .. } => "agent_changed",
            Self::AgentRemoved { .. } => "agent_removed",
            Self::PoolChanged { .. } => "pool_changed",
            Self::PoolRemoved { .. } => "pool_removed",
            Self::RunStarted { .. } => "run_started",
            Self::RunEnded { .. } => "run_ended",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::TokenCreated { .. } => "token_created",
            Self::TokenRotated { .. } => "token_rotated",
            Self::TokenRevoked { .. } => "token_revoked",
            Self::NodeAdmitted { .. } => "node_admitted",
            Self::NodeStarted { .. } => "node_started",
            Self::NodeDown { .. } => "node_down",
            Self::NodeUp { .. } => "node_up",
            Self::NodeDraining { .. } => "node_draining",
            Self::NodeRoleChanged { .. } => "node_role_changed",
            Self::NodeRemoved { .. } => "node_removed",
            Self::TermBegun { .. } => "term_begun",
            Self::TaskKept { .. } => "task_kept",
            Self::TaskOffered { .. } => "task_offered",
            Self::TaskRefusedThere { .. } => "task_refused_there",
            Self::TaskForwarded { .. } => "task_forwarded",
            Self::TaskParked { .. } => "task_parked",
            Self::Governed { .. } => "governed",
        }
    }

    /// Returns the task it is about.
    pub const fn task(&self) -> Option<TaskId> {
        match self {
            Self::TaskSubmitted { task, .. }
            | Self::TaskLeased { task, .. }
            | Self::TaskStarted { task, .. }
            | Self::TaskProgressed { task, .. }
            | Self::TaskReturned { task, .. }
            | Self::TaskReady { task, .. }
            | Self::TaskRose { task, .. }
            | Self::TaskEnded { task, .. }
            | Self::DeadLetterRemoved { task, .. }
            | Self::TaskKept { task, .. }
            | Self::TaskOffered { task, .. }
            | Self::TaskRefusedThere { task, .. }
            | Self::TaskForwarded { task, .. }
            | Self::TaskParked { task, .. } => Some(*task),
            Self::Governed { task, .. } => *task,
            Self::AgentRegistered { .. }
            | Self::AgentChanged { .. }
            | Self::AgentRemoved { .. }
            | Self::PoolChanged { .. }
            | Self::PoolRemoved { .. }
            | Self::RunStarted { .. }
            | Self::RunEnded { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::TokenCreated { .. }
            | Self::TokenRotated { .. }
            | Self::TokenRevoked { .. }
            | Self::NodeAdmitted { .. }
            | Self::NodeStarted { .. }
            | Self::NodeDown { .. }
            | Self::NodeUp { .. }
            | Self::NodeDraining { .. }
            | Self::NodeRoleChanged { .. }
            | Self::NodeRemoved { .. }
            | Self::TermBegun { .. } => None,
        }
    }

    /// Returns the workspace that it names: whose work it is about, or whose agent or pool. What concerns everybody has none,
    /// and of what it does not say [`State::workspace_of_event`](crate::state::State::workspace_of_event) knows more.
    pub const fn workspace(&self) -> Option<&Name> {
        match self {
            Self::TaskSubmitted { workspace, .. }
            | Self::TaskLeased { workspace, .. }
            | Self::TaskStarted { workspace, .. }
            | Self::TaskProgressed { workspace, .. }
            | Self::TaskReturned { workspace, .. }
            | Self::TaskReady { workspace, .. }
            | Self::TaskRose { workspace, .. }
            | Self::TaskEnded { workspace, .. }
            | Self::DeadLetterRemoved { workspace, .. }
            | Self::TaskKept { workspace, .. }
            | Self::TaskOffered { workspace, .. }
            | Self::TaskRefusedThere { workspace, .. }
            | Self::TaskForwarded { workspace, .. }
            | Self::TaskParked { workspace, .. }
            | Self::AgentChanged { workspace, .. }
            | Self::AgentRemoved { workspace, .. }
            | Self::PoolRemoved { workspace, .. }
            | Self::Paused { what: Pausable::Workspace(workspace), .. }
            | Self::Resumed { what: Pausable::Workspace(workspace) } => Some(workspace),
            Self::Governed { workspace, .. } => workspace.as_ref(),
            Self::AgentRegistered { .. }
            | Self::PoolChanged { .. }
            | Self::RunStarted { .. }
            | Self::RunEnded { .. }
            | Self::Paused { what: Pausable::Mailbox(_) | Pausable::Pool(_), .. }
            | Self::Resumed { what: Pausable::Mailbox(_) | Pausable::Pool(_) }
            | Self::TokenCreated { .. }
            | Self::TokenRotated { .. }
            | Self::TokenRevoked { .. }
            | Self::NodeAdmitted { .. }
            | Self::NodeStarted { .. }
            | Self::NodeDown { .. }
            | Self::NodeUp { .. }
            | Self::NodeDraining { .. }
            | Self::NodeRoleChanged { .. }
            | Self::NodeRemoved { .. }
            | Self::TermBegun { .. } => None,
        }
    }

    /// Returns the agent it is about.
    pub const fn agent(&self) -> Option<AgentId> {
        match self {
            Self::TaskLeased { agent, .. }
            | Self::TaskStarted { agent, .. }
            | Self::TaskReturned { agent, .. }
            | Self::AgentRegistered { agent, .. }
            | Self::AgentChanged { agent, .. }
            | Self::AgentRemoved { agent, .. } => Some(*agent),
            Self::TaskEnded { agent, .. } | Self::Governed { agent, .. } => *agent,
            Self::TaskSubmitted { mailbox, .. } | Self::TaskReady { mailbox, .. } => agent_of(mailbox),
            Self::Paused { what: Pausable::Mailbox(mailbox), .. }
            | Self::Resumed { what: Pausable::Mailbox(mailbox) } => agent_of(mailbox),
            Self::TaskProgressed { .. }
            | Self::TaskRose { .. }
            | Self::DeadLetterRemoved { .. }
            | Self::PoolChanged { .. }
            | Self::PoolRemoved { .. }
            | Self::RunStarted { .. }
            | Self::RunEnded { .. }
            | Self::Paused { what: Pausable::Pool(_) | Pausable::Workspace(_), .. }
            | Self::Resumed { what: Pausable::Pool(_) | Pausable::Workspace(_) }
            | Self::TokenCreated { .. }
            | Self::TokenRotated { .. }
            | Self::TokenRevoked { .. }
            | Self::NodeAdmitted { .. }
            | Self::NodeStarted { .. }
            | Self::NodeDown { .. }
            | Self::NodeUp { .. }
            | Self::NodeDraining { .. }
            | Self::NodeRoleChanged { .. }
            | Self::NodeRemoved { .. }
            | Self::TermBegun { .. }
            | Self::TaskKept { .. }
            | Self::TaskOffered { .. }
            | Self::TaskRefusedThere { .. }
            | Self::TaskForwarded { .. }
            | Self::TaskParked { .. } => None,
        }
    }

    /// Returns the token it is about.
    pub const fn token(&self) -> Option<TokenId> {
        match self {
            Self::TokenCreated { token, .. }
            | Self::TokenRotated { token, .. }
            | Self::TokenRevoked { token, .. } => Some(*token),
            Self::TaskSubmitted { .. }
            | Self::TaskLeased { .. }
            | Self::TaskStarted { .. }
            | Self::TaskProgressed { .. }
            | Self::TaskReturned { .. }
            | Self::TaskReady { .. }
            | Self::TaskRose { .. }
            | Self::TaskEnded { .. }
            | Self::DeadLetterRemoved { .. }
            | Self::AgentRegistered { .. }
            | Self::AgentChanged { .. }
            | Self::AgentRemoved { .. }
            | Self::PoolChanged { .. }
            | Self::PoolRemoved { .. }
            | Self::RunStarted { .. }
            | Self::RunEnded { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::NodeAdmitted { .. }
            | Self::NodeStarted { .. }
            | Self::NodeDown { .. }
            | Self::NodeUp { .. }
            | Self::NodeDraining { .. }
            | Self::NodeRoleChanged { .. }
            | Self::NodeRemoved { .. }
            | Self::TermBegun { .. }
            | Self::TaskKept { .. }
            | Self::TaskOffered { .. }
            | Self::TaskRefusedThere { .. }
            | Self::TaskForwarded { .. }
            | Self::TaskParked { .. }
            | Self::Governed { .. } => None,
        }
    }

    /// Returns the node it is about.
    pub const fn node(&self) -> Option<NodeId> {
        match self {
            Self::NodeAdmitted { node, .. }
            | Self::NodeStarted { node, .. }
            | Self::NodeDown { node, .. }
            | Self::NodeUp { node, .. }
            | Self::NodeDraining { node, .. }
            | Self::NodeRoleChanged { node, .. }
            | Self::NodeRemoved { node, .. }
            | Self::TermBegun { node, .. } => Some(*node),
            Self::TaskSubmitted { .. }
            | Self::TaskLeased { .. }
            | Self::TaskStarted { .. }
            | Self::TaskProgressed { .. }
            | Self::TaskReturned { .. }
            | Self::TaskReady { .. }
            | Self::TaskRose { .. }
            | Self::TaskEnded { .. }
            | Self::DeadLetterRemoved { .. }
            | Self::AgentRegistered { .. }
            | Self::AgentChanged { .. }
            | Self::AgentRemoved { .. }
            | Self::PoolChanged { .. }
            | Self::PoolRemoved { .. }
            | Self::RunStarted { .. }
            | Self::RunEnded { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::TokenCreated { .. }
            | Self::TokenRotated { .. }
            | Self::TokenRevoked { .. }
            | Self::TaskKept { .. }
            | Self::TaskOffered { .. }
            | Self::TaskRefusedThere { .. }
            | Self::TaskForwarded { .. }
            | Self::TaskParked { .. }
            | Self::Governed { .. } => None,
        }
    }

    /// Returns how many bytes its free texts have: reasons and notes, which may be long. Names are not counted.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::TaskReturned { reason, .. }
            | Self::AgentChanged { reason, .. }
            | Self::Paused { reason, .. }
            | Self::NodeDown { reason, .. }
            | Self::NodeUp { reason, .. }
            | Self::NodeDraining { reason, .. }
            | Self::NodeRemoved { reason, .. }
            | Self::TaskRefusedThere { reason, .. } => reason.len(),
            Self::Governed { detail, .. } => detail.len(),
            Self::TaskEnded { reason, .. } => reason.as_deref().map_or(0, str::len),
            Self::TaskProgressed { progress, .. } => progress.message.as_deref().map_or(0, str::len),
            Self::TaskSubmitted { .. }
            | Self::TaskLeased { .. }
            | Self::TaskStarted { .. }
            | Self::TaskReady { .. }
            | Self::TaskRose { .. }
            | Self::DeadLetterRemoved { .. }
            | Self::AgentRegistered { .. }
            | Self::AgentRemoved { .. }
            | Self::PoolChanged { .. }
            | Self::PoolRemoved { .. }
            | Self::RunStarted { .. }
            | Self::RunEnded { .. }
            | Self::Resumed { .. }
            | Self::TokenCreated { .. }
            | Self::TokenRotated { .. }
            | Self::TokenRevoked { .. }
            | Self::NodeAdmitted { .. }
            | Self::NodeStarted { .. }
            | Self::NodeRoleChanged { .. }
            | Self::TermBegun { .. }
            | Self::TaskKept { .. }
            | Self::TaskOffered { .. }
            | Self::TaskForwarded { .. }
            | Self::TaskParked { .. } => 0,
        }
    }

    /// Returns the pool that it names; what an agent of a pool does names the agent only.
    pub const fn pool(&self) -> Option<&Name> {
        match self {
            Self::AgentRegistered { pool, .. } => pool.as_ref(),
            Self::PoolChanged { pool, .. }
            | Self::PoolRemoved { pool, .. }
            | Self::Paused { what: Pausable::Pool(pool), .. }
            | Self::Resumed { what: Pausable::Pool(pool) } => Some(pool),
            Self::TaskSubmitted { mailbox, .. }
            | Self::TaskReady { mailbox, .. }
            | Self::Paused { what: Pausable::Mailbox(mailbox), .. }
            | Self::Resumed { what: Pausable::Mailbox(mailbox) } => pool_of(mailbox),
            Self::TaskLeased { .. }
            | Self::TaskStarted { .. }
            | Self::TaskProgressed { .. }
            | Self::TaskReturned { .. }
            | Self::TaskRose { .. }
            | Self::TaskEnded { .. }
            | Self::DeadLetterRemoved { .. }
            | Self::AgentChanged { .. }
            | Self::AgentRemoved { .. }
            | Self::RunStarted { .. }
            | Self::RunEnded { .. }
            | Self::Paused { what: Pausable::Workspace(_), .. }
            | Self::Resumed { what: Pausable::Workspace(_) }
            | Self::TokenCreated { .. }
            | Self::TokenRotated { .. }
            | Self::TokenRevoked { .. }
            | Self::NodeAdmitted { .. }
            | Self::NodeStarted { .. }
            | Self::NodeDown { .. }
            | Self::NodeUp { .. }
            | Self::NodeDraining { .. }
            | Self::NodeRoleChanged { .. }
            | Self::NodeRemoved { .. }
            | Self::TermBegun { .. }
            | Self::TaskKept { .. }
            | Self::TaskOffered { .. }
            | Self::TaskRefusedThere { .. }
            | Self::TaskForwarded { .. }
            | Self::TaskParked { .. }
            | Self::Governed { .. } => None,
        }
    }
}

const fn agent_of(mailbox: &MailboxId) -> Option<AgentId> {
    match mailbox {
        MailboxId::Agent(agent) => Some(*agent),
        MailboxId::Pool(_) | MailboxId::Open => None,
    }
}

const fn pool_of(mailbox: &MailboxId) -> Option<&Name> {
    match mailbox {
        MailboxId::Pool(pool) => Some(pool),
        MailboxId::Agent(_) | MailboxId::Open => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_in_the_list_of_kinds() {
        let source = include_str!("about.rs");
        let arms = source.split("fn kind(").nth(1).and_then(|rest| rest.split("\n    }").next());
        let words: Vec<&str> = arms.unwrap_or_default().split('"').skip(1).step_by(2).collect();
        assert_eq!(words, Event::KINDS);
        let event = Event::AgentRemoved { agent: AgentId::from_raw(1), workspace: Name::default() };
        assert!(Event::KINDS.contains(&event.kind()));
    }
}
