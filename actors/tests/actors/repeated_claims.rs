//! A claim that is asked again under its request: it gets what it got, at whichever desk, and loses nothing of it.

use std::time::Duration;

use futures::FutureExt;
use synod_actors::desk::{Ask, ClaimError};
use synod_actors::system::System;
use synod_domain::command::Command;
use synod_domain::task::Phase;

use crate::desk::tasks;
use crate::puppet::until_stopped;
use crate::stage::{SECOND, Stage, pass, settle};

#[tokio::test(start_paused = true)]
async fn same_request_asked_again_gets_the_same_leases() {
    let stage = Stage::start(until_stopped).await;
    let mut spec = stage.outside("far");
    spec.concurrency = 9;
    let agent = stage.register(spec).await;
    stage.open_burst("", 5);
    let ask = Ask { max: 2, ..stage.ask(agent) };
    let first = stage.system.desk().claim(ask.clone()).await.unwrap();
    let again = stage.system.desk().claim(ask.clone()).await.unwrap();
    assert_eq!((first.len(), &first), (2, &again));
    assert_eq!(stage.claims(), 1);
    // Those that are over are not handed out a second time.
    stage.complete(first[0].spec.id, 1);
    assert_eq!(stage.system.desk().claim(ask.clone()).await.unwrap(), first[1..]);
    // When none is left, it claims afresh, and that is remembered as well.
    stage.complete(first[1].spec.id, 1);
    let afresh = stage.system.desk().claim(ask.clone()).await.unwrap();
    assert!(afresh.len() == 2 && !first.contains(&afresh[0]));
    assert_eq!(stage.system.desk().claim(ask).await.unwrap(), afresh);
    assert_eq!(stage.claims(), 2);
}

#[tokio::test(start_paused = true)]
async fn lease_that_came_after_empty_claims_is_found_again_under_the_same_request() {
    let stage = Stage::start(until_stopped).await;
    let (agent, thief) = (stage.far("").await, stage.far("").await);
    let ask = stage.ask(agent);
    let claiming = stage.claiming(ask.clone()).await;
    stage.faults(|faults| faults.delay = SECOND);
    stage.open_burst("", 1);
    settle().await;
    stage.apply(Command::Claim { agent: thief, max: 1, start: true, offered: None }).unwrap();
    pass(10 * SECOND).await;
    let next = stage.open_burst("", 1);
    let first = claiming.await.unwrap().unwrap();
    assert_eq!((first[0].spec.id, stage.claims()), (next[0], 2));
    assert_eq!(stage.system.desk().claim(ask).await.unwrap(), first);
    assert_eq!(stage.claims(), 2);
}

#[tokio::test(start_paused = true)]
async fn same_request_asked_while_it_waits_takes_the_place_over() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.far("").await;
    let ask = stage.ask(agent);
    let first = stage.claiming(ask.clone()).await;
    let behind = stage.claiming(stage.ask(stage.far("").await)).await;
    let second = stage.claiming(ask.clone()).await;
    assert_eq!(first.await.unwrap(), Err(ClaimError::Superseded));
    assert_eq!(stage.system.desk().waiting(), 2);
    let task = stage.submit(stage.open_task("")).await;
    assert_eq!(tasks(second).await, [task]);
    assert!(!behind.is_finished(), "the place in line is kept");

    // The same while the claim is on its way: the later caller gets what the first one asked for.
    stage.complete(task, 1);
    let ask = stage.ask(agent);
    let first = stage.claiming(ask.clone()).await;
    behind.abort();
    settle().await;
    stage.faults(|faults| faults.delay = SECOND);
    let task = stage.open_burst("", 1)[0];
    settle().await;
    first.abort();
    let second = stage.claiming(ask).await;
    assert_eq!(tasks(second).await, [task]);
    assert_eq!(stage.read(|state| state.task(task).unwrap().attempt), 1);
}

#[tokio::test(start_paused = true)]
async fn same_request_asked_while_its_lease_goes_back_gets_one_that_is_valid() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.far("").await;
    let ask = stage.ask(agent);
    let first = stage.claiming(ask.clone()).await;
    stage.faults(|faults| faults.delay = SECOND);
    let task = stage.open_burst("", 1)[0];
    settle().await;
    first.abort();
    // The claim is written and the release is on its way.
    pass(SECOND + SECOND / 2).await;
    assert_eq!(stage.phase(task), Phase::Running);
    let lease = stage.claiming(ask).await.await.unwrap().unwrap().remove(0);
    assert_eq!((lease.spec.id, lease.attempt), (task, 2));
    pass(60 * SECOND).await;
    assert_eq!(stage.read(|state| state.task(task).unwrap().lease().unwrap().attempt), 2);
}

#[tokio::test(start_paused = true)]
async fn same_request_asked_at_two_desks_at_once_leaves_a_valid_lease_with_whoever_is_still_there() {
    let stage = Stage::start(until_stopped).await;
    let elsewhere = System::new(stage.world.clone());
    let agent = stage.far("").await;
    let ask = stage.ask(agent);
    let first = stage.claiming(ask.clone()).await;
    stage.faults(|faults| faults.delay = SECOND);
    let task = stage.open_burst("", 1)[0];
    settle().await;
    // Its claim is on its way; nobody else can know of it yet.
    let desk = elsewhere.desk().clone();
    let second = tokio::spawn(async move { desk.claim(ask).await });
    pass(SECOND / 2).await;
    first.abort();
    pass(60 * SECOND).await;
    stage.faults(|faults| faults.delay = Duration::ZERO);
    // The other desk has nobody that tells it of events: it looks when somebody asks.
    let asked = elsewhere.desk().claim(Ask { wait: Duration::ZERO, ..stage.ask(agent) }).await;
    assert_eq!(asked, Ok(Vec::new()));
    let lease = second.await.unwrap().unwrap().remove(0);
    assert_eq!(lease.spec.id, task);
    pass(60 * SECOND).await;
    let held = stage.read(|state| state.task(task).unwrap().lease().map(|lease| lease.attempt));
    assert_eq!(held, Some(lease.attempt));
}

#[tokio::test(start_paused = true)]
async fn lease_that_another_desk_has_answered_with_is_not_given_back_by_the_one_that_was_left() {
    let stage = Stage::start(until_stopped).await;
    let elsewhere = System::new(stage.world.clone());
    let agent = stage.far("").await;
    let ask = stage.ask(agent);
    let task = stage.open_burst("", 1)[0];
    let desk = stage.system.desk().clone();
    let mut left = Box::pin(desk.claim(ask.clone()));
    assert!((&mut left).now_or_never().is_none());
    // Its answer lies there, and nobody takes it.
    pass(SECOND).await;
    let lease = elsewhere.desk().claim(ask).await.unwrap().remove(0);
    assert_eq!((lease.spec.id, lease.attempt), (task, 1));
    drop(left);
    pass(60 * SECOND).await;
    let held = stage.read(|state| state.task(task).unwrap().lease().map(|lease| lease.attempt));
    assert_eq!(held, Some(1));
}
