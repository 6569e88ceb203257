//! Why a command was refused.
//!
//! A refusal leaves the state as it was. Each has a stable code for programs, a text that says what
//! and why, and a hint that says what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::approval::ApprovalStatus;
use crate::breaker::Guarded;
use crate::hook::HookRefusal;
use crate::id::{AgentId, ApprovalId, NodeId, RunId, TaskId, TokenId, ViolationId, WebhookId};
use crate::name::Name;
use crate::node::NodeStanding;
use crate::policy::{Decider, Enforcement};
use crate::quota::QuotaOf;
use crate::task::Phase;

/// Which bound was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// Tasks in one mailbox.
    Mailbox(String),
    /// Tasks of one workspace.
    Workspace(Name),
    /// Tasks in all.
    Node,
    /// Bytes of payload in memory.
    PayloadBytes,
    /// Agents of one pool.
    Pool(Name),
    /// Tokens in all.
    Tokens,
    /// Pauses in all.
    Pauses,
    /// Agents in all.
    Agents,
    /// Pools in all.
    Pools,
    /// Nodes of one region.
    Nodes,
    /// Join tokens in all.
    JoinTokens,
    /// Keys in the ring of gossip.
    GossipKeys,
    /// Regions in all, those that were removed among them.
    Regions,
    /// Hooks that have not ended, in all.
    Hooks,
    /// Agents of all pools of the fabric together.
    FabricAgents,
    /// Budgets in all, or of one scope.
    Budgets,
    /// Breakers in all.
    Breakers,
    /// Limit sets in all.
    LimitSets,
    /// Resources in all.
    Resources,
    /// Policies in all.
    Policies,
    /// Approvals that are pending.
    Approvals,
    /// Roles that were made.
    Roles,
    /// Bindings of roles.
    RoleBindings,
    /// Webhooks in all.
    Webhooks,
    /// What a workspace may have.
    Quota {
        /// Which one.
        workspace: Name,
        /// What of it.
        of: QuotaOf,
    },
    /// Workspaces with a quota.
    Quotas,
}

