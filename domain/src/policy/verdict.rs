//! What policies say about one action, which rule said so, and why.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::policy::effect::{ApprovalDemand, Effect};
use crate::policy::spec::{Enforcement, Policy};

/// What comes of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ruling {
    /// It may be done.
    Allow,
    /// It may not be done.
    Deny,
    /// It may be done when people have agreed to it.
    RequireApproval(ApprovalDemand),
}

/// What decided a question: a rule of a policy, in a version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decider {
    /// Which policy.
    pub policy: Name,
    /// In which version.
    pub version: u64,
    /// Which of its rules, from 0; none when its lists of agents decided.
    pub rule: Option<u32>,
    /// How firmly it is meant.
    pub enforcement: Enforcement,
}

/// What policies say, with the ground for it; borrows from the policies.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// What the rule says; `None` when no rule matched and a default decided.
    pub(super) by: Option<(&'a Policy, Option<usize>)>,
    /// Whether the default allows it, if it decided.
    pub(super) default: bool,
}

/// What policies say, with the ground for it, to keep and to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What comes of it.
    pub ruling: Ruling,
    /// What decided; none when a default did.
    pub by: Option<Decider>,
    /// Whether the rule said no and its policy only warns.
    pub warned: bool,
    /// Why, for a person.
    pub why: Arc<str>,
}

impl Ruling {
    /// Returns the word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::RequireApproval(_) => "require_approval",
        }
    }
}

impl<'a> Decision<'a> {
    /// Returns what the rule says that matched; nothing when none did.
    fn effect(&self) -> Option<&'a Effect> {
        let (policy, rule) = self.by?;
        Some(rule.map_or(&Effect::Deny, |rule| &policy.spec.rules[rule].effect))
    }

    /// Tells whether it may simply be done, without anything to note.
    pub fn is_plain_allow(&self) -> bool {
        self.effect().map_or(self.default, |effect| *effect == Effect::Allow)
    }

    /// Tells whether it may be done, noted or not.
    pub fn allows(&self) -> bool {
        self.is_plain_allow() || self.warns()
    }

    /// Tells whether the rule says no, or not yet, and its policy only warns.
    pub fn warns(&self) -> bool {
        let warning = |(policy, _): (&Policy, _)| policy.spec.enforcement == Enforcement::Warn;
        self.by.is_some_and(warning) && !self.is_plain_allow()
    }

    /// Returns what people have to agree to, if that is what the rule says and it is meant so.
    pub fn approval(&self) -> Option<&'a ApprovalDemand> {
        match self.effect() {
            Some(Effect::RequireApproval(demand)) if !self.warns() => Some(demand),
            Some(_) | None => None,
        }
    }

    /// Returns the policy that decided and its rule.
    pub const fn by(&self) -> Option<(&'a Policy, Option<usize>)> {
        self.by
    }

    /// Returns the decision as something to keep, about an action.
    pub fn verdict(&self, action: &str) -> Verdict {
        let ruling = match self.approval() {
            Some(demand) => Ruling::RequireApproval(demand.clone()),
            None if self.allows() => Ruling::Allow,
            None => Ruling::Deny,
        };
        let by = self.by.map(|(policy, rule)| Decider {
            policy: policy.spec.name.clone(),
            version: policy.version,
            rule: rule.and_then(|rule| u32::try_from(rule).ok()),
            enforcement: policy.spec.enforcement,
        });
        Verdict { ruling, by, warned: self.warns(), why: self.why(action).into() }
    }

    fn why(&self, action: &str) -> String {
        let Some((policy, rule)) = self.by else {
            let says = if self.default { "allows" } else { "denies" };
            return format!("no rule is about {action}, and the default {says} it");
        };
        let reason = rule.and_then(|rule| policy.spec.rules[rule].reason.as_deref());
        match (reason, rule) {
            (Some(reason), _) => reason.to_owned(),
            (None, None) => "the agent is not one that the policy lets do this work".to_owned(),
            (None, Some(rule)) => match &policy.spec.rules[rule].effect {
                Effect::Allow => format!("{action} is allowed"),
                Effect::Deny => format!("{action} is denied"),
                Effect::RequireApproval(_) => format!("{action} needs an approval"),
            },
        }
    }
}

impl fmt::Display for Decider {
    /// The policy, its version and its rule, counted from 1 as people count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some(rule) => write!(f, "policy {} (version {}), rule {}", self.policy, self.version, rule + 1),
            None => write!(f, "policy {} (version {}), its list of agents", self.policy, self.version),
        }
    }
}
