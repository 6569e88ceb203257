//! What is asked: an action, who wants it and where, and what else is said of it.
//!
//! A name is looked up in the context first and among the attributes then: what the node itself knows of the agent
//! and the task cannot be overruled by what somebody says of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::capability::Capabilities;
use crate::id::AgentId;
use crate::name::Name;
use crate::policy::value::{Attributes, Value};
use crate::task::TaskSpec;

/// What the names of labels begin with, as conditions and expressions see them.
pub(super) const LABEL: &str = "label.";

/// May this be done?
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What is to be done, such as `tool.shell.execute` or `task.submit`.
    pub action: &'a str,
    /// What is known of who wants it.
    pub context: Context<'a>,
    /// What is said of it.
    pub attributes: &'a Attributes,
}

/// What the node knows of who wants something.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// `workspace`: whose work it is.
    pub workspace: Option<&'a str>,
    /// `region`: where the agent is.
    pub region: Option<&'a str>,
    /// `task_type`: what sort of work it is.
    pub task_type: Option<&'a str>,
    /// `lane`: how urgent the work is.
    pub lane: Option<&'a str>,
    /// `capabilities`: what the work asks for.
    pub capabilities: Option<&'a Capabilities>,
    /// `label.NAME`: the labels of the work.
    pub labels: Option<&'a BTreeMap<Name, Arc<str>>>,
    /// `agent`: what the agent is called.
    pub agent: Option<&'a str>,
    /// Which agent it is, for lists of agents.
    pub agent_id: Option<AgentId>,
    /// `pool`: the pool of the agent, or that the work is for.
    pub pool: Option<&'a str>,
}

/// An attribute as a condition sees it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sight<'a> {
    Text(&'a str),
    Whole(i64),
    Number(f64),
    Flag(bool),
    List(&'a [Value]),
    Capabilities(&'a Capabilities),
}

impl<'a> Sight<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text),
            Value::Whole(number) => Self::Whole(*number),
            Value::Number(number) => Self::Number(*number),
            Value::Flag(flag) => Self::Flag(*flag),
            Value::List(list) => Self::List(list),
        }
    }
}

impl<'a> Context<'a> {
    /// Returns the context of a task.
    pub fn of_task(spec: &'a TaskSpec) -> Self {
        let pool = match &spec.mailbox {
            crate::task::MailboxId::Pool(pool) => Some(pool.as_str()),
            crate::task::MailboxId::Agent(_) | crate::task::MailboxId::Open => None,
        };
        Self {
            workspace: Some(spec.workspace.as_str()),
            task_type: Some(spec.kind.as_str()),
            lane: Some(spec.lane.as_str()),
            capabilities: Some(&spec.demand),
            labels: Some(&spec.labels),
            pool,
            ..Self::default()
        }
    }

    /// Returns this context with the agent that wants it.
    #[must_use]
    pub fn with_agent(self, agent: &'a crate::agent::Agent) -> Self {
        let spec = &agent.spec;
        Self {
            agent: Some(spec.name.as_str()),
            agent_id: Some(spec.id),
            pool: spec.pool.as_ref().map(Name::as_str).or(self.pool),
            region: spec.region.as_ref().map(Name::as_str).or(self.region),
            ..self
        }
    }

    fn get(&self, name: &str) -> Option<Sight<'a>> {
        let text = match name {
            "workspace" => self.workspace,
            "region" => self.region,
            "task_type" => self.task_type,
            "lane" => self.lane,
            "agent" => self.agent,
            "pool" => self.pool,
            "capabilities" => return self.capabilities.map(Sight::Capabilities),
            _ => {
                let label = name.strip_prefix(LABEL)?;
                return self.labels?.get(label).map(|value| Sight::Text(value));
            }
        };
        text.map(Sight::Text)
    }
}

impl<'a> Question<'a> {
    /// Looks a name up: in the context, then among the attributes.
    pub(super) fn get(&self, name: &str) -> Option<Sight<'a>> {
        self.context.get(name).or_else(|| self.attributes.get(name).map(Sight::of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_knows_cannot_be_overruled() {
        let said: Attributes =
            [("workspace".into(), "admins".into()), ("path".into(), "/tmp".into())].into_iter().collect();
        let context = Context { workspace: Some("guests"), ..Context::default() };
        let question = Question { action: "tool.x", context, attributes: &said };
        assert!(matches!(question.get("workspace"), Some(Sight::Text("guests"))));
        assert!(matches!(question.get("path"), Some(Sight::Text("/tmp"))));
        assert!(question.get("agent").is_none());
    }
}
