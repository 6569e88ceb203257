//! Agents that run elsewhere: who is silent is offline and its work goes to others; who is heard stays.

use std::time::Duration;

use synod_domain::agent::{AgentStatus, Standing};
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::refusal::Refusal;
use synod_domain::task::Phase;
use tokio::time::Instant;

use crate::puppet::until_stopped;
use crate::stage::{AGENT_TIMEOUT, SECOND, Stage, pass, pool, settle};

impl Stage {
    fn status(&self, agent: AgentId) -> AgentStatus {
        self.read(|state| state.agent(agent).unwrap().status())
    }

    fn reason(&self, agent: AgentId) -> String {
        self.read(|state| state.agent(agent).unwrap().reason.to_string())
    }

    /// Lets time pass while an agent is heard every thirty seconds.
    async fn beat(&self, agent: AgentId, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.system.liveness().heard(agent);
            pass(30 * SECOND).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silent_agent_is_offline_after_its_timeout_and_its_work_waits_again() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.register(stage.outside("far")).await;
    let task = stage.open_burst("", 1)[0];
    stage.apply(Command::Claim { agent, max: 1, start: true, offered: None }).unwrap();
    settle().await;
    pass(AGENT_TIMEOUT - SECOND).await;
    assert_eq!(stage.status(agent), AgentStatus::Busy);
    pass(2 * SECOND).await;
    assert_eq!(stage.status(agent), AgentStatus::Offline);
    assert!(stage.reason(agent).starts_with("it was silent for 90"), "{}", stage.reason(agent));
    assert_eq!(stage.phase(task), Phase::Pending);
    let losses = stage.read(|state| state.task(task).unwrap().losses);
    assert_eq!(losses, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_asked_for_elsewhere_is_a_sign_of_life_here() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.register(stage.outside("far")).await;
    let task = stage.open_burst("", 1)[0];
    settle().await;
    pass(AGENT_TIMEOUT - SECOND).await;
    // Through another node, whose signs of life are not here yet.
    stage.apply(Command::Claim { agent, max: 1, start: true, offered: None }).unwrap();
    settle().await;
    pass(2 * SECOND).await;
    assert_eq!((stage.status(agent), stage.phase(task)), (AgentStatus::Busy, Phase::Running));
    pass(AGENT_TIMEOUT).await;
    assert_eq!(stage.status(agent), AgentStatus::Offline);
}

#[tokio::test(start_paused = true)]
async fn agent_that_is_heard_stays_and_its_signs_of_life_are_not_written() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.register(stage.outside("far")).await;
    settle().await;
    let before = stage.asked();
    stage.beat(agent, 3600 * SECOND).await;
    assert_eq!(stage.status(agent), AgentStatus::Ready);
    assert_eq!(stage.asked() - before, 0);
}

#[tokio::test(start_paused = true)]
async fn agent_may_have_a_timeout_of_its_own_and_change_it() {
    let stage = Stage::start(until_stopped).await;
    let mut spec = stage.outside("patient");
    spec.heartbeat_timeout = Some(600 * SECOND);
    let patient = stage.register(spec.clone()).await;
    let mut hasty = stage.outside("hasty");
    hasty.heartbeat_timeout = Some(10 * SECOND);
    let hasty = stage.register(hasty).await;
    pass(11 * SECOND).await;
    assert_eq!((stage.status(hasty), stage.status(patient)), (AgentStatus::Offline, AgentStatus::Ready));
    pass(500 * SECOND).await;
    assert_eq!(stage.status(patient), AgentStatus::Ready);
    // A shorter one counts from when it was heard last.
    stage.system.liveness().heard(patient);
    spec.heartbeat_timeout = Some(20 * SECOND);
    stage.register(spec).await;
    pass(21 * SECOND).await;
    assert_eq!(stage.status(patient), AgentStatus::Offline);
}

#[tokio::test(start_paused = true)]
async fn agent_that_was_silent_takes_work_again_as_soon_as_it_is_heard() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.register(stage.outside("far")).await;
    stage.until_status(agent, AgentStatus::Offline).await;
    stage.faults(|faults| faults.delay = SECOND);
    stage.system.liveness().hear(agent).await.unwrap().unwrap();
    // It was durable before that answered.
    assert_eq!(stage.status(agent), AgentStatus::Ready);
    assert_eq!(stage.reason(agent), "heard from again");
    stage.faults(|faults| faults.delay = Duration::ZERO);
    stage.beat(agent, 600 * SECOND).await;
    assert_eq!(stage.status(agent), AgentStatus::Ready);
    // And it is watched as before.
    pass(AGENT_TIMEOUT + SECOND).await;
    assert_eq!(stage.status(agent), AgentStatus::Offline);
}

