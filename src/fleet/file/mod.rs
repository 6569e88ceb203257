//! The fleet file as it is written, one type for each kind of map in it.
//!
//! These types say the shape: names of fields, their types, their defaults. The JSON Schema is made from
//! them, so their doc comments are read by the people who write fleet files. What needs more than the
//! shape, such as whether a pool exists, is in the checks.

mod for_each;
mod governing;
mod hook;
mod input;
mod pool;
mod simulation;
mod task;
mod telling;
mod tending;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use synod_domain::name::Name;

pub(super) use crate::period::Period;
pub(super) use for_each::ForEach;
pub(super) use governing::{
    BudgetEnforcement, BudgetLimitShape, BudgetShape, EffectWord, EstimateShape, LimitShape, OverBudgetWord,
    PolicyEnforcement, PolicyShape, ResourceShape, RuleShape, WindowShape,
};
pub(super) use hook::HookShape;
pub(super) use input::Input;
pub(super) use pool::{PoolShape, Restart, RuntimeKind, Spread};
pub(super) use simulation::{BehaviourShape, DurationShape, SimulationShape, SpreadForm};
pub(super) use task::{Retry, TaskShape};
pub(super) use telling::{BreakerShape, WebhookShape};
pub(super) use tending::{AssignmentShape, AutoscaleShape, RestartAfterShape, RolloutShape};

/// A fleet file: agents and the work for them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a fleet file")]
#[schemars(title = "synod fleet file", rename = "FleetFile")]
pub(super) struct FleetShape {
    /// What the fleet is called: letters, digits and `. _ - / : @ +`, at most 128.
    #[schemars(with = "String")]
    pub(super) name: Name,
    /// Values that may be set for one run with `--input NAME=VALUE`, used as `{{inputs.NAME}}`.
    #[serde(default)]
    pub(super) inputs: BTreeMap<String, Input>,
    /// Pools of agents, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, PoolShape>")]
    pub(super) pools: BTreeMap<Name, PoolShape>,
    /// What may be done with the work of this file, what may not, and what people have to agree to first, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, PolicyShape>")]
    pub(super) policies: BTreeMap<Name, PolicyShape>,
    /// What may be spent, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, BudgetShape>")]
    pub(super) budgets: BTreeMap<Name, BudgetShape>,
    /// What is limited for each key of the tasks, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, LimitShape>")]
    pub(super) limits: BTreeMap<Name, LimitShape>,
    /// Of what there is so much, by name; it is there for the work of other files too.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ResourceShape>")]
    pub(super) resources: BTreeMap<Name, ResourceShape>,
    /// When pools and entries of this file are left alone for a while: by `pool/NAME`, or by `type/NAME` for all tasks of
    /// an entry's name.
    #[serde(default)]
    pub(super) breakers: BTreeMap<String, BreakerShape>,
    /// Who is told of what happens, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, WebhookShape>")]
    pub(super) webhooks: BTreeMap<Name, WebhookShape>,
    /// The work. Entries begin in this order unless `after` says otherwise.
    #[schemars(length(min = 1))]
    pub(super) tasks: Vec<TaskShape>,
    /// What `synod simulate` assumes of the agents; `synod run` takes no notice of it.
    #[serde(default)]
    pub(super) simulation: Option<SimulationShape>,
}
