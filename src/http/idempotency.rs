//! `Idempotency-Key`: a client's own name for a request, so that sending it again counts once.
//!
//! The node applies a request id once and answers a repetition as it did the first time. From the same caller,
//! method, path and key follows the same request id.

use axum::http::{HeaderMap, Method};
use sha2::{Digest, Sha256};
use synod_domain::id::RequestId;

use crate::http::{Caller, Context, Problem};

/// The header.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Characters of a key; room for any id a client may have.
const KEY_LEN_MAX: usize = 255;

/// Returns the id under which a request counts: always the same for the same key, a new one without a key.
///
/// # Errors
/// When there are several keys, or one that is empty, too long or not of visible ASCII characters.
pub fn request_id(
    context: &Context,
    caller: &Caller,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<RequestId, Problem> {
    Ok(match key(headers)? {
        Some(key) => named(&caller.accessor, method, path, key),
        None => context.node().new_request_id(),
    })
}

/// Returns the key of a request, if it has one.
///
/// # Errors
/// As [`request_id`].
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
    let mut hash = Sha256::new();
    // A zero stands in none of them, so no two sets of parts look alike.
    for part in [accessor, method.as_str(), path, key] {
        hash.update(part.as_bytes());
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
