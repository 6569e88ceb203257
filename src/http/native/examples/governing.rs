//! Examples about what governs: circuit breakers and limit sets.

use super::{HEARD, POOL, SUBMITTED};
use crate::api;

pub(in crate::http::native) const BREAKER: &str = "pool/builders";

pub(in crate::http::native) fn breaker() -> api::Breaker {
    api::Breaker {
        of: BREAKER.to_owned(),
        state: "open".to_owned(),
        reason: Some("5 failures in a row, the last: no route to host".to_owned()),
        since: Some(SUBMITTED.to_owned()),
        until: Some(HEARD.to_owned()),
        failures_in_a_row: 0,
        failed: 7,
        succeeded: 412,
        last_failure: Some(api::BreakerFailure {
            at: SUBMITTED.to_owned(),
            reason: "no route to host".to_owned(),
        }),
        probing: 0,
        waiting: 12,
        settings: api::BreakerSettings {
            failures: 5,
            rate_percent: 50,
            window: 50,
            at_least: 20,
            open_for_ms: 30_000,
            open_max_ms: 600_000,
            probes: 1,
        },
    }
}

pub(in crate::http::native) fn put_breaker() -> api::PutBreaker {
    api::PutBreaker { failures: Some(5), open_for_ms: Some(30_000), ..api::PutBreaker::default() }
}

pub(in crate::http::native) fn reset_breaker() -> api::ResetBreaker {
    api::ResetBreaker { of: format!("pool/{POOL}") }
}

pub(in crate::http::native) fn trip_breaker() -> api::TripBreaker {
    let reason = Some("the registry is being moved".to_owned());
    api::TripBreaker { of: format!("pool/{POOL}"), period_ms: Some(600_000), reason }
}

pub(in crate::http::native) const LIMIT: &str = "repos";

pub(in crate::http::native) fn limit() -> api::Limit {
    api::Limit {
        name: LIMIT.to_owned(),
        key: "{workspace}/{payload:/repo}".to_owned(),
        workspace: None,
        types: vec!["review".to_owned()],
        concurrency: Some(2),
        rate: Some(api::LimitRate { count: 10, window_ms: 60_000 }),
        tokens_per_minute: Some(40_000),
        average_tokens: Some(1_800),
    }
}

pub(in crate::http::native) fn put_limit() -> api::PutLimit {
    let limit = limit();
    api::PutLimit {
        key: limit.key,
        workspace: limit.workspace,
        types: limit.types,
        concurrency: limit.concurrency,
        rate: limit.rate,
        tokens_per_minute: limit.tokens_per_minute,
    }
}

pub(in crate::http::native) fn limit_key() -> api::LimitKey {
    api::LimitKey {
        key: "acme/synod".to_owned(),
        running: 2,
        began: 7,
        tokens: 12_600,
        waiting: 31,
        opens_at: None,
    }
}
