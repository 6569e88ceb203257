//! Laws of deciding, against a reference that looks at every rule of every policy.

use std::sync::Arc;

use proptest::prelude::*;

use crate::name::Name;
use crate::policy::condition::{Comparison, Condition, Test};
use crate::policy::effect::{ApprovalDemand, Effect};
use crate::policy::glob;
use crate::policy::question::{Context, Question};
use crate::policy::rule::Rule;
use crate::policy::scope::{AgentLists, Scope};
use crate::policy::set::{DISPATCH, PolicySet};
use crate::policy::spec::{Defaults, Enforcement, Policy, PolicySpec};
use crate::policy::value::{Attributes, Value};
use crate::time::Timestamp;

/// What decides, found the slow way.
fn reference<'p>(
    policies: &'p [Arc<Policy>],
    question: &Question<'_>,
) -> Option<(&'p Policy, Option<usize>)> {
    let mut order: Vec<&Arc<Policy>> = policies.iter().filter(|policy| policy.spec.enabled).collect();
    order.sort_by_key(|policy| (-i64::from(policy.spec.priority), policy.spec.name.clone()));
    for policy in order {
        if !policy.spec.scope.covers(&question.context) {
            continue;
        }
        if question.action == DISPATCH && !policy.spec.agents.is_empty() {
            let lists = &policy.spec.agents;
            let agent = question.context.agent.unwrap_or_default();
            let out =
                lists.blocked.contains(agent) || !lists.allowed.is_empty() && !lists.allowed.contains(agent);
            if out && !agent.is_empty() {
                return Some((policy, None));
            }
        }
        for (number, rule) in policy.spec.rules.iter().enumerate() {
            let met = |condition: &Condition| {
                question.get(&condition.attribute).is_some_and(|sight| condition.test.holds(sight))
            };
            if glob::matches(&rule.action, question.action) && rule.conditions.iter().all(met) {
                return Some((policy, Some(number)));
            }
        }
    }
    None
}

fn actions() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "tool.shell",
        "tool.file.write",
        "task.submit",
        "task.dispatch",
        "model.call",
        "x",
    ])
}

fn patterns() -> impl Strategy<Value = Arc<str>> {
    let patterns = vec![
        "tool.*",
        "tool.file.*",
        "*",
        "t*",
        "*.shell",
        "task.submit",
        "task.?ubmit",
        "tool.shell",
        "model.call",
        "task.dispatch",
        "x",
    ];
    prop::sample::select(patterns).prop_map(Arc::from)
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec!["a", "ab", "b"]).prop_map(Value::from),
        (0_i64..4).prop_map(Value::Whole),
        any::<bool>().prop_map(Value::Flag),
    ]
}

fn tests() -> impl Strategy<Value = Test> {
    let one = prop_oneof![
        values().prop_map(Test::Equals),
        Just(Test::Like("a*".into())),
        (0_i64..4).prop_map(|bound| Test::Compare(Comparison::AtLeast, bound.into())),
    ];
    prop_oneof![
        one.clone(),
        one.clone().prop_map(|test| Test::Not(Box::new(test))),
        prop::collection::vec(one, 1..3).prop_map(Test::Any),
    ]
}

fn rules() -> impl Strategy<Value = Rule> {
    let attribute = prop::sample::select(vec!["p", "q", "workspace", "agent"]);
    let condition =
        (attribute, tests()).prop_map(|(attribute, test)| Condition { attribute: attribute.into(), test });
    let effect = prop_oneof![
        Just(Effect::Allow),
        Just(Effect::Deny),
        Just(Effect::RequireApproval(ApprovalDemand::default())),
    ];
    (patterns(), prop::collection::vec(condition, 0..3), effect).prop_map(|(action, conditions, effect)| {
        Rule { action, conditions, when: None, effect, reason: None }
    })
}

fn names(of: &'static [&'static str]) -> impl Strategy<Value = std::collections::BTreeSet<Name>> {
    prop::collection::vec(prop::sample::select(of), 0..2)
        .prop_map(|names| names.into_iter().map(|name| Name::new(name).unwrap()).collect())
}

