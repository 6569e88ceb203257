//! Limit sets and their keys.

use synod_domain::limit_set::{KeyUse, LimitSet};

use super::task::millis;
use super::time;
use crate::api;

/// Shows a limit set.
pub(crate) fn limit(set: &LimitSet) -> api::Limit {
    let spec = &set.spec;
    api::Limit {
        name: spec.name.to_string(),
        key: spec.key.to_string(),
        workspace: spec.workspace.as_ref().map(ToString::to_string),
        types: spec.kinds.iter().map(ToString::to_string).collect(),
        concurrency: spec.concurrency,
        rate: spec.rate.map(|rate| api::LimitRate { count: rate.count, window_ms: millis(rate.window) }),
        tokens_per_minute: spec.tokens_per_minute,
        average_tokens: (set.average > 0).then_some(set.average),
    }
}

/// Shows what a key uses.
pub(crate) fn limit_key(used: &KeyUse) -> api::LimitKey {
    api::LimitKey {
        key: used.key.to_string(),
        running: used.running,
        began: used.began,
        tokens: used.tokens,
        waiting: used.waiting as u64,
        opens_at: used.opens_at.map(time),
    }
}
