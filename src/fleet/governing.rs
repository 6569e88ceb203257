//! What governs the work of a plan, and the terms of its tasks. Breakers and webhooks are in [`super::telling`].
//!
//! Policies, budgets and limit sets of a file govern the work of that file: they carry its name before their own, and
//! are about its entries unless they name some. Resources are there for everybody and keep their names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use synod_domain::budget::spec::MOST_MAX;
use synod_domain::id::RunId;
use synod_domain::name::Name;
use synod_domain::resource::RESOURCES_OF_TASK_MAX;
use synod_domain::terms::{Estimate, OverBudget, Terms};

use super::check::Check;
use super::file::{
    BudgetEnforcement, BudgetLimitShape, BudgetShape, EffectWord, EstimateShape, FleetShape, LimitShape,
    OverBudgetWord, Period, PolicyEnforcement, PolicyShape, RuleShape, TaskShape, WindowShape,
};
use super::source::Fault;
use super::suggest;
use super::telling::{self, WebhookPlan};
use super::tree::Place;
use crate::api;

/// What is put in force before the work of a plan begins, as it is sent to a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Governing {
    /// What may be done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<api::NewPolicy>,
    /// What may be spent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<api::NewBudget>,
    /// What is limited for each key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<Name, api::PutLimit>,
    /// Of what there is so much.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<Name, api::PutResource>,
    /// What is left alone for a while when it fails, by `pool/NAME` or `type/NAME`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub breakers: BTreeMap<String, api::PutBreaker>,
    /// Who is told of what happens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookPlan>,
}

/// The scope of a budget that counts the work of one run of a file.
const OF_RUN: &str = "run";

impl Governing {
    /// Tells whether nothing is put in force.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the budgets as they are put for a run. One of the run alone keeps its name from run to run, and counts
    /// from the beginning with each: a fleet has one open run at most.
    pub fn budgets_of(&self, run: RunId) -> impl Iterator<Item = api::NewBudget> {
        self.budgets.iter().map(move |budget| of_run(budget, run))
    }
}

fn of_run(budget: &api::NewBudget, run: RunId) -> api::NewBudget {
    let scope = if budget.scope == OF_RUN { format!("{OF_RUN}:{run}") } else { budget.scope.clone() };
    api::NewBudget { scope, ..budget.clone() }
}

/// Returns what governs the work of a file that lies in the folder `dir`.
pub(super) fn governing(shape: &FleetShape, dir: &str) -> Governing {
    let resources = shape.resources.iter().map(|(name, resource)| {
        let put = api::PutResource { capacity: resource.capacity, about: resource.about.clone() };
        (name.clone(), put)
    });
    Governing {
        policies: shape.policies.iter().map(|(name, one)| policy(shape, name, one)).collect(),
        budgets: shape.budgets.iter().filter_map(|(name, one)| budget(shape, name, one).ok()).collect(),
        limits: shape.limits.iter().map(|(name, one)| (of_fleet(shape, name), limit(shape, one))).collect(),
        resources: resources.collect(),
        breakers: telling::breakers(shape),
        webhooks: telling::webhooks(shape, dir),
    }
}

/// Returns the name that something of a fleet has on a node. One that is too long stays short and is refused.
pub(super) fn of_fleet(shape: &FleetShape, name: &Name) -> Name {
    Name::new(&format!("{}/{name}", shape.name)).unwrap_or_else(|_| name.clone())
}

/// The entries that something is about, as types of tasks: all of the file unless it names some.
fn kinds(shape: &FleetShape, named: Option<&Vec<Name>>) -> Vec<String> {
    match named {
        Some(names) => names.iter().map(ToString::to_string).collect(),
        None => shape.tasks.iter().map(|task| task.name.to_string()).collect(),
    }
}

fn policy(shape: &FleetShape, name: &Name, policy: &PolicyShape) -> api::NewPolicy {
    let enforcement = match policy.enforcement {
        PolicyEnforcement::Hard => "hard",
        PolicyEnforcement::Soft => "soft",
        PolicyEnforcement::Warn => "warn",
    };
    api::NewPolicy {
        name: of_fleet(shape, name).to_string(),
        description: policy.description.clone(),
        priority: policy.priority,
        enabled: None,
        enforcement: Some(enforcement.to_owned()),
        scope: api::PolicyScope {
            task_types: kinds(shape, policy.tasks.as_ref()),
            ..api::PolicyScope::default()
        },
        agents: api::PolicyAgents {
            allowed: policy.agents.allowed.clone(),
            blocked: policy.agents.blocked.clone(),
        },
        rules: policy.rules.iter().map(rule).collect(),
    }
}

