//! The text form of a mailbox's id, as it stands in keys, addresses and JSON: `open`, `pool/NAME`, `agent_…`.

use crate::id::AgentId;
use crate::name::Name;
use crate::task::MailboxId;

/// Says that a text names no mailbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no mailbox; use open, pool/NAME or the id of an agent")]
pub struct MailboxUnknown(pub String);

impl MailboxId {
    /// Returns the text form.
    pub fn path(&self) -> String {
        match self {
            Self::Open => "open".to_owned(),
            Self::Pool(pool) => format!("pool/{pool}"),
            Self::Agent(agent) => agent.to_string(),
        }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn from_path(text: &str) -> Result<Self, MailboxUnknown> {
        let unknown = || MailboxUnknown(text.to_owned());
        if text == "open" {
            return Ok(Self::Open);
        }
        match text.strip_prefix("pool/") {
            Some(pool) => Name::new(pool).map(Self::Pool).map_err(|_| unknown()),
            None => text.parse::<AgentId>().map(Self::Agent).map_err(|_| unknown()),
        }
    }
}

/// The text form for serde, where people read it.
pub(crate) mod text {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::task::MailboxId;

    pub(crate) fn serialize<S: Serializer>(mailbox: &MailboxId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&mailbox.path())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MailboxId, D::Error> {
        let text = String::deserialize(deserializer)?;
        MailboxId::from_path(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailbox_is_read_back_from_its_text_and_other_texts_are_refused() {
        let pool = MailboxId::Pool(Name::new("a/b").expect("a name"));
        for mailbox in [MailboxId::Open, pool, MailboxId::Agent(AgentId::from_raw(7))] {
            assert_eq!(MailboxId::from_path(&mailbox.path()), Ok(mailbox));
        }
        for wrong in ["", "pool", "pool/", "pool/-x", "task_00000000000000000000000000", "Open"] {
            assert_eq!(MailboxId::from_path(wrong), Err(MailboxUnknown(wrong.to_owned())));
        }
    }
}
