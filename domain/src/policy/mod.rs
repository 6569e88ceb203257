//! Policies: what may be done, by whom, and what somebody has to agree to first.
//!
//! ```text
//!   Question { action, context, attributes } ──► PolicySet::decide ──► Decision { ruling, policy, rule }
//! ```
//!
//! Policies are asked in order of priority, the highest first, then by name; rules within one in their order. The
//! first rule that matches decides, and where none does a default: tools are denied, tasks are allowed, unless
//! [`Defaults`] say otherwise. Deciding is pure: the same policies and the same question give the same answer on every
//! node. An attribute that a condition names and the question lacks makes the rule not match, whatever the
//! condition says of it.
//!
//! What becomes of a decision (a refusal, a violation, an approval that is waited for) is in [`crate::state`].

pub mod command;
pub mod condition;
pub mod effect;
pub mod expression;
pub mod glob;
pub mod question;
pub mod rule;
pub mod scope;
pub mod set;
pub mod spec;
pub mod value;
pub mod verdict;

#[cfg(test)]
mod laws;

pub use command::{Ask, PolicyCommand, Ruled};
pub use condition::{Comparison, Condition, Test};
pub use effect::{ApprovalDemand, Effect};
pub use expression::{Expression, ExpressionError};
pub use question::{Context, Question};
pub use rule::Rule;
pub use scope::{AgentLists, Scope};
pub use set::PolicySet;
pub use spec::{Defaults, Enforcement, POLICIES_MAX, Policy, PolicyError, PolicySpec, RULES_MAX};
pub use value::{Attributes, Value};
pub use verdict::{Decider, Decision, Ruling, Verdict};
