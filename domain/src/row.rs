//! The state as rows of a key-value store.
//!
//! The checkpointer mirrors the state to disk row by row: [`crate::state::State::take_changes`] says
//! what changed, [`crate::state::State::restore`] builds the same state from all rows. Keys sort
//! by kind and then by id. Both are formats: kinds and variants are only appended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::{AccessKey, AccessRow};
use crate::agent::{Agent, Pool};
use crate::approval::Approval;
use crate::audit::{AuditHead, AuditMark, AuditRecord};
use crate::breaker::{Breaker, Guarded};
use crate::budget::row::{BudgetKey, BudgetRow};
use crate::fabric::{FabricKey, FabricRow};
use crate::federation::{Federation, Identified};
use crate::hook::{Hook, HookTerms};
use crate::id::{AgentId, ApprovalId, HookId, NodeId, RequestId, RunId, TaskId, TokenId, ViolationId};
use crate::limit_set::{Flows, KeyOf, LimitSet};
use crate::limits::Limits;
use crate::mailbox::Turns;
use crate::name::Name;
use crate::node::{JoinToken, Keyring, Node};
use crate::pause::{Pausable, Pause};
use crate::policy::{Defaults, Policy};
use crate::region::{Arrival, Declined, Pointer, Route};
use crate::reply::Applied;
use crate::resource::{ResourceKey, ResourceRow};
use crate::run::Run;
use crate::task::{MailboxId, Phase, Task};
use crate::tending::{TendingKey, TendingRow};
use crate::terms::Terms;
use crate::time::Timestamp;
use crate::token::Token;
use crate::totals::{Today, Totals};
use crate::violation::Violation;
use crate::webhook::{WebhookKey, WebhookRow};

/// Names one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKey {
    /// The one row of counters and settings.
    Meta,
    /// An unfinished task.
    Task(TaskId),
    /// A dead letter.
    DeadLetter(TaskId),
    /// An agent.
    Agent(AgentId),
    /// A pool.
    Pool(Name),
    /// A workspace with a weight of its own.
    Workspace(Name),
    /// Whose turn it is in a mailbox.
    Turns(MailboxId),
    /// An idempotency key.
    Key(Name, Arc<str>),
    /// A page of applied requests.
    Requests(u64),
    /// A page of ended tasks.
    Endings(u64),
    /// An open run.
    Run(RunId),
    /// An ended task, kept as history; never part of the state.
    History(TaskId),
    /// A token.
    Token(TokenId),
    /// A pause in force.
    Pause(Pausable),
    /// A node.
    Node(NodeId),
    /// A join token.
    JoinToken(TokenId),
    /// The keys of gossip.
    Keyring,
    /// Other regions.
    Federation,
    /// Where a task is that was forwarded from here.
    Pointer(TaskId),
    /// A task that another region offered, remembered so that it is taken once, or refused for good.
    Arrival(TaskId),
    /// The route of a dead letter that was kept for another region.
    Route(TaskId),
    /// Which clusters the other regions are.
    Clusters,
    /// The terms of a task.
    Terms(TaskId),
    /// A hook.
    Hook(HookId),
    /// What a task still waits for.
    After(TaskId),
    /// Something of the fabric.
    Fabric(FabricKey),
    /// Something about budgets.
    Budget(BudgetKey),
    /// A breaker.
    Breaker(Guarded),
    /// A limit set.
    LimitSet(Name),
    /// The keys that limit sets made of a task.
    LimitKeys(TaskId),
    /// What went through a key of a limit set.
    LimitFlows(Name, Arc<str>),
    /// Something about resources.
    Resource(ResourceKey),
    /// The ends of the audit log.
    AuditHead,
    /// A mark on the audit log, by the number of its record.
    AuditMark(u64),
    /// A record of the audit log, kept like history; never part of the state.
    Audit(u64),
    /// How a pool is tended, and the lives of agents.
    Tending(TendingKey),
    /// A policy.
    Policy(Name),
    /// What holds where no rule of a policy matches.
    PolicyDefaults,
    /// An approval.
    Approval(ApprovalId),
    /// A violation of a policy.
    Violation(ViolationId),
    /// Who may do what, and whose things are.
    Access(AccessKey),
    /// Something of a webhook.
    Webhook(WebhookKey),
    /// That the content of a task is shown in this region alone.
    Strict(TaskId),
    /// The terms of a hook.
    HookTerms(HookId),
}

/// Everything but history and the audit log sorts below this byte; a start reads the keys up to it.
pub const HISTORY_PREFIX: u8 = b'h';

/// The first byte of the records of the audit log.
pub const AUDIT_PREFIX: u8 = b'i';

