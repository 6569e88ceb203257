//! Budgets and what was used.

use synod_domain::budget::book::Used;
use synod_domain::budget::line::Line;
use synod_domain::budget::window::Window;
use synod_domain::budget::{Alert, AlertKind, Budget, amount, spec};
use synod_domain::parking::ParkedOn;
use synod_domain::state::State;
use synod_domain::time::Timestamp;

use super::time;
use crate::api;

/// Shows a budget and how it stands.
pub(crate) fn budget(state: &State, budget: &Budget) -> api::Budget {
    let spec = &budget.spec;
    api::Budget {
        name: spec.name.to_string(),
        scope: spec.scope.to_string(),
        enforcement: match spec.enforcement {
            spec::Enforcement::Hard => api::Enforcement::Hard,
            spec::Enforcement::Soft => api::Enforcement::Soft,
        },
        warn_percent: spec.warn_percent,
        note: spec.note.as_deref().map(str::to_owned),
        limits: budget.lines.iter().map(|one| line(budget, one, state.now())).collect(),
        raise: budget.raise.as_ref().map(|raise| api::BudgetRaise {
            percent: raise.percent,
            until: time(raise.until),
            reason: raise.reason.to_string(),
        }),
        waiting: waiting(state, budget),
        withholds: budget.withholds,
        created_at: time(budget.created_at),
    }
}

/// Shows all budgets at a glance.
pub(crate) fn budget_summary(state: &State) -> api::BudgetSummary {
    let named = |wanted: fn(&Budget) -> bool| {
        state.budgets().filter(|one| wanted(one)).map(|one| one.spec.name.to_string()).collect()
    };
    api::BudgetSummary {
        budgets: state.budgets().count() as u64,
        warned: named(|one| !one.is_exhausted() && one.lines.iter().any(|line| line.warned)),
        exhausted: named(Budget::is_exhausted),
        waiting: state.budgets().map(|one| waiting(state, one)).sum(),
        held_accounts: state
            .held_accounts()
            .map(|(account, held)| api::HeldAccount {
                account: account.to_string(),
                until: time(held.until),
                reason: held.reason.to_string(),
            })
            .collect(),
    }
}

/// Shows one thing that was told of a limit.
pub(crate) fn budget_alert(alert: &Alert) -> api::BudgetAlert {
    let kind = match alert.kind {
        AlertKind::Warned => "warned",
        AlertKind::Exhausted => "exhausted",
        AlertKind::Reopened => "reopened",
    };
    api::BudgetAlert {
        at: time(alert.at),
        kind: kind.to_owned(),
        measure: measure(alert.measure),
        window: alert.window.to_string(),
        spent: alert.spent,
        most: alert.most,
    }
}

/// Shows what was used.
pub(crate) fn used(key: String, name: Option<String>, used: &Used) -> api::Used {
    api::Used {
        key,
        name,
        tokens_in: used.tokens_in,
        tokens_out: used.tokens_out,
        tokens_assumed: used.tokens_assumed,
        cost_microusd: used.cost_microusd,
        cost_assumed_microusd: used.cost_assumed_microusd,
        requests: used.requests,
        compute_ms: used.compute_ms,
        attempts: used.attempts,
        silent: used.silent,
    }
}

/// Shows a day that is counted from 1970-01-01 UTC.
pub(crate) fn day(day: u32) -> String {
    let midnight = time(Timestamp::from_millis(u64::from(day) * 24 * 60 * 60 * 1000));
    midnight.chars().take("2026-11-21".len()).collect()
}

fn line(budget: &Budget, line: &Line, now: Timestamp) -> api::BudgetLine {
    let (sums, most) = (line.sums(now), budget.most(line, now));
    let (window, length_ms) = window(line.limit.window);
    let percent = u128::from(sums.spent()) * 100 / u128::from(most.max(1));
    api::BudgetLine {
        measure: measure(line.limit.measure),
        window,
        length_ms,
        most,
        settled: sums.settled,
        reserved: sums.reserved,
        overrun: sums.overrun,
        left: most.saturating_sub(sums.used()),
        percent: u64::try_from(percent).unwrap_or(u64::MAX),
        exhausted: line.exhausted,
        turns_at: line.turns_at(now).map(time),
        saturated: line.tally.is_saturated(),
    }
}

fn waiting(state: &State, budget: &Budget) -> u64 {
    let name = &budget.spec.name;
    (state.parked_on(&ParkedOn::Budget(name.clone())) + state.parked_on(&ParkedOn::Beyond(name.clone())))
        as u64
}

const fn measure(measure: amount::Measure) -> api::Measure {
    match measure {
        amount::Measure::Tokens => api::Measure::Tokens,
        amount::Measure::Cost => api::Measure::Cost,
        amount::Measure::Compute => api::Measure::Compute,
        amount::Measure::Requests => api::Measure::Requests,
    }
}

const fn window(window: Window) -> (api::WindowKind, Option<u64>) {
    match window {
        Window::Minute => (api::WindowKind::Minute, None),
        Window::Hour => (api::WindowKind::Hour, None),
        Window::Day => (api::WindowKind::Day, None),
        Window::Week => (api::WindowKind::Week, None),
        Window::Month => (api::WindowKind::Month, None),
        Window::Rolling { length_ms } => (api::WindowKind::Rolling, Some(length_ms)),
        Window::Opened { length_ms } => (api::WindowKind::Opened, Some(length_ms)),
        Window::Whole => (api::WindowKind::Whole, None),
    }
}