fn rule(rule: &RuleShape) -> api::PolicyRule {
    let effect = match rule.effect {
        EffectWord::Allow => "allow",
        EffectWord::Deny => "deny",
        EffectWord::RequireApproval => "require_approval",
    };
    api::PolicyRule {
        action: rule.action.clone(),
        effect: effect.to_owned(),
        conditions: rule.conditions.clone(),
        when: rule.when.clone(),
        reason: rule.reason.clone(),
        approvers: rule.approvers.clone(),
        approver_roles: rule.approver_roles.clone(),
        quorum: rule.quorum,
        timeout_ms: rule.timeout.map(millis),
    }
}

/// Makes a budget. The error is the field that cannot be read, and why.
fn budget(
    shape: &FleetShape,
    name: &Name,
    budget: &BudgetShape,
) -> Result<api::NewBudget, (&'static str, String)> {
    let scope = match budget.scope.as_deref().unwrap_or("fleet") {
        "fleet" => format!("fleet:{}", shape.name),
        // Said when there is one: [`Governing::budgets_of`].
        OF_RUN => OF_RUN.to_owned(),
        text => match text.strip_prefix("pool:") {
            Some(pool) if shape.pools.contains_key(pool) => format!("pool:{}/{pool}", shape.name),
            Some(pool) => return Err(("scope", format!("there is no pool `{pool}` in this file"))),
            None => text.to_owned(),
        },
    };
    Ok(api::NewBudget {
        name: of_fleet(shape, name).to_string(),
        scope,
        limits: budget
            .limits
            .iter()
            .map(|limit| budget_limit(limit).map_err(|why| ("limits", why)))
            .collect::<Result<_, _>>()?,
        enforcement: match budget.enforcement {
            BudgetEnforcement::Hard => api::Enforcement::Hard,
            BudgetEnforcement::Soft => api::Enforcement::Soft,
        },
        warn_percent: budget.warn_percent,
        note: budget.note.clone(),
    })
}

fn budget_limit(limit: &BudgetLimitShape) -> Result<api::BudgetLimit, String> {
    let cost = limit.cost_usd.map(micros).transpose()?;
    let named = [
        limit.tokens.map(|most| (api::Measure::Tokens, most)),
        cost.map(|most| (api::Measure::Cost, most)),
        limit.compute.map(|compute| (api::Measure::Compute, millis(compute))),
        limit.requests.map(|most| (api::Measure::Requests, most)),
    ];
    let mut named = named.into_iter().flatten();
    let (Some((measure, most)), None) = (named.next(), named.next()) else {
        return Err("a limit names one of tokens, cost_usd, compute and requests".to_owned());
    };
    let (window, length_ms) = match limit.per {
        WindowShape::Minute => (api::WindowKind::Minute, None),
        WindowShape::Hour => (api::WindowKind::Hour, None),
        WindowShape::Day => (api::WindowKind::Day, None),
        WindowShape::Week => (api::WindowKind::Week, None),
        WindowShape::Month => (api::WindowKind::Month, None),
        WindowShape::Whole => (api::WindowKind::Whole, None),
        WindowShape::Rolling(length) => (api::WindowKind::Rolling, Some(millis(length))),
        WindowShape::Opened(length) => (api::WindowKind::Opened, Some(millis(length))),
    };
    Ok(api::BudgetLimit { measure, most, window, length_ms })
}

fn limit(shape: &FleetShape, limit: &LimitShape) -> api::PutLimit {
    api::PutLimit {
        key: limit.key.clone(),
        workspace: None,
        types: kinds(shape, limit.tasks.as_ref()),
        concurrency: limit.concurrency,
        rate: limit
            .rate
            .as_ref()
            .map(|rate| api::LimitRate { count: rate.count, window_ms: millis(rate.within) }),
        tokens_per_minute: limit.tokens_per_minute,
    }
}

/// Returns the terms of an entry's tasks, if it says something of them. What cannot be read counts as nothing: the
/// checks have refused it.
pub(super) fn terms(task: &TaskShape) -> Option<Terms> {
    let estimate = |shape: &EstimateShape| Estimate {
        tokens: shape.tokens,
        cost_microusd: micros(shape.cost_usd).unwrap_or_default(),
        compute: shape.compute.map_or_else(Default::default, |Period(compute)| compute),
    };
    let terms = Terms {
        estimate: task.estimate.as_ref().map(estimate),
        account: task.account.clone(),
        model: task.model.clone(),
        over_budget: match task.over_budget {
            Some(OverBudgetWord::Fail) => OverBudget::Fail,
            Some(OverBudgetWord::Wait) | None => OverBudget::Wait,
        },
        resources: task.resources.clone(),
        resources_within: task.resources_within.map(|Period(within)| within),
    };
    (terms != Terms::default()).then_some(terms)
}