/// The first bytes of all other keys. A start reads and checks the rows behind them and leaves history,
/// which may be large, to whoever asks for it.
pub const LIVE_PREFIXES: [u8; 23] = *b"ABCDEFGHIJKLMNOPQRTUWXY";

/// The first byte of all rows about what governs; the second says which kind it is.
const GOVERNING_PREFIX: u8 = b'X';

fn governing(kind: u8, rest: &[u8]) -> Vec<u8> {
    [&[GOVERNING_PREFIX, kind], rest].concat()
}

impl RowKey {
    /// Returns the key's bytes; they sort as the keys do within a kind.
    pub fn to_bytes(&self) -> Vec<u8> {
        let with_id = |prefix: u8, raw: u128| {
            let mut bytes = vec![prefix];
            bytes.extend_from_slice(&raw.to_be_bytes());
            bytes
        };
        let with_text = |prefix: u8, text: &str| {
            let mut bytes = vec![prefix];
            bytes.extend_from_slice(text.as_bytes());
            bytes
        };
        match self {
            Self::Meta => vec![b'A'],
            Self::Task(task) => with_id(b'T', task.raw()),
            Self::DeadLetter(task) => with_id(b'D', task.raw()),
            Self::Agent(agent) => with_id(b'G', agent.raw()),
            Self::Pool(pool) => with_text(b'P', pool.as_str()),
            Self::Workspace(workspace) => with_text(b'W', workspace.as_str()),
            Self::Turns(mailbox) => with_text(b'M', &mailbox.path()),
            // A name holds no zero byte, so it ends where the key begins.
            Self::Key(workspace, key) => with_text(b'K', &format!("{workspace}\0{key}")),
            Self::Requests(page) => [&[b'R'][..], &page.to_be_bytes()].concat(),
            Self::Endings(page) => [&[b'E'][..], &page.to_be_bytes()].concat(),
            Self::Run(run) => with_id(b'U', run.raw()),
            Self::History(task) => with_id(HISTORY_PREFIX, task.raw()),
            // A credential.
            Self::Token(token) => with_id(b'C', token.raw()),
            // Something held back.
            Self::Pause(what) => with_text(b'H', &what.path()),
            Self::Node(node) => with_id(b'N', node.raw()),
            Self::JoinToken(token) => with_id(b'J', token.raw()),
            Self::Keyring => vec![b'Y'],
            // Links to others.
            Self::Federation => vec![b'L'],
            // Forwarded.
            Self::Pointer(task) => with_id(b'F', task.raw()),
            // Brought in.
            Self::Arrival(task) => with_id(b'B', task.raw()),
            // An itinerary.
            Self::Route(task) => with_id(b'I', task.raw()),
            // Who others are.
            Self::Clusters => vec![b'O'],
            Self::Terms(task) => governing(b't', &task.raw().to_be_bytes()),
            Self::Hook(hook) => governing(b'h', &hook.raw().to_be_bytes()),
            Self::After(task) => governing(b'a', &task.raw().to_be_bytes()),
            // A name is never empty.
            Self::Fabric(FabricKey::Bounds) => governing(b'f', b""),
            Self::Fabric(FabricKey::Profile(pool)) => governing(b'f', pool.as_str().as_bytes()),
            Self::Budget(key) => governing(b'b', &key.to_bytes()),
            Self::Breaker(of) => governing(b'c', of.path().as_bytes()),
            Self::LimitSet(set) => governing(b'l', set.as_str().as_bytes()),
            Self::LimitKeys(task) => governing(b'k', &task.raw().to_be_bytes()),
            // A name holds no zero byte, so it ends where the key begins.
            Self::LimitFlows(set, key) => governing(b'u', format!("{set}\0{key}").as_bytes()),
            Self::Resource(ResourceKey::Resource(name)) => governing(b'r', name.as_str().as_bytes()),
            // Its turn.
            Self::Resource(ResourceKey::Wait(task)) => governing(b'w', &task.raw().to_be_bytes()),
            Self::AuditHead => governing(b'1', &[]),
            Self::AuditMark(seq) => governing(b'2', &seq.to_be_bytes()),
            Self::Access(key) => governing(b'3', &key.to_bytes()),
            Self::Audit(seq) => [&[AUDIT_PREFIX][..], &seq.to_be_bytes()].concat(),
            // Quantity and quality of agents.
            Self::Tending(key) => {
                let mut bytes = vec![b'Q'];
                key.extend(&mut bytes);
                bytes
            }
            Self::Policy(policy) => governing(b'p', policy.as_str().as_bytes()),
            Self::PolicyDefaults => governing(b'd', &[]),
            Self::Approval(approval) => governing(b'y', &approval.raw().to_be_bytes()),
            Self::Violation(violation) => governing(b'v', &violation.raw().to_be_bytes()),
            // Out to others.
            Self::Webhook(key) => governing(b'o', &key.to_bytes()),
            Self::Strict(task) => governing(b's', &task.raw().to_be_bytes()),
            // On which it is given out.
            Self::HookTerms(hook) => governing(b'g', &hook.raw().to_be_bytes()),
        }
    }
}

