//! The problems that the API's document names, one response for each status.

use utoipa::ToResponse;

use crate::api;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal $title:literal $detail:literal $hint:literal;)*) => {$(
        $(#[$doc])*
        #[derive(ToResponse)]
        #[response(
            content_type = "application/problem+json",
            example = json!(example($status, $code, $title, $detail, $hint)),
        )]
        #[expect(dead_code, reason = "stands for the response in the document; answers are made from `Problem`")]
        pub(super) struct $name(api::Problem);
    )*};
}

problems! {
    /// The request is not of the form that the route takes; `detail` names the field.
    Invalid = 400 "invalid" "Invalid request" "limit is not valid: it must be from 1 to 1000" "correct it and send again; /api/v1/openapi.json says what is taken";
    /// There is no token, or it is not valid.
    Unauthorized = 401 "token_unknown" "Authentication required" "the token is not known, has expired or was revoked" "use a valid token; `synod token list` shows those that exist";
    /// The token does not allow it, or the request was sent under a foreign name or from a foreign page.
    Forbidden = 403 "not_allowed" "Permission denied" "the token does not allow tasks:write" "use a token that does, or have one made with `synod token create`";
    /// There is no such thing.
    NotFound = 404 "task_unknown" "Not found" "there is no task task_01k00000000000000000000000, neither unfinished nor in history" "check the id or name";
    /// The request took too long to arrive.
    TooSlow = 408 "timeout" "Timeout" "the request was not done in time" "send it again";
    /// It does not fit how things stand: the lease is lost, the task has ended, a key or name is in use.
    Conflict = 409 "lease_lost" "Lease lost" "attempt 1 holds no lease on task_01k00000000000000000000000" "stop this attempt and drop its result; another attempt has the task";
    /// The body is larger than the route takes.
    TooLarge = 413 "too_large" "Body too large" "the body is larger than this route takes" "send less in one request";
    /// Something is full, or the token asks too often; `retry_after_ms` and the header `Retry-After` say when to come back.
    TooMany = 429 "full" "Full" "mailbox pool builders is full: its limit is 1000000" "wait and send again, make room, or raise the limit";
    /// Something is wrong inside; the node's log says what.
    Internal = 500 "internal" "Internal error" "the node failed to answer; its log says why" "try again; if it happens again, report it with the request id";
    /// The node stops, does not lead, or does not know whether it was done; send it again.
    Unavailable = 503 "stopping" "Node is stopping" "the node is stopping" "send it to another node, or again when the node is back";
    /// The disk has no room for new work; work in hand can still end.
    NoSpace = 507 "no_space" "Disk is full" "the disk has no room for new work" "free some space on the node; work in hand can still end";
}

fn example(status: u16, code: &str, title: &str, detail: &str, hint: &str) -> api::Problem {
    api::Problem {
        kind: format!("urn:synod:problem:{code}"),
        title: title.to_owned(),
        status,
        detail: detail.to_owned(),
        code: code.to_owned(),
        hint: hint.to_owned(),
        request_id: "req_01k00000000000000000000000".to_owned(),
        retry_after_ms: matches!(status, 429 | 503).then_some(1000),
    }
}
