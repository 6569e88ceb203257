//! Tenants: two who are bound to a workspace of their own. Each works in it as others do in theirs, is shown lists beside
//! every node, and reaches for what is others'.
//!
//! They ask in the name of somebody of the workspace, past the doors of the API, so that the rules alone hold them. What they
//! may not make, agents in the nodes, the process makes and gives them. What is whose follows from names: everything of a
//! tenant is called after it, so a judge knows it. At the end of new work all pauses of theirs are taken back, through every
//! crash.

mod glance;
mod reach;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::access::{AccessCommand, Owned};
use synod::node::domain::agent::{AgentSpec, Host};
use synod::node::domain::audit::{Actor, ActorKind};
use synod::node::domain::capability::Capabilities;
use synod::node::domain::command::Command;
use synod::node::domain::id::{AgentId, TaskId, TokenId};
use synod::node::domain::name::Name;
use synod::node::domain::pause::Pausable;
use synod::node::domain::permission::Permissions;
use synod::node::domain::reply::Reply;
use synod::node::domain::retry::RetryPolicy;
use synod::node::domain::task::{MailboxId, Timeouts};
use synod::node::domain::token::{TokenHash, TokenKind, TokenSpec};
use synod::node::{Error, JournalError, NewTask, Node, Pool, asking};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::chance::Stream;
use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::script::{Act, Script};
use crate::shared::Phase;
use crate::workload::question::ask;
use crate::workload::{AGAIN, FIRST, NATIVE};

/// What they are called, and their workspaces.
const TENANTS: [&str; 2] = ["tenant-blue", "tenant-red"];

/// The agents of a tenant in the nodes, and how many tasks each may hold.
const AGENTS: u32 = 2;
const SLOTS: u32 = 2;

/// How long work waits for a tenant's agent outside, which never takes any.
const WAITING: Duration = Duration::from_secs(6);
/// How long an attempt may run, and be silent.
const RUNNING: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_secs(2);

/// The pause between two looks whether something is still paused.
const LOOK: Duration = Duration::from_millis(500);

/// Tells whether somebody is a tenant.
pub(super) fn is_tenant(client: &str) -> bool {
    TENANTS.contains(&client)
}

