//! What makes a key of a task.
//!
//! A text with fields in braces: `{workspace}/{payload:/repo}`. A field alone needs no braces: `workspace`. What a task
//! does not have is `-`, so that nobody passes by a limit by leaving a field out.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::pointer;
use crate::name::Name;
use crate::payload::Payload;
use crate::task::{MailboxId, TaskSpec};

/// The longest key, in bytes. A longer one is cut and told apart by a digest.
pub const KEY_BYTES_MAX: usize = 256;

/// The longest text of an expression.
const TEXT_BYTES_MAX: usize = 512;

/// What stands for a field that a task does not have.
const NOTHING: &str = "-";

/// What makes a key of a task, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    text: Arc<str>,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Kind,
    Workspace,
    Pool,
    Label(Name),
    Payload(String),
}

/// Says why a text makes no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// There is nothing in it.
    #[error("it is empty; use workspace, or {{workspace}}/{{payload:/repo}}")]
    Empty,
    /// It is too long.
    #[error("it has {0} bytes; at most {TEXT_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// A brace has no other.
    #[error("a brace is not closed, or not opened")]
    Brace,
    /// Tasks have no such field.
    #[error("{0:?} is no field; use type, workspace, pool, label:NAME or payload:/PATH")]
    Field(String),
}

impl Expression {
    /// Makes the key of a task. What it costs grows with the payload if it looks into it.
    pub fn key(&self, task: &TaskSpec) -> Arc<str> {
        let mut key = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Field(field) => field.push(task, &mut key),
            }
        }
        bounded(key)
    }

    /// Returns its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Field {
    fn push(&self, task: &TaskSpec, key: &mut String) {
        match self {
            Self::Kind => key.push_str(task.kind.as_str()),
            Self::Workspace => key.push_str(task.workspace.as_str()),
            Self::Pool => key.push_str(match &task.mailbox {
                MailboxId::Pool(pool) => pool.as_str(),
                MailboxId::Agent(_) | MailboxId::Open => NOTHING,
            }),
            Self::Label(label) => key.push_str(task.labels.get(label).map_or(NOTHING, |value| value)),
            Self::Payload(path) => match &task.payload {
                Payload::Inline(bytes) => {
                    key.push_str(pointer::text_at(bytes, path).as_deref().unwrap_or(NOTHING));
                }
                Payload::Blob { .. } => key.push_str(NOTHING),
            },
        }
    }
}

impl FromStr for Field {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        let refuse = || ExpressionError::Field(text.to_owned());
        match text.split_once(':') {
            None => match text {
                "type" => Ok(Self::Kind),
                "workspace" => Ok(Self::Workspace),
                "pool" => Ok(Self::Pool),
                _ => Err(refuse()),
            },
            Some(("label", label)) => Name::new(label).map(Self::Label).map_err(|_| refuse()),
            Some(("payload", path)) if path.is_empty() || path.starts_with('/') => {
                Ok(Self::Payload(path.to_owned()))
            }
            Some(_) => Err(refuse()),
        }
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        if text.is_empty() {
            return Err(ExpressionError::Empty);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(ExpressionError::TooLong(text.len()));
        }
        if !text.contains(['{', '}']) {
            let parts = vec![Part::Field(text.parse()?)];
            return Ok(Self { text: text.into(), parts });
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            if place > 0 {
                parts.push(Part::Text(rest[..place].to_owned()));
            }
            let inner = rest[place..].strip_prefix('{').ok_or(ExpressionError::Brace)?;
            let end = inner.find('}').ok_or(ExpressionError::Brace)?;
            parts.push(Part::Field(inner[..end].parse()?));
            rest = &inner[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { text: text.into(), parts })
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for Expression {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Cuts a key that is too long. Two long keys of one digest share their limits: that is all that could come of it.
fn bounded(mut key: String) -> Arc<str> {
    if key.len() > KEY_BYTES_MAX {
        let digest = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut end = KEY_BYTES_MAX - 20;
        while !key.is_char_boundary(end) {
            end -= 1;
        }
        key.truncate(end);
        key.push_str(&format!("…{digest:016x}"));
    }
    key.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::capability::Capabilities;
    use crate::id::TaskId;
    use crate::retry::RetryPolicy;
    use crate::task::{Lane, Timeouts};

    fn task(payload: &str) -> TaskSpec {
        TaskSpec {
            id: TaskId::from_raw(1),
            workspace: Name::new("acme").expect("a name"),
            kind: Name::new("review").expect("a name"),
            mailbox: MailboxId::Pool(Name::new("fast").expect("a name")),
            demand: Capabilities::default(),
            lane: Lane::Normal,
            deadline: None,
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            payload: Payload::inline(payload.as_bytes()),
            idempotency_key: None,
            labels: BTreeMap::from([(Name::new("tier").expect("a name"), "gold".into())]),
            run: None,
            redriven_from: None,
            metadata: None,
        }
    }

    fn key(expression: &str, payload: &str) -> String {
        expression.parse::<Expression>().expect("an expression").key(&task(payload)).to_string()
    }

    #[test]
    fn fields_and_texts_make_a_key() {
        assert_eq!(key("workspace", ""), "acme");
        assert_eq!(key("{type}@{pool}/{label:tier}", ""), "review@fast/gold");
        assert_eq!(key("{workspace}/{payload:/repo}", r#"{"repo":"synod"}"#), "acme/synod");
        assert_eq!(key("{payload:/a/1}", r#"{"a":[1,2.50,3]}"#), "2.50");
    }

    #[test]
    fn what_a_task_does_not_have_is_a_key_of_its_own() {
        assert_eq!(key("label:none", ""), "-");
        assert_eq!(key("payload:/repo", r#"{"repo":{}}"#), "-");
        assert_eq!(key("payload:/repo", "no JSON"), "-");
        let mut large = task("");
        large.payload = Payload::Blob { hash: [0; 32], size: 1 };
        assert_eq!(&*"payload:/repo".parse::<Expression>().expect("an expression").key(&large), "-");
    }

    #[test]
    fn long_keys_are_cut_and_told_apart() {
        let long = |last: char| format!(r#"{{"repo":"{}{last}"}}"#, "ä".repeat(400));
        let (one, other) = (key("payload:/repo", &long('1')), key("payload:/repo", &long('2')));
        assert!(one.len() <= KEY_BYTES_MAX && one != other);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let wrong = ["", "{workspace", "workspace}", "{}", "{tenant}", "label:", "payload:repo", "a{type}}"];
        for text in wrong {
            assert!(text.parse::<Expression>().is_err(), "{text}");
        }
        assert_eq!("x".repeat(600).parse::<Expression>(), Err(ExpressionError::TooLong(600)));
    }
}
