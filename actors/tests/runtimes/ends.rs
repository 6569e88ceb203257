//! However an attempt ends, nothing of it stays.

use std::time::Duration;

use serde_json::json;
use synod_actors::ports::{AgentRuntime, Finish};
use tokio::time::Instant;

use crate::support::{PATIENCE, STUBBORN, World, completed, order, until, until_exists, within};

#[tokio::test]
async fn a_stop_ends_a_whole_group_that_ignores_sigterm() {
    let world = World::with(|settings| settings.grace = Duration::from_millis(200)).await;
    let order = order("null");
    let runtime = world.shell(STUBBORN);
    let attempt = tokio::spawn(async move { runtime.run(order.work).await });
    until_exists(&world.path("ready")).await;
    let stopped_at = Instant::now();
    order.stop.cancel();
    assert_eq!(within(attempt).await.unwrap(), Finish::Stopped);
    assert!(stopped_at.elapsed() >= Duration::from_millis(200), "it had its grace");
    assert_eq!(world.alive(), [""; 0]);
}

#[tokio::test]
async fn a_program_that_heeds_sigterm_can_save_its_work_and_is_not_waited_for_longer() {
    let world = World::with(|settings| settings.grace = PATIENCE * 2).await;
    let order = order("null");
    let runtime =
        world.shell("trap 'echo saved > work; exit 0' TERM; touch ready; while :; do sleep 0.05; done");
    let attempt = tokio::spawn(async move { runtime.run(order.work).await });
    until_exists(&world.path("ready")).await;
    order.stop.cancel();
    assert_eq!(within(attempt).await.unwrap(), Finish::Stopped);
    assert_eq!(std::fs::read_to_string(world.path("work")).unwrap(), "saved\n");
    assert_eq!(world.alive(), [""; 0]);
}

#[tokio::test]
async fn a_stopped_program_may_still_fill_its_pipes() {
    let world = World::with(|settings| settings.grace = PATIENCE * 2).await;
    let order = order("null");
    let script = "trap 'head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 0' TERM; touch ready; while :; do sleep 0.05; done";
    let runtime = world.shell(script);
    let attempt = tokio::spawn(async move { runtime.run(order.work).await });
    until_exists(&world.path("ready")).await;
    order.stop.cancel();
    assert_eq!(within(attempt).await.unwrap(), Finish::Stopped);
}

#[tokio::test]
async fn work_that_is_stopped_before_it_starts_starts_nothing() {
    let world = World::new().await;
    let order = order("null");
    order.stop.cancel();
    assert_eq!(within(world.shell("touch started").run(order.work)).await, Finish::Stopped);
    assert!(!world.path("started").exists());
}

#[tokio::test]
async fn a_child_in_the_background_that_holds_the_output_does_not_hold_the_attempt() {
    let world = World::new().await;
    let result = world.run("sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' & echo '\"done\"'").await;
    assert_eq!(completed(result), json!("done"));
    assert_eq!(world.alive(), [""; 0]);
}

#[tokio::test]
async fn what_a_child_writes_just_after_its_parent_ended_still_counts() {
    let world = World::new().await;
    let result = world.run("(sleep 0.1; echo late) &").await;
    assert_eq!(completed(result), json!("late"));
}

#[tokio::test]
async fn an_attempt_that_is_dropped_takes_its_group_along() {
    let world = World::new().await;
    let order = order("null");
    let runtime = world.shell(STUBBORN);
    let attempt = tokio::spawn(async move { runtime.run(order.work).await });
    until_exists(&world.path("ready")).await;
    attempt.abort();
    until("the group is gone", PATIENCE, || world.alive().is_empty()).await;
}

#[tokio::test]
async fn many_attempts_at_once_keep_their_results_apart() {
    let world = World::new().await;
    let attempts = (0..24).map(|number| {
        let mut work = order(number.to_string()).work;
        work.attempt = number;
        let runtime = world.shell("cat | sed 's/.*\"payload\":\\([0-9]*\\).*/\\1/'; echo $SYNOD_ATTEMPT >&2");
        tokio::spawn(async move { runtime.run(work).await })
    });
    for (number, attempt) in attempts.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(completed(within(attempt).await.unwrap()), json!(number));
    }
    let numbers: Vec<_> = (0..24).collect();
    assert_eq!(world.node.attempts(crate::support::task()).await.unwrap(), numbers);
    assert_eq!(world.alive(), [""; 0]);
}
