//! An agent outside of the node: registers, claims, and says how its attempts ended, sometimes too late.
//!
//! It outlives the node's crashes as a program elsewhere would: what it has in hand it goes on with, and says
//! the result to the next life of the node, under the attempt it was given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::agent::{AgentSpec, Host};
use synod::node::domain::capability::Capabilities;
use synod::node::domain::command::Command;
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::task::Usage;
use synod::node::{Error, Node};

use crate::agent::{SCRIPTED_FAILURE, result};
use crate::chance::Stream;
use crate::history::{Answer, Fact, Request};
use crate::machine::Machine;
use crate::script::{Act, Script};
use crate::shared::Phase;
use crate::spending;
use crate::workload::question::ask;
use crate::workload::{Held, OUTSIDE, SLOTS_OUTSIDE, Workload};

/// How often an agent looks at what it has in hand; a quarter of the silence its tasks allow.
const LOOK: Duration = Duration::from_millis(500);

struct Agent {
    node: Arc<Node>,
    shared: Arc<Machine>,
    name: Arc<str>,
    id: AgentId,
    stream: Stream,
}

/// Works until the world closes: with its own node, and with another once the machine of that one has gone for good.
pub(super) async fn run(node: Arc<Node>, shared: Arc<Machine>, name: Arc<str>, home: u64, life: u32) {
    let is_home = shared.node == home;
    while !is_home && shared.machines().contains(&home) {
        tokio::time::sleep(LOOK).await;
    }
    let place = if is_home { "life" } else { "elsewhere, life" };
    let stream = shared.streams.open(&format!("{name} {place} {life}"));
    let id = AgentId::from_raw(u128::from(shared.streams.seed_of(&name)));
    let mut agent = Agent { node, shared, name, id, stream };
    agent.register().await;
    while agent.shared.phase() != Phase::Closing {
        agent.say_what_is_due().await;
        agent.claim().await;
        let pause = agent.stream.millis(20, u64::try_from(LOOK.as_millis()).unwrap_or(1));
        tokio::time::sleep(pause).await;
    }
}

impl Agent {
    async fn register(&self) {
        let register = async {
            let spec = AgentSpec {
                id: self.id,
                name: Name::new(&self.name)?,
                pool: Some(Name::new(OUTSIDE)?),
                capabilities: Capabilities::default(),
                labels: BTreeMap::new(),
                region: None,
                concurrency: SLOTS_OUTSIDE,
                host: Host::External,
                heartbeat_timeout: None,
                metadata: None,
            };
            self.node.register_agent(spec).await
        };
        // A node that fails is started again, and then the agent registers again.
        let _ = self
            .ask(Request::Register { agent: self.id, slots: SLOTS_OUTSIDE }, register, |()| Answer::Done)
            .await;
    }

    async fn claim(&mut self) {
        let call = self.node.claim(self.id, SLOTS_OUTSIDE);
        let leases = |given: &Vec<_>| {
            let lease = |one: &synod::node::domain::reply::Assignment| (one.spec.id, one.attempt);
            Answer::Claimed(given.iter().map(lease).collect())
        };
        let Ok(given) = self.ask(Request::Claim { agent: self.id }, call, leases).await else {
            return self.register().await;
        };
        for one in given {
            let payload = self.node.fetch(&one.spec.payload).await.ok();
            let script = payload.and_then(|bytes| serde_json::from_slice::<Script>(&bytes).ok());
            let Some(script) = script else { continue };
            if self.gives_back(one.spec.id, one.attempt) {
                self.release(one.spec.id, one.attempt).await;
                continue;
            }
            let (step, large) = (script.step(one.attempt), script.is_long());
            let now = self.shared.elapsed();
            let (lively, fails, late) = match step.act {
                Act::Succeed => (true, false, Duration::ZERO),
                Act::Fail | Act::Refuse => (true, true, Duration::ZERO),
                // Silent for longer than it may, and then says its result all the same.
                Act::Hang | Act::HangDeaf | Act::Panic | Act::Kill => {
                    (false, false, self.stream.millis(2_500, 9_000))
                }
            };
            let due = now + step.time() + late;
            let held = Held { task: one.spec.id, attempt: one.attempt, due, lively, fails, large, said: 0 };
            self.shared.memory(&self.name, |memory| memory.held.push(held));
        }
    }

    async fn say_what_is_due(&mut self) {
        let now = self.shared.elapsed();
        for held in self.shared.memory(&self.name, |memory| memory.held.clone()) {
            let (task, attempt) = (held.task, held.attempt);
            if held.due > now {
                if held.lively {
                    let beat = self.node.propose(Command::Heartbeat { task, attempt, progress: None });
                    let _ = self.ask(Request::Heartbeat { task, attempt }, beat, |_| Answer::Done).await;
                }
                continue;
            }
            self.shared.memory(&self.name, |memory| {
                let this = |other: &&mut Held| (other.task, other.attempt) == (task, attempt);
                memory.held.iter_mut().filter(this).for_each(|held| held.said += 1);
            });
            let said = if held.fails { self.fail(&held).await } else { self.complete(&held).await };
            if matches!(said, Ok(()) | Err(Error::Refused(_))) {
                // Now and then it says the same twice, as one does whose connection broke.
                if self.stream.happens(85) {
                    let this = |other: &Held| (other.task, other.attempt) == (task, attempt);
                    self.shared.memory(&self.name, |memory| memory.held.retain(|other| !this(other)));
                }
            }
        }
    }

    async fn complete(&self, held: &Held) -> Result<(), Error> {
        let (task, attempt) = (held.task, held.attempt);
        let result = result(attempt, held.large).to_string();
        let usage = self.used(held);
        let call = self.node.complete(task, attempt, result.as_bytes(), usage);
        let said = self.ask(Request::Complete { task, attempt }, call, |phase| Answer::Ended(*phase)).await;
        said.map(drop)
    }

    async fn fail(&self, held: &Held) -> Result<(), Error> {
        let (task, attempt) = (held.task, held.attempt);
        let (reason, usage) = (SCRIPTED_FAILURE.into(), self.used(held));
        let command = Command::Fail { task, attempt, reason, retryable: true, usage };
        let call = self.node.propose(command);
        self.ask(Request::Fail { task, attempt }, call, |_| Answer::Done).await.map(drop)
    }

    /// Says what an attempt has used, most of it untrue, and something else each time.
    fn used(&self, held: &Held) -> Usage {
        let (task, attempt) = (held.task, held.attempt);
        let usage = spending::sum(&spending::drawn(self.shared.streams, task, attempt, held.said));
        self.shared.note(Fact::Uses { task, attempt, usage: usage.clone() });
        usage
    }

    /// Tells whether it gives a lease back at once. Drawn apart, so that nothing else depends on it.
    fn gives_back(&self, task: TaskId, attempt: u32) -> bool {
        let drawn = || self.shared.streams.open(&format!("release {task} attempt {attempt}")).happens(6);
        self.shared.has(Workload::Pools) && drawn()
    }

    async fn release(&self, task: TaskId, attempt: u32) {
        let call = self.node.release(task, attempt, "it has something else to do");
        // Without an answer it falls silent, and the lease ends.
        let _ = self.ask(Request::Release { task, attempt }, call, |()| Answer::Done).await;
    }

    async fn ask<T>(
        &self,
        request: Request,
        call: impl Future<Output = Result<T, Error>>,
        answer: impl FnOnce(&T) -> Answer,
    ) -> Result<T, Error> {
        ask(&self.shared, &self.name, request, call, answer).await
    }
}
