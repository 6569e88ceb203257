//! Short ways to write commands, and a state with somebody who asks it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod_domain::agent::{AgentSpec, Host, PoolSpec, RuntimeSpec, Standing};
use synod_domain::capability::{Capabilities, Capability};
use synod_domain::command::{Command, Entry, Request};
use synod_domain::event::Event;
use synod_domain::id::{AgentId, NodeId, RequestId, RunId, TaskId, TokenId};
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::node::{JoinToken, NodeRole, NodeSpec};
use synod_domain::payload::Payload;
use synod_domain::placement::Strategy;
use synod_domain::reply::{Answer, Assignment, Reply};
use synod_domain::restart::RestartPolicy;
use synod_domain::retry::RetryPolicy;
use synod_domain::row::{Row, RowKey};
use synod_domain::spread::{Recovery, SpreadSpec};
use synod_domain::state::{Effects, State};
use synod_domain::task::{Lane, MailboxId, Phase, Task, TaskSpec, Timeouts, Usage};
use synod_domain::time::Timestamp;
use synod_domain::token::TokenHash;

/// The rows of a state without the audit log, which tells what was refused, too.
pub(crate) fn rows_but_audit(state: &State) -> Vec<(RowKey, Row)> {
    let is_audit = |key: &RowKey| matches!(key, RowKey::AuditHead | RowKey::AuditMark(_));
    state.rows().into_iter().filter(|(key, _)| !is_audit(key)).collect()
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn task(number: u128) -> TaskId {
    TaskId::from_raw(number)
}

pub(crate) fn agent(number: u128) -> AgentId {
    AgentId::from_raw(number)
}

pub(crate) fn node(number: u128) -> NodeId {
    NodeId::from_raw(number)
}

pub(crate) fn run(number: u128) -> RunId {
    RunId::from_raw(number)
}

pub(crate) fn token(number: u64) -> TokenId {
    TokenId::from_raw(u128::from(number))
}

/// The hash of a text; as good as any.
pub(crate) fn hash(number: u64) -> TokenHash {
    let mut hash = TokenHash::default();
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash
}

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn capabilities(texts: &[&str]) -> Capabilities {
    texts.iter().map(|text| text.parse::<Capability>().unwrap()).collect()
}

/// An ordinary task of the default workspace, open to everybody, without timeouts.
pub(crate) fn spec(number: u128) -> TaskSpec {
    TaskSpec {
        id: task(number),
        workspace: Name::default(),
        kind: name("work"),
        mailbox: MailboxId::Open,
        demand: Capabilities::default(),
        lane: Lane::Normal,
        deadline: None,
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        payload: Payload::inline(*b"payload"),
        idempotency_key: None,
        labels: BTreeMap::new(),
        run: None,
        redriven_from: None,
        metadata: None,
    }
}

pub(crate) fn pool_spec(pool: &str) -> PoolSpec {
    PoolSpec {
        name: name(pool),
        runtime: RuntimeSpec::External,
        capabilities: Capabilities::default(),
        min: 0,
        max: 10,
        concurrency: 2,
        strategy: Strategy::RoundRobin,
        restart: RestartPolicy::default(),
        spread: SpreadSpec::default(),
        recovery: Recovery::default(),
    }
}

pub(crate) fn agent_spec(number: u128, pool: Option<&str>, host: Host) -> AgentSpec {
    AgentSpec {
        id: agent(number),
        name: name(&format!("worker-{number}")),
        pool: pool.map(name),
        capabilities: Capabilities::default(),
        labels: BTreeMap::new(),
        region: None,
        concurrency: 2,
        host,
        heartbeat_timeout: None,
        metadata: None,
    }
}

/// What a node says of itself that is called by its number.
pub(crate) fn node_spec(number: u128) -> NodeSpec {
    NodeSpec { name: name(&format!("node-{number}")), ..NodeSpec::alone(node(number)) }
}

pub(crate) fn start_node(number: u128, generation: u64) -> Command {
    Command::StartNode { spec: node_spec(number).into(), generation }
}

pub(crate) fn submit(spec: TaskSpec) -> Command {
    Command::Submit { spec: Arc::new(spec) }
}

pub(crate) fn register(spec: AgentSpec) -> Command {
    Command::RegisterAgent { spec: Arc::new(spec) }
}

pub(crate) fn standing(number: u128, standing: Standing) -> Command {
    Command::SetStanding { agent: agent(number), standing, reason: "told".into() }
}

pub(crate) fn claim(number: u128, max: u32) -> Command {
    Command::Claim { agent: agent(number), max, start: true, offered: None }
}

pub(crate) fn complete(number: u128, attempt: u32) -> Command {
    Command::Complete {
        task: task(number),
        attempt,
        result: Payload::inline(*b"result"),
        usage: Usage { tokens_in: 1, tokens_out: 2, cost_microusd: 3 },
    }
}

pub(crate) fn fail(number: u128, attempt: u32, retryable: bool) -> Command {
    let reason = format!("attempt {attempt} broke").into();
    Command::Fail { task: task(number), attempt, reason, retryable, usage: Usage::default() }
}

/// A state, the time, and a client whose request ids never repeat.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: u64,
    pub(crate) events: Vec<Event>,
    requests: u128,
}

