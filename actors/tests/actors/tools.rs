//! Attempts that ask whether they may use a tool, and people who have to agree.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use synod_actors::ports::{Finish, ToolAnswer, ToolRequest, Work};
use synod_domain::approval::{Approval, ApprovalStatus, Voter};
use synod_domain::command::Command;
use synod_domain::id::ApprovalId;
use synod_domain::policy::{
    AgentLists, ApprovalDemand, Effect, Enforcement, PolicyCommand, PolicySpec, Rule, Scope,
};
use synod_domain::retry::RetryPolicy;
use synod_domain::task::Phase;
use tokio::sync::oneshot;

use crate::stage::{SECOND, Stage, name, pass, pool, settle};

/// How long people have to agree.
const ASKED_FOR: Duration = Duration::from_secs(600);

/// Asks for the tool `shell` and completes with what it was told, or fails when it may not.
async fn asking(work: Work) -> Finish {
    let (answer, answered) = oneshot::channel();
    let attributes = json!({ "command": "make" }).as_object().unwrap().clone();
    let request = ToolRequest { tool: "shell".to_owned(), attributes, content: None, answer };
    work.tools.send(request).await.unwrap();
    let answer: ToolAnswer = tokio::select! {
        biased;
        () = work.stop.cancelled() => return Finish::Stopped,
        answer = answered => answer.unwrap(),
    };
    match answer.allowed {
        true => Finish::Completed { result: Bytes::from(json!(answer.reason).to_string()) },
        false => Finish::Failed { reason: answer.reason, retryable: false },
    }
}

/// A stage whose tools need an approval.
async fn stage() -> Stage {
    let stage = Stage::start(asking).await;
    stage.pool(pool("coders", 1)).await;
    let demand = ApprovalDemand { approvers: [].into(), roles: [].into(), quorum: 1, timeout: ASKED_FOR };
    put(&stage, Effect::RequireApproval(demand)).await;
    stage
}

async fn put(stage: &Stage, effect: Effect) {
    let rule = Rule { action: "tool.*".into(), conditions: Vec::new(), when: None, effect, reason: None };
    let spec = PolicySpec {
        name: name("tools"),
        description: None,
        priority: 0,
        enabled: true,
        enforcement: Enforcement::Hard,
        scope: Scope::default(),
        agents: AgentLists::default(),
        rules: vec![rule],
    };
    stage.propose(Command::Policy(PolicyCommand::Put { spec: spec.into() })).await.unwrap();
}

fn approvals(stage: &Stage) -> Vec<Arc<Approval>> {
    stage.read(|state| state.approvals().cloned().collect())
}

async fn vote(stage: &Stage, approval: ApprovalId, approve: bool) {
    let voter = Voter { token: None, name: name("ann") };
    let vote = PolicyCommand::Vote { approval, voter, approve, reason: "looked at it".into() };
    stage.propose(Command::Policy(vote)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_waits_for_its_approval_longer_than_it_may_be_silent() {
    let stage = stage().await;
    let mut task = stage.task("coders");
    task.timeouts.silence = Some(5 * SECOND);
    let task = stage.submit(task).await;
    pass(300 * SECOND).await;
    assert_eq!(stage.phase(task), Phase::Running);
    let [asked] = &approvals(&stage)[..] else { panic!("one approval is asked for") };
    assert_eq!(
        (&*asked.action, asked.task, asked.status),
        ("tool.shell", Some(task), ApprovalStatus::Pending)
    );
    vote(&stage, asked.id, true).await;
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt), (Phase::Completed, 1));
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_asks_the_same_and_finds_the_same_approval() {
    let stage = stage().await;
    let mut task = stage.task("coders");
    task.timeouts.running = Some(60 * SECOND);
    task.retry = RetryPolicy { max_attempts: 5, initial: SECOND, ..RetryPolicy::default() };
    let task = stage.submit(task).await;
    pass(90 * SECOND).await;
    assert_eq!(stage.read(|state| state.task(task).unwrap().attempt), 2);
    let [asked] = &approvals(&stage)[..] else { panic!("one approval is asked for") };
    vote(&stage, asked.id, true).await;
    let ended = stage.until_ended(task).await;
    assert_eq!((ended.phase(), ended.attempt), (Phase::Completed, 2));
    assert_eq!(approvals(&stage).len(), 1, "asked once");
}

#[tokio::test(start_paused = true)]
async fn a_no_and_no_answer_in_time_are_told_as_they_are() {
    for denies in [true, false] {
        let stage = stage().await;
        let task = stage.submit(stage.task("coders")).await;
        settle().await;
        let [asked] = &approvals(&stage)[..] else { panic!("one approval is asked for") };
        match denies {
            true => vote(&stage, asked.id, false).await,
            false => pass(ASKED_FOR + SECOND).await,
        }
        let ended = stage.until_ended(task).await;
        assert_eq!(ended.phase(), Phase::Failed);
        let reason = ended.end().unwrap().outcome.reason().unwrap().to_owned();
        let word = if denies { "is denied" } else { "is expired" };
        assert!(reason.contains(word), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_allows_costs_no_proposal_and_what_it_denies_is_noted() {
    let stage = stage().await;
    put(&stage, Effect::Allow).await;
    let ask = |command: &Command| matches!(command, Command::Policy(PolicyCommand::Ask { .. }));
    let task = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Completed);
    assert_eq!(stage.asked_for(ask), 0);
    put(&stage, Effect::Deny).await;
    let task = stage.submit(stage.task("coders")).await;
    assert_eq!(stage.until_ended(task).await.phase(), Phase::Failed);
    assert_eq!((stage.asked_for(ask), stage.read(|state| state.violations().count())), (1, 1));
}