fn policies() -> impl Strategy<Value = Vec<Arc<Policy>>> {
    let one = (
        -1_i32..2,
        prop::bool::weighted(0.9),
        names(&["w1", "w2"]),
        (names(&["ann", "ben"]), names(&["ann", "ben"])),
        prop::collection::vec(rules(), 1..5),
    );
    prop::collection::vec(one, 0..6).prop_map(|all| {
        let made =
            all.into_iter().enumerate().map(|(number, (priority, enabled, workspaces, lists, rules))| {
                let spec = PolicySpec {
                    name: Name::new(&format!("p{number}")).unwrap(),
                    description: None,
                    priority,
                    enabled,
                    enforcement: Enforcement::Hard,
                    scope: Scope { workspaces, ..Scope::default() },
                    agents: AgentLists { allowed: lists.0, blocked: lists.1 },
                    rules,
                };
                let at = Timestamp::ZERO;
                Arc::new(Policy { spec: spec.into(), version: 1, created_at: at, changed_at: at })
            });
        made.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_decides_as_a_look_at_every_rule_does(
        policies in policies(),
        action in actions(),
        workspace in prop::option::of(prop::sample::select(vec!["w1", "w2", "a"])),
        agent in prop::option::of(prop::sample::select(vec!["ann", "ben", "cid"])),
        p in prop::option::of(values()),
        q in prop::option::of(values()),
    ) {
        let said = [("p", p), ("q", q)].into_iter();
        let attributes: Attributes =
            said.filter_map(|(name, value)| Some((name.into(), value?))).collect();
        let context = Context { workspace, agent, ..Context::default() };
        let question = Question { action, context, attributes: &attributes };
        let set = PolicySet::build(&policies, Defaults::default(), &PolicySet::default()).unwrap();
        let decided = set.decide(&question);
        let expected = reference(&policies, &question);
        let by = |found: Option<(&Policy, Option<usize>)>| {
            found.map(|(policy, rule)| (policy.spec.name.clone(), rule))
        };
        prop_assert_eq!(by(decided.by()), by(expected));
        if expected.is_none() {
            prop_assert_eq!(decided.allows(), action.starts_with("task."));
        }
        if set.is_silent_about(action) {
            prop_assert!(decided.is_plain_allow());
        }
    }
}

fn policy(name: &str, priority: i32, enforcement: Enforcement, rules: &[(&str, Effect)]) -> Arc<Policy> {
    let rules = rules.iter().map(|(action, effect)| Rule {
        action: (*action).into(),
        conditions: Vec::new(),
        when: None,
        effect: effect.clone(),
        reason: None,
    });
    let spec = PolicySpec {
        name: Name::new(name).unwrap(),
        description: None,
        priority,
        enabled: true,
        enforcement,
        scope: Scope::default(),
        agents: AgentLists::default(),
        rules: rules.collect(),
    };
    let at = Timestamp::ZERO;
    Arc::new(Policy { spec: spec.into(), version: 3, created_at: at, changed_at: at })
}

fn verdict(policies: &[Arc<Policy>], action: &str) -> crate::policy::Verdict {
    let set = PolicySet::build(policies, Defaults::default(), &PolicySet::default()).unwrap();
    let attributes = Attributes::new();
    set.decide(&Question { action, context: Context::default(), attributes: &attributes }).verdict(action)
}

#[test]
fn the_highest_priority_decides_and_names_its_version_and_rule() {
    let low = policy("a-low", 1, Enforcement::Hard, &[("tool.*", Effect::Allow)]);
    let high = policy("z-high", 2, Enforcement::Hard, &[("tool.a", Effect::Allow), ("tool.*", Effect::Deny)]);
    let verdict = verdict(&[low, high], "tool.shell");
    assert_eq!(verdict.ruling, crate::policy::Ruling::Deny);
    assert_eq!(verdict.by.unwrap().to_string(), "policy z-high (version 3), rule 2");
}

#[test]
fn without_a_rule_tools_are_denied_and_tasks_allowed() {
    assert_eq!(verdict(&[], "tool.shell").ruling, crate::policy::Ruling::Deny);
    assert_eq!(verdict(&[], "task.submit").ruling, crate::policy::Ruling::Allow);
    assert_eq!(verdict(&[], "model.call").ruling, crate::policy::Ruling::Deny);
    assert_eq!(verdict(&[], "agent.spawn").ruling, crate::policy::Ruling::Allow);
    assert_eq!(&*verdict(&[], "tool.x").why, "no rule is about tool.x, and the default denies it");
}

#[test]
fn what_a_policy_denies_that_only_warns_is_allowed_and_noted() {
    let warning = policy("trial", 0, Enforcement::Warn, &[("tool.*", Effect::Deny)]);
    let verdict = verdict(&[warning], "tool.shell");
    assert_eq!((verdict.ruling, verdict.warned), (crate::policy::Ruling::Allow, true));
}
