//! The part of random histories that is about policies, approvals and violations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use synod_domain::approval::Voter;
use synod_domain::command::Command;
use synod_domain::id::{ApprovalId, ViolationId};
use synod_domain::name::Name;
use synod_domain::policy::{
    AgentLists, ApprovalDemand, Ask, Attributes, Condition, Defaults, Effect, Enforcement, PolicyCommand,
    PolicySpec, Rule, Scope, Test, Value,
};
use synod_domain::state::State;
use synod_domain::violation::ViolationStatus;

use super::histories::Draw;
use super::world::{agent, name, task, token};

/// A policy of one rule.
pub(crate) fn policy(of: &str, action: &str, effect: Effect) -> PolicySpec {
    PolicySpec {
        name: name(of),
        description: None,
        priority: 0,
        enabled: true,
        enforcement: Enforcement::Hard,
        scope: Scope::default(),
        agents: AgentLists::default(),
        rules: vec![rule(action, effect)],
    }
}

pub(crate) fn rule(action: &str, effect: Effect) -> Rule {
    Rule { action: action.into(), conditions: Vec::new(), when: None, effect, reason: None }
}

pub(crate) fn put(spec: PolicySpec) -> Command {
    Command::Policy(PolicyCommand::Put { spec: spec.into() })
}

/// An approval by as many of those as are asked for, within a second.
pub(crate) fn approval_by(approvers: &[&str], quorum: u32) -> Effect {
    Effect::RequireApproval(ApprovalDemand {
        approvers: approvers.iter().map(|one| name(one)).collect(),
        roles: BTreeSet::new(),
        quorum,
        timeout: Duration::from_secs(1),
    })
}

pub(crate) fn voter(name: &str) -> Voter {
    Voter { token: None, name: Name::new(name).unwrap() }
}

pub(crate) fn ask_for(action: &str, attributes: &[(&str, Value)]) -> Ask {
    let attributes: Attributes =
        attributes.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    Ask {
        action: name(action),
        workspace: None,
        task: None,
        task_type: None,
        agent: None,
        attributes,
        content: None,
    }
}

/// Draws a command; approvals and violations that exist are mostly meant.
pub(super) fn command(state: &State, draw: &mut Draw, gates: bool) -> Command {
    Command::Policy(match draw.below(16) {
        0..3 => PolicyCommand::Put { spec: drawn_policy(draw, gates).into() },
        3 => PolicyCommand::Enable { policy: drawn_name(draw), enabled: draw.one_in(2) },
        4 | 5 => PolicyCommand::Remove { policy: drawn_name(draw) },
        6 => PolicyCommand::SetDefaults {
            defaults: Defaults { tools: draw.one_in(2), tasks: !draw.one_in(6), others: draw.one_in(2) },
        },
        7..10 => {
            let mut ask = ask_for(draw.pick(&["tool.a", "tool.b", "model.call"]), &[]);
            if draw.one_in(2) {
                ask.attributes.insert("p".into(), draw.pick(&[1_i64, 2]).into());
            }
            ask.task = draw.one_in(2).then(|| task(u128::from(draw.below(12))));
            ask.agent = draw.one_in(2).then(|| agent(u128::from(draw.below(7))));
            let id = ApprovalId::from_raw(1 << 100 | u128::from(draw.below(1 << 40)));
            PolicyCommand::Ask { id, ask: ask.into() }
        }
        10..14 => {
            let pending: Vec<ApprovalId> = state.approvals().map(|one| one.id).collect();
            let approval = if pending.is_empty() { ApprovalId::from_raw(3) } else { draw.pick(&pending) };
            let known = draw.one_in(2).then(|| token(draw.below(6)));
            let voter = Voter { token: known, name: name(draw.pick(&["ann", "ben", "cid"])) };
            PolicyCommand::Vote { approval, voter, approve: !draw.one_in(4), reason: "so".into() }
        }
        _ => {
            let known: Vec<ViolationId> = state.violations().map(|one| one.id).collect();
            let violation = if known.is_empty() { ViolationId::from_raw(3) } else { draw.pick(&known) };
            let status = draw.pick(&ViolationStatus::ALL);
            PolicyCommand::Settle { violation, status, by: name("ann"), note: Arc::default() }
        }
    })
}

fn drawn_name(draw: &mut Draw) -> Name {
    name(draw.pick(&["p1", "p2", "p3"]))
}

fn drawn_policy(draw: &mut Draw, gates: bool) -> PolicySpec {
    let effect = match draw.below(4) {
        0 => Effect::Allow,
        1 => Effect::Deny,
        _ => approval_by(draw.pick::<&[&str]>(&[&[], &["ann", "ben"]]), 1 + u32::from(draw.one_in(3))),
    };
    let about = ["task.submit", "tool.*", "tool.a", "task.dispatch", "task.*", "*"];
    let action = draw.pick(if gates { &about } else { &about[..3] });
    let mut spec = policy(drawn_name(draw).as_str(), action, effect);
    spec.priority = draw.below(3) as i32;
    spec.enforcement = draw.pick(&[Enforcement::Hard, Enforcement::Soft, Enforcement::Warn]);
    if draw.one_in(2) {
        spec.scope.workspaces.insert(draw.workspace());
    }
    if gates && draw.one_in(4) {
        spec.agents.blocked.insert(name(draw.pick(&["worker-1", "worker-4"])));
    }
    if draw.one_in(3) {
        let test = Test::Equals(draw.pick(&["a", "b"]).into());
        spec.rules[0].conditions.push(Condition { attribute: "pool".into(), test });
    }
    if draw.one_in(3) {
        spec.rules[0].when = Some("task_type == \"work\" || p > 1".into());
    }
    spec
}
