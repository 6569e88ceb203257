//! Reading requests: path, query and body, each with a clear problem when it is not what the route takes.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::http::Problem;

/// How deep JSON may be nested. Real payloads stay far below; a deeper one only costs the stack of whoever
/// reads it.
pub const JSON_DEPTH_MAX: usize = 64;

/// Parameters of the path.
#[derive(Debug)]
pub struct InPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(value) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error: PathRejection| Problem::bad_request("the path", error.body_text()))?;
        Ok(Self(value))
    }
}

/// Parameters of the query.
#[derive(Debug)]
pub struct InQuery<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(value) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error: QueryRejection| Problem::bad_request("the query", error.body_text()))?;
        Ok(Self(value))
    }
}

/// A JSON object as body. An empty body counts as `{}`: many clients send none where they have nothing to say.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // It was read and bounded before the handler was called.
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error: BytesRejection| Problem::bad_request("the body", error.body_text()))?;
        read_object(&bytes).map(Self)
    }
}

/// Reads a JSON text; an empty one counts as `{}`.
///
/// # Errors
/// When it is not JSON, nested too deeply, or not of the form that is asked for.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { bytes };
    if depth(bytes) > JSON_DEPTH_MAX {
        return Err(Problem::bad_request(
            "the body",
            format!("it is nested more than {JSON_DEPTH_MAX} levels deep"),
        ));
    }
    serde_json::from_slice(bytes).map_err(|error| Problem::bad_request("the body", error))
}

/// Reads a JSON object; an empty text counts as one without fields.
///
/// # Errors
/// As [`read_json`], and for any other JSON: serde would take an array for the fields of a struct in order.
pub fn read_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    match bytes.trim_ascii_start().first() {
        None | Some(b'{') => read_json(bytes),
        Some(_) => Err(Problem::bad_request("the body", "it is not a JSON object")),
    }
}

/// Returns how deep brackets are nested outside of strings. What is not JSON gets some number; the reader
/// refuses it.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        assert_eq!(depth(br#"{"a": [1, {"b": "[[[[\"{{{"}]}"#), 3);
        assert_eq!(depth(b"1"), 0);
    }

    #[test]
    fn nesting_beyond_the_limit_is_refused_however_it_is_read() {
        let deep = format!("{}{}", "[".repeat(JSON_DEPTH_MAX + 1), "]".repeat(JSON_DEPTH_MAX + 1));
        let problem = read_json::<crate::api::Json>(deep.as_bytes()).expect_err("too deep");
        assert_eq!(problem.code(), "invalid");
        assert!(problem.detail().contains("64 levels"));
    }

    #[test]
    fn empty_body_counts_as_an_empty_object() {
        assert!(read_object::<crate::api::Cancel>(b" \n").is_ok());
        assert!(read_object::<crate::api::Cancel>(b" {}").is_ok());
        for wrong in [&b"[]"[..], b" [\"reason\"]", b"null", b"{", b"{} {}"] {
            assert!(read_object::<crate::api::Cancel>(wrong).is_err(), "{wrong:?}");
        }
    }
}