/// The one row of counters and settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The time of the last entry.
    pub now: Timestamp,
    /// The number of the last submit.
    pub sequence: u64,
    /// The limits in force.
    pub limits: Limits,
    /// Until when nobody is declared silent who was not heard since the leader began.
    pub grace_until: Timestamp,
    /// When the leader began, or a voter started, which may lead. Only leases that were last heard of before it get the
    /// grace, and a whole timeout of their own from it on.
    pub grace_since: Timestamp,
    /// The number of the last node that was admitted; numbers are not given out again.
    pub last_node: u64,
    /// The term of the last leader that said so.
    pub term: u64,
    /// What has been done since ever.
    pub totals: Totals,
    /// What has been done on the day of the last entry.
    pub today: Today,
}

/// What an ended task leaves behind for those who write about it late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The attempt that ended it; 0 when none did.
    pub attempt: u32,
    /// How it ended.
    pub phase: Phase,
}

/// One row's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Row {
    /// Counters and settings.
    Meta(Meta),
    /// An unfinished task, or an ended one in history.
    Task(Arc<Task>),
    /// A dead letter.
    DeadLetter(Arc<Task>),
    /// An agent.
    Agent(Arc<Agent>),
    /// A pool.
    Pool(Arc<Pool>),
    /// A workspace and its weight.
    Workspace(Name, u32),
    /// Whose turn it is in a mailbox, by lane.
    Turns(MailboxId, Turns),
    /// An idempotency key: its task, a digest of what was asked, and when.
    Key {
        /// The workspace.
        workspace: Name,
        /// The key.
        key: Arc<str>,
        /// The task that has it.
        task: TaskId,
        /// Digest of what was asked for.
        digest: u64,
        /// When it was first used.
        at: Timestamp,
        /// The run it belongs to; while that is open, the key is not forgotten.
        run: Option<RunId>,
    },
    /// A page of applied requests, oldest first.
    Requests(u64, Vec<(RequestId, Applied)>),
    /// A page of ended tasks, oldest first.
    Endings(u64, Vec<(TaskId, Ending)>),
    /// An open run.
    Run(Run),
    /// A token.
    Token(Arc<Token>),
    /// A pause in force.
    Pause(Pause),
    /// A node.
    Node(Arc<Node>),
    /// A join token.
    JoinToken(JoinToken),
    /// The keys of gossip.
    Keyring(Keyring),
    /// Other regions.
    Federation(Federation),
    /// Where a task is that was forwarded from here.
    Pointer(TaskId, Pointer),
    /// A task that another region offered.
    Arrival(TaskId, Arrival),
    /// The route of a dead letter that was kept for another region.
    Route(TaskId, Route),
    /// A task that another region offered and that was refused. Its key is that of an arrival.
    Declined(TaskId, Declined),
    /// Which clusters the other regions are.
    Clusters(BTreeMap<Name, Identified>),
    /// The terms of a task.
    Terms(TaskId, Arc<Terms>),
    /// A hook.
    Hook(Arc<Hook>),
    /// What a task still waits for.
    After(TaskId, BTreeSet<TaskId>),
    /// Something of the fabric.
    Fabric(FabricRow),
    /// Something about budgets.
    Budget(BudgetRow),
    /// A breaker.
    Breaker(Breaker),
    /// A limit set.
    LimitSet(Arc<LimitSet>),
    /// The keys that limit sets made of a task.
    LimitKeys(TaskId, Arc<Vec<KeyOf>>),
    /// What went through a key of a limit set.
    LimitFlows(Name, Arc<str>, Flows),
    /// Something about resources.
    Resource(ResourceRow),
    /// The ends of the audit log.
    AuditHead(AuditHead),
    /// A mark on the audit log.
    AuditMark(AuditMark),
    /// A record of the audit log.
    Audit(Arc<AuditRecord>),
    /// How a pool is tended, and the lives of agents.
    Tending(TendingRow),
    /// A policy.
    Policy(Arc<Policy>),
    /// What holds where no rule of a policy matches.
    PolicyDefaults(Defaults),
    /// An approval.
    Approval(Arc<Approval>),
    /// A violation of a policy.
    Violation(Arc<Violation>),
    /// Who may do what, and whose things are.
    Access(AccessRow),
    /// Something of a webhook.
    Webhook(WebhookRow),
    /// That the content of a task is shown in this region alone.
    Strict(TaskId),
    /// An ended task in history whose content is shown in this region alone.
    StrictTask(Arc<Task>),
    /// The terms of a hook.
    HookTerms(HookId, Arc<HookTerms>),
}