#[tokio::test(start_paused = true)]
async fn sign_of_life_changes_nothing_about_who_drains_failed_or_left() {
    let stage = Stage::start(until_stopped).await;
    for standing in [Standing::Draining, Standing::Failed, Standing::Offline] {
        let agent = stage.register(stage.outside("far")).await;
        let reason = "by hand".into();
        stage.propose(Command::SetStanding { agent, standing, reason }).await.unwrap();
        let before = stage.asked();
        stage.system.liveness().hear(agent).await.unwrap().unwrap();
        settle().await;
        assert_eq!(stage.asked() - before, 0);
        assert_eq!(stage.read(|state| state.agent(agent).unwrap().standing), standing);
        stage.apply(Command::RemoveAgent { agent }).unwrap();
    }
    let nobody = stage.world.ids.agent();
    let heard = stage.system.liveness().hear(nobody).await.unwrap();
    assert_eq!(heard, Err(Refusal::AgentUnknown(nobody)));
}

#[tokio::test(start_paused = true)]
async fn agent_that_drained_and_fell_silent_does_not_come_back_into_service() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.register(stage.outside("far")).await;
    let task = stage.open_burst("", 1)[0];
    stage.apply(Command::Claim { agent, max: 1, start: true, offered: None }).unwrap();
    let standing = Standing::Draining;
    stage.apply(Command::SetStanding { agent, standing, reason: "by hand".into() }).unwrap();
    stage.until_status(agent, AgentStatus::Offline).await;
    assert_eq!(stage.phase(task), Phase::Pending);
    stage.system.liveness().hear(agent).await.unwrap().unwrap();
    settle().await;
    assert_eq!(stage.status(agent), AgentStatus::Offline);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_silent_before_a_full_timeout_of_listening_after_a_new_lead() {
    let mut stage = Stage::start(until_stopped).await;
    let agent = stage.register(stage.outside("far")).await;
    settle().await;
    pass(AGENT_TIMEOUT - SECOND).await;
    stage.system.step_down().await;
    // Nobody listens, so nobody is silent.
    pass(10 * AGENT_TIMEOUT).await;
    assert_eq!(stage.status(agent), AgentStatus::Ready);
    stage.system.lead(stage.journal.clone(), 2).await.unwrap();
    pass(AGENT_TIMEOUT - SECOND).await;
    assert_eq!(stage.status(agent), AgentStatus::Ready);
    pass(2 * SECOND).await;
    assert_eq!(stage.status(agent), AgentStatus::Offline);
}

#[tokio::test(start_paused = true)]
async fn agent_heard_while_its_silence_was_on_its_way_is_in_service_again() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.register(stage.outside("far")).await;
    settle().await;
    stage.faults(|faults| faults.delay = 10 * SECOND);
    pass(AGENT_TIMEOUT).await;
    settle().await;
    // Heard while the entry is on its way: it is not offline yet, so nothing is proposed for this.
    stage.system.liveness().hear(agent).await.unwrap().unwrap();
    stage.until_status(agent, AgentStatus::Offline).await;
    stage.until_status(agent, AgentStatus::Ready).await;
    assert_eq!(stage.reason(agent), "heard from again");
}

#[tokio::test(start_paused = true)]
async fn silence_that_the_journal_did_not_take_is_proposed_again() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.register(stage.outside("far")).await;
    settle().await;
    stage.faults(|faults| faults.no_room = true);
    pass(AGENT_TIMEOUT + 10 * SECOND).await;
    assert_eq!(stage.status(agent), AgentStatus::Ready);
    stage.faults(|faults| faults.no_room = false);
    stage.until_status(agent, AgentStatus::Offline).await;
}

#[tokio::test(start_paused = true)]
async fn agents_of_this_node_need_no_signs_of_life() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(pool("coders", 3)).await;
    settle().await;
    let before = stage.asked();
    pass(100 * AGENT_TIMEOUT).await;
    assert_eq!(stage.asked() - before, 0);
    assert!(stage.agents("coders").iter().all(|agent| agent.status() == AgentStatus::Ready));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_agents_that_fall_silent_together_share_a_few_syncs() {
    let stage = Stage::start(until_stopped).await;
    let mut agents = Vec::new();
    for number in 0..10_000 {
        let spec = stage.outside(&format!("far-{number}"));
        let agent = spec.id;
        stage.apply(Command::RegisterAgent { spec: spec.into() }).unwrap();
        let (standing, reason) = (Standing::Ready, "here".into());
        stage.apply(Command::SetStanding { agent, standing, reason }).unwrap();
        agents.push(agent);
    }
    settle().await;
    stage.faults(|faults| faults.delay = SECOND);
    pass(AGENT_TIMEOUT + 5 * SECOND).await;
    assert!(agents.iter().all(|agent| stage.status(*agent) == AgentStatus::Offline));
}
