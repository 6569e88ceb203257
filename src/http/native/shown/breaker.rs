//! Circuit breakers.

use synod_domain::breaker::{Breaker, BreakerSpec, Circuit, Guarded};
use synod_domain::parking::ParkedOn;
use synod_domain::state::State;
use synod_domain::task::MailboxId;

use super::task::millis;
use super::time;
use crate::api;

/// Shows a breaker, with what it holds back.
pub(crate) fn breaker(state: &State, breaker: &Breaker) -> api::Breaker {
    let (mut in_a_row, mut standing, mut probing) = (0, None, 0);
    match &breaker.circuit {
        Circuit::Closed { in_a_row: failures, .. } => in_a_row = *failures,
        Circuit::Open { since, cause, .. } => standing = Some((*since, cause)),
        Circuit::HalfOpen { since, cause, probes, .. } => {
            standing = Some((*since, cause));
            probing = probes.len() as u64;
        }
    }
    let of = &breaker.spec.of;
    let waiting = match of {
        Guarded::Pool(pool) if standing.is_some() => {
            state.mailbox(&MailboxId::Pool(pool.clone())).map_or(0, |mailbox| mailbox.depth())
        }
        Guarded::Pool(_) => 0,
        Guarded::Kind(_) => state.parked_on(&ParkedOn::Breaker(of.clone())),
    };
    api::Breaker {
        of: of.path(),
        state: breaker.circuit.word().to_owned(),
        reason: standing.map(|(_, cause)| cause.to_string()),
        since: standing.map(|(since, _)| time(since)),
        until: breaker.circuit.due().map(time),
        failures_in_a_row: in_a_row,
        failed: breaker.failed,
        succeeded: breaker.succeeded,
        last_failure: breaker
            .last_failure
            .as_ref()
            .map(|(at, reason)| api::BreakerFailure { at: time(*at), reason: reason.to_string() }),
        probing,
        waiting: waiting as u64,
        settings: settings(&breaker.spec),
    }
}

fn settings(spec: &BreakerSpec) -> api::BreakerSettings {
    api::BreakerSettings {
        failures: spec.failures,
        rate_percent: spec.rate_percent,
        window: spec.window,
        at_least: spec.at_least,
        open_for_ms: millis(spec.open_for),
        open_max_ms: millis(spec.open_max),
        probes: spec.probes,
    }
}