/// Why a command was refused; the state is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// There is no such task among those that have not ended long ago.
    #[error("there is no unfinished task {0}")]
    TaskUnknown(TaskId),
    /// The task is over.
    #[error("{task} has already ended: it is {phase}")]
    AlreadyEnded {
        /// Which task.
        task: TaskId,
        /// How it ended.
        phase: Phase,
    },
    /// The writer's lease is not the valid one.
    #[error("attempt {attempt} holds no lease on {task}")]
    LeaseLost {
        /// Which task.
        task: TaskId,
        /// The attempt that wrote.
        attempt: u32,
    },
    /// A depth limit is reached.
    #[error("{bound} is full: its limit is {limit}")]
    Full {
        /// Which bound.
        bound: Bound,
        /// Its limit.
        limit: u64,
    },
    /// The key was used for another task.
    #[error("the idempotency key belongs to {task}, whose content differs")]
    IdempotencyConflict {
        /// The task that has the key.
        task: TaskId,
    },
    /// A task of that id exists.
    #[error("{0} exists already")]
    TaskExists(TaskId),
    /// There is no such agent.
    #[error("there is no agent {0}")]
    AgentUnknown(AgentId),
    /// The agent takes no work in its present standing.
    #[error("{agent} takes no work: it is {status}")]
    AgentUnavailable {
        /// Which agent.
        agent: AgentId,
        /// Its status, in words.
        status: String,
    },
    /// There is no such pool.
    #[error("there is no pool {0}")]
    PoolUnknown(Name),
    /// The pool still has agents or waiting work.
    #[error("pool {pool} still has {agents} agents and {waiting} waiting tasks")]
    PoolInUse {
        /// Which pool.
        pool: Name,
        /// Its agents.
        agents: u64,
        /// Its waiting tasks.
        waiting: u64,
    },
    /// There is no such run.
    #[error("there is no open run {0}")]
    RunUnknown(RunId),
    /// The fleet has an open run already.
    #[error("fleet {fleet} already has the open run {run}")]
    RunOpen {
        /// Which fleet.
        fleet: Name,
        /// Its open run.
        run: RunId,
    },
    /// A field of the command is outside its bounds.
    #[error("{field} is not valid: {why}")]
    Invalid {
        /// Which field.
        field: String,
        /// Why.
        why: String,
    },
    /// Another agent that runs elsewhere has the name.
    #[error("the name {name} belongs to {agent}")]
    AgentNameTaken {
        /// The name.
        name: Name,
        /// Who has it.
        agent: AgentId,
    },
    /// The pool is being removed.
    #[error("pool {0} retires: it takes nothing new")]
    PoolRetiring(Name),
    /// There is no such token.
    #[error("there is no token {0}")]
    TokenUnknown(TokenId),
    /// A token of that id or text exists.
    #[error("{0} exists already")]
    TokenExists(TokenId),
    /// Without the token nobody could make one any more.
    #[error("{0} is the last token that allows tokens:write: nobody could make another")]
    LastToken(TokenId),
    /// There is no such node in the cluster.
    #[error("there is no node {0} in the cluster")]
    NodeUnknown(NodeId),
    /// The node's disk has forgotten something that it had promised to keep.
    #[error(
        "{node} starts for the {generation}th time, yet it has started {known} times before: its disk has forgotten something"
    )]
    NodeForgot {
        /// Which node.
        node: NodeId,
        /// The number of its start.
        generation: u64,
        /// The number of the last one that is known.
        known: u64,
    },
    /// Another node has the name.
    #[error("the name {name} belongs to {node}")]
    NodeNameTaken {
        /// The name.
        name: Name,
        /// Who has it.
        node: NodeId,
    },
    /// Without the node there would be no voter.
    #[error("{0} is the last voter: nobody could agree on anything any more")]
    LastVoter(NodeId),
    /// The join token is not known, was used, or has expired.
    #[error("the join token {0}")]
    JoinTokenRefused(String),
    /// There is no such key in the ring, or it is in use.
    #[error("gossip key {number} {why}")]
    GossipKeyRefused {
        /// Which one.
        number: u32,
        /// Why, for a person.
        why: String,
    },
    /// The node is not counted on, so nothing that it says of its agents holds.
    #[error("{node} is {standing}: its agents are taken for gone")]
    NodeAway {
        /// Which node.
        node: NodeId,
        /// What it is taken for.
        standing: NodeStanding,
    },
    /// Another region has the name, or had it.
    #[error("a region named {0} is known already, or was")]
    RegionNameTaken(Name),
    /// There is no such region, or it was removed.
    #[error("there is no region {0}")]
    RegionNotKnown(Name),
    /// The task was forwarded or offered to another region, where it is judged.
    #[error("{task} was given to region {region}: what becomes of it is decided there")]
    TaskElsewhere {
        /// Which task.
        task: TaskId,
        /// Which region has it, or may have it.
        region: Name,
    },
    /// The task is not kept for another region, or not offered to that one.
    #[error("{task} is not kept here for region {region}")]
    TaskNotKept {
        /// Which task.
        task: TaskId,
        /// Which region.
        region: Name,
    },
    /// The task was offered before and refused, and the region that offers it may have given it to another one since.
    #[error("{task} was offered before and refused: {why}")]
    OfferDeclined {
        /// Which task.
        task: TaskId,
        /// Why it was refused then.
        why: String,
    },
    /// A command about a hook was refused.
    #[error(transparent)]
    Hook(#[from] HookRefusal),
    /// A task was to begin after one that is not known.
    #[error("there is no task {0} to wait for")]
    PrerequisiteUnknown(TaskId),
    /// There is no such budget.
    #[error("there is no budget {0}")]
    BudgetUnknown(Name),
    /// There is no such breaker.
    #[error("{0} has no breaker")]
    BreakerUnknown(Guarded),
    /// There is no such limit set.
    #[error("there is no limit set {0}")]
    LimitSetUnknown(Name),
    /// There is no such resource.
    #[error("there is no resource {0}")]
    ResourceUnknown(Name),
    /// Tasks have something of the resource, or wait for it.
    #[error("of resource {resource} {held} are in use, and {waiting} tasks wait for it")]
    ResourceInUse {
        /// Which resource.
        resource: Name,
        /// How much of it tasks have.
        held: u64,
        /// How many tasks wait for it.
        waiting: u64,
    },
    /// The pool lets no work wait, and no agent of it is free.
    #[error(
        "no agent of pool {0} is free for it, and the pool lets no work wait: its assignment is immediate"
    )]
    NobodyFree(Name),
    /// The rollout cannot be begun or changed like that.
    #[error("no such rollout of pool {pool}: {why}")]
    RolloutRefused {
        /// Which pool.
        pool: Name,
        /// Why.
        why: String,
    },
    /// A policy does not allow it.
    #[error("{action} is denied{}: {why}", by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default())]
    PolicyDenied {
        /// What was to be done.
        action: String,
        /// The rule that does not allow it; none when a default does not.
        by: Option<Decider>,
        /// Why.
        why: String,
    },
    /// There is no such policy.
    #[error("there is no policy {0}")]
    PolicyUnknown(Name),
    /// There is no such approval.
    #[error("there is no approval {0}")]
    ApprovalUnknown(ApprovalId),
    /// The approval is decided, or the voter has said something else already.
    #[error("nothing more can be said to {approval}: it is {status}")]
    ApprovalClosed {
        /// Which one.
        approval: ApprovalId,
        /// What came of it.
        status: ApprovalStatus,
    },
    /// The approval is for others to give.
    #[error("{name} is not among those who may say anything to {approval}")]
    NotAnApprover {
        /// Which one.
        approval: ApprovalId,
        /// Who wanted to.
        name: Name,
    },
    /// There is no such violation.
    #[error("there is no violation {0}")]
    ViolationUnknown(ViolationId),
    /// There is no such role, or it is not bound so.
    #[error("there is no role {0}, or it is not bound so")]
    RoleUnknown(Name),
    /// Whoever asks is bound to a workspace, and this is not of one.
    #[error("the token is bound to workspace {0}, and this is not of one")]
    WorkspaceBound(Name),
    /// There is no such webhook.
    #[error("there is no webhook {0}")]
    WebhookUnknown(WebhookId),
    /// A webhook of that id exists.
    #[error("{0} exists already")]
    WebhookExists(WebhookId),
    /// No such message is in the outbox.
    #[error("message {seq} is not in the outbox of {webhook}")]
    DeliveryUnknown {
        /// Whose outbox.
        webhook: WebhookId,
        /// Which message.
        seq: u64,
    },
}