/// Lets the tenants live who work with this node, until the world closes.
pub(super) async fn run(node: Arc<Node>, shared: Arc<Machine>, life: u32) {
    let mut tasks = JoinSet::new();
    for name in TENANTS {
        let Ok(workspace) = Name::new(name) else { continue };
        let actor = Actor { workspace: Some(workspace.clone()), ..Actor::of(ActorKind::Local, name) };
        let tenant = |what: &str| Tenant {
            node: Arc::clone(&node),
            shared: Arc::clone(&shared),
            name: name.into(),
            workspace: workspace.clone(),
            actor: Arc::new(actor.clone()),
            stream: shared.streams.open(&format!("{name} {what} n{} life {life}", shared.node)),
        };
        tasks.spawn(glance::run(tenant("looks")));
        if shared.node == FIRST {
            tasks.spawn(live(tenant("works")));
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Somebody of a workspace, in one life of a node.
struct Tenant {
    node: Arc<Node>,
    shared: Arc<Machine>,
    name: Arc<str>,
    workspace: Name,
    actor: Arc<Actor>,
    stream: Stream,
}

/// Works and reaches for others' things until the world settles, then lets everything of the workspace go on.
async fn live(mut tenant: Tenant) {
    while tenant.move_in().await.is_err() {
        sleep(AGAIN).await;
    }
    tenant.open_desk().await;
    while tenant.shared.phase() == Phase::Busy {
        match tenant.stream.between(0, 99) {
            0..28 => tenant.submit().await,
            28..36 => tenant.submit_to_desk().await,
            36..42 => tenant.cancel().await,
            42..47 => tenant.decide().await,
            47..51 => tenant.pause().await,
            51..56 => tenant.resume().await,
            56..60 => tenant.change_token().await,
            _ => reach::for_something(&mut tenant).await,
        }
        let pause = tenant.stream.millis(20, 350);
        sleep(pause).await;
    }
    while tenant.shared.phase() != Phase::Closing {
        for what in tenant.paused() {
            tenant.resume_it(what).await;
        }
        sleep(LOOK).await;
    }
}

impl Tenant {
    /// Makes a name of the workspace.
    fn own(&self, what: &str) -> Name {
        Name::new(&format!("{}/{what}", self.name)).unwrap_or_default()
    }

    /// The pool whose agents live in the nodes.
    fn works(&self) -> Name {
        self.own("works")
    }

    /// The pool of an agent outside, which never takes anything.
    fn desk(&self) -> Name {
        self.own("desk")
    }

    /// The process makes the pool that tenants may not make, and gives it away.
    async fn move_in(&self) -> Result<(), Error> {
        let works = self.works();
        let pool = Pool::native(works.as_str(), NATIVE)?.size(AGENTS).concurrency(SLOTS);
        self.node.put_pool(pool).await?;
        let owned = Owned::Pool(works);
        let workspace = Some(self.workspace.clone());
        let give = Command::Access(AccessCommand::SetOwner { owned, workspace });
        self.node.propose(give).await.map(drop)
    }

    /// Asks in the name of somebody of the workspace, and notes the answer.
    async fn ask<T>(
        &self,
        request: Request,
        call: impl Future<Output = Result<T, Error>>,
        answer: impl FnOnce(&T) -> Answer,
    ) -> Result<T, Error> {
        let bound = asking(Arc::clone(&self.actor), call);
        ask(&self.shared, &self.name, request, bound, answer).await
    }

    /// Asks for a change. What it could not do is noted with its answer.
    async fn change(&self, request: Request, command: Command) -> Result<(), Error> {
        let call = async { self.node.propose(command).await.map(drop) };
        self.ask(request, call, |()| Answer::Done).await
    }

    async fn open_desk(&self) {
        let desk = self.desk();
        let pool = Pool::external(desk.as_str());
        let call = async { self.node.put_pool(pool?).await };
        let _ = self.ask(Request::PutPool { pool: desk.clone() }, call, |()| Answer::Done).await;
        let spec = self.hand(desk);
        let (agent, slots) = (spec.id, spec.concurrency);
        let call = self.node.register_agent(spec);
        let _ = self.ask(Request::Register { agent, slots }, call, |()| Answer::Done).await;
    }

    /// An agent outside, of a pool.
    fn hand(&self, pool: Name) -> AgentSpec {
        AgentSpec {
            id: AgentId::from_raw(u128::from(self.shared.streams.seed_of(&format!("{} hand", self.name)))),
            name: self.own("hand"),
            pool: Some(pool),
            capabilities: Capabilities::default(),
            labels: BTreeMap::new(),
            region: None,
            concurrency: 1,
            host: Host::External,
            heartbeat_timeout: None,
            metadata: None,
        }
    }

    async fn submit(&mut self) {
        let took = self.stream.between(0, 900);
        let script = match self.stream.between(0, 99) {
            0..60 => Script::of(&[(Act::Succeed, took)]),
            60..85 => Script::of(&[(Act::Refuse, took)]),
            _ => Script::of(&[(Act::Fail, took), (Act::Succeed, 50)]),
        };
        self.send(self.works(), &script, None).await;
    }

    async fn submit_to_desk(&mut self) {
        self.send(self.desk(), &Script::of(&[(Act::Succeed, 0)]), Some(WAITING)).await;
    }

    async fn send(&mut self, pool: Name, script: &Script, waiting: Option<Duration>) {
        let request = Request::Submit { key: None, content: self.stream.draw(), pool: pool.as_str().into() };
        let task = self.task(MailboxId::Pool(pool), script, waiting);
        let call = async { self.node.submit(task?).await };
        let sent = self.ask(request, Box::pin(call), |task: &TaskId| Answer::Submitted(*task)).await;
        if let Ok(task) = sent {
            self.shared.memory(&self.name, |memory| memory.acknowledged.push(task));
        }
    }

    /// Makes a task of the workspace.
    fn task(&self, mailbox: MailboxId, script: &Script, waiting: Option<Duration>) -> Result<NewTask, Error> {
        let timeouts = Timeouts { waiting, running: Some(RUNNING), silence: Some(SILENCE) };
        let retry = RetryPolicy {
            max_attempts: 2,
            initial: Duration::from_millis(200),
            factor_percent: 200,
            max: Duration::from_secs(1),
        };
        let task = NewTask::to_mailbox(mailbox, "let", script)?.workspace(self.workspace.clone());
        Ok(task.timeouts(timeouts).retry(retry))
    }

    async fn cancel(&mut self) {
        let known = self.shared.memory(&self.name, |memory| memory.acknowledged.clone());
        let young = &known[known.len().saturating_sub(8)..];
        if let Some(task) = self.stream.pick(young).copied() {
            let call = self.node.cancel(task, "the tenant thought better of it");
            let _ = self.ask(Request::Cancel { task }, call, |()| Answer::Done).await;
        }
    }

    /// Decides about a dead letter of the workspace.
    async fn decide(&mut self) {
        let letters: Vec<TaskId> = self.node.read(|state| {
            let own = state.dead_letters().filter(|letter| letter.spec.workspace == self.workspace);
            own.map(|letter| letter.spec.id).collect()
        });
        let Some(letter) = self.stream.pick(&letters).copied() else { return };
        if self.stream.happens(40) {
            let _ = self.change(Request::Purge { letter }, Command::Purge { task: letter }).await;
            return;
        }
        let task = self.node.new_task_id();
        let call = async {
            match self.node.propose(Command::Redrive { task: letter, new_task: task }).await? {
                Reply::Submitted { task, .. } => Ok(task),
                _ => Err(Error::Journal(JournalError::Stopped)),
            }
        };
        let request = Request::Redrive { letter, task };
        let _ = self.ask(request, call, |task| Answer::Submitted(*task)).await;
    }

    async fn pause(&mut self) {
        let what = match self.stream.between(0, 2) {
            0 => Pausable::Workspace(self.workspace.clone()),
            1 => Pausable::Pool(self.works()),
            _ => Pausable::Mailbox(MailboxId::Pool(self.works())),
        };
        let command = Command::Pause { what: what.clone(), reason: "the tenant wants it still".into() };
        let _ = self.change(Request::Pause { what }, command).await;
    }

    async fn resume(&mut self) {
        let paused = self.paused();
        if let Some(what) = self.stream.pick(&paused).cloned() {
            self.resume_it(what).await;
        }
    }

    async fn resume_it(&self, what: Pausable) {
        let _ = self.change(Request::Resume { what: what.clone() }, Command::Resume { what }).await;
    }

    /// Returns what of the workspace is paused.
    fn paused(&self) -> Vec<Pausable> {
        let is_own = |what: &Pausable| match what {
            Pausable::Workspace(workspace) => *workspace == self.workspace,
            Pausable::Pool(pool) | Pausable::Mailbox(MailboxId::Pool(pool)) => *pool == self.works(),
            Pausable::Mailbox(MailboxId::Agent(_) | MailboxId::Open) => false,
        };
        self.node.read(|state| {
            state.pauses().map(|pause| &pause.what).filter(|what| is_own(what)).cloned().collect()
        })
    }

    /// Makes a token of the workspace, or ends one.
    async fn change_token(&mut self) {
        let known = self.shared.memory(&self.name, |memory| memory.tokens.clone());
        if let Some((token, _)) = self.stream.pick(&known).copied().filter(|_| known.len() > 2) {
            self.shared.memory(&self.name, |memory| memory.tokens.retain(|(other, _)| *other != token));
            let command = Command::RevokeToken { token, reason: "the tenant has lost it".into() };
            let _ = self.change(Request::RevokeToken { token }, command).await;
            return;
        }
        let (token, hash) = (TokenId::from_raw(self.wide()), self.hash());
        let spec = TokenSpec {
            id: token,
            name: self.own("token"),
            kind: TokenKind::Client,
            hash,
            permissions: Permissions::of_worker(),
            expires_at: None,
            created_by: None,
        };
        let workspace = self.workspace.clone();
        let command = Command::Access(AccessCommand::PutToken { spec: spec.into(), workspace });
        if self.change(Request::PutToken { token }, command).await.is_ok() {
            self.shared.memory(&self.name, |memory| memory.tokens.push((token, hash)));
        }
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.stream.draw()) << 64 | u128::from(self.stream.draw())
    }

    fn hash(&mut self) -> TokenHash {
        let mut hash = TokenHash::default();
        hash[..16].copy_from_slice(&self.wide().to_be_bytes());
        hash
    }
}
