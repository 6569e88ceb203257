//! What a pause does to those who hand work out: they neither do, nor try, and they go on when it is over.

use std::time::Duration;

use synod_domain::agent::PoolSpec;
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::pause::Pausable;
use synod_domain::task::{MailboxId, Phase};

use crate::puppet::complete_after;
use crate::stage::{SECOND, Stage, name, pass, pool};

fn pause(what: Pausable) -> Command {
    Command::Pause { what, reason: "moving".into() }
}

/// A node whose entries take a moment, so that somebody who asks again and again lets time pass.
async fn stage(pool: PoolSpec) -> Stage {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.faults(|faults| faults.delay = Duration::from_millis(1));
    stage.pool(pool).await;
    stage
}

fn claims(stage: &Stage) -> usize {
    stage.asked_for(|command| matches!(command, Command::Claim { .. }))
}

#[tokio::test(start_paused = true)]
async fn paused_work_is_not_even_asked_for_and_all_of_it_is_done_after() {
    let coders = || name("coders");
    for what in [
        Pausable::Mailbox(MailboxId::Pool(coders())),
        Pausable::Pool(coders()),
        Pausable::Workspace(Name::default()),
    ] {
        let stage = stage(PoolSpec { max: 4, ..pool("coders", 2) }).await;
        stage.propose(pause(what.clone())).await.unwrap();
        let tasks = stage.submit_burst("coders", 6);
        pass(60 * SECOND).await;
        assert_eq!(claims(&stage), 0, "{what} is paused");
        assert_eq!(stage.agents("coders").len(), 2, "{what} is paused, and the pool has grown for it");
        stage.propose(Command::Resume { what }).await.unwrap();
        stage.until_all_ended().await;
        assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_a_pause_overtakes_is_not_made_again_before_the_end_of_the_pause() {
    let stage = stage(pool("coders", 2)).await;
    stage.faults(|faults| faults.delay = Duration::from_millis(10));
    stage.submit_burst("coders", 1);
    pass(Duration::from_millis(5)).await;
    assert_eq!(claims(&stage), 1);
    let what = Pausable::Workspace(Name::default());
    stage.apply(pause(what.clone())).unwrap();
    pass(60 * SECOND).await;
    assert_eq!((claims(&stage), stage.read(|state| state.unfinished())), (1, 1));
    stage.propose(Command::Resume { what }).await.unwrap();
    stage.until_all_ended().await;
}

#[tokio::test(start_paused = true)]
async fn others_of_the_same_mailbox_go_on_and_nobody_claims_for_the_rest() {
    let stage = stage(pool("coders", 3)).await;
    stage.propose(pause(Pausable::Workspace(name("still")))).await.unwrap();
    for workspace in ["still", "busy", "still", "busy", "busy"] {
        let mut task = stage.task("coders");
        task.workspace = name(workspace);
        stage.submit(task).await;
    }
    stage.until("the others are done", |state| state.unfinished() == 2).await;
    pass(60 * SECOND).await;
    assert_eq!((claims(&stage), stage.read(|state| state.unfinished())), (3, 2));
    stage.propose(Command::Resume { what: Pausable::Workspace(name("still")) }).await.unwrap();
    stage.until_all_ended().await;
}

#[tokio::test(start_paused = true)]
async fn agents_of_a_paused_pool_leave_open_work_to_others() {
    let stage = stage(pool("resting", 2)).await;
    stage.pool(pool("coders", 1)).await;
    stage.propose(pause(Pausable::Pool(name("resting")))).await.unwrap();
    for _ in 0..4 {
        let mut task = stage.task("coders");
        task.mailbox = MailboxId::Open;
        stage.submit(task).await;
    }
    stage.until_all_ended().await;
    assert_eq!(stage.only_agent("coders").completed, 4);
    assert_eq!(claims(&stage), 4);
}
