//! Budgets: what may be spent, what was, and on which terms a task spends it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Tokens read and written by models.
    Tokens,
    /// Money, in millionths of a US dollar.
    Cost,
    /// Time of work, in milliseconds; measured and never reported.
    Compute,
    /// Requests to a model or a provider.
    Requests,
}

/// In which time a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// From minute to minute.
    Minute,
    /// From hour to hour.
    Hour,
    /// From midnight to midnight, UTC.
    Day,
    /// From Monday to Monday, UTC.
    Week,
    /// From the first of a month to the next, UTC.
    Month,
    /// The time just past, `length_ms` of it.
    Rolling,
    /// From the first use for `length_ms`; the next use after it opens another.
    Opened,
    /// All time.
    Whole,
}

/// What happens at a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Nothing is given out that would pass it.
    #[default]
    Hard,
    /// It is told, and nothing else.
    Soft,
}

/// What becomes of a task that a budget has too little left for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverBudget {
    /// It waits until something comes free.
    #[default]
    Wait,
    /// It fails.
    Fail,
}

/// So much of something in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetLimit {
    /// What is counted.
    pub measure: Measure,
    /// How much of it at most: tokens, millionths of a dollar, milliseconds or requests.
    #[schema(example = 100_000)]
    pub most: u64,
    /// In which time.
    pub window: WindowKind,
    /// How long a rolling or opened window is, from one minute to 366 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_ms: Option<u64>,
}

/// A budget to make, or to change: the same name again changes it, and limits that stay go on with what was spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBudget {
    /// Its name.
    #[schema(example = "search")]
    pub name: String,
    /// Whose spending it counts: `global`, `workspace:NAME`, `pool:NAME`, `agent:ID`, `run:ID`, `fleet:NAME` or
    /// `account:NAME`.
    #[schema(example = "workspace:search")]
    pub scope: String,
    /// From one to eight limits, each of another measure or window.
    pub limits: Vec<BudgetLimit>,
    /// What happens at them; `hard` if left out.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// At which part of a limit it is warned, in percent; 80 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub warn_percent: Option<u8>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How one limit of a budget stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetLine {
    /// What is counted.
    pub measure: Measure,
    /// In which time.
    pub window: WindowKind,
    /// How long a rolling or opened window is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_ms: Option<u64>,
    /// How much at most, with a raise.
    pub most: u64,
    /// What was used by leave.
    pub settled: u64,
    /// What running attempts hold.
    pub reserved: u64,
    /// What was used beyond a reservation after the limit had been reached.
    pub overrun: u64,
    /// What is left.
    pub left: u64,
    /// How much of the limit is settled or overrun, in percent.
    pub percent: u64,
    /// Whether it is used up.
    pub exhausted: bool,
    /// When something of it comes free by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns_at: Option<String>,
    /// Whether a sum passed 64 bits and is not exact any more.
    pub saturated: bool,
}

/// A raise of all limits for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetRaise {
    /// By how much, in percent of each limit.
    pub percent: u32,
    /// Until when.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// A budget and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// Whose spending it counts.
    pub scope: String,
    /// What happens at its limits.
    pub enforcement: Enforcement,
    /// At which part of a limit it is warned, in percent.
    pub warn_percent: u8,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its limits.
    pub limits: Vec<BudgetLine>,
    /// A raise in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raise: Option<BudgetRaise>,
    /// How many tasks wait for it.
    pub waiting: u64,
    /// Whether its agents are given nothing until something comes free.
    pub withholds: bool,
    /// When it was first put.
    pub created_at: String,
}

/// All budgets at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetSummary {
    /// How many budgets there are.
    pub budgets: u64,
    /// Those that have a limit at its warning level, and none that is used up.
    pub warned: Vec<String>,
    /// Those that have a limit that is used up.
    pub exhausted: Vec<String>,
    /// How many tasks wait for budgets.
    pub waiting: u64,
    /// The accounts of providers that are left alone.
    pub held_accounts: Vec<HeldAccount>,
}

