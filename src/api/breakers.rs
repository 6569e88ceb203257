//! Circuit breakers: when they open, how they stand, and what they hold back.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A circuit breaker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Breaker {
    /// What it is about: `pool/NAME` or `type/NAME`.
    #[schema(example = "pool/builders")]
    pub of: String,
    /// `closed`, `open` or `half_open`.
    pub state: String,
    /// Why it is not closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it is not closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Until when it is open; until it is reset without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How many attempts have failed in a row.
    pub failures_in_a_row: u32,
    /// How many attempts failed since it was made.
    pub failed: u64,
    /// How many attempts succeeded since it was made.
    pub succeeded: u64,
    /// The last attempt that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<BreakerFailure>,
    /// How many probes are on their way.
    pub probing: u64,
    /// How many tasks it holds back: those of a type that are parked, or all that wait for a pool.
    pub waiting: u64,
    /// When it opens and closes.
    pub settings: BreakerSettings,
}

/// An attempt that failed, as a breaker remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BreakerFailure {
    /// When.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// When a breaker opens and closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BreakerSettings {
    /// It opens at this many failures in a row; 0 for never.
    pub failures: u32,
    /// It opens when this share of the last attempts has failed, in percent; 0 for never.
    pub rate_percent: u32,
    /// At how many attempts it looks back for that.
    pub window: u32,
    /// How many attempts must have ended before their rate counts.
    pub at_least: u32,
    /// How long it stays open the first time; twice as long each time that a probe fails.
    pub open_for_ms: u64,
    /// How long it stays open at most.
    pub open_max_ms: u64,
    /// How many attempts it lets through when half-open; all of them must succeed.
    pub probes: u32,
}

/// What a breaker shall be; what is left out gets its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PutBreaker {
    /// It opens at this many failures in a row; 0 for never. 5 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    pub failures: Option<u32>,
    /// It opens when this share of the last attempts has failed, in percent; 0 for never. 50 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100)]
    pub rate_percent: Option<u32>,
    /// At how many attempts it looks back for that. 50 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 128)]
    pub window: Option<u32>,
    /// How many attempts must have ended before their rate counts. 20 by default, or the window if that is shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 128)]
    pub at_least: Option<u32>,
    /// How long it stays open the first time. Half a minute by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub open_for_ms: Option<u64>,
    /// How long it stays open at most. Ten minutes by default, or as long as the first time if that is longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub open_max_ms: Option<u64>,
    /// How many attempts it lets through when half-open. 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 64)]
    pub probes: Option<u32>,
}

/// Which breaker is closed by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetBreaker {
    /// What it is about: `pool/NAME` or `type/NAME`.
    #[schema(example = "pool/builders")]
    pub of: String,
}

/// Which breaker is opened by hand, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TripBreaker {
    /// What it is about: `pool/NAME` or `type/NAME`.
    #[schema(example = "pool/builders")]
    pub of: String,
    /// For how long; until it is reset without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_ms: Option<u64>,
    /// Why, for whoever asks why nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