impl World {
    /// A world at second 1000 with the given limits, and agent 1 (two slots, no pool) that is ready.
    pub(crate) fn new(limits: Limits) -> Self {
        let mut world = Self::empty(limits);
        world.ready_agent(1);
        world
    }

    /// A world at second 1000 with the given limits and nobody in it.
    pub(crate) fn empty(limits: Limits) -> Self {
        let mut world = Self { now: 1_000_000, ..Self::default() };
        world.ask(Command::SetLimits { limits }).unwrap();
        world
    }

    pub(crate) fn ready_agent(&mut self, number: u128) {
        self.ask(register(agent_spec(number, None, Host::Node(node(1))))).unwrap();
        self.ask(standing(number, Standing::Ready)).unwrap();
    }

    /// Lets a node in and starts it, as the founder if it is the first.
    pub(crate) fn join(&mut self, spec: NodeSpec) {
        let (id, now) = (spec.id, at(self.now + 60_000));
        let spec = Arc::new(spec);
        if self.state.nodes().next().is_some() {
            let number = 1000 + self.requests as u64;
            let token = JoinToken {
                id: token(number),
                hash: hash(number),
                role: NodeRole::Voter,
                expires_at: now,
                used_by: None,
            };
            self.ask(Command::PutJoinToken { token }).unwrap();
            let (spec, role) = (spec.clone(), NodeRole::Voter);
            self.ask(Command::AdmitNode { spec, role, token: hash(number) }).unwrap();
        }
        let generation = self.state.node(id).map_or(0, |node| node.generation) + 1;
        self.ask(Command::StartNode { spec, generation }).unwrap();
    }

    /// Applies one command now.
    pub(crate) fn ask(&mut self, command: Command) -> Answer {
        self.requests += 1;
        let request = Request { id: RequestId::from_raw(self.requests), command };
        let mut effects = self.apply(vec![request]);
        effects.answers.remove(0)
    }

    /// Lets time pass and what is due happen.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now += millis;
        self.apply(Vec::new());
    }

    fn apply(&mut self, commands: Vec<Request>) -> Effects {
        let effects = self.state.apply(&Entry { at: at(self.now), seed: self.now, commands });
        self.events.extend(effects.events.iter().cloned());
        effects
    }

    pub(crate) fn submit(&mut self, spec: TaskSpec) {
        self.ask(submit(spec)).unwrap();
    }

    /// Claims up to `max` tasks and returns them with their attempts.
    pub(crate) fn claim(&mut self, number: u128, max: u32) -> Vec<(TaskId, u32)> {
        self.ask(claim(number, max)).unwrap().claimed().iter().map(|one| (one.spec.id, one.attempt)).collect()
    }

    pub(crate) fn task(&self, number: u128) -> &Task {
        self.state.task(task(number)).unwrap()
    }

    pub(crate) fn phase(&self, number: u128) -> Phase {
        self.task(number).phase()
    }

    /// Why a task ended.
    pub(crate) fn reason(&self, number: u128) -> String {
        self.task(number).end().unwrap().outcome.reason().unwrap_or_default().to_owned()
    }

    pub(crate) fn held(&self, number: u128) -> usize {
        self.state.agent(agent(number)).unwrap().held.len()
    }
}

/// The leases in a reply.
pub(crate) trait Claimed {
    fn claimed(&self) -> &[Assignment];
}

impl Claimed for Reply {
    fn claimed(&self) -> &[Assignment] {
        match self {
            Self::Claimed(assignments) => assignments,
            _ => &[],
        }
    }
}
