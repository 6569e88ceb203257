//! What is asked of what governs, and how it stands when it is looked up.

use std::fmt;

use synod::node::domain::approval::ApprovalStatus;
use synod::node::domain::id::{ApprovalId, TaskId, WebhookId};
use synod::node::domain::name::Name;
use synod::node::domain::quota::Quota;
use synod::node::domain::time::Timestamp;

/// What somebody who governs asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// To make a budget, or to change it.
    PutBudget {
        /// Which.
        budget: Name,
        /// Its one limit.
        most: u64,
    },
    /// To raise the limit of a budget for a while.
    RaiseBudget {
        /// Which.
        budget: Name,
        /// By how much, in percent.
        percent: u32,
    },
    /// To forget what was spent.
    ResetBudget {
        /// Of which budget.
        budget: Name,
    },
    /// To have a budget no more.
    RemoveBudget {
        /// Which.
        budget: Name,
    },
    /// To make a policy, or to change it.
    PutPolicy {
        /// Which.
        policy: Name,
    },
    /// To have a policy no more.
    RemovePolicy {
        /// Which.
        policy: Name,
    },
    /// To take a yes or a no.
    Vote {
        /// To which approval.
        approval: ApprovalId,
        /// The task that waits for it.
        task: Option<TaskId>,
        /// Which of the two.
        approve: bool,
    },
    /// To make a limit set, or to change it.
    PutLimits {
        /// Which.
        set: Name,
        /// How many it lets at once, or begin in its window.
        most: u64,
    },
    /// To have a limit set no more.
    RemoveLimits {
        /// Which.
        set: Name,
    },
    /// To make a resource, or to change it.
    PutResource {
        /// Which.
        resource: Name,
        /// How much of it there is.
        capacity: u64,
    },
    /// To make a webhook.
    PutWebhook {
        /// Which.
        webhook: WebhookId,
    },
    /// To tell a webhook what happens, or nothing for a while.
    ToggleWebhook {
        /// Which.
        webhook: WebhookId,
        /// Whether it is told.
        enabled: bool,
    },
    /// To tell a webhook something that says nothing.
    TestWebhook {
        /// Which.
        webhook: WebhookId,
    },
    /// To try at once what waits for its next try.
    Redeliver {
        /// Of which webhook.
        webhook: WebhookId,
    },
    /// To change what a workspace may have.
    PutQuota {
        /// Which.
        workspace: Name,
        /// What it may have.
        quota: Quota,
    },
    /// To give a pool to a workspace.
    SetOwner {
        /// Which.
        pool: Name,
    },
    /// To have so many agents in a pool, if it may.
    ScalePool {
        /// Which.
        pool: Name,
        /// How many.
        target: u32,
    },
    /// To make a breaker, or to change it.
    PutBreaker {
        /// Of what, as a path.
        of: String,
        /// How many probes it lets through.
        probes: u32,
    },
    /// To open a breaker by hand.
    TripBreaker {
        /// Of what.
        of: String,
    },
    /// To close a breaker by hand.
    ResetBreaker {
        /// Of what.
        of: String,
    },
    /// To have a breaker no more.
    RemoveBreaker {
        /// Of what.
        of: String,
    },
    /// To show the last records of the audit log.
    ReadAudit,
    /// To check the whole of it.
    CheckAudit,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PutBudget { budget, most } => write!(f, "put budget {budget} with {most}"),
            Self::RaiseBudget { budget, percent } => write!(f, "raise budget {budget} by {percent} percent"),
            Self::ResetBudget { budget } => write!(f, "reset budget {budget}"),
            Self::RemoveBudget { budget } => write!(f, "remove budget {budget}"),
            Self::PutPolicy { policy } => write!(f, "put policy {policy}"),
            Self::RemovePolicy { policy } => write!(f, "remove policy {policy}"),
            Self::Vote { approval, approve: true, .. } => write!(f, "approve {approval}"),
            Self::Vote { approval, approve: false, .. } => write!(f, "deny {approval}"),
            Self::PutLimits { set, most } => write!(f, "put limits {set} with {most}"),
            Self::RemoveLimits { set } => write!(f, "remove limits {set}"),
            Self::PutResource { resource, capacity } => write!(f, "put resource {resource} with {capacity}"),
            Self::PutWebhook { webhook } => write!(f, "put {webhook}"),
            Self::ToggleWebhook { webhook, enabled: true } => write!(f, "enable {webhook}"),
            Self::ToggleWebhook { webhook, enabled: false } => write!(f, "disable {webhook}"),
            Self::TestWebhook { webhook } => write!(f, "test {webhook}"),
            Self::Redeliver { webhook } => write!(f, "tell {webhook} at once"),
            Self::PutQuota { workspace, quota } => write!(f, "put the quota of {workspace} to {quota}"),
            Self::SetOwner { pool } => write!(f, "let {pool}"),
            Self::ScalePool { pool, target } => write!(f, "scale {pool} to {target}"),
            Self::PutBreaker { of, probes } => write!(f, "put the breaker of {of} with {probes} probes"),
            Self::TripBreaker { of } => write!(f, "trip the breaker of {of}"),
            Self::ResetBreaker { of } => write!(f, "reset the breaker of {of}"),
            Self::RemoveBreaker { of } => write!(f, "remove the breaker of {of}"),
            Self::ReadAudit => f.write_str("show the audit log"),
            Self::CheckAudit => f.write_str("check the audit log"),
        }
    }
}

