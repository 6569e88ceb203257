//! `Idempotency-Key`: a client's own name for a request, so that sending it again counts once.
//!
//! The log applies a request id once and answers a repetition as it did the first time, whichever node brings it. From
//! the same caller, method, path and key follows the same request id. Routes whose changes are proposed under it declare
//! that ([`crate::http::Terms::once`]) and are given a [`Once`]; nothing else looks at the header.
//!
//! Leaves to others: what is drawn where a request comes in (secrets), and what is no proposal at all; those routes do
//! not take the header, and say so when their outcome is not known ([`Again`]).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use sha2::{Digest, Sha256};
use synod_domain::command::Command;
use synod_domain::id::RequestId;
use synod_domain::reply::Reply;

use crate::http::{Caller, Context, Problem};
use crate::node::{Error, Node};

/// The header.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Characters of a key; room for any id a client may have.
const KEY_LEN_MAX: usize = 255;

/// What becomes of a request that is sent again because its answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Under the same key it counts once.
    Once,
    /// Saying it twice is as good as once.
    Freely,
    /// It may be done twice: whoever asks has to look first.
    Unknown,
}

impl Again {
    /// Says to whoever does not know whether a request was done what to do.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Once => "send it again with the same Idempotency-Key: it counts once",
            Self::Freely => "send it again: saying it twice is as good as once",
            Self::Unknown => {
                "look whether it was done before you send it again: this route takes no Idempotency-Key, and what it \
                 showed in a lost answer is not shown again"
            }
        }
    }
}

/// The name under which the changes of one request count.
#[derive(Debug, Clone, Copy)]
pub struct Once {
    request: RequestId,
    is_named: bool,
}

impl Once {
    /// Names a request: always alike for the same key, anew without a key.
    ///
    /// # Errors
    /// When there are several keys, or one that is empty, too long or not of visible ASCII characters.
    pub(super) fn of(
        context: &Context,
        caller: &Caller,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        Ok(match key(headers)? {
            Some(key) => Self { request: named(&caller.accessor, method, path, key), is_named: true },
            None => Self { request: context.node().new_request_id(), is_named: false },
        })
    }

    /// Returns the id of the request.
    pub const fn request(&self) -> RequestId {
        self.request
    }

    /// Returns the id of one of several changes that a request asks for.
    pub fn part(&self, what: &str) -> RequestId {
        id_of(&[&self.request.raw().to_be_bytes(), what.as_bytes()])
    }

    /// Proposes the one change that a request asks for.
    ///
    /// # Errors
    /// When it is refused, or the node cannot take it.
    pub async fn propose(&self, node: &Node, command: Command) -> Result<Reply, Error> {
        node.propose_as(self.request, command).await
    }

    /// Tells whether the request was done before under its key, by whichever node: what it changed is not to be asked
    /// for then. Looks at nothing without a key.
    ///
    /// # Errors
    /// When nobody vouches for what this node knows.
    pub async fn was_done(&self, node: &Node) -> Result<bool, Problem> {
        if !self.is_named {
            return Ok(false);
        }
        node.linearize().await?;
        Ok(node.read(|state| state.answered(self.request).is_some()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = Problem;

    /// Takes what [`crate::http::Routes`] put into a request whose route declares that it counts once.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let once = parts.extensions.get::<Self>().copied();
        once.ok_or_else(|| Problem::internal("a route that counts once does not declare it"))
    }
}

/// Returns the key of a request, if it has one.
///
/// # Errors
/// As [`Once`].
pub fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut written = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = written.next() else { return Ok(None) };
    let wrong = |why: &str| Problem::bad_request("the header Idempotency-Key", why);
    if written.next().is_some() {
        return Err(wrong("it stands there more than once"));
    }
    let key = key.as_bytes();
    if key.is_empty() || key.len() > KEY_LEN_MAX || !key.iter().all(u8::is_ascii_graphic) {
        return Err(wrong("it must be 1 to 255 visible ASCII characters"));
    }
    std::str::from_utf8(key).map(Some).map_err(|_| wrong("it must be ASCII"))
}

fn named(accessor: &str, method: &Method, path: &str, key: &str) -> RequestId {
    // A zero stands in none of them, so no two sets of parts look alike.
    id_of(&[accessor, method.as_str(), path, key].map(str::as_bytes))
}

fn id_of(parts: &[&[u8]]) -> RequestId {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    RequestId::from_raw(u128::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_same_key_names_the_same_request_of_the_same_caller_and_route_only() {
        let one = named("token_1", &Method::POST, "/api/v1/tasks", "k");
        assert_eq!(one, named("token_1", &Method::POST, "/api/v1/tasks", "k"));
        for other in [
            named("token_2", &Method::POST, "/api/v1/tasks", "k"),
            named("token_1", &Method::PUT, "/api/v1/tasks", "k"),
            named("token_1", &Method::POST, "/api/v1/task", "sk"),
            named("token_1", &Method::POST, "/api/v1/tasks", "K"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn parts_of_a_request_have_names_of_their_own_that_stay() {
        let once = |raw| Once { request: RequestId::from_raw(raw), is_named: true };
        assert_eq!(once(1).part("a"), once(1).part("a"));
        for other in [once(1).part("b"), once(2).part("a"), once(1).request()] {
            assert_ne!(once(1).part("a"), other);
        }
    }

    #[test]
    fn a_key_is_short_and_visible() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(value).expect("value"));
            key(&headers).map(|key| key.map(str::to_owned))
        };
        assert_eq!(read("a-1").expect("a key").as_deref(), Some("a-1"));
        assert!(read(&"k".repeat(255)).is_ok());
        for wrong in ["", "a b", &"k".repeat(256)] {
            assert_eq!(read(wrong).expect_err("no key").code(), "invalid", "{wrong:?}");
        }
        assert_eq!(key(&HeaderMap::new()).expect("none"), None);
        let mut twice = HeaderMap::new();
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        assert!(key(&twice).is_err());
    }
}