impl Refusal {
    /// Returns the stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TaskUnknown(_) => "task_unknown",
            Self::AlreadyEnded { .. } => "already_ended",
            Self::LeaseLost { .. } => "lease_lost",
            Self::Full { .. } => "full",
            Self::IdempotencyConflict { .. } => "idempotency_conflict",
            Self::TaskExists(_) => "task_exists",
            Self::AgentUnknown(_) => "agent_unknown",
            Self::AgentUnavailable { .. } => "agent_unavailable",
            Self::PoolUnknown(_) => "pool_unknown",
            Self::PoolInUse { .. } => "pool_in_use",
            Self::RunUnknown(_) => "run_unknown",
            Self::RunOpen { .. } => "run_open",
            Self::Invalid { .. } => "invalid",
            Self::AgentNameTaken { .. } => "agent_name_taken",
            Self::PoolRetiring(_) => "pool_retiring",
            Self::TokenUnknown(_) => "token_unknown",
            Self::TokenExists(_) => "token_exists",
            Self::LastToken(_) => "last_token",
            Self::NodeUnknown(_) => "node_unknown",
            Self::NodeForgot { .. } => "node_forgot",
            Self::NodeNameTaken { .. } => "node_name_taken",
            Self::LastVoter(_) => "last_voter",
            Self::JoinTokenRefused(_) => "join_token_refused",
            Self::GossipKeyRefused { .. } => "gossip_key_refused",
            Self::NodeAway { .. } => "node_away",
            Self::RegionNameTaken(_) => "region_name_taken",
            Self::RegionNotKnown(_) => "region_unknown",
            Self::TaskElsewhere { .. } => "task_elsewhere",
            Self::TaskNotKept { .. } => "task_not_kept",
            Self::OfferDeclined { .. } => "offer_declined",
            Self::Hook(refusal) => refusal.code(),
            Self::PrerequisiteUnknown(_) => "prerequisite_unknown",
            Self::BudgetUnknown(_) => "budget_unknown",
            Self::BreakerUnknown(_) => "breaker_unknown",
            Self::LimitSetUnknown(_) => "limit_unknown",
            Self::ResourceUnknown(_) => "resource_unknown",
            Self::ResourceInUse { .. } => "resource_in_use",
            Self::NobodyFree(_) => "nobody_free",
            Self::RolloutRefused { .. } => "rollout_refused",
            Self::PolicyDenied { .. } => "policy_denied",
            Self::PolicyUnknown(_) => "policy_unknown",
            Self::ApprovalUnknown(_) => "approval_unknown",
            Self::ApprovalClosed { .. } => "approval_closed",
            Self::NotAnApprover { .. } => "not_an_approver",
            Self::ViolationUnknown(_) => "violation_unknown",
            Self::RoleUnknown(_) => "role_unknown",
            Self::WorkspaceBound(_) => "workspace_bound",
            Self::WebhookUnknown(_) => "webhook_unknown",
            Self::WebhookExists(_) => "webhook_exists",
            Self::DeliveryUnknown { .. } => "delivery_unknown",
        }
    }

    /// Returns what to do about it, for a person.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::TaskUnknown(_) => "check the id; an ended task is found in history",
            Self::AlreadyEnded { .. } => "nothing is left to do; read the task to see how it ended",
            Self::LeaseLost { .. } => "stop this attempt and drop its result; another attempt has the task",
            Self::Full { bound: Bound::Pool(_), .. } => "raise the pool's most, or remove one of its agents",
            Self::Full { bound: Bound::Tokens, .. } => "revoke tokens that nobody uses",
            Self::Full { bound: Bound::Agents, .. } => "remove agents that nobody needs any more",
            Self::Full { bound: Bound::Pools, .. } => "remove pools that nobody needs any more",
            Self::Full { bound: Bound::Nodes, .. } => "remove nodes that have gone, or form another region",
            Self::Full { bound: Bound::JoinTokens, .. } => "revoke join tokens that nobody uses",
            Self::Full { bound: Bound::GossipKeys, .. } => "remove a key that is not used any more",
            Self::Full { bound: Bound::Regions, .. } => {
                "a removed region keeps its name; found fewer of them"
            }
            Self::Full { bound: Bound::Hooks, .. } => "wait until some have ended, or remove abandoned ones",
            Self::Full { bound: Bound::FabricAgents, .. } => {
                "terminate agents that nobody needs, make a pool smaller, or raise max_concurrent_agents"
            }
            Self::Full { bound: Bound::Budgets, .. } => {
                "remove budgets that nobody needs, or join some in one"
            }
            Self::Full { bound: Bound::Resources, .. } => "remove resources that nobody needs any more",
            Self::Full { bound: Bound::Policies, .. } => "remove policies that nobody needs any more",
            Self::Full { bound: Bound::Approvals, .. } => "say yes or no to some that are pending",
            Self::Full { bound: Bound::Pauses, .. } => "resume what need not stand still",
            Self::Full { bound: Bound::Breakers, .. } => "remove breakers that nobody needs any more",
            Self::Full { bound: Bound::LimitSets, .. } => "remove limit sets that nobody needs any more",
            Self::Full { bound: Bound::Webhooks, .. } => "remove webhooks that nobody needs any more",
            Self::Full { bound: Bound::Quota { .. }, .. } => {
                "wait until some of it is free, or have the quota raised; see `synod workspace show`"
            }
            Self::Full { .. } => "wait and submit again, or raise the limit",
            Self::IdempotencyConflict { .. } => "use a new key for new work, or send the same content",
            Self::TaskExists(_) => "make a new id for new work",
            Self::AgentUnknown(_) => "register the agent first",
            Self::AgentUnavailable { .. } => "wait until it is READY, or use another agent",
            Self::PoolUnknown(_) => "create the pool first, or correct its name",
            Self::PoolInUse { .. } => "scale it to 0 and wait, or cancel its tasks",
            Self::RunUnknown(_) => "the run has ended; start a new one",
            Self::RunOpen { .. } => "continue it, or end it first",
            Self::Invalid { .. } => "correct the field and send again",
            Self::AgentNameTaken { .. } => "register under another name, or remove that agent first",
            Self::PoolRetiring(_) => "use another pool, or create it again when it is gone",
            Self::TokenUnknown(_) => "list the tokens; it may have expired or been revoked",
            Self::TokenExists(_) => "make a new id and a new text",
            Self::LastToken(_) => "make another one that does, and revoke this one with it",
            Self::NodeUnknown(_) => "list the members; a node that was removed joins anew under a new id",
            Self::NodeForgot { .. } => "remove the node, empty its data folder and let it join anew",
            Self::NodeNameTaken { .. } => "give the node another name, or remove the other one first",
            Self::LastVoter(_) => "promote another node first",
            Self::JoinTokenRefused(_) => "make a new one with `synod cluster token create`",
            Self::GossipKeyRefused { .. } => {
                "list the keys; use another one before you remove the one in use"
            }
            Self::NodeAway { .. } => "wait until the node is counted on again; it registers its agents then",
            Self::RegionNameTaken(_) => "give the region another name",
            Self::RegionNotKnown(_) => "list the regions with `synod cluster regions`",
            Self::TaskElsewhere { .. } => "ask that region, as with ?region=NAME",
            Self::TaskNotKept { .. } => "read the task to see where it is",
            Self::OfferDeclined { .. } => {
                "nothing is left to do; the region that has it says what becomes of it"
            }
            Self::Hook(refusal) => refusal.hint(),
            Self::PrerequisiteUnknown(_) => {
                "submit it first, in the same workspace; one that has completed need not be waited for"
            }
            Self::BudgetUnknown(_) => "list the budgets with `synod budget list`",
            Self::LimitSetUnknown(_) => "list the limit sets, or make one with `synod limit put`",
            Self::BreakerUnknown(_) => "list the breakers, or make one with `synod breaker set`",
            Self::ResourceUnknown(_) => "make the resource first, or correct its name",
            Self::ResourceInUse { .. } => "wait until nobody has it or waits for it, or cancel those tasks",
            Self::NobodyFree(_) => "submit again when an agent is free, or let the pool queue its work",
            Self::RolloutRefused { .. } => "look at it with `synod pool rollout status`",
            Self::PolicyDenied { by: Some(Decider { enforcement: Enforcement::Soft, .. }), .. } => {
                "whoever may write policies can override the violation; see `synod policy violations`"
            }
            Self::PolicyDenied { .. } => "ask for something else, or have the policy changed",
            Self::PolicyUnknown(_) => "list the policies with `synod policy list`",
            Self::ApprovalUnknown(_) => "list the approvals; one that was decided long ago is forgotten",
            Self::ApprovalClosed { .. } => "nothing is left to do; show the approval to see what came of it",
            Self::NotAnApprover { .. } => "show the approval to see who may",
            Self::ViolationUnknown(_) => "list the violations; those that are settled are forgotten first",
            Self::RoleUnknown(_) => "list the roles and their bindings with `synod role`",
            Self::WorkspaceBound(_) => "use a token without a workspace, as operators have",
            Self::WebhookUnknown(_) => "list the webhooks with `synod webhook list`",
            Self::WebhookExists(_) => "make a new id",
            Self::DeliveryUnknown { .. } => "list the deliveries; what was taken or dropped is not kept",
        }
    }

    /// Tells whether the same command may succeed later.
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::AgentUnavailable { .. }
                | Self::PoolInUse { .. }
                | Self::ResourceInUse { .. }
                | Self::NodeAway { .. }
                | Self::NobodyFree(_)
        )
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => write!(f, "mailbox {mailbox}"),
            Self::Workspace(workspace) => write!(f, "workspace {workspace}"),
            Self::Node => f.write_str("the node"),
            Self::PayloadBytes => f.write_str("the memory for payloads"),
            Self::Pool(pool) => write!(f, "pool {pool}"),
            Self::Tokens => f.write_str("the list of tokens"),
            Self::Pauses => f.write_str("the list of pauses"),
            Self::Agents => f.write_str("the list of agents"),
            Self::Pools => f.write_str("the list of pools"),
            Self::Nodes => f.write_str("the list of nodes"),
            Self::JoinTokens => f.write_str("the list of join tokens"),
            Self::GossipKeys => f.write_str("the ring of gossip keys"),
            Self::Regions => f.write_str("the list of regions"),
            Self::Hooks => f.write_str("the list of hooks"),
            Self::FabricAgents => f.write_str("the fabric"),
            Self::Budgets => f.write_str("the list of budgets"),
            Self::Breakers => f.write_str("the list of breakers"),
            Self::LimitSets => f.write_str("the list of limit sets"),
            Self::Resources => f.write_str("the list of resources"),
            Self::Policies => f.write_str("the list of policies"),
            Self::Approvals => f.write_str("the list of pending approvals"),
            Self::Roles => f.write_str("the list of roles"),
            Self::RoleBindings => f.write_str("the list of role bindings"),
            Self::Webhooks => f.write_str("the list of webhooks"),
            Self::Quota { workspace, of } => write!(f, "the quota of {of} of workspace {workspace}"),
            Self::Quotas => f.write_str("the list of quotas"),
        }
    }
}