/// What changed since it was last asked.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// The rows to write, or to delete where there is `None`; in order of key, each key once.
    pub rows: Vec<(RowKey, Option<Row>)>,
    /// How many bytes of payload the written rows hold, for whoever bounds a batch.
    pub payload_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WebhookId;

    #[test]
    fn every_key_begins_with_a_live_prefix_or_that_of_history() {
        let name = Name::default();
        let live = [
            RowKey::Meta,
            RowKey::Task(TaskId::from_raw(1)),
            RowKey::DeadLetter(TaskId::from_raw(1)),
            RowKey::Agent(AgentId::from_raw(1)),
            RowKey::Pool(name.clone()),
            RowKey::Workspace(name.clone()),
            RowKey::Turns(MailboxId::Open),
            RowKey::Key(name, "key".into()),
            RowKey::Requests(1),
            RowKey::Endings(1),
            RowKey::Run(RunId::from_raw(1)),
            RowKey::Node(NodeId::from_raw(1)),
            RowKey::JoinToken(TokenId::from_raw(1)),
            RowKey::Keyring,
            RowKey::Federation,
            RowKey::Pointer(TaskId::from_raw(1)),
            RowKey::Arrival(TaskId::from_raw(1)),
            RowKey::Route(TaskId::from_raw(1)),
            RowKey::Clusters,
            RowKey::AuditHead,
            RowKey::Access(AccessKey::Role(Name::default())),
            RowKey::Tending(TendingKey::Life(AgentId::from_raw(1))),
            RowKey::Token(TokenId::from_raw(1)),
            RowKey::Pause(Pausable::Mailbox(MailboxId::Open)),
            RowKey::Terms(TaskId::from_raw(1)),
            RowKey::After(TaskId::from_raw(1)),
            RowKey::Resource(ResourceKey::Wait(TaskId::from_raw(1))),
            RowKey::Fabric(FabricKey::Bounds),
            RowKey::Fabric(FabricKey::Profile(Name::default())),
            RowKey::Budget(BudgetKey::Common),
            RowKey::Breaker(Guarded::Pool(Name::default())),
            RowKey::LimitSet(Name::default()),
            RowKey::LimitKeys(TaskId::from_raw(1)),
            RowKey::LimitFlows(Name::default(), "key".into()),
            RowKey::Policy(Name::default()),
            RowKey::PolicyDefaults,
            RowKey::Approval(ApprovalId::from_raw(1)),
            RowKey::Violation(ViolationId::from_raw(1)),
            RowKey::Webhook(WebhookKey::Webhook(WebhookId::from_raw(1))),
            RowKey::Strict(TaskId::from_raw(1)),
            RowKey::HookTerms(HookId::from_raw(1)),
        ];
        let mut first: Vec<u8> = live.iter().map(|key| key.to_bytes()[0]).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first, LIVE_PREFIXES);
        assert_eq!(RowKey::History(TaskId::from_raw(1)).to_bytes()[0], HISTORY_PREFIX);
        assert_eq!(RowKey::AuditMark(1).to_bytes()[0], RowKey::AuditHead.to_bytes()[0]);
        assert!(RowKey::Audit(1).to_bytes()[0] == AUDIT_PREFIX && AUDIT_PREFIX > HISTORY_PREFIX);
    }

    /// Rows about what governs share one first byte; the second must tell them apart, and nothing but this looks at it.
    #[test]
    fn no_two_kinds_of_rows_about_what_governs_begin_alike() {
        let source = include_str!("row.rs").split("#[cfg(test)]").next().unwrap_or_default();
        let mut kinds = BTreeMap::<char, BTreeSet<&str>>::new();
        for line in source.lines() {
            let Some((before, behind)) = line.split_once("governing(b'") else { continue };
            let key = before.trim().trim_end_matches("=>").trim();
            // Two rows of one kind differ in what follows: a name is never empty.
            let key = if key.starts_with("Self::Fabric") { "Self::Fabric" } else { key };
            kinds.entry(behind.chars().next().unwrap_or_default()).or_default().insert(key);
        }
        assert!(kinds.len() > 15, "the arms are written in another way: {kinds:?}");
        for (kind, keys) in kinds {
            assert!(kind.is_ascii_alphanumeric() && keys.len() == 1, "{kind:?} begins rows of {keys:?}");
        }
    }
}
