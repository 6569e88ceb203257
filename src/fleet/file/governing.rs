//! What governs the work of a fleet file, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use synod_domain::name::Name;

use super::Period;

/// What may be done, what may not, and what people have to agree to first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a policy")]
#[schemars(rename = "Policy")]
pub(in super::super) struct PolicyShape {
    /// What it is for.
    pub(in super::super) description: Option<String>,
    /// The greatest is asked first. Default 0.
    #[serde(default)]
    pub(in super::super) priority: i32,
    /// What becomes of a denial. Default `hard`.
    #[serde(default)]
    pub(in super::super) enforcement: PolicyEnforcement,
    /// The entries of this file that it is about. Default: all of them.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub(in super::super) tasks: Option<Vec<Name>>,
    /// Which agents may be given the work, by name or id.
    #[serde(default)]
    pub(in super::super) agents: PolicyAgents,
    /// The first that matches decides.
    #[serde(default)]
    pub(in super::super) rules: Vec<RuleShape>,
}

/// What becomes of a denial.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum PolicyEnforcement {
    /// What it denies is not done.
    #[default]
    Hard,
    /// Its denials can be overridden.
    Soft,
    /// What it denies is done all the same, and noted.
    Warn,
}

/// Which agents may be given the work, by name or id.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`allowed` and `blocked`")]
#[schemars(rename = "PolicyAgents")]
pub(in super::super) struct PolicyAgents {
    /// None but these. Default: everybody.
    #[serde(default)]
    pub(in super::super) allowed: Vec<String>,
    /// None of these.
    #[serde(default)]
    pub(in super::super) blocked: Vec<String>,
}

/// A rule of a policy.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a rule")]
#[schemars(rename = "Rule")]
pub(in super::super) struct RuleShape {
    /// A pattern over actions, such as `tool.file.*` or `task.submit`.
    pub(in super::super) action: String,
    /// What comes of it.
    pub(in super::super) effect: EffectWord,
    /// What attributes must be, by name: a value, a text with `*` or `?`, a list, `{above: 10}`, `{not: ...}`.
    #[serde(default)]
    pub(in super::super) conditions: BTreeMap<String, Value>,
    /// A CEL expression that must be true.
    pub(in super::super) when: Option<String>,
    /// Why, for whoever is refused or asked to agree.
    pub(in super::super) reason: Option<String>,
    /// Who may agree, by the names or ids of their tokens. Default: everybody who may approve.
    #[serde(default)]
    pub(in super::super) approvers: Vec<String>,
    /// Roles whose holders may agree.
    #[serde(default)]
    pub(in super::super) approver_roles: Vec<String>,
    /// How many have to agree. Default 1.
    #[schemars(range(min = 1))]
    pub(in super::super) quorum: Option<u32>,
    /// How long they are waited for. Default `5m`.
    pub(in super::super) timeout: Option<Period>,
}

/// What comes of a rule.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Effect")]
pub(in super::super) enum EffectWord {
    /// It may be done.
    Allow,
    /// It may not be done.
    Deny,
    /// People have to agree to it first.
    RequireApproval,
}

/// What may be spent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a budget")]
#[schemars(rename = "Budget")]
pub(in super::super) struct BudgetShape {
    /// Whose spending it counts: `fleet` (every run of this file), `run` (each run for itself, from the beginning),
    /// `pool:NAME` of this file, `workspace:NAME`, `agent:ID`, `account:NAME` or `global`. Default `fleet`.
    pub(in super::super) scope: Option<String>,
    /// From one to eight limits, each of another measure or window.
    #[schemars(length(min = 1, max = 8))]
    pub(in super::super) limits: Vec<BudgetLimitShape>,
    /// What happens at them. Default `hard`.
    #[serde(default)]
    pub(in super::super) enforcement: BudgetEnforcement,
    /// At which part of a limit it is warned, in percent. Default 80.
    #[schemars(range(min = 1, max = 100))]
    pub(in super::super) warn_percent: Option<u8>,
    /// What it is for.
    pub(in super::super) note: Option<String>,
}

/// What happens at a limit of a budget.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum BudgetEnforcement {
    /// Nothing is given out that would pass it.
    #[default]
    Hard,
    /// It is told, and nothing else.
    Soft,
}

/// So much of one thing in a window.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a measure and a window: {tokens: 40000, per: hour}")]
#[schemars(rename = "BudgetLimit")]
pub(in super::super) struct BudgetLimitShape {
    /// Tokens read and written.
    pub(in super::super) tokens: Option<u64>,
    /// US dollars.
    #[schemars(range(min = 0))]
    pub(in super::super) cost_usd: Option<f64>,
    /// Time of work.
    pub(in super::super) compute: Option<Period>,
    /// Requests to a model or a provider.
    pub(in super::super) requests: Option<u64>,
    /// In which time.
    pub(in super::super) per: WindowShape,
}

/// In which time a limit counts.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Window")]
pub(in super::super) enum WindowShape {
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
    /// All time.
    Whole,
    /// The time just past, so much of it.
    Rolling(Period),
    /// From the first use for so long.
    Opened(Period),
}

/// What is limited for each key of the tasks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a limit set")]
#[schemars(rename = "LimitSet")]
pub(in super::super) struct LimitShape {
    /// What makes a key of a task: `workspace`, `type`, `pool`, `label:NAME`, `payload:/PATH`, or a text with several
    /// of these in braces.
    pub(in super::super) key: String,
    /// The entries of this file that it is about. Default: all of them.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub(in super::super) tasks: Option<Vec<Name>>,
    /// How many tasks of a key may run at once.
    #[schemars(range(min = 1))]
    pub(in super::super) concurrency: Option<u32>,
    /// How many tasks of a key may begin in which time.
    pub(in super::super) rate: Option<RateShape>,
    /// How many tokens the tasks of a key may use in a minute.
    #[schemars(range(min = 1))]
    pub(in super::super) tokens_per_minute: Option<u64>,
}

/// How many may begin in which time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`count` and `within`")]
#[schemars(rename = "Rate")]
pub(in super::super) struct RateShape {
    /// How many.
    #[schemars(range(min = 1))]
    pub(in super::super) count: u64,
    /// In any stretch of time of this length.
    pub(in super::super) within: Period,
}

/// Something of which there is so much.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a resource")]
#[schemars(rename = "Resource")]
pub(in super::super) struct ResourceShape {
    /// How much of it there is.
    pub(in super::super) capacity: u64,
    /// What it is, for people.
    #[serde(default)]
    pub(in super::super) about: String,
}

/// What one attempt is expected to use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`tokens`, `cost_usd` and `compute`")]
#[schemars(rename = "Estimate")]
pub(in super::super) struct EstimateShape {
    /// Tokens read and written. Default 0.
    #[serde(default)]
    pub(in super::super) tokens: u64,
    /// US dollars. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub(in super::super) cost_usd: f64,
    /// Time of work. Default none.
    pub(in super::super) compute: Option<Period>,
}

/// What becomes of a task that a budget has too little left for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OverBudget")]
pub(in super::super) enum OverBudgetWord {
    /// It waits until something comes free.
    Wait,
    /// It fails.
    Fail,
}
