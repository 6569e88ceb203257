//! The fixed part of the model: two nodes, two workers, one task, and the commands about them.

use std::collections::BTreeMap;
use std::time::Duration;

use synod_domain::agent::{AgentSpec, Host, Standing};
use synod_domain::capability::Capabilities;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::{AgentId, NodeId, RequestId, TaskId, TokenId};
use synod_domain::name::Name;
use synod_domain::node::{JoinToken, NodeRole, NodeSpec, NodeStanding};
use synod_domain::payload::Payload;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{Lane, MailboxId, TaskSpec, Timeouts, Usage};
use synod_domain::time::Timestamp;
use synod_domain::token::TokenHash;

use crate::protocol::Op;

/// The only task.
pub(crate) const TASK: TaskId = TaskId::from_raw(1);

/// The nodes: the one that leads first, and the one that takes over.
const NODES: [NodeId; 2] = [NodeId::from_raw(1), NodeId::from_raw(2)];

/// The node that leads first, and hosts the first worker.
pub(crate) const FIRST_NODE: NodeId = NODES[0];

/// When the model begins.
const BEGIN: Timestamp = Timestamp::from_millis(1_000_000);

/// How long a worker may be silent; it never says anything in between.
const SILENCE: Duration = Duration::from_secs(10);

/// Two attempts: the second one that is lost by silence ends the task for good.
const ATTEMPTS: u32 = 2;

/// The first request id of the setting's own commands, above those of the clients.
const OWN_REQUESTS: u128 = 1000;

/// Every lot is drawn from the same seed: what is decided by lot is not what is looked at here.
const SEED: u64 = 7;

/// Returns the agent of a worker.
pub(crate) const fn agent(worker: usize) -> AgentId {
    AgentId::from_raw(if worker == 0 { 1 } else { 2 })
}

/// How long after its begin the model is looked at: the grace that a start gives is over, and what is silent is noticed.
const SETTLED: Duration = Duration::from_secs(60);

/// Returns what the log begins with: both nodes are up, both workers are ready, and all is quiet.
pub(crate) fn beginning() -> [Entry; 2] {
    [founded(), entry(Op::Tick { at: BEGIN.after(SETTLED) }, BEGIN)]
}

fn founded() -> Entry {
    let hash: TokenHash = [7; 32];
    let token = JoinToken {
        id: TokenId::from_raw(1),
        hash,
        role: NodeRole::Voter,
        expires_at: BEGIN.after(Duration::from_secs(60)),
        used_by: None,
    };
    // The first worker is the leader's own; the second runs elsewhere and outlives every node.
    let hosts = [Host::Node(NODES[0]), Host::External];
    let mut commands = vec![
        Command::StartNode { spec: node(0).into(), generation: 1 },
        Command::PutJoinToken { token },
        Command::AdmitNode { spec: node(1).into(), role: NodeRole::Voter, token: hash },
        Command::StartNode { spec: node(1).into(), generation: 1 },
        Command::BeginTerm { node: NODES[0], term: 1 },
    ];
    for (worker, host) in hosts.into_iter().enumerate() {
        commands.push(Command::RegisterAgent { spec: worker_spec(worker, host).into() });
        commands.push(Command::SetStanding {
            agent: agent(worker),
            standing: Standing::Ready,
            reason: "it is ready".into(),
        });
    }
    let commands =
        (OWN_REQUESTS..).zip(commands).map(|(id, command)| Request { id: RequestId::from_raw(id), command });
    Entry { at: BEGIN, seed: SEED, commands: commands.collect() }
}

/// Returns the entry that carries an operation, proposed at a time.
pub(crate) fn entry(op: Op, now: Timestamp) -> Entry {
    let id = RequestId::from_raw(op.request().map_or(OWN_REQUESTS * 2, u128::from));
    let command = match op {
        Op::Submit => Command::Submit { spec: task().into() },
        Op::Cancel => Command::Cancel { task: TASK, reason: "called off".into() },
        Op::Claim { worker, .. } => {
            Command::Claim { agent: agent(worker), max: 1, start: true, offered: None }
        }
        Op::Complete { attempt, .. } => Command::Complete {
            task: TASK,
            attempt,
            result: Payload::inline(*b"result"),
            usage: Usage::default(),
        },
        Op::Tick { at } => return Entry { at, seed: SEED, commands: Vec::new() },
        Op::Gone => Command::MarkNode {
            node: NODES[0],
            standing: NodeStanding::Down,
            reason: "it does not answer".into(),
        },
        Op::Term => {
            let command = Command::BeginTerm { node: NODES[1], term: 2 };
            let request = Request { id: RequestId::from_raw(OWN_REQUESTS * 2 + 1), command };
            return Entry { at: now, seed: SEED, commands: vec![request] };
        }
    };
    Entry { at: now, seed: SEED, commands: vec![Request { id, command }] }
}

fn node(place: usize) -> NodeSpec {
    NodeSpec { name: name(["first", "second"][place]), ..NodeSpec::alone(NODES[place]) }
}

fn worker_spec(worker: usize, host: Host) -> AgentSpec {
    AgentSpec {
        id: agent(worker),
        name: name(["here", "outside"][worker]),
        pool: None,
        capabilities: Capabilities::default(),
        labels: BTreeMap::new(),
        region: None,
        concurrency: 1,
        host,
        heartbeat_timeout: None,
        metadata: None,
    }
}

fn task() -> TaskSpec {
    TaskSpec {
        id: TASK,
        workspace: Name::default(),
        kind: name("work"),
        mailbox: MailboxId::Open,
        demand: Capabilities::default(),
        lane: Lane::Normal,
        deadline: None,
        timeouts: Timeouts { silence: Some(SILENCE), ..Timeouts::default() },
        retry: RetryPolicy { max_attempts: ATTEMPTS, ..RetryPolicy::default() },
        payload: Payload::inline(*b"payload"),
        idempotency_key: None,
        labels: BTreeMap::new(),
        run: None,
        redriven_from: None,
        metadata: None,
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_default()
}
