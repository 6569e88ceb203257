//! Everything durable that can be asked of the system.
//!
//! An [`Entry`] is one record of the log: the leader's time, a seed for what is decided by lot, and
//! the commands that queued up while the record before it was being synced. Commands carry their ids;
//! replicas make none. This is a format: variants are only appended (golden bytes in `tests/`).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::AccessCommand;
use crate::agent::{AgentSpec, PoolSpec, Standing};
use crate::audit::{Actor, AuditCommand};
use crate::breaker::BreakerCommand;
use crate::budget::command::BudgetCommand;
use crate::capability::Capabilities;
use crate::fabric::FabricCommand;
use crate::federation::RegionToken;
use crate::hook::HookCommand;
use crate::id::{AgentId, NodeId, RequestId, RunId, TaskId, TokenId};
use crate::limit_set::LimitSetCommand;
use crate::limits::Limits;
use crate::name::Name;
use crate::node::{GossipSecret, JoinToken, Keyring, NodeRole, NodeSpec, NodeStanding};
use crate::pause::Pausable;
use crate::payload::Payload;
use crate::policy::PolicyCommand;
use crate::region::Route;
use crate::resource::ResourceCommand;
use crate::task::{Lane, Progress, TaskSpec, Usage};
use crate::tending::PoolCommand;
use crate::terms::Terms;
use crate::time::Timestamp;
use crate::token::{TokenHash, TokenSpec};
use crate::webhook::WebhookCommand;

/// One record of the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The leader's time when it proposed.
    pub at: Timestamp,
    /// Where chance comes from while this entry is applied.
    pub seed: u64,
    /// Applied in order; each is judged alone. None at all is a tick: time passes and what is due happens.
    pub commands: Vec<Request>,
}

/// A command with the id that makes it apply once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The same id is applied once, however often it is sent.
    pub id: RequestId,
    /// What is asked.
    pub command: Command,
}

