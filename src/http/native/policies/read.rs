//! From what the API takes to policies and questions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use synod_actors::tools::{self, scalar};
use synod_domain::id::{AgentId, TaskId};
use synod_domain::name::Name;
use synod_domain::policy::effect::TIMEOUT_DEFAULT;
use synod_domain::policy::{
    AgentLists, ApprovalDemand, Ask, Attributes, Comparison, Condition, Effect, Enforcement, PolicySpec,
    Rule, Scope, Test, glob,
};
use synod_domain::refusal::Refusal;

use crate::api;
use crate::http::Problem;
use crate::http::native::read;
use crate::http::sight::Sight;
use crate::node::Node;

/// How deep a body of conditions or attributes may be nested.
const DEPTH_MAX: usize = 8;

/// Reads a policy.
pub(crate) fn policy(wanted: &api::NewPolicy) -> Result<PolicySpec, Problem> {
    let rules = wanted.rules.iter().enumerate().map(|(number, wanted)| rule(number, wanted));
    Ok(PolicySpec {
        name: read::name("name", &wanted.name)?,
        description: wanted.description.as_deref().map(Arc::from),
        priority: wanted.priority,
        enabled: wanted.enabled.unwrap_or(true),
        enforcement: enforcement(wanted.enforcement.as_deref().unwrap_or("hard"))?,
        scope: Scope {
            workspaces: names("scope.workspaces", &wanted.scope.workspaces)?,
            regions: names("scope.regions", &wanted.scope.regions)?,
            task_types: names("scope.task_types", &wanted.scope.task_types)?,
            capabilities: names("scope.capabilities", &wanted.scope.capabilities)?,
        },
        agents: AgentLists {
            allowed: names("agents.allowed", &wanted.agents.allowed)?,
            blocked: names("agents.blocked", &wanted.agents.blocked)?,
        },
        rules: rules.collect::<Result<_, _>>()?,
    })
}

fn names(field: &str, texts: &[String]) -> Result<BTreeSet<Name>, Problem> {
    texts.iter().map(|text| read::name(field, text)).collect()
}

fn enforcement(word: &str) -> Result<Enforcement, Problem> {
    match word {
        "hard" => Ok(Enforcement::Hard),
        "soft" => Ok(Enforcement::Soft),
        "warn" => Ok(Enforcement::Warn),
        other => Err(Problem::bad_request("enforcement", format!("{other:?} is not hard, soft or warn"))),
    }
}

fn rule(number: usize, wanted: &api::PolicyRule) -> Result<Rule, Problem> {
    let field = |name: &str| format!("rules[{number}].{name}");
    let effect = match wanted.effect.as_str() {
        "allow" => Effect::Allow,
        "deny" => Effect::Deny,
        "require_approval" => Effect::RequireApproval(ApprovalDemand {
            approvers: names(&field("approvers"), &wanted.approvers)?,
            roles: names(&field("approver_roles"), &wanted.approver_roles)?,
            quorum: wanted.quorum.unwrap_or(1),
            timeout: wanted.timeout_ms.map_or(TIMEOUT_DEFAULT, Duration::from_millis),
        }),
        other => {
            let why = format!("{other:?} is not allow, deny or require_approval");
            return Err(Problem::bad_request(&field("effect"), why));
        }
    };
    let conditions = wanted.conditions.iter().map(|(attribute, wanted)| {
        let test = test(wanted, 0)
            .map_err(|why| Problem::bad_request(&field("conditions"), format!("{attribute}: {why}")))?;
        Ok(Condition { attribute: attribute.as_str().into(), test })
    });
    Ok(Rule {
        action: wanted.action.as_str().into(),
        conditions: conditions.collect::<Result<_, Problem>>()?,
        when: wanted.when.as_deref().map(Arc::from),
        effect,
        reason: wanted.reason.as_deref().map(Arc::from),
    })
}

/// Reads a test: a value, a pattern, a list, or an object of one word.
fn test(wanted: &Json, depth: usize) -> Result<Test, String> {
    if depth > DEPTH_MAX {
        return Err("it is nested too deep".to_owned());
    }
    match wanted {
        Json::String(text) if glob::is_pattern(text) => Ok(Test::Like(text.as_str().into())),
        Json::Array(list) => {
            list.iter().map(|one| test(one, depth + 1)).collect::<Result<_, _>>().map(Test::Any)
        }
        Json::Object(object) => {
            let (Some((word, inner)), 1) = (object.iter().next(), object.len()) else {
                return Err("an object holds one of above, below, at_least, at_most, equals, not".to_owned());
            };
            let compared = |how| Ok(Test::Compare(how, scalar(inner)?));
            match word.as_str() {
                "above" => compared(Comparison::Above),
                "below" => compared(Comparison::Below),
                "at_least" => compared(Comparison::AtLeast),
                "at_most" => compared(Comparison::AtMost),
                // A text with a star that is meant as it stands.
                "equals" => Ok(Test::Equals(scalar(inner)?)),
                "not" => Ok(Test::Not(Box::new(test(inner, depth + 1)?))),
                other => Err(format!("{other:?} is not above, below, at_least, at_most, equals or not")),
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Ok(Test::Equals(scalar(wanted)?)),
    }
}

/// Reads attributes; what is in an object gets a dotted name, and what is null is not said.
pub(crate) fn attributes(said: &Map<String, Json>) -> Result<Attributes, Problem> {
    tools::attributes(said).map_err(|why| Problem::bad_request("attributes", why))
}

/// Reads a question. Whoever is bound to a workspace asks of its tasks and agents alone.
pub(crate) fn ask(node: &Node, wanted: &api::Evaluate) -> Result<Ask, Problem> {
    let sight = Sight::of_caller(node);
    let task: Option<TaskId> = wanted.task_id.as_deref().map(|id| read::id("task_id", id)).transpose()?;
    if let Some(task) = task.filter(|task| !sight.task(node, *task)) {
        return Err(Refusal::TaskUnknown(task).into());
    }
    let agent: Option<AgentId> = wanted.agent_id.as_deref().map(|id| read::id("agent_id", id)).transpose()?;
    if let Some(agent) = agent.filter(|agent| !node.read(|state| sight.agent_id(state, *agent))) {
        return Err(Refusal::AgentUnknown(agent).into());
    }
    Ok(Ask {
        action: read::name("action", &wanted.action)?,
        workspace: read::own_workspace(node, wanted.workspace.as_deref())?,
        task,
        task_type: None,
        agent,
        attributes: attributes(&wanted.attributes)?,
        content: wanted.content.as_deref().map(synod_domain::approval::bounded_content),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_values_patterns_lists_and_comparisons() {
        let read = |value: Json| test(&value, 0);
        assert_eq!(read(json!("python")), Ok(Test::Equals("python".into())));
        assert_eq!(read(json!("/etc/*")), Ok(Test::Like("/etc/*".into())));
        assert_eq!(read(json!({ "equals": "*" })), Ok(Test::Equals("*".into())));
        assert_eq!(read(json!({ "above": 10 })), Ok(Test::Compare(Comparison::Above, 10.into())));
        let any = Test::Any(vec![Test::Equals(1.into()), Test::Equals(true.into())]);
        assert_eq!(read(json!([1, true])), Ok(any));
        let not = Test::Not(Box::new(Test::Like("a*".into())));
        assert_eq!(read(json!({ "not": "a*" })), Ok(not));
        assert!(read(json!(null)).is_err() && read(json!({ "near": 1 })).is_err());
    }
}
