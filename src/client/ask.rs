//! One request, before it is sent.

use std::time::Duration;

use reqwest::Method;
use serde::Serialize;

use super::Error;

/// How long an ordinary answer may take: some syncs of a slow disk and a change of leader.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What is added to the wait of a long poll before it counts as unanswered.
const LONG_POLL_SLACK: Duration = Duration::from_secs(15);

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// The path below `/api/v1`, in pieces: names may hold slashes.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
    /// The header `Idempotency-Key`.
    pub(super) key: Option<String>,
    /// Whether sending it twice does the same as sending it once.
    pub(super) repeatable: bool,
    /// Whether it reads what is agreed, and may be answered from what one node has of that.
    pub(super) agreed: bool,
    pub(super) within: Duration,
}

impl Ask {
    /// Reads something that is agreed.
    pub(super) fn get<const N: usize>(path: [&str; N]) -> Self {
        Self { agreed: true, ..Self::look(path) }
    }

    /// Reads what the node that answers knows by itself.
    pub(super) fn look<const N: usize>(path: [&str; N]) -> Self {
        Self { repeatable: true, ..Self::new(Method::GET, path) }
    }

    /// Changes something. Not repeated unless it is made [`Self::repeatable`] or [`Self::keyed`].
    pub(super) fn post<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn new<const N: usize>(method: Method, path: [&str; N]) -> Self {
        Self {
            method,
            path: path.map(str::to_owned).to_vec(),
            query: Vec::new(),
            body: None,
            key: None,
            repeatable: false,
            agreed: false,
            within: ANSWER_WITHIN,
        }
    }

    /// Adds each field that is set as a parameter.
    pub(super) fn with_fields(mut self, fields: &impl Serialize) -> Result<Self, Error> {
        let fields = serde_json::to_value(fields).map_err(|error| unwritable(&error))?;
        if let serde_json::Value::Object(fields) = fields {
            for (name, value) in fields {
                match value {
                    serde_json::Value::Null => {}
                    serde_json::Value::String(text) => self.query.push((name, text)),
                    other => self.query.push((name, other.to_string())),
                }
            }
        }
        Ok(self)
    }

    /// Adds a JSON body.
    pub(super) fn body(mut self, body: &impl Serialize) -> Result<Self, Error> {
        self.body = Some(serde_json::to_vec(body).map_err(|error| unwritable(&error))?);
        Ok(self)
    }

    /// Names it, so that the node does it once however often it is sent.
    pub(super) fn keyed(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self.repeatable = true;
        self
    }

    /// Says that sending it twice does the same as sending it once.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Says that the node may hold the answer back for so long.
    pub(super) fn long_poll(mut self, wait: Duration) -> Self {
        self.within = wait.max(ANSWER_WITHIN) + LONG_POLL_SLACK;
        self
    }
}

fn unwritable(error: &serde_json::Error) -> Error {
    Error::Setup(format!("the request cannot be written as JSON: {error}"))
}