/// How a budget stands, with all its limits together: those of a world have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// Its name.
    pub budget: Name,
    /// Used by leave.
    pub settled: u64,
    /// Promised to attempts that are not over.
    pub reserved: u64,
    /// Used without leave.
    pub overrun: u64,
    /// How many tasks wait for it.
    pub waiting: usize,
}

/// An account of a provider that is left alone for a while, or for which something waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub account: Name,
    /// Until when it is left alone, if it is.
    pub until: Option<Timestamp>,
    /// How many tasks wait for that.
    pub waiting: usize,
}

/// A breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// Of what, as a path.
    pub of: String,
    /// How it stands.
    pub circuit: Circuit,
    /// How many tasks wait for it.
    pub waiting: usize,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// It lets everything through.
    Closed,
    /// It lets nothing through until then.
    Open(Timestamp),
    /// It lets probes through.
    HalfOpen,
}

/// How the outbox of a webhook stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postbox {
    /// Of which.
    pub webhook: WebhookId,
    /// How many messages were ever noted.
    pub noted: u64,
    /// How many of them, the last ones, are still to be told.
    pub waiting: u64,
    /// How many were given up.
    pub given_up: u64,
    /// How many were dropped because there were too many.
    pub dropped: u64,
}

/// How everything that governs stands, in one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Governance {
    /// The last entry of the log that is in it.
    pub index: u64,
    /// The time of the state then.
    pub now: Timestamp,
    /// The budgets.
    pub budgets: Vec<Ledger>,
    /// The policies that are asked.
    pub policies: Vec<Name>,
    /// The approvals of tasks, and what came of them.
    pub approvals: Vec<(ApprovalId, TaskId, ApprovalStatus)>,
    /// The limit sets.
    pub limit_sets: Vec<Name>,
    /// The resources: how much there is of each, and how much of that is in use.
    pub resources: Vec<(Name, u64, u64)>,
    /// The webhooks, by their outboxes.
    pub postboxes: Vec<Postbox>,
    /// The workspaces with a quota.
    pub quotas: Vec<Name>,
    /// The accounts of providers.
    pub accounts: Vec<Account>,
    /// The breakers.
    pub breakers: Vec<Breaker>,
}

impl Governance {
    /// Tells whether nothing governs.
    pub fn is_empty(&self) -> bool {
        *self == Self { index: self.index, now: self.now, ..Self::default() }
    }
}

impl fmt::Display for Governance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            now,
            budgets,
            policies,
            approvals,
            limit_sets,
            resources,
            postboxes,
            quotas,
            accounts,
            breakers,
        } = self;
        write!(f, " after {index} at {}", now.as_millis())?;
        for Ledger { budget, settled, reserved, overrun, waiting } in budgets {
            write!(f, " budget {budget} {settled}+{reserved}+{overrun}, {waiting} wait")?;
        }
        for policy in policies {
            write!(f, " policy {policy}")?;
        }
        for (approval, _, status) in approvals {
            write!(f, " {approval} {status}")?;
        }
        for set in limit_sets {
            write!(f, " limits {set}")?;
        }
        for (resource, capacity, in_use) in resources {
            write!(f, " resource {resource} {in_use}/{capacity}")?;
        }
        for Postbox { webhook, noted, waiting, given_up, dropped } in postboxes {
            write!(f, " {webhook} {waiting} of {noted} wait, {given_up} given up, {dropped} dropped")?;
        }
        for workspace in quotas {
            write!(f, " quota of {workspace}")?;
        }
        for Account { account, until, waiting } in accounts {
            let until = until.map_or(0, Timestamp::as_millis);
            write!(f, " account {account} until {until}, {waiting} wait")?;
        }
        for Breaker { of, circuit, waiting } in breakers {
            match circuit {
                Circuit::Closed => write!(f, " {of} closed")?,
                Circuit::Open(until) => write!(f, " {of} open until {}", until.as_millis())?,
                Circuit::HalfOpen => write!(f, " {of} half-open")?,
            }
            write!(f, ", {waiting} wait")?;
        }
        Ok(())
    }
}

/// One record of the audit log, as far as judges look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its place.
    pub seq: u64,
    /// The beginning of its hash.
    pub hash: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What was asked for.
    pub action: String,
    /// Of what.
    pub resource: String,
    /// Whether it was done.
    pub accepted: bool,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, hash, action, resource, accepted, at: _ } = self;
        write!(f, "{seq}:{hash:016x} {action} {resource} {accepted}")
    }
}