pub(super) fn millis(Period(length): Period) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
fn micros(usd: f64) -> Result<u64, String> {
    let micros = (usd * 1e6).round();
    #[expect(clippy::cast_precision_loss, reason = "a bound, not a sum")]
    if !(0.0..=MOST_MAX as f64).contains(&micros) {
        return Err(format!("{usd} is no amount of dollars"));
    }
    Ok(micros as u64)
}

impl Check<'_> {
    /// Checks what governs the work: as the node will, before it is asked.
    pub(super) fn governing(&mut self) {
        let shape = self.shape;
        for (name, one) in &shape.policies {
            let at = Place::top("policies").key(name.as_str());
            self.entries_named(&at, one.tasks.as_ref());
            let read = crate::http::native::policy_of(&policy(shape, name, one));
            match read.map_err(|problem| problem.detail().to_owned()) {
                Ok(spec) => self
                    .soundness(&at, spec.check().map_err(|error| format!("{}: {}", error.field, error.why))),
                Err(why) => self.soundness(&at, Err(why)),
            }
        }
        for (name, one) in &shape.budgets {
            let at = Place::top("budgets").key(name.as_str());
            let wanted = match budget(shape, name, one) {
                Ok(wanted) => wanted,
                Err((field, why)) => {
                    self.key_fault(&at.key(field), Fault::new(why).help("see docs/FLEET.md, governing"));
                    continue;
                }
            };
            // Any run does: which one it will be changes nothing about the rest.
            let wanted = of_run(&wanted, RunId::from_raw(0));
            match crate::http::native::budget_of(&wanted).map_err(|problem| problem.detail().to_owned()) {
                Ok(spec) => self.soundness(&at, spec.check().map_err(|refusal| refusal.to_string())),
                Err(why) => self.soundness(&at, Err(why)),
            }
        }
        for (name, one) in &shape.limits {
            let at = Place::top("limits").key(name.as_str());
            self.entries_named(&at, one.tasks.as_ref());
            let read = crate::http::native::limit_of(&of_fleet(shape, name), &limit(shape, one));
            match read.map_err(|problem| problem.detail().to_owned()) {
                Ok(spec) => self.soundness(&at, spec.check().map_err(|refusal| refusal.to_string())),
                Err(why) => self.soundness(&at, Err(why)),
            }
        }
    }

    pub(super) fn soundness(&mut self, place: &Place, sound: Result<(), String>) {
        if let Err(why) = sound {
            self.key_fault(place, Fault::new(why).help("see docs/FLEET.md, governing"));
        }
    }

    fn entries_named(&mut self, place: &Place, named: Option<&Vec<Name>>) {
        for (index, name) in named.into_iter().flatten().enumerate() {
            if !self.shape.tasks.iter().any(|task| task.name == *name) {
                let known = self.shape.tasks.iter().map(|task| task.name.as_str());
                let help = suggest::help(name.as_str(), "entries of this file", known);
                let fault = Fault::new(format!("there is no entry `{name}`")).help(help);
                self.fault(&place.key("tasks").index(index), fault);
            }
        }
    }

    /// Checks the terms of an entry.
    pub(super) fn terms(&mut self, place: &Place, task: &TaskShape) {
        self.positive(place, "resources_within", task.resources_within);
        if task.resources.is_empty() && task.resources_within.is_some() {
            let fault = Fault::new("`resources_within` says nothing without `resources`");
            self.key_fault(&place.key("resources_within"), fault.help("name what is needed: {gpu: 1}"));
        }
        if task.resources.len() > RESOURCES_OF_TASK_MAX {
            let fault = Fault::new(format!("at most {RESOURCES_OF_TASK_MAX} resources may be named"));
            self.key_fault(&place.key("resources"), fault.help("leave some out"));
        }
        if let Some(Err(why)) = task.estimate.as_ref().map(|estimate| micros(estimate.cost_usd)) {
            let at = place.key("estimate").key("cost_usd");
            self.fault(&at, Fault::new(why).help("write dollars, as in 0.02"));
        }
    }
}
