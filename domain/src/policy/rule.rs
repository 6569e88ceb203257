//! One line of a policy: when it matches, and what it says then.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::policy::condition::Condition;
use crate::policy::effect::Effect;
use crate::policy::expression::Expression;
use crate::policy::glob;

/// The most conditions of one rule.
pub const CONDITIONS_MAX: usize = 16;

/// The longest reason of a rule, in bytes.
const RULE_REASON_BYTES_MAX: usize = 512;

/// A rule. It matches when the action does, every condition is met, and the expression, if there is one, is true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// A pattern over actions: `tool.*`, `task.submit`.
    pub action: Arc<str>,
    /// What attributes must be.
    pub conditions: Vec<Condition>,
    /// An expression that must be true.
    pub when: Option<Arc<str>>,
    /// What it says then.
    pub effect: Effect,
    /// Why, for whoever is refused or asked to agree.
    pub reason: Option<Arc<str>>,
}

impl Rule {
    /// Checks a rule and reads its expression.
    ///
    /// # Errors
    /// With the field and what is wrong with it, for a person.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.action.is_empty() || self.action.len() > glob::PATTERN_BYTES_MAX {
            return Err(("action", format!("it must have 1 to {} bytes", glob::PATTERN_BYTES_MAX)));
        }
        if self.conditions.len() > CONDITIONS_MAX {
            return Err(("conditions", format!("at most {CONDITIONS_MAX} are allowed")));
        }
        for condition in &self.conditions {
            condition.check().map_err(|why| ("conditions", why))?;
        }
        if let Some(when) = &self.when {
            Expression::compile(when).map_err(|error| ("when", error.to_string()))?;
        }
        if self.reason.as_ref().is_some_and(|reason| reason.len() > RULE_REASON_BYTES_MAX) {
            return Err(("reason", format!("at most {RULE_REASON_BYTES_MAX} bytes are allowed")));
        }
        self.effect.check().map_err(|why| ("effect", why))
    }
}
