//! What may happen to that which governs: policies, budgets, breakers, limits, hooks and their like.
//!
//! They have one event between them, so that those who listen to work alone need to know one of them only.

use serde::{Deserialize, Serialize};

/// What happened to something that governs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Governing {
    /// A policy was made or changed.
    PolicyPut,
    /// A policy was removed.
    PolicyRemoved,
    /// Something was asked for that a policy does not allow.
    PolicyViolated,
    /// Somebody said what becomes of a violation.
    ViolationChanged,
    /// Somebody is asked to approve something.
    ApprovalRequested,
    /// Somebody approved or denied, and others are still asked.
    ApprovalVoted,
    /// It was approved.
    ApprovalGranted,
    /// It was denied.
    ApprovalDenied,
    /// Nobody approved it in time.
    ApprovalExpired,
    /// A budget was made or changed.
    BudgetPut,
    /// A budget was removed.
    BudgetRemoved,
    /// What a budget had counted was set to nothing.
    BudgetReset,
    /// A budget is used as far as it warns of.
    BudgetWarned,
    /// A budget has nothing left.
    BudgetExhausted,
    /// A budget has something left again.
    BudgetReopened,
    /// A provider asked to be left alone for a while.
    AccountHeld,
    /// A breaker was made, changed or removed.
    BreakerSet,
    /// A breaker opened.
    BreakerOpened,
    /// A breaker lets a few through to see.
    BreakerHalfOpened,
    /// A breaker closed.
    BreakerClosed,
    /// A limit set was made or changed.
    LimitPut,
    /// A limit set was removed.
    LimitRemoved,
    /// A resource was made or changed.
    ResourcePut,
    /// A resource was removed.
    ResourceRemoved,
    /// A hook was made.
    HookCreated,
    /// Work on a hook began.
    HookStarted,
    /// A hook completed or failed.
    HookEnded,
    /// Nobody works on a hook any more.
    HookAbandoned,
    /// A hook was given to another agent.
    HookReassigned,
    /// A hook was forgotten.
    HookRemoved,
    /// A pool scaled by itself.
    PoolScaled,
    /// How a pool scales, assigns or renews was changed.
    PoolPolicyChanged,
    /// A pool begins to replace its agents by those of another version.
    RolloutBegun,
    /// A rollout went a step on, or was paused or resumed.
    RolloutChanged,
    /// A rollout is over.
    RolloutEnded,
    /// An agent that has worked long enough makes room for a fresh one.
    AgentRenewed,
    /// A role was made or changed.
    RolePut,
    /// A role was removed.
    RoleRemoved,
    /// Somebody was given a role.
    RoleBound,
    /// A role was taken from somebody.
    RoleUnbound,
    /// A token was bound to a workspace.
    TokenBound,
    /// Something was given to a workspace.
    OwnerSet,
    /// The quota of a workspace was set.
    QuotaPut,
    /// An attempt at a hook failed, and the hook waits for the next.
    HookReturned,
    /// The limits of a budget were raised for a while, or that was ended.
    BudgetRaised,
    /// An attempt used more than a hard limit leaves, and is stopped unless it ends soon.
    AttemptOverBudget,
    /// A webhook was made or changed.
    WebhookPut,
    /// A webhook was removed.
    WebhookRemoved,
    /// A message was tried as often as its webhook says, and was not taken.
    WebhookGaveUp,
    /// More is to be told to a webhook than is kept for it: the oldest goes from here on.
    WebhookOverflowed,
    /// Somebody asked that a webhook be told something: a test, or again what was not taken.
    WebhookAsked,
    /// An agent failed for good where it is, and its pool recovers from that as it says.
    AgentGivenUp,
}

