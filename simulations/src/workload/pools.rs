//! Somebody who changes pools: scales one up and down, lets it retire and makes it again, gives it work, gives agents work
//! of their own and anybody work that names nobody, and moves what waits to other lanes.
//!
//! The pool is its own, so that what the others ask for has agents. At the end of new work it is scaled up again, through
//! every crash, or what waits in it would never end. What is for one agent ends by itself when that agent does not take
//! it in time.

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::agent::Host;
use synod::node::domain::capability::Capabilities;
use synod::node::domain::command::Command;
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::retry::RetryPolicy;
use synod::node::domain::task::{Lane, MailboxId, Timeouts};
use synod::node::{Error, NewTask, Node, Pool};

use crate::chance::Stream;
use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::script::{Act, Script};
use crate::shared::Phase;
use crate::workload::question::ask;
use crate::workload::{NATIVE, SLOTS_INSIDE, STOREKEEPER};

/// The pool that comes and goes.
const SPARE: &str = "spare";

/// The most agents it has.
const SIZE_MAX: u32 = 3;

/// The pause between two looks whether something in it has nobody to do it.
const AGAIN: Duration = Duration::from_millis(500);

/// How long work for one agent, and for anybody, waits for somebody to take it.
const WAITING: Duration = Duration::from_secs(8);
/// How long an attempt may run, and be silent.
const RUNNING: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_secs(2);

struct Keeper {
    node: Arc<Node>,
    shared: Arc<Machine>,
    name: Arc<str>,
    stream: Stream,
    spare: Name,
}

/// Changes pools until the world settles, then lets the pool finish what it has.
pub(super) async fn run(node: Arc<Node>, shared: Arc<Machine>, life: u32) {
    let Ok(spare) = Name::new(SPARE) else { return };
    let stream = shared.streams.open(&format!("{STOREKEEPER} life {life}"));
    let mut keeper = Keeper { node, shared, name: STOREKEEPER.into(), stream, spare };
    keeper.put().await;
    while keeper.shared.phase() == Phase::Busy {
        match keeper.stream.between(0, 99) {
            0..15 => {
                let target = u32::try_from(keeper.stream.between(0, u64::from(SIZE_MAX))).unwrap_or(1);
                keeper.scale(target).await;
            }
            15..20 => keeper.retire().await,
            20..28 => keeper.put().await,
            28..55 => keeper.submit(MailboxId::Pool(keeper.spare.clone())).await,
            55..67 => keeper.submit_to_an_agent().await,
            67..80 => keeper.submit(MailboxId::Open).await,
            _ => keeper.set_lane().await,
        }
        let pause = keeper.stream.millis(50, 800);
        tokio::time::sleep(pause).await;
    }
    while keeper.shared.phase() != Phase::Closing {
        if keeper.has_work_for_nobody() {
            keeper.scale(SIZE_MAX).await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

impl Keeper {
    async fn put(&self) {
        let pool = Pool::native(SPARE, NATIVE);
        let call = async { self.node.put_pool(pool?.between(0, SIZE_MAX).concurrency(SLOTS_INSIDE)).await };
        self.ask(Request::PutPool { pool: self.spare.clone() }, call).await;
    }

    async fn scale(&self, target: u32) {
        let request = Request::Scale { pool: self.spare.clone(), target };
        self.ask(request, self.node.scale_pool(&self.spare, target)).await;
    }

    async fn retire(&self) {
        self.ask(Request::Retire { pool: self.spare.clone() }, self.node.retire_pool(&self.spare, false))
            .await;
    }

    async fn set_lane(&mut self) {
        let known = self.shared.memory(&self.name, |memory| memory.acknowledged.clone());
        let young = &known[known.len().saturating_sub(6)..];
        let Some(task) = self.stream.pick(young).copied() else { return };
        let lane = self.stream.pick(&Lane::ALL).copied().unwrap_or_default();
        let call = async { self.node.propose(Command::SetLane { task, lane }).await.map(drop) };
        self.ask(Request::SetLane { task, lane }, call).await;
    }

    async fn submit_to_an_agent(&mut self) {
        // Of programs outside: nothing removes them, and nothing but a client calls off what is theirs.
        let agents: Vec<AgentId> = self.node.read(|state| {
            let outside = state.agents().filter(|agent| agent.spec.host == Host::External);
            outside.map(|agent| agent.spec.id).collect()
        });
        if let Some(agent) = self.stream.pick(&agents).copied() {
            self.submit(MailboxId::Agent(agent)).await;
        }
    }

    async fn submit(&mut self, mailbox: MailboxId) {
        let content = self.stream.draw();
        let lane = self.stream.pick(&Lane::ALL).copied().unwrap_or_default();
        let act = if self.stream.happens(80) { Act::Succeed } else { Act::Fail };
        let script = Script::of(&[(act, self.stream.between(0, 600)), (Act::Succeed, 50)]);
        let to_pool = matches!(mailbox, MailboxId::Pool(_));
        let pool = match &mailbox {
            MailboxId::Pool(pool) => pool.as_str().into(),
            other => other.path().into(),
        };
        let task = move |name: &str| -> Result<NewTask, Error> {
            let task = match mailbox {
                MailboxId::Open => NewTask::to_any(Capabilities::default(), "simulated", &script)?,
                MailboxId::Agent(agent) => NewTask::to_agent(agent, "simulated", &script)?,
                pool @ MailboxId::Pool(_) => NewTask::to_mailbox(pool, "simulated", &script)?,
            };
            let waiting = (!to_pool).then_some(WAITING);
            let timeouts = Timeouts { waiting, running: Some(RUNNING), silence: Some(SILENCE) };
            let retry = RetryPolicy {
                max_attempts: 3,
                initial: Duration::from_millis(200),
                factor_percent: 200,
                max: Duration::from_secs(1),
            };
            Ok(task.workspace(Name::new(name)?).lane(lane).timeouts(timeouts).retry(retry))
        };
        let request = Request::Submit { key: None, content, pool };
        let call = async { self.node.submit(task(&self.name)?).await };
        let sent =
            ask(&self.shared, &self.name, request, call, |task: &TaskId| Answer::Submitted(*task)).await;
        if let Ok(task) = sent {
            self.shared.memory(&self.name, |memory| memory.acknowledged.push(task));
        }
    }

    fn has_work_for_nobody(&self) -> bool {
        let mailbox = MailboxId::Pool(self.spare.clone());
        self.node.read(|state| {
            let empty = state.pool(&self.spare).is_some_and(|pool| pool.target == 0);
            empty && state.tasks().any(|task| task.spec.mailbox == mailbox)
        })
    }

    /// What it could not do is noted with its answer.
    async fn ask(&self, request: Request, call: impl Future<Output = Result<(), Error>>) {
        let _ = ask(&self.shared, &self.name, request, call, |()| Answer::Done).await;
    }
}
