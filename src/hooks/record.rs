//! What stands in a repository about a hook: one commit for each change, each with the whole of it.
//!
//! ```text
//!  refs/synod/hooks/hook_...: ◄─ created ◄─ started ◄─ completed      (each commit: hook.json, work, result)
//! ```
//!
//! A format: fields are only added, and read leniently.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use synod_domain::hook::{Hook, HookSpec, HookState, HookStatus};
use synod_domain::id::{AgentId, HookId, NodeId};
use synod_domain::name::Name;
use synod_domain::payload::Payload;
use synod_domain::time::Timestamp;

/// The version of the format that this node writes.
const FORMAT: u32 = 1;

/// One state of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the format.
    pub format: u32,
    /// Which hook.
    pub hook: HookId,
    /// Counts the changes of the hook.
    pub revision: u64,
    /// The attempt that has it; a record is never followed by one of an earlier attempt.
    pub attempt: u32,
    /// Where it stands.
    pub status: HookStatus,
    /// Who has it.
    pub agent: AgentId,
    /// The pool of whoever has it.
    pub pool: Option<Name>,
    /// Who it was made for.
    pub made_for: AgentId,
    /// The node that wrote the record.
    pub node: NodeId,
    /// Whose it is.
    pub workspace: Name,
    /// The repository.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// Where the branch began.
    pub base: String,
    /// Where the branch was when the record was written.
    pub head: Option<String>,
    /// What sort of work it is.
    pub kind: Name,
    /// How often it is tried again.
    pub max_retries: u32,
    /// How many of those are used.
    pub retries: u32,
    /// How long it may be silent, in milliseconds.
    pub stale_after_ms: u64,
    /// Why it failed or was abandoned.
    pub reason: Option<String>,
    /// Why the attempt before this one ended.
    pub last_error: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
    /// When it changed, in milliseconds since 1970.
    pub updated_at: u64,
    /// Whether it was removed after that: then nobody takes it up again.
    #[serde(default)]
    pub removed: bool,
}

/// A hook that was found in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its last record.
    pub record: Record,
    /// What is to be done.
    pub work: Vec<u8>,
    /// What came out of it.
    pub result: Option<Vec<u8>>,
}

impl Record {
    /// Writes down where a hook stands.
    pub fn of(hook: &Hook, head: Option<String>) -> Self {
        let spec = &hook.spec;
        let text = |text: Option<&Arc<str>>| text.map(ToString::to_string);
        Self {
            format: FORMAT,
            hook: spec.id,
            revision: hook.revision,
            attempt: hook.attempt,
            status: hook.status(),
            agent: hook.agent,
            pool: hook.pool.clone(),
            made_for: spec.agent,
            node: spec.node,
            workspace: spec.workspace.clone(),
            repository: spec.repository.to_string(),
            branch: spec.branch.to_string(),
            base: spec.base.to_string(),
            head,
            kind: spec.kind.clone(),
            max_retries: spec.max_retries,
            retries: hook.retries,
            stale_after_ms: u64::try_from(spec.stale_after.as_millis()).unwrap_or(u64::MAX),
            reason: text(hook.reason()),
            last_error: text(hook.last_error.as_ref()),
            created_at: hook.created_at.as_millis(),
            updated_at: hook.updated_at.as_millis(),
            removed: false,
        }
    }

    /// Returns what orders the records of a hook: a later one has a later attempt, or says more of the same.
    pub const fn place(&self) -> (u32, u64) {
        (self.attempt, self.revision)
    }

    /// Makes the hook again that was written down, as one of a node that has its repository at `repository`.
    pub fn hook(&self, node: NodeId, repository: &str, work: Payload, result: Option<Payload>) -> Hook {
        let reason = || self.reason.as_deref().unwrap_or("no reason is on record").into();
        let spec = HookSpec {
            id: self.hook,
            workspace: self.workspace.clone(),
            agent: self.made_for,
            node,
            repository: repository.into(),
            branch: self.branch.as_str().into(),
            base: self.base.as_str().into(),
            kind: self.kind.clone(),
            work,
            max_retries: self.max_retries,
            stale_after: Duration::from_millis(self.stale_after_ms),
        };
        let updated_at = Timestamp::from_millis(self.updated_at);
        Hook {
            spec: Arc::new(spec),
            agent: self.agent,
            pool: self.pool.clone(),
            state: match self.status {
                HookStatus::Pending => HookState::Pending,
                HookStatus::Active => HookState::Active,
                HookStatus::Completed => HookState::Completed { result: result.unwrap_or_default() },
                HookStatus::Failed => HookState::Failed { reason: reason() },
                HookStatus::Abandoned => HookState::Abandoned { reason: reason() },
            },
            attempt: self.attempt,
            retries: self.retries,
            revision: self.revision,
            last_error: self.last_error.as_deref().map(Into::into),
            heard_at: updated_at,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_the_same_after_it_was_written_down() {
        let (at, name) = (Timestamp::from_millis(7), Name::default());
        let (work, result) = (Payload::inline(*b"1"), Payload::inline(*b"2"));
        let spec = HookSpec {
            id: HookId::from_raw(1),
            workspace: name.clone(),
            agent: AgentId::from_raw(2),
            node: NodeId::from_raw(3),
            repository: "/r".into(),
            branch: "b".into(),
            base: "c".into(),
            kind: name.clone(),
            work: work.clone(),
            max_retries: 3,
            stale_after: Duration::from_secs(300),
        };
        let reason = || Arc::from("why");
        let states = [
            HookState::Pending,
            HookState::Active,
            HookState::Completed { result: result.clone() },
            HookState::Failed { reason: reason() },
            HookState::Abandoned { reason: reason() },
        ];
        for state in states {
            let hook = Hook {
                spec: Arc::new(spec.clone()),
                agent: AgentId::from_raw(4),
                pool: Some(name.clone()),
                state,
                attempt: 5,
                retries: 2,
                revision: 9,
                last_error: Some(reason()),
                heard_at: at,
                created_at: Timestamp::ZERO,
                updated_at: at,
            };
            let text = serde_json::to_string(&Record::of(&hook, None)).unwrap();
            let record: Record = serde_json::from_str(&text).unwrap();
            assert_eq!(record.hook(NodeId::from_raw(3), "/r", work.clone(), Some(result.clone())), hook);
        }
    }

    #[test]
    fn the_record_keeps_its_form() {
        let text = r#"{"format":1,"hook":"hook_00000000000000000000000001","revision":9,"attempt":5,
            "status":"ABANDONED","agent":"agent_00000000000000000000000004","pool":null,
            "made_for":"agent_00000000000000000000000002","node":"node_00000000000000000000000003",
            "workspace":"default","repository":"/r","branch":"b","base":"c","head":null,"kind":"hook",
            "max_retries":3,"retries":2,"stale_after_ms":300000,"reason":"why","last_error":null,
            "created_at":0,"updated_at":7,"later":"what a later version may add"}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        let mut expected: serde_json::Value = serde_json::from_str(text).unwrap();
        expected.as_object_mut().unwrap().remove("later");
        expected["removed"] = false.into();
        assert_eq!(serde_json::to_value(record).unwrap(), expected);
    }
}