/// One durable change that somebody asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Sets the limits that every replica enforces.
    SetLimits {
        /// The new limits.
        limits: Limits,
    },
    /// Sets the share of a workspace in fair turns.
    SetWeight {
        /// Which workspace.
        workspace: Name,
        /// How many tasks it gets in each turn; at least 1.
        weight: u32,
    },
    /// Says that a node has started: the agents it hosted before are gone, and their leases with them.
    StartNode {
        /// What the node says of itself.
        spec: Arc<NodeSpec>,
        /// The number of this start; greater than that of every start before it.
        generation: u64,
    },
    /// Creates a pool or changes it.
    PutPool {
        /// What it shall be.
        spec: Arc<PoolSpec>,
    },
    /// Changes how many agents a pool should have.
    ScalePool {
        /// Which pool.
        pool: Name,
        /// How many; kept within the pool's bounds.
        target: u32,
    },
    /// Removes a pool that has neither waiting work nor agents.
    RemovePool {
        /// Which pool.
        pool: Name,
    },
    /// Registers an agent, or says again what it is.
    RegisterAgent {
        /// What it is.
        spec: Arc<AgentSpec>,
    },
    /// Changes the standing of an agent. One that goes offline or fails loses its leases.
    SetStanding {
        /// Which agent.
        agent: AgentId,
        /// Its new standing.
        standing: Standing,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Forgets an agent; its leases are lost and its own mailbox's work is cancelled.
    RemoveAgent {
        /// Which agent.
        agent: AgentId,
    },
    /// Submits a task.
    Submit {
        /// What is asked for.
        spec: Arc<TaskSpec>,
    },
    /// Takes the next tasks in order for an agent, from its own mailbox, its pool's and the open one.
    Claim {
        /// Who takes them.
        agent: AgentId,
        /// How many at most; also bounded by the agent's free slots.
        max: u32,
        /// Whether the claim also starts them.
        start: bool,
        /// What the agent offers for this claim, in place of what it registered with.
        offered: Option<Capabilities>,
    },
    /// Says that work on a leased task has begun.
    Start {
        /// Which task.
        task: TaskId,
        /// Under which lease.
        attempt: u32,
    },
    /// Renews a lease and says how far the work is.
    Heartbeat {
        /// Which task.
        task: TaskId,
        /// Under which lease.
        attempt: u32,
        /// How far it is, if it says so.
        progress: Option<Progress>,
    },
    /// Ends a task with its result.
    Complete {
        /// Which task.
        task: TaskId,
        /// Under which lease.
        attempt: u32,
        /// What came out.
        result: Payload,
        /// What the attempt used.
        usage: Usage,
    },
    /// Ends an attempt without a result.
    Fail {
        /// Which task.
        task: TaskId,
        /// Under which lease.
        attempt: u32,
        /// Why, for a person.
        reason: Arc<str>,
        /// Whether another attempt makes sense; `false` makes it a dead letter at once.
        retryable: bool,
        /// What the attempt used.
        usage: Usage,
    },
    /// Gives a lease back unused: the work is not at fault and goes back to its place.
    Release {
        /// Which task.
        task: TaskId,
        /// Under which lease.
        attempt: u32,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Calls a task off.
    Cancel {
        /// Which task.
        task: TaskId,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Submits a dead letter again as a new task, and removes the dead letter.
    Redrive {
        /// Which dead letter.
        task: TaskId,
        /// The id of the new task.
        new_task: TaskId,
    },
    /// Removes a dead letter; its history stays.
    Purge {
        /// Which dead letter.
        task: TaskId,
    },
    /// Moves a waiting task to another lane.
    SetLane {
        /// Which task.
        task: TaskId,
        /// The lane.
        lane: Lane,
    },
    /// Opens a run of a fleet file.
    StartRun {
        /// The run.
        run: RunId,
        /// The fleet's name; one open run a fleet.
        fleet: Name,
        /// What the run was expanded to, so that a continued run does what it began.
        plan: Payload,
    },
    /// Closes a run; what of it has not ended is cancelled.
    EndRun {
        /// The run.
        run: RunId,
        /// In one line, for a person.
        summary: Arc<str>,
    },
    /// Lets an agent finish what it has and removes it then; at once when it has nothing.
    RetireAgent {
        /// Which agent.
        agent: AgentId,
    },
    /// Lets a pool finish its work, taking no more, and removes it then, its agents before it.
    RetirePool {
        /// Which pool.
        pool: Name,
    },
    /// Stops giving work out, until it is resumed. Work in hand goes on, and so do timeouts.
    Pause {
        /// What.
        what: Pausable,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Takes a pause back. What is not paused stays so.
    Resume {
        /// What.
        what: Pausable,
    },
    /// Makes a token.
    PutToken {
        /// What it shall be.
        spec: Arc<TokenSpec>,
    },
    /// Gives a token a new text.
    RotateToken {
        /// Which token.
        token: TokenId,
        /// SHA-256 of the new text.
        hash: TokenHash,
        /// Until when the present text is still taken; not at all when `None`.
        keep_old_until: Option<Timestamp>,
    },
    /// Ends a token; its text is not taken any more.
    RevokeToken {
        /// Which token.
        token: TokenId,
        /// Why, for a person. It stands in the log only.
        reason: Arc<str>,
    },
    /// Admits a node to the cluster, once for each join token.
    AdmitNode {
        /// What the node says of itself.
        spec: Arc<NodeSpec>,
        /// What it wants to be; no more than the token allows.
        role: NodeRole,
        /// SHA-256 of the secret of its join token.
        token: TokenHash,
    },
    /// Says whether a node is counted on. One that goes down loses its agents' leases.
    MarkNode {
        /// Which node.
        node: NodeId,
        /// Its standing from now on.
        standing: NodeStanding,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Lets a node give its agents away and take no new ones, or ends that.
    DrainNode {
        /// Which node.
        node: NodeId,
        /// Whether it drains from now on.
        drain: bool,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Makes a node a voter or a worker. The leader changes the Raft group accordingly.
    SetNodeRole {
        /// Which node.
        node: NodeId,
        /// Its role from now on.
        role: NodeRole,
    },
    /// Takes a node out of the cluster. Its number never returns; what joins from its machine joins as new.
    RemoveNode {
        /// Which node.
        node: NodeId,
        /// Why, for a person.
        reason: Arc<str>,
    },
    /// Makes a join token.
    PutJoinToken {
        /// What it shall be.
        token: JoinToken,
    },
    /// Ends a join token.
    RevokeJoinToken {
        /// Which one.
        token: TokenId,
    },
    /// Adds a key to the ring of gossip. The first one is used at once.
    InstallGossipKey {
        /// The key itself; its number is given by the state.
        secret: GossipSecret,
    },
    /// Seals gossip with another key of the ring.
    UseGossipKey {
        /// Which one.
        number: u32,
    },
    /// Removes a key that is not used from the ring.
    RemoveGossipKey {
        /// Which one.
        number: u32,
    },
    /// Says who leads from here on. Nothing is declared dead before the new leader has listened for a while.
    BeginTerm {
        /// Who leads.
        node: NodeId,
        /// In which term.
        term: u64,
    },
    /// Makes a token that lets one other region be founded.
    PutRegionToken {
        /// What it shall be.
        token: RegionToken,
    },
    /// Lets another region in, once for each token.
    AdmitRegion {
        /// What it is called.
        region: Name,
        /// The node that founds it.
        founder: NodeId,
        /// SHA-256 of the secret of its token.
        token: TokenHash,
    },
    /// Notes where members of another region are heard, so that they are found again after a start.
    KnowRegion {
        /// Which region.
        region: Name,
        /// Their addresses of gossip between regions; none leaves those that are known.
        addresses: Vec<String>,
        /// Whether the region was heard of by gossip.
        heard: bool,
    },
    /// Ends the trust in another region, for good. Its name is not given out again.
    RemoveRegion {
        /// Which region.
        region: Name,
        /// Why, for a person. It stands in the log only.
        reason: Arc<str>,
    },
    /// Takes the ring of gossip between regions as another region or an operator has made it, if it is later.
    ShareRing {
        /// The ring.
        ring: Keyring,
        /// Counts its changes, in all regions alike.
        number: u64,
    },
    /// Submits a task that is kept here until another region has it.
    KeepForRegion {
        /// What is asked for.
        spec: Arc<TaskSpec>,
        /// Where it may go.
        route: Route,
    },
    /// Notes that a kept task is offered to a region, before it is: from here on that region may have it.
    OfferToRegion {
        /// Which task.
        task: TaskId,
        /// To which region.
        region: Name,
    },
    /// Says that the region that a task was offered to has it. It is forgotten here but for a pointer.
    ForwardedTo {
        /// Which task.
        task: TaskId,
        /// Which region.
        region: Name,
        /// What it is called there: another task if its idempotency key had come there before.
        known_as: TaskId,
    },
    /// Says that the region that a task was offered to does not take it.
    RegionRefused {
        /// Which task.
        task: TaskId,
        /// Which region.
        region: Name,
        /// Why, for a person.
        why: Arc<str>,
    },
    /// Makes a kept task one of this region, which is on its route.
    TakeHere {
        /// Which task.
        task: TaskId,
        /// What this region is called.
        here: Name,
    },
    /// Submits a task that another region keeps and offers. It is taken once, however often and late it is offered.
    TakeOffered {
        /// What is asked for.
        spec: Arc<TaskSpec>,
        /// Which region offers it.
        from: Name,
    },
    /// Claims as [`Command::Claim`] does, once for a key. Whoever claims under it again, with a request of its own, is
    /// answered that it is done, and finds the leases [under the key](crate::state::State::answered): so it knows
    /// that they were granted to another claim than its own.
    ClaimOnce {
        /// What is remembered as a request that was answered with the leases.
        key: RequestId,
        /// Who takes them.
        agent: AgentId,
        /// How many at most; also bounded by the agent's free slots.
        max: u32,
        /// Whether the claim also starts them.
        start: bool,
        /// What the agent offers for this claim, in place of what it registered with.
        offered: Option<Capabilities>,
    },
    /// Notes that a task that another region offers was refused, so that it is refused from then on, also when what was
    /// missing comes: that region may have given it to another one. Answered with the task if it was taken meanwhile.
    RefuseOffered {
        /// Which task.
        task: TaskId,
        /// Which region offers it.
        from: Name,
        /// Why it was refused, for a person.
        why: Arc<str>,
    },
    /// Lets another region in as [`Command::AdmitRegion`] does, and notes which cluster it is.
    AdmitRegionAs {
        /// What it is called.
        region: Name,
        /// The node that founds it.
        founder: NodeId,
        /// SHA-256 of the secret of its token.
        token: TokenHash,
        /// The id of its cluster.
        cluster: Arc<str>,
    },
    /// Notes which cluster has proven to be a region. The first one is that region from then on; another one is noted as
    /// its rival, and is not talked to.
    SeeRegion {
        /// Which region.
        region: Name,
        /// The id of the cluster.
        cluster: Arc<str>,
    },
    /// Removes another region as [`Command::RemoveRegion`] does, if it is not removed, and declares that it will never
    /// be back: tasks that were offered to it go elsewhere, although it may have done them.
    LoseRegion {
        /// Which region.
        region: Name,
        /// Why, for a person. It stands in each of those tasks.
        reason: Arc<str>,
    },
    /// Submits a task on terms of its own.
    SubmitWith {
        /// What is asked for.
        spec: Arc<TaskSpec>,
        /// On which terms.
        terms: Arc<Terms>,
    },
    /// Asks something about hooks.
    Hook(HookCommand),
    /// Submits a task that begins when others have completed. When one of them does not, it fails with that reason.
    SubmitAfter {
        /// What is asked for.
        spec: Arc<TaskSpec>,
        /// What has to complete first. All of it must be known, and of the same workspace as far as it is unfinished.
        after: BTreeSet<TaskId>,
        /// On which terms, if it has some of its own.
        terms: Option<Arc<Terms>>,
    },
    /// Asks something of the fabric.
    Fabric(FabricCommand),
    /// Changes something about budgets.
    Budget(BudgetCommand),
    /// Changes a circuit breaker.
    Breaker(BreakerCommand),
    /// Changes a limit set.
    LimitSet(LimitSetCommand),
    /// Asks something of resources.
    Resource(ResourceCommand),
    /// Says who asks for the command in it, for the audit log and for what they are bound to. Never nested.
    By {
        /// Who asks.
        actor: Arc<Actor>,
        /// What for.
        command: Box<Command>,
    },
    /// Changes how the audit log is kept.
    Audit(AuditCommand),
    /// Changes how a pool is tended: scaled, rolled, assigned to.
    Pool(PoolCommand),
    /// Changes a policy, says what becomes of a violation, or says something to an approval.
    Policy(PolicyCommand),
    /// Changes who may do what, or whose something is.
    Access(AccessCommand),
    /// Asks something of webhooks.
    Webhook(WebhookCommand),
    /// Submits a task of this region whose content is shown in this region alone, as [`Command::SubmitAfter`] does.
    SubmitStrict {
        /// What is asked for.
        spec: Arc<TaskSpec>,
        /// What has to complete first, if anything.
        after: BTreeSet<TaskId>,
        /// On which terms, if it has some of its own.
        terms: Option<Arc<Terms>>,
    },
}

impl Command {
    /// Returns the command with who asks for it, as what is proposed. The traffic of work under a lease is not audited and
    /// stays as it is unless who asks is bound to a workspace, which the rules hold it to. So does what already says who
    /// asks.
    #[must_use]
    pub fn by(self, actor: &Arc<Actor>) -> Self {
        if self.is_work() && actor.workspace.is_none() || matches!(self, Self::By { .. }) {
            return self;
        }
        Self::By { actor: Arc::clone(actor), command: Box::new(self) }
    }

    /// Returns what is asked for, whoever asks.
    pub fn plain(&self) -> &Self {
        match self {
            Self::By { command, .. } => command,
            other => other,
        }
    }

    /// Returns the task and the attempt that it is about, if it is said by the holder of a lease.
    pub const fn under_lease(&self) -> Option<(TaskId, u32)> {
        match self {
            Self::Start { task, attempt }
            | Self::Heartbeat { task, attempt, .. }
            | Self::Complete { task, attempt, .. }
            | Self::Fail { task, attempt, .. }
            | Self::Release { task, attempt, .. }
            | Self::Budget(
                BudgetCommand::Report { task, attempt, .. }
                | BudgetCommand::RateLimited { task, attempt, .. },
            ) => Some((*task, *attempt)),
            _ => None,
        }
    }

    /// Tells whether it is traffic of work that is in hand or about to be, which comes far more often than all else.
    pub const fn is_work(&self) -> bool {
        matches!(
            self,
            Self::Claim { .. }
                | Self::ClaimOnce { .. }
                | Self::Start { .. }
                | Self::Heartbeat { .. }
                | Self::Complete { .. }
                | Self::Fail { .. }
                | Self::Release { .. }
                | Self::Budget(
                    BudgetCommand::Record { .. }
                        | BudgetCommand::Report { .. }
                        | BudgetCommand::RateLimited { .. }
                )
                | Self::Hook(
                    HookCommand::Start { .. }
                        | HookCommand::Touch { .. }
                        | HookCommand::Complete { .. }
                        | HookCommand::Fail { .. }
                )
                | Self::Webhook(WebhookCommand::Delivered { .. } | WebhookCommand::Failed { .. })
        )
    }
}
