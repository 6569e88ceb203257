//! A policy: its rules, where they hold, how firmly, and before which others it is asked.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::policy::rule::Rule;
use crate::policy::scope::{AgentLists, SCOPE_NAMES_MAX, Scope};
use crate::time::Timestamp;

/// The most policies in all.
pub const POLICIES_MAX: usize = 1000;

/// The most rules of all policies together.
pub const RULES_MAX: usize = 10_000;

/// The most names of attributes that all policies together may speak of; each is looked up once for a question.
pub const ATTRIBUTES_NAMED_MAX: usize = 1024;

/// The longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1024;

/// How firmly a policy is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// What it denies is not done.
    #[default]
    Hard,
    /// What it denies is not done unless somebody who may write policies overrides it.
    Soft,
    /// What it denies is done all the same, and noted.
    Warn,
}

/// What a policy shall be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicySpec {
    /// What it is called.
    pub name: Name,
    /// What it is for.
    pub description: Option<Arc<str>>,
    /// The greatest is asked first.
    pub priority: i32,
    /// Whether it is asked at all.
    pub enabled: bool,
    /// How firmly it is meant.
    pub enforcement: Enforcement,
    /// Which questions it is about.
    pub scope: Scope,
    /// Which agents may do the work that it is about.
    pub agents: AgentLists,
    /// Its rules, the first that matches decides.
    pub rules: Vec<Rule>,
}

/// A policy as it is agreed on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// What it is.
    pub spec: Arc<PolicySpec>,
    /// Counts its changes, from 1.
    pub version: u64,
    /// When there was a policy of that name first.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// What holds where no rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// For `tool.*`: whether it is allowed.
    pub tools: bool,
    /// For `task.*`, but for `task.dispatch`: what was accepted is given out unless a rule says otherwise.
    pub tasks: bool,
    /// For everything else, but for `agent.spawn`, which is allowed unless a rule says otherwise.
    pub others: bool,
}

impl Default for Defaults {
    /// Tools are denied, and so is what nobody has thought of; tasks are allowed.
    fn default() -> Self {
        Self { tools: false, tasks: true, others: false }
    }
}

impl Defaults {
    /// Tells whether an action is allowed that no rule matches.
    pub fn allow(&self, action: &str) -> bool {
        if action == super::set::DISPATCH || action == super::set::SPAWN {
            // What was taken in is given out, and permissions say who may start agents, unless a rule says otherwise.
            return true;
        }
        match action.split('.').next() {
            Some("tool") => self.tools,
            Some("task") => self.tasks,
            Some(_) | None => self.others,
        }
    }
}

/// Says what is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct PolicyError {
    /// Which field, such as `rules[2].when`.
    pub field: String,
    /// Why, with the place where it is an expression.
    pub why: String,
}

impl Enforcement {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Warn => "warn",
        }
    }
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PolicySpec {
    /// Checks a policy for itself and reads its expressions.
    ///
    /// # Errors
    /// With the field and what is wrong with it.
    pub fn check(&self) -> Result<(), PolicyError> {
        let refuse = |field: &str, why: String| Err(PolicyError { field: field.to_owned(), why });
        if self.rules.is_empty() && self.agents.is_empty() {
            return refuse("rules", "there must be a rule, or a list of agents".to_owned());
        }
        if self.rules.len() > RULES_MAX {
            return refuse("rules", format!("at most {RULES_MAX} are allowed"));
        }
        if self.scope.names() + self.agents.names() > SCOPE_NAMES_MAX {
            return refuse("scope", format!("it may hold at most {SCOPE_NAMES_MAX} names"));
        }
        if self.description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX) {
            return refuse("description", format!("at most {DESCRIPTION_BYTES_MAX} bytes are allowed"));
        }
        for (number, rule) in self.rules.iter().enumerate() {
            if let Err((field, why)) = rule.check() {
                return refuse(&format!("rules[{number}].{field}"), why);
            }
        }
        Ok(())
    }
}
