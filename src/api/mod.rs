//! What travels between a node and its clients under `/api/v1`: the requests and answers, as data.
//!
//! The server ([`crate::http`]) and the client ([`crate::client`]) use these same types, so they cannot drift
//! apart. Times are RFC 3339 in UTC with milliseconds; durations are whole milliseconds in fields that end in
//! `_ms`; ids are text with a prefix. An unknown field of a request is refused, so that a mistyped one is not
//! silently ignored; clients ignore unknown fields of answers, so that answers may grow.

mod access;
mod agents;
mod approvals;
mod audit;
mod breakers;
mod budgets;
mod claims;
mod cluster;
mod events;
mod hooks;
mod json;
mod limits;
mod lists;
mod mailboxes;
mod nodes;
mod policies;
mod pools;
mod problem;
mod queries;
mod resources;
mod runs;
mod tasks;
mod tending;
mod tokens;
mod webhooks;
mod workspaces;

pub use access::{Ownership, PutRole, Role, RoleBinding};
pub use agents::{Agent, AgentHealth, AgentPrograms, HeartbeatAgent, HostedSpec, RegisterAgent};
pub use approvals::{Approval, ApprovalFilter, ApprovalVote, SayToApproval};
pub use audit::{
    AuditActor, AuditCheck, AuditExportHead, AuditFilter, AuditLink, AuditRange, AuditRecord, AuditStats,
    KeepAudit,
};
pub use breakers::{Breaker, BreakerFailure, BreakerSettings, PutBreaker, ResetBreaker, TripBreaker};
pub use budgets::{
    Budget, BudgetAlert, BudgetLimit, BudgetLine, BudgetRaise, BudgetSettings, BudgetSummary, BudgetVerdict,
    Enforcement, Estimate, HeldAccount, Measure, NewBudget, OverBudget, OverrideBudget, RecordUsage,
    ResetBudget, UsageBy, UsageQuery, UsageReport, Used, WindowKind,
};
pub use claims::{
    Claim, Claimed, Complete, CompleteMany, CompleteOne, Completed, CompletedMany, CompletedOne, Ended, Fail,
    Failed, HeartbeatTask, Lease, LeasedTask, Release, StartTask,
};
pub use cluster::{
    Cluster, Courier, CourierLetter, Gossip, GossipKey, JoinToken, JoinTokenWithText, Leader, Member,
    NewJoinToken, Region, RegionMember, RegionRival, SnapshotMade, TransferLeadership,
};
pub use events::{Event, Missed};
pub use hooks::{
    CompleteHook, FailHook, Hook, HookFilter, ImportHooks, ImportedHooks, NewHook, ReassignHook, StartHook,
};
pub use json::Json;
pub use limits::{Limit, LimitKey, LimitRate, PutLimit};
pub use lists::{Bulk, BulkDone, BulkFailure, Filter, Page, Unanswered};
pub use mailboxes::{LaneDepths, Mailbox, Pause, PauseOf};
pub use nodes::{Component, DrainNode, Health, Node, Seen, SetRole, Stats};
pub use policies::{
    DryRun, DryRunChange, DryRunReport, Evaluate, Evaluated, NewPolicy, Policy, PolicyAgents, PolicyDefaults,
    PolicyRule, PolicyScope, SettleViolation, TogglePolicy, Violation, ViolationFilter,
};
pub use pools::{NewPool, Pool, PoolRuntime, Recovery, Restart, ScalePool, Share, Shortfall, Spread};
pub use problem::Problem;
pub use queries::{AgentFilter, EventFilter, LogQuery, PageQuery, RemoveQuery, RemoveRegionQuery, WaitQuery};
pub use resources::{PutResource, Resource, ResourceShare};
pub use runs::{EndRun, OpenRun, Run};
pub use tasks::{
    Attempt, Cancel, DeadLetter, Kept, LogChunk, NewTask, NewTasks, Priority, Progress, Redrive, Retry,
    Routing, SetPriority, Submitted, SubmittedAll, Task, TaskStatus, Usage, Why,
};
pub use tending::{
    Assignment, Autoscale, Canary, NewRollout, RestartAfter, Rollout, RolloutPolicy, RolloutReason,
    RolloutVersion, Scaled,
};
pub use tokens::{NewToken, RotateToken, Token, TokenWithSecret};
pub use webhooks::{
    ChangeWebhook, NewWebhook, RedeliverWebhook, RotateWebhook, Webhook, WebhookDelivery,
    WebhookDeliveryFilter, WebhookFailure, WebhookRetry, WebhookWithSecret,
};
pub use workspaces::{PutWorkspace, Quota, Workspace, WorkspaceUse};
