//! An entry of the work, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use synod_domain::capability::Capability;
use synod_domain::name::Name;
use synod_domain::task::Lane;

use super::{EstimateShape, ForEach, HookShape, OverBudgetWord, Period};

/// One entry of the work: a task, or with `for_each` as many tasks as there are items.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a task")]
#[schemars(rename = "Task")]
pub(in super::super) struct TaskShape {
    /// What the entry is called; `after` and the results use it.
    #[schemars(with = "String")]
    pub(in super::super) name: Name,
    /// The pool whose agents do it. Either this or `capabilities`.
    #[schemars(with = "Option<String>")]
    pub(in super::super) pool: Option<Name>,
    /// What an agent must be able to do to get it, each `name` or `name@version`. Either this or `pool`.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub(in super::super) capabilities: Option<Vec<Capability>>,
    /// How urgent it is. Default `normal`.
    pub(in super::super) priority: Option<Priority>,
    /// When it must have ended, counted from its submit, all attempts together. Default: never.
    pub(in super::super) deadline: Option<Period>,
    /// How often failed work is tried again, and when.
    pub(in super::super) retry: Option<Retry>,
    /// How long one attempt may take. Default: the pool's `timeout`.
    pub(in super::super) timeout: Option<Period>,
    /// How long it may wait for an agent. Default: for ever.
    pub(in super::super) waiting_timeout: Option<Period>,
    /// How long an attempt may be silent on file descriptor 3. Default: the pool's `heartbeat`.
    pub(in super::super) heartbeat: Option<Period>,
    /// What the agent is given; templates are allowed in its texts. Default: a map with `item` for an entry
    /// with `for_each`, an empty map otherwise. With `after` it must be a map, and must not hold `after`.
    pub(in super::super) payload: Option<Value>,
    /// Labels to filter by; templates are allowed in the values.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(in super::super) labels: BTreeMap<Name, String>,
    /// Makes one task for each item.
    pub(in super::super) for_each: Option<ForEach>,
    /// What one attempt is expected to use; reserved in the budgets before it is given out. Default: what tasks of
    /// this entry used so far.
    pub(in super::super) estimate: Option<EstimateShape>,
    /// The account of a provider that it is charged to.
    #[schemars(with = "Option<String>")]
    pub(in super::super) account: Option<Name>,
    /// The model that it uses, for reports.
    #[schemars(with = "Option<String>")]
    pub(in super::super) model: Option<Name>,
    /// What becomes of it when a budget has too little left. Default `wait`.
    pub(in super::super) over_budget: Option<OverBudgetWord>,
    /// How much of each resource it needs while an agent has it.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, u64>")]
    pub(in super::super) resources: BTreeMap<Name, u64>,
    /// How long it may wait for its resources. Default: for ever.
    pub(in super::super) resources_within: Option<Period>,
    /// Keeps its work on a branch of a git repository, pinned to an agent of its pool until it is done.
    pub(in super::super) hook: Option<HookShape>,
    /// Entries that must have completed first; their results are in the payload under `after`.
    #[serde(default)]
    pub(in super::super) after: Vec<String>,
}

/// How urgent a task is.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Priority {
    /// Before everything else.
    Critical,
    /// Another word for `critical`.
    Urgent,
    /// Before ordinary work.
    High,
    /// Ordinary work.
    Normal,
    /// When nothing else waits.
    Low,
}

impl From<Priority> for Lane {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Critical | Priority::Urgent => Self::Critical,
            Priority::High => Self::High,
            Priority::Normal => Self::Normal,
            Priority::Low => Self::Low,
        }
    }
}

/// How often failed work is tried again, and when: `initial × factor^(failures − 1)`, at most `max`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a retry policy")]
pub(in super::super) struct Retry {
    /// Attempts in all, the first included; 1 means no retry. Default 3.
    #[schemars(range(min = 1, max = 1000))]
    pub(in super::super) max_attempts: Option<u32>,
    /// The wait after the first failure; up to half of each wait is drawn by lot. Default `1s`.
    pub(in super::super) initial: Option<Period>,
    /// What the wait is multiplied by after each further failure, 1 to 100. Default 2.
    #[schemars(range(min = 1, max = 100))]
    pub(in super::super) factor: Option<f64>,
    /// The longest wait. Default `60s`.
    pub(in super::super) max: Option<Period>,
}
