//! What somebody of a workspace reaches for, and what they are shown.

use std::fmt;

use synod::node::domain::id::{AgentId, TaskId, TokenId};
use synod::node::domain::name::Name;
use synod::node::domain::pause::Pausable;

/// Something that is of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A task.
    Task(TaskId),
    /// A dead letter.
    Letter(TaskId),
    /// A pool.
    Pool(Name),
    /// An agent.
    Agent(AgentId),
    /// A token.
    Token(TokenId),
    /// A pause.
    Pause(Pausable),
    /// The workspace itself.
    Workspace(Name),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(f, "{task}"),
            Self::Letter(task) => write!(f, "letter {task}"),
            Self::Pool(pool) => write!(f, "pool {pool}"),
            Self::Agent(agent) => write!(f, "{agent}"),
            Self::Token(token) => write!(f, "{token}"),
            Self::Pause(what) => write!(f, "pause {}", what.path()),
            Self::Workspace(workspace) => write!(f, "workspace {workspace}"),
        }
    }
}

/// What somebody wants of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// To be shown it.
    Look,
    /// To call it off.
    Cancel,
    /// To move it to another lane.
    SetLane,
    /// To have work begin after it, which shows how it ended.
    Follow,
    /// To submit it again.
    Redrive,
    /// To drop it.
    Purge,
    /// To have work done by it, or in it.
    Submit,
    /// To change it.
    Put,
    /// To let it have another size.
    Scale,
    /// To let it finish its work and be gone.
    Retire,
    /// To remove it.
    Remove,
    /// To have an agent of one's own in it.
    Join,
    /// To take it out of service.
    SetStanding,
    /// To have it given out no more.
    Pause,
    /// To have it given out again.
    Resume,
    /// To give it a new text.
    Rotate,
    /// To end it.
    Revoke,
    /// To let it do more.
    Bind,
}

impl Verb {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Cancel => "cancel",
            Self::SetLane => "set lane",
            Self::Follow => "follow",
            Self::Redrive => "redrive",
            Self::Purge => "purge",
            Self::Submit => "submit",
            Self::Put => "put",
            Self::Scale => "scale",
            Self::Retire => "retire",
            Self::Remove => "remove",
            Self::Join => "join",
            Self::SetStanding => "set standing",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Rotate => "rotate",
            Self::Revoke => "revoke",
            Self::Bind => "bind",
        }
    }
}
