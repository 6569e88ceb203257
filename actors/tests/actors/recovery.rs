//! What a pool does when a node goes down, or an agent fails for good, by its strategy.

use std::sync::Arc;
use std::time::Duration;

use synod_actors::ports::Alive;
use synod_domain::agent::{AgentStatus, PoolSpec};
use synod_domain::command::Command;
use synod_domain::node::NodeStanding;
use synod_domain::spread::Recovery;

use crate::fleet::{Fleet, node};
use crate::puppet::{Prepare, Puppet, complete_after, until_stopped};
use crate::stage::{SECOND, Stage, name, pass, pool, serving, settle};

async fn fleet(nodes: usize, recovery: Recovery, size: u32) -> Fleet {
    let fleet = Fleet::start((0..nodes).map(|_| Puppet::new(until_stopped)).collect()).await;
    fleet.pool(PoolSpec { recovery, ..pool("coders", size) }).await;
    settle().await;
    fleet
}

async fn lose(fleet: &Fleet, place: usize) {
    fleet.cut(place);
    fleet.rumour(place, Alive::Dead);
    fleet.until_standing(place, NodeStanding::Down).await;
    pass(120 * SECOND).await;
}

async fn find(fleet: &Fleet, place: usize) {
    let before = fleet.journal.core().asked.lock().commands.len();
    fleet.let_in(place);
    // It learns that it was taken for gone, and has nothing to say of its agents until it is counted on again.
    pass(300 * SECOND).await;
    assert_eq!(fleet.journal.core().asked.lock().commands.len(), before);
    assert_eq!(fleet.wanted(place), 0);
    fleet.rumour(place, Alive::Alive);
    fleet.until_standing(place, NodeStanding::Up).await;
    pass(120 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn agents_that_wait_for_their_node_are_the_same_when_it_is_back() {
    let fleet = fleet(2, Recovery::Restart, 4).await;
    let ids = || fleet.agents("coders", 1).iter().map(|agent| agent.spec.id).collect::<Vec<_>>();
    let before = ids();
    lose(&fleet, 1).await;
    assert_eq!(fleet.serving("coders"), [2, 0]);
    assert!(fleet.agents("coders", 1).iter().all(|agent| agent.status() == AgentStatus::Offline));
    find(&fleet, 1).await;
    assert_eq!(fleet.serving("coders"), [2, 2]);
    assert_eq!(ids(), before);
}

#[tokio::test(start_paused = true)]
async fn degraded_pool_has_nobody_elsewhere_for_those_who_are_gone() {
    let fleet = fleet(3, Recovery::Degraded, 6).await;
    lose(&fleet, 1).await;
    assert_eq!(fleet.serving("coders"), [2, 0, 2]);
    let missing = || fleet.read(|state| state.shortfall(&name("coders")).map(|shortfall| shortfall.missing));
    assert_eq!(missing(), Some(2));
    find(&fleet, 1).await;
    assert_eq!(fleet.serving("coders"), [2, 2, 2]);
    assert_eq!(missing(), None);
}

#[tokio::test(start_paused = true)]
async fn replaced_agents_are_on_other_nodes_and_names_come_once() {
    let fleet = fleet(3, Recovery::Replacement, 6).await;
    lose(&fleet, 1).await;
    assert_eq!(fleet.serving("coders"), [3, 0, 3]);
    let expected: Vec<_> = (1..=6).map(|number| name(&format!("coders-{number}"))).collect();
    assert_eq!(fleet.names("coders"), expected);
    find(&fleet, 1).await;
    assert_eq!(fleet.serving("coders"), [2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn standby_agent_has_the_work_of_a_lost_one_without_being_started_first() {
    let fleet =
        Fleet::start((0..3).map(|_| Puppet::new(|work| complete_after(work, 50 * SECOND))).collect()).await;
    fleet.pool(PoolSpec { recovery: Recovery::Failover { standby: 1 }, ..pool("coders", 2) }).await;
    let stands_by = |agent: &Arc<synod_domain::agent::Agent>| agent.status() == AgentStatus::Standby;
    fleet.until("one stands by", |state| state.agents().filter(|agent| stands_by(agent)).count() == 1).await;
    let reserve = fleet.read(|state| state.agents().find(|agent| stands_by(agent)).cloned()).unwrap();
    let tasks = fleet.submit("coders", 3);
    settle().await;
    assert!(fleet.read(|state| state.agent(reserve.spec.id).unwrap().held.is_empty()));
    // A node that has work and not the reserve, and does not lead.
    let place = (1..3).find(|place| fleet.wanted(*place) > 0).unwrap();
    let prepared: usize = fleet.members.iter().map(|member| member.puppet.seen(|seen| seen.prepared)).sum();
    assert_eq!(prepared, 3);
    fleet.cut(place);
    fleet.rumour(place, Alive::Dead);
    fleet.until_standing(place, NodeStanding::Down).await;
    let promoted = fleet.read(|state| state.agent(reserve.spec.id).unwrap().status());
    assert_eq!(promoted, AgentStatus::Ready);
    fleet.until_all_ended().await;
    assert!(tasks.iter().any(|task| fleet.task(*task).attempt == 2));
    let others: u32 = fleet.read(|state| {
        let pool = state.pool(&name("coders")).unwrap();
        assert_eq!(pool.shares.get(&node(place)), None);
        pool.shares.values().sum()
    });
    assert_eq!(others, 2);
}

/// Two nodes and a pool of two agents, of which the second node's cannot start as often as its restarts allow.
async fn broken_at_first(recovery: Recovery) -> Fleet {
    let fleet = Fleet::start((0..2).map(|_| Puppet::new(until_stopped)).collect()).await;
    let failures = vec![Prepare::Fail("no disk".to_owned()); 6];
    fleet.members[1].puppet.seen(|seen| seen.preparing = failures.into());
    fleet.apply(Command::PutPool { spec: PoolSpec { recovery, ..pool("coders", 2) }.into() }).unwrap();
    pass(30 * SECOND).await;
    fleet
}

fn missing(fleet: &Fleet) -> Option<u32> {
    fleet.read(|state| state.shortfall(&name("coders")).map(|shortfall| shortfall.missing))
}

#[tokio::test(start_paused = true)]
async fn degraded_pool_goes_on_without_an_agent_that_failed_for_good_until_it_serves_again() {
    let fleet = broken_at_first(Recovery::Degraded).await;
    assert_eq!((fleet.serving("coders"), missing(&fleet)), (vec![1, 0], Some(1)));
    let reason = fleet.agents("coders", 1)[0].reason.clone();
    assert_eq!(&*reason, "no disk");
    pass(60 * SECOND).await;
    assert_eq!((fleet.serving("coders"), missing(&fleet)), (vec![1, 1], None));
}

#[tokio::test(start_paused = true)]
async fn standby_agent_serves_in_the_place_of_one_that_failed_for_good_which_then_stands_by() {
    let fleet = broken_at_first(Recovery::Failover { standby: 1 }).await;
    assert_eq!((fleet.serving("coders"), missing(&fleet)), (vec![2, 0], None));
    let failed = fleet.agents("coders", 1)[0].spec.id;
    pass(60 * SECOND).await;
    assert_eq!(fleet.serving("coders"), [2, 0]);
    assert_eq!(
        fleet.read(|state| state.agent(failed).map(|agent| agent.status())),
        Some(AgentStatus::Standby)
    );
    // Six starts that failed, and the one that did not: nobody else was made there.
    assert_eq!(fleet.members[1].puppet.seen(|seen| seen.prepared), 7);
}

#[tokio::test(start_paused = true)]
async fn another_agent_elsewhere_is_taken_for_one_that_failed_for_good() {
    let fleet = broken_at_first(Recovery::Replacement).await;
    assert_eq!((fleet.serving("coders"), missing(&fleet)), (vec![2, 0], None));
    assert!(fleet.agents("coders", 1).is_empty());
    assert_eq!(fleet.names("coders"), [name("coders-1"), name("coders-2")]);
    pass(3600 * SECOND).await;
    assert_eq!(fleet.serving("coders"), [2, 0]);
    assert_eq!(fleet.members[1].puppet.seen(|seen| seen.prepared), 6);
}

#[tokio::test(start_paused = true)]
async fn program_that_always_fails_at_once_is_started_a_bounded_number_of_times_and_serves_when_it_is_mended()
{
    let stage = Stage::start(until_stopped).await;
    let failures = vec![Prepare::Fail("no such program".to_owned()); 100_000];
    stage.puppet.seen(|seen| seen.preparing = failures.into());
    stage.apply(Command::PutPool { spec: pool("coders", 1).into() }).unwrap();
    pass(Duration::from_secs(24 * 3600)).await;
    let prepared = stage.puppet.seen(|seen| seen.prepared);
    // One replacement at once, six at intervals that double, one in an hour from then on: each of them is started six
    // times, and once more six times before the next.
    let most = 12 * (1 + 6 + 24);
    assert!((12 * 24..=most).contains(&prepared), "{prepared} starts");
    stage.puppet.seen(|seen| seen.preparing.clear());
    stage.until("it serves", |state| serving(state, &name("coders")) == 1).await;
}
