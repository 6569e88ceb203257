//! What can be paused: a mailbox, a pool, a workspace.
//!
//! A pause stops work from being given out and nothing else: submits are taken, work in hand goes on, and every
//! timeout runs. It lasts until it is taken back, through every restart.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::task::MailboxId;
use crate::time::Timestamp;

/// The most pauses at a time. A claim may have to pass over every paused workspace of a lane.
pub const PAUSES_MAX: usize = 1000;

/// What a pause is about. Text form: `mailbox/…`, `pool/…` or `workspace/…`, and in JSON it is that text too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Pausable {
    /// A mailbox gives nothing out.
    Mailbox(MailboxId),
    /// The mailbox of a pool gives nothing out, and its agents claim nothing, not from elsewhere either.
    Pool(Name),
    /// No task of a workspace is given out, from whichever mailbox.
    Workspace(Name),
}

/// A pause in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// What is paused.
    pub what: Pausable,
    /// Why, for a person.
    pub reason: Arc<str>,
    /// Since when.
    pub since: Timestamp,
}

/// Says that a text names nothing that can be paused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names nothing that can be paused; use mailbox/open, mailbox/pool/NAME, pool/NAME or workspace/NAME"
)]
pub struct PausableUnknown(pub String);

impl Pausable {
    /// Returns the text form.
    pub fn path(&self) -> String {
        match self {
            Self::Mailbox(mailbox) => format!("mailbox/{}", mailbox.path()),
            Self::Pool(pool) => format!("pool/{pool}"),
            Self::Workspace(workspace) => format!("workspace/{workspace}"),
        }
    }
}

impl fmt::Display for Pausable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => write!(f, "mailbox {mailbox}"),
            Self::Pool(pool) => write!(f, "pool {pool}"),
            Self::Workspace(workspace) => write!(f, "workspace {workspace}"),
        }
    }
}

impl FromStr for Pausable {
    type Err = PausableUnknown;

    fn from_str(text: &str) -> Result<Self, PausableUnknown> {
        let known = match text.split_once('/') {
            Some(("mailbox", mailbox)) => MailboxId::from_path(mailbox).ok().map(Self::Mailbox),
            Some(("pool", pool)) => Name::new(pool).ok().map(Self::Pool),
            Some(("workspace", workspace)) => Name::new(workspace).ok().map(Self::Workspace),
            Some(_) | None => None,
        };
        known.ok_or_else(|| PausableUnknown(text.to_owned()))
    }
}

/// The text form for serde, where people read it.
pub(crate) mod text {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Pausable;

    pub(crate) fn serialize<S: Serializer>(what: &Pausable, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&what.path())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pausable, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use crate::id::AgentId;

    use super::*;

    #[test]
    fn what_can_be_paused_is_read_back_from_its_text() {
        let name = Name::new("a/b").expect("a name");
        let all = [
            Pausable::Mailbox(MailboxId::Open),
            Pausable::Mailbox(MailboxId::Pool(name.clone())),
            Pausable::Mailbox(MailboxId::Agent(AgentId::from_raw(7))),
            Pausable::Pool(name.clone()),
            Pausable::Workspace(name),
        ];
        for what in all {
            assert_eq!(what.path().parse(), Ok(what));
        }
        for wrong in ["", "open", "mailbox/", "mailbox/pool", "pool/", "workspace/-", "agent/x"] {
            assert_eq!(wrong.parse::<Pausable>(), Err(PausableUnknown(wrong.to_owned())));
        }
    }
}