impl Governing {
    /// All of them, in order of their declaration.
    pub const ALL: [Self; 52] = [
        Self::PolicyPut,
        Self::PolicyRemoved,
        Self::PolicyViolated,
        Self::ViolationChanged,
        Self::ApprovalRequested,
        Self::ApprovalVoted,
        Self::ApprovalGranted,
        Self::ApprovalDenied,
        Self::ApprovalExpired,
        Self::BudgetPut,
        Self::BudgetRemoved,
        Self::BudgetReset,
        Self::BudgetWarned,
        Self::BudgetExhausted,
        Self::BudgetReopened,
        Self::AccountHeld,
        Self::BreakerSet,
        Self::BreakerOpened,
        Self::BreakerHalfOpened,
        Self::BreakerClosed,
        Self::LimitPut,
        Self::LimitRemoved,
        Self::ResourcePut,
        Self::ResourceRemoved,
        Self::HookCreated,
        Self::HookStarted,
        Self::HookEnded,
        Self::HookAbandoned,
        Self::HookReassigned,
        Self::HookRemoved,
        Self::PoolScaled,
        Self::PoolPolicyChanged,
        Self::RolloutBegun,
        Self::RolloutChanged,
        Self::RolloutEnded,
        Self::AgentRenewed,
        Self::RolePut,
        Self::RoleRemoved,
        Self::RoleBound,
        Self::RoleUnbound,
        Self::TokenBound,
        Self::OwnerSet,
        Self::QuotaPut,
        Self::HookReturned,
        Self::BudgetRaised,
        Self::AttemptOverBudget,
        Self::WebhookPut,
        Self::WebhookRemoved,
        Self::WebhookGaveUp,
        Self::WebhookOverflowed,
        Self::WebhookAsked,
        Self::AgentGivenUp,
    ];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PolicyPut => "policy_put",
            Self::PolicyRemoved => "policy_removed",
            Self::PolicyViolated => "policy_violated",
            Self::ViolationChanged => "violation_changed",
            Self::ApprovalRequested => "approval_requested",
            Self::ApprovalVoted => "approval_voted",
            Self::ApprovalGranted => "approval_granted",
            Self::ApprovalDenied => "approval_denied",
            Self::ApprovalExpired => "approval_expired",
            Self::BudgetPut => "budget_put",
            Self::BudgetRemoved => "budget_removed",
            Self::BudgetReset => "budget_reset",
            Self::BudgetWarned => "budget_warned",
            Self::BudgetExhausted => "budget_exhausted",
            Self::BudgetReopened => "budget_reopened",
            Self::AccountHeld => "account_held",
            Self::BreakerSet => "breaker_set",
            Self::BreakerOpened => "breaker_opened",
            Self::BreakerHalfOpened => "breaker_half_opened",
            Self::BreakerClosed => "breaker_closed",
            Self::LimitPut => "limit_put",
            Self::LimitRemoved => "limit_removed",
            Self::ResourcePut => "resource_put",
            Self::ResourceRemoved => "resource_removed",
            Self::HookCreated => "hook_created",
            Self::HookStarted => "hook_started",
            Self::HookEnded => "hook_ended",
            Self::HookAbandoned => "hook_abandoned",
            Self::HookReassigned => "hook_reassigned",
            Self::HookRemoved => "hook_removed",
            Self::PoolScaled => "pool_scaled",
            Self::PoolPolicyChanged => "pool_policy_changed",
            Self::RolloutBegun => "rollout_begun",
            Self::RolloutChanged => "rollout_changed",
            Self::RolloutEnded => "rollout_ended",
            Self::AgentRenewed => "agent_renewed",
            Self::RolePut => "role_put",
            Self::RoleRemoved => "role_removed",
            Self::RoleBound => "role_bound",
            Self::RoleUnbound => "role_unbound",
            Self::TokenBound => "token_bound",
            Self::OwnerSet => "owner_set",
            Self::QuotaPut => "quota_put",
            Self::HookReturned => "hook_returned",
            Self::BudgetRaised => "budget_raised",
            Self::AttemptOverBudget => "attempt_over_budget",
            Self::WebhookPut => "webhook_put",
            Self::WebhookRemoved => "webhook_removed",
            Self::WebhookGaveUp => "webhook_gave_up",
            Self::WebhookOverflowed => "webhook_overflowed",
            Self::WebhookAsked => "webhook_asked",
            Self::AgentGivenUp => "agent_given_up",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_complete() {
        let this = include_str!("governing.rs");
        let declared = this.lines().filter(|line| line.trim().starts_with("Self::") && line.contains("=>"));
        assert_eq!(Governing::ALL.len(), declared.count(), "something that may happen is not in the list");
        for (place, what) in Governing::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, place, "{} is not in order", what.as_str());
        }
    }
}
