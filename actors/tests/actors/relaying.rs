//! Signs of life that a node hears that does not lead.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use synod_domain::agent::{AgentStatus, Standing};
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::reply::Reply;

use crate::fleet::Fleet;
use crate::puppet::{Puppet, until_stopped};
use crate::stage::{AGENT_TIMEOUT, SECOND, outside_of, pass, settle};

async fn fleet() -> (Fleet, AgentId) {
    let fleet = Fleet::start((0..2).map(|_| Puppet::new(until_stopped)).collect()).await;
    let spec = outside_of(fleet.members[0].world.ids.agent(), "far");
    let agent = spec.id;
    fleet.apply(Command::RegisterAgent { spec: Arc::new(spec) }).unwrap();
    let reason = "here".into();
    fleet.apply(Command::SetStanding { agent, standing: Standing::Ready, reason }).unwrap();
    settle().await;
    (fleet, agent)
}

impl Fleet {
    fn status(&self, agent: AgentId) -> AgentStatus {
        self.read(|state| state.agent(agent).unwrap().status())
    }

    fn batches(&self) -> usize {
        self.wire.batches.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn agent_that_is_heard_elsewhere_is_not_silent_and_is_told_of_now_and_then() {
    let (fleet, agent) = fleet().await;
    for _ in 0..600 {
        fleet.members[1].system.liveness().heard(agent);
        pass(SECOND).await;
    }
    assert_eq!(fleet.status(agent), AgentStatus::Ready);
    assert!(fleet.batches() <= 62, "{} batches in ten minutes", fleet.batches());
    // What is heard of nobody is not told.
    pass(20 * SECOND).await;
    let before = fleet.batches();
    pass(AGENT_TIMEOUT).await;
    assert_eq!(fleet.status(agent), AgentStatus::Offline);
    assert_eq!(fleet.batches(), before);
}

#[tokio::test(start_paused = true)]
async fn silent_agent_that_is_heard_elsewhere_is_ready_before_it_is_answered() {
    let (fleet, agent) = fleet().await;
    pass(AGENT_TIMEOUT + SECOND).await;
    assert_eq!(fleet.status(agent), AgentStatus::Offline);
    let answer = fleet.members[1].system.liveness().hear(agent).await;
    assert_eq!(answer, Ok(Ok(Reply::Done)));
    assert_eq!(fleet.status(agent), AgentStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn signs_that_were_noted_while_nobody_led_are_kept_for_the_leader() {
    let (mut fleet, agent) = fleet().await;
    fleet.members[0].system.step_down().await;
    for _ in 0..20 {
        fleet.members[1].system.liveness().heard(agent);
        pass(10 * SECOND).await;
    }
    fleet.lead(0).await;
    pass(AGENT_TIMEOUT - 10 * SECOND).await;
    assert_eq!(fleet.status(agent), AgentStatus::Ready);
    fleet.members[1].system.liveness().heard(agent);
    pass(AGENT_TIMEOUT - 10 * SECOND).await;
    assert_eq!(fleet.status(agent), AgentStatus::Ready);
}