/// An account of a provider that wants to be left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldAccount {
    /// Which.
    pub account: String,
    /// Until when.
    pub until: String,
    /// Why, as its agent said.
    pub reason: String,
}

/// What is asked whether a budget covers it; also what a task is expected to use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Estimate {
    /// Tokens, read and written.
    pub tokens: u64,
    /// Cost in millionths of a US dollar.
    pub cost_microusd: u64,
    /// Time of work in milliseconds.
    pub compute_ms: u64,
}

/// What holds for all budgets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSettings {
    /// What a task is expected to use that gives no estimate and whose type was never reported of.
    pub estimate: Estimate,
    /// How many requests that is.
    pub requests: u64,
    /// How long an attempt that passed a hard limit may still say that it is done, before it is stopped.
    pub grace_ms: u64,
}

/// Whether a budget covers something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetVerdict {
    /// Whether it would be given out now.
    pub allowed: bool,
    /// What is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When something comes free by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns_at: Option<String>,
}

/// One thing that was told of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetAlert {
    /// When.
    pub at: String,
    /// `warned`, `exhausted` or `reopened`.
    pub kind: String,
    /// Of which limit: what it counts.
    pub measure: Measure,
    /// In which time.
    #[schema(example = "rolling 5h")]
    pub window: String,
    /// What was spent then.
    pub spent: u64,
    /// The limit then, with a raise.
    pub most: u64,
}

/// Raises all limits of a budget for a while; 0 percent ends a raise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideBudget {
    /// By how much, in percent of each limit; at most 900.
    #[schema(maximum = 900)]
    pub percent: u32,
    /// For how long.
    pub for_ms: u64,
    /// Why, for whoever looks later.
    pub reason: String,
}

/// Forgets what was spent in the windows that are open; what running attempts hold stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResetBudget {
    /// Why, for whoever looks later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// By what usage is summed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// By agent.
    #[default]
    Agent,
    /// By model.
    Model,
    /// By workspace.
    Workspace,
    /// By day, UTC.
    Day,
}

/// Which usage is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// By what it is summed; `agent` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub by: Option<UsageBy>,
    /// How many days back, today among them; 7 if left out, at most 35.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 35)]
    pub days: Option<u32>,
    /// Of this workspace only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// What was used by one agent, with one model, in one workspace or on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Used {
    /// Which agent (by id), model, workspace or day; empty where none was named.
    pub key: String,
    /// What people call it, where that is another word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tokens read by models.
    pub tokens_in: u64,
    /// Tokens written by models.
    pub tokens_out: u64,
    /// Tokens taken for used because nothing was said.
    pub tokens_assumed: u64,
    /// Millionths of a US dollar, as reported.
    pub cost_microusd: u64,
    /// Millionths of a US dollar taken for used because nothing was said.
    pub cost_assumed_microusd: u64,
    /// Requests.
    pub requests: u64,
    /// Milliseconds of work.
    pub compute_ms: u64,
    /// Attempts that ended.
    pub attempts: u64,
    /// How many of them said nothing.
    pub silent: u64,
}

/// What was used, summed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageReport {
    /// By what it is summed.
    pub by: UsageBy,
    /// How many days back.
    pub days: u32,
    /// The sums, in order of key.
    pub items: Vec<Used>,
    /// All of them together.
    pub total: Used,
}

/// What an agent used outside of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordUsage {
    /// Who, by id or name.
    pub agent_id: String,
    /// Whose work it was; `default` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// With which account of a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// With which model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens read by models.
    #[serde(default)]
    pub tokens_in: u64,
    /// Tokens written by models.
    #[serde(default)]
    pub tokens_out: u64,
    /// Cost in millionths of a US dollar.
    #[serde(default)]
    pub cost_microusd: u64,
    /// Requests to a model or a provider.
    #[serde(default)]
    pub requests: u64,
}
