//! Examples of budgets and of what was used.

use super::{AGENT, AGENT_NAME, EXPIRES, LEASED, SUBMITTED};
use crate::api::{self, Enforcement, Measure, UsageBy, WindowKind};

pub(crate) const BUDGET: &str = "search";

pub(crate) fn new_budget() -> api::NewBudget {
    let limit = |measure, most, window| api::BudgetLimit { measure, most, window, length_ms: None };
    api::NewBudget {
        name: BUDGET.to_owned(),
        scope: "workspace:search".to_owned(),
        limits: vec![
            limit(Measure::Tokens, 100_000, WindowKind::Hour),
            limit(Measure::Cost, 10_000_000, WindowKind::Day),
        ],
        enforcement: Enforcement::Hard,
        warn_percent: Some(80),
        note: None,
    }
}

pub(crate) fn budget() -> api::Budget {
    api::Budget {
        name: BUDGET.to_owned(),
        scope: "workspace:search".to_owned(),
        enforcement: Enforcement::Hard,
        warn_percent: 80,
        note: None,
        limits: vec![api::BudgetLine {
            measure: Measure::Tokens,
            window: WindowKind::Hour,
            length_ms: None,
            most: 100_000,
            settled: 61_200,
            reserved: 12_000,
            overrun: 0,
            left: 26_800,
            percent: 61,
            exhausted: false,
            turns_at: Some(EXPIRES.to_owned()),
            saturated: false,
        }],
        raise: None,
        waiting: 3,
        withholds: false,
        created_at: SUBMITTED.to_owned(),
    }
}

pub(crate) fn budget_summary() -> api::BudgetSummary {
    api::BudgetSummary {
        budgets: 4,
        warned: vec![BUDGET.to_owned()],
        exhausted: Vec::new(),
        waiting: 3,
        held_accounts: vec![api::HeldAccount {
            account: "acme".to_owned(),
            until: EXPIRES.to_owned(),
            reason: "429 Too Many Requests".to_owned(),
        }],
    }
}

pub(crate) fn estimate() -> api::Estimate {
    api::Estimate { tokens: 4000, cost_microusd: 20_000, compute_ms: 30_000 }
}

pub(crate) fn budget_settings() -> api::BudgetSettings {
    let estimate = api::Estimate { tokens: 4000, cost_microusd: 20_000, compute_ms: 30_000 };
    api::BudgetSettings { estimate, requests: 1, grace_ms: 10_000 }
}

pub(crate) fn budget_verdict() -> api::BudgetVerdict {
    let reason = "budget search has 1200 tokens of 100000 tokens left in its window (hour), and 4000 tokens are \
                  asked for; it turns at 2026-11-21 06:00:00 UTC";
    api::BudgetVerdict {
        allowed: false,
        reason: Some(reason.to_owned()),
        turns_at: Some("2026-11-21T06:00:00.000Z".to_owned()),
    }
}

pub(crate) fn budget_alert() -> api::BudgetAlert {
    api::BudgetAlert {
        at: LEASED.to_owned(),
        kind: "warned".to_owned(),
        measure: Measure::Tokens,
        window: "hour".to_owned(),
        spent: 80_410,
        most: 100_000,
    }
}

pub(crate) fn override_budget() -> api::OverrideBudget {
    api::OverrideBudget { percent: 50, for_ms: 7_200_000, reason: "the release is tonight".to_owned() }
}

pub(crate) fn reset_budget() -> api::ResetBudget {
    api::ResetBudget { reason: Some("the figures of the morning were wrong".to_owned()) }
}

fn used() -> api::Used {
    api::Used {
        key: AGENT.to_owned(),
        name: Some(AGENT_NAME.to_owned()),
        tokens_in: 51_000,
        tokens_out: 10_200,
        cost_microusd: 412_000,
        requests: 12,
        compute_ms: 84_310,
        attempts: 12,
        ..api::Used::default()
    }
}

pub(crate) fn usage_report() -> api::UsageReport {
    let total = api::Used { key: "total".to_owned(), name: None, ..used() };
    api::UsageReport { by: UsageBy::Agent, days: 7, items: vec![used()], total }
}

pub(crate) fn record_usage() -> api::RecordUsage {
    api::RecordUsage {
        agent_id: AGENT_NAME.to_owned(),
        workspace: None,
        account: None,
        model: Some("small".to_owned()),
        tokens_in: 1200,
        tokens_out: 300,
        cost_microusd: 50_000,
        requests: 1,
    }
}
