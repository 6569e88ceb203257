//! Agents on several nodes: where they are, what becomes of them when a node dies, stalls, drains or leads no more.

use std::sync::Arc;
use std::time::Duration;

use synod_actors::ports::Alive;
use synod_domain::agent::{AgentStatus, PoolSpec};
use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::node::NodeStanding;
use synod_domain::spread::Recovery;
use synod_domain::task::{AttemptEnd, Phase};

use crate::fleet::{Fleet, node};
use crate::puppet::{Puppet, complete_after, until_stopped};
use crate::stage::{SECOND, name, pass, pool, settle, task_for};

/// Nodes whose agents take a second for a task.
async fn workers(count: usize) -> Fleet {
    Fleet::start((0..count).map(|_| Puppet::new(|work| complete_after(work, SECOND))).collect()).await
}

/// Nodes whose agents never come to an end by themselves.
async fn idlers(count: usize) -> Fleet {
    Fleet::start((0..count).map(|_| Puppet::new(until_stopped)).collect()).await
}

impl Fleet {
    pub(crate) fn submit(&self, pool: &str, count: usize) -> Vec<TaskId> {
        let world = &self.members[0].world;
        let specs = (0..count).map(|_| task_for(world.ids.task(), pool));
        specs
            .map(|spec| {
                let id = spec.id;
                self.apply(Command::Submit { spec: Arc::new(spec) }).unwrap();
                id
            })
            .collect()
    }

    /// How many attempts a node has begun.
    pub(crate) fn begun(&self, place: usize) -> usize {
        self.members[place].puppet.seen(|seen| seen.begun.len())
    }

    /// How many attempts run on a node that nobody told to stop.
    pub(crate) fn wanted(&self, place: usize) -> usize {
        self.members[place].puppet.seen(|seen| {
            let running = seen.running.values().flat_map(|tasks| tasks.values());
            running.filter(|stop| !stop.is_cancelled()).count()
        })
    }
}

#[tokio::test(start_paused = true)]
async fn agents_of_a_pool_are_spread_over_the_nodes_under_names_of_their_own() {
    let fleet = workers(3).await;
    fleet.pool(pool("coders", 7)).await;
    assert_eq!(fleet.serving("coders"), [3, 2, 2]);
    let expected: Vec<_> = (1..=7).map(|number| name(&format!("coders-{number}"))).collect();
    assert_eq!(fleet.names("coders"), expected);
    let tasks = fleet.submit("coders", 40);
    fleet.until_all_ended().await;
    assert!((0..3).all(|place| fleet.begun(place) > 0));
    assert!(tasks.iter().all(|task| fleet.task(*task).attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn work_of_a_node_that_dies_is_redelivered_once_and_its_agents_begin_elsewhere() {
    let fleet = workers(3).await;
    fleet.pool(pool("coders", 6)).await;
    let tasks = fleet.submit("coders", 6);
    settle().await;
    assert_eq!(fleet.wanted(1), 2);
    fleet.cut(1);
    fleet.rumour(1, Alive::Dead);
    fleet.until_standing(1, NodeStanding::Down).await;
    fleet.until_all_ended().await;
    fleet.until("others take their place", |state| crate::stage::serving(state, &name("coders")) == 6).await;
    assert_eq!(fleet.serving("coders"), [3, 0, 3]);
    let lost = tasks.iter().filter(|task| fleet.task(**task).attempt == 2).count();
    assert_eq!(lost, 2);
    for task in tasks {
        let task = fleet.task(task);
        assert_eq!(task.phase(), Phase::Completed);
        assert_eq!(task.attempts.len(), task.attempt as usize);
    }
    assert!(fleet.agents("coders", 1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn node_that_stalled_stops_what_it_had_and_serves_again_when_it_is_back() {
    let fleet = Fleet::start(vec![
        Puppet::new(|work| complete_after(work, SECOND)),
        Puppet::new(|work| complete_after(work, 100 * SECOND)),
    ])
    .await;
    fleet.pool(pool("coders", 2)).await;
    let tasks = fleet.submit("coders", 2);
    settle().await;
    fleet.cut(1);
    fleet.rumour(1, Alive::Dead);
    fleet.until_all_ended().await;
    // It finishes its attempt while it is away; what it says of it is late.
    pass(200 * SECOND).await;
    let ended: Vec<_> = tasks.iter().map(|task| fleet.task(*task)).collect();
    fleet.let_in(1);
    settle().await;
    assert_eq!(fleet.wanted(1), 0);
    assert_eq!(fleet.serving("coders"), [2, 0]);
    fleet.rumour(1, Alive::Alive);
    fleet
        .until("it serves again", |state| {
            state.share(&name("coders"), node(1)) == 1
                && state.agents_on(node(1)).any(|agent| agent.status() == AgentStatus::Ready)
        })
        .await;
    fleet.until("the other has given one away", |state| state.agents_on(node(0)).count() == 1).await;
    let after: Vec<_> = tasks.iter().map(|task| fleet.task(*task)).collect();
    assert_eq!(ended, after);
}

#[tokio::test(start_paused = true)]
async fn node_that_hears_at_once_that_it_was_gone_and_is_back_begins_anew() {
    let fleet = idlers(2).await;
    fleet.pool(pool("coders", 4)).await;
    fleet.submit("coders", 4);
    settle().await;
    fleet.cut(1);
    fleet.rumour(1, Alive::Dead);
    fleet.until_standing(1, NodeStanding::Down).await;
    fleet.rumour(1, Alive::Alive);
    fleet.until_standing(1, NodeStanding::Up).await;
    fleet.let_in(1);
    fleet
        .until("it serves again", |state| {
            let ready = |agent: &&Arc<synod_domain::agent::Agent>| agent.status() == AgentStatus::Busy;
            state.agents_on(node(1)).filter(ready).count() == 2
        })
        .await;
    settle().await;
    // Nothing that runs has lost its lease.
    let held = fleet.read(|state| state.agents_on(node(1)).map(|agent| agent.held.len()).sum::<usize>());
    assert_eq!(fleet.wanted(1), held);
}

#[tokio::test(start_paused = true)]
async fn draining_moves_agents_away_without_losing_a_task() {
    let fleet = workers(3).await;
    fleet.pool(pool("coders", 6)).await;
    let tasks = fleet.submit("coders", 60);
    settle().await;
    fleet.drain(1, true);
    fleet.until("nobody is left there", |state| state.agents_on(node(1)).count() == 0).await;
    assert_eq!(fleet.serving("coders"), [3, 0, 3]);
    fleet.until_all_ended().await;
    for task in tasks {
        let task = fleet.task(task);
        assert_eq!((task.phase(), task.attempt), (Phase::Completed, 1));
    }
    fleet.drain(1, false);
    fleet.until("it serves again", |state| state.agents_on(node(1)).count() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn draining_node_serves_until_others_do() {
    let fleet = idlers(2).await;
    fleet.pool(pool("coders", 1)).await;
    assert_eq!(fleet.serving("coders"), [1, 0]);
    // The other one takes its time.
    fleet.cut(1);
    fleet.drain(0, true);
    pass(10 * SECOND).await;
    assert_eq!(fleet.serving("coders"), [1, 0]);
    fleet.let_in(1);
    fleet.until("it has moved", |state| state.agents_on(node(0)).count() == 0).await;
    assert_eq!(fleet.serving("coders"), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn drain_does_not_wait_for_ever_for_those_who_cannot_serve() {
    let fleet = idlers(2).await;
    fleet.pool(pool("coders", 1)).await;
    fleet.cut(1);
    fleet.drain(0, true);
    fleet.until("it has left", |state| state.agents_on(node(0)).count() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn drained_agent_gives_back_what_it_does_not_finish() {
    let fleet = idlers(2).await;
    fleet.pool(pool("coders", 1)).await;
    let task = fleet.submit("coders", 1)[0];
    settle().await;
    fleet.drain(0, true);
    fleet.until("the other has it", |state| state.task(task).is_some_and(|task| task.attempt == 2)).await;
    let ends: Vec<_> = fleet.task(task).attempts.iter().map(|attempt| attempt.end.clone()).collect();
    assert!(
        matches!(&ends[..], [AttemptEnd::Lost(why)] if why.contains("moved to another node")),
        "{ends:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn new_leader_listens_before_it_takes_anybody_for_dead() {
    let mut fleet = idlers(3).await;
    pass(60 * SECOND).await;
    fleet.lead(1).await;
    fleet.rumour(2, Alive::Dead);
    pass(SECOND).await;
    assert_eq!(fleet.read(|state| state.node(node(2)).unwrap().standing), NodeStanding::Up);
    fleet.until_standing(2, NodeStanding::Down).await;
    // One that says so itself is believed at once.
    fleet.lead(0).await;
    fleet.rumour(1, Alive::Left);
    settle().await;
    assert_eq!(fleet.read(|state| state.node(node(1)).unwrap().standing), NodeStanding::Down);
}

#[tokio::test(start_paused = true)]
async fn new_leader_listens_as_long_as_gossip_of_so_many_nodes_asks_for() {
    let mut fleet = idlers(3).await;
    pass(60 * SECOND).await;
    fleet.ask_for_patience(4 * SECOND);
    fleet.lead(1).await;
    fleet.rumour(2, Alive::Dead);
    pass(11 * SECOND).await;
    assert_eq!(fleet.read(|state| state.node(node(2)).unwrap().standing), NodeStanding::Up);
    pass(2 * SECOND).await;
    assert_eq!(fleet.read(|state| state.node(node(2)).unwrap().standing), NodeStanding::Down);
}

#[tokio::test(start_paused = true)]
async fn rumours_of_an_earlier_life_and_of_the_leader_itself_are_not_believed() {
    let fleet = idlers(2).await;
    pass(60 * SECOND).await;
    fleet.rumour_of(1, 0, Alive::Dead);
    pass(SECOND).await;
    fleet.rumour(1, Alive::Alive);
    fleet.rumour(0, Alive::Dead);
    pass(60 * SECOND).await;
    let standings: Vec<_> = fleet.read(|state| state.nodes().map(|node| node.standing).collect());
    assert_eq!(standings, [NodeStanding::Up, NodeStanding::Up]);
    assert!(fleet.read(|state| state.nodes().all(|node| &*node.reason == "it has started")));
}

#[tokio::test(start_paused = true)]
async fn node_that_died_before_its_next_start_was_recorded_is_not_counted_on() {
    let fleet = idlers(2).await;
    pass(60 * SECOND).await;
    fleet.rumour_of(1, 2, Alive::Alive);
    pass(60 * SECOND).await;
    assert_eq!(fleet.read(|state| state.node(node(1)).unwrap().standing), NodeStanding::Up);
    fleet.rumour_of(1, 2, Alive::Dead);
    fleet.until_standing(1, NodeStanding::Down).await;
}

#[tokio::test(start_paused = true)]
async fn node_of_which_nothing_is_heard_is_not_counted_on_for_ever() {
    let fleet = idlers(2).await;
    // As gossip of a leader that was started anew knows it, when the other one was not.
    fleet.rumour_of(1, 0, Alive::Alive);
    pass(5 * SECOND).await;
    assert_eq!(fleet.read(|state| state.node(node(1)).unwrap().standing), NodeStanding::Up);
    fleet.until_standing(1, NodeStanding::Down).await;
}

#[tokio::test(start_paused = true)]
async fn leader_that_steps_down_proposes_nothing_any_more() {
    let mut fleet = workers(2).await;
    fleet.pool(pool("coders", 2)).await;
    fleet.members[0].system.step_down().await;
    settle().await;
    let asked = || fleet.journal.core().asked.lock().commands.len();
    let before = asked();
    let tasks = fleet.submit("coders", 3);
    fleet.rumour(1, Alive::Left);
    pass(600 * SECOND).await;
    assert_eq!(asked(), before);
    assert!(tasks.iter().all(|task| fleet.task(*task).attempt == 0));
    fleet.rumour(1, Alive::Alive);
    fleet.lead(1).await;
    fleet.until_all_ended().await;
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_while_nobody_leads_is_neither_lost_nor_done_again() {
    let mut fleet = workers(2).await;
    fleet.pool(pool("coders", 4)).await;
    let tasks = fleet.submit("coders", 4);
    settle().await;
    fleet.set_leaderless(true);
    pass(Duration::from_secs(20)).await;
    assert!(
        tasks
            .iter()
            .all(|task| fleet.task(*task).phase() == Phase::Running || fleet.task(*task).lease().is_some())
    );
    fleet.set_leaderless(false);
    fleet.lead(1).await;
    fleet.until_all_ended().await;
    for task in tasks {
        let task = fleet.task(task);
        assert_eq!((task.phase(), task.attempt), (Phase::Completed, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn agent_that_failed_for_good_is_tried_again_on_a_node_that_does_not_lead() {
    use crate::puppet::Prepare;
    let fleet = idlers(2).await;
    let broken = &fleet.members[1].puppet;
    broken.seen(|seen| seen.preparing.extend(vec![Prepare::Fail("no disk".to_owned()); 6]));
    let spec = PoolSpec { recovery: Recovery::Restart, ..pool("coders", 2) };
    fleet.apply(Command::PutPool { spec: Arc::new(spec) }).unwrap();
    fleet.until("both serve", |state| crate::stage::serving(state, &name("coders")) == 2).await;
    assert_eq!(fleet.serving("coders"), [1, 1]);
}
