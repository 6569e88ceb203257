//! Histories with and without an order.

use crate::judges::histories::*;
use crate::workload::INSIDE;

use super::*;

/// Somebody asks about task 1, and is answered before anything else happens.
fn call(question: u64, request: Request, answer: Answer) -> [Fact; 2] {
    [asked(question, request), answered(question, answer)]
}

fn submit(pool: &'static str) -> [Fact; 2] {
    call(1, Request::Submit { key: None, content: 1, pool: pool.into() }, Answer::Submitted(task(1)))
}

fn claim(question: u64, attempt: u32) -> [Fact; 2] {
    call(question, Request::Claim { agent: agent(9) }, Answer::Claimed(vec![(task(1), attempt)]))
}

fn seen(question: u64, phase: Phase, attempt: u32) -> [Fact; 2] {
    call(question, Request::Look { task: task(1) }, Answer::Looked(Some((phase, attempt))))
}

fn complete(question: u64, attempt: u32) -> [Fact; 2] {
    call(question, Request::Complete { task: task(1), attempt }, Answer::Ended(Phase::Completed))
}

fn refused(question: u64, request: Request, code: &'static str) -> [Fact; 2] {
    call(question, request, Answer::Refused { code, text: String::new() })
}

fn cancel() -> Request {
    Request::Cancel { task: task(1) }
}

fn judged<const N: usize>(calls: [[Fact; 2]; N]) -> bool {
    look(&history(calls.into_iter().flatten())).is_ok()
}

const OUTSIDE: &str = "outside";

#[test]
fn a_life_of_a_task_as_it_should_be_has_an_order() {
    let done = || [submit(OUTSIDE), claim(2, 1), seen(3, Phase::Running, 1), complete(4, 1)];
    assert!(judged(done()));
    let facts = done().into_iter().chain([seen(5, Phase::Completed, 1), complete(6, 1)]);
    assert_eq!(look(&history(facts.flatten())), Ok(1));
}

#[test]
fn a_submit_without_an_answer_may_have_been_done_before_it_is_sent_again() {
    let [asks, _] = submit(OUTSIDE);
    let again = |content| Request::Submit { key: None, content, pool: OUTSIDE.into() };
    let given = |content| {
        let sent = call(3, again(content), Answer::Submitted(task(1)));
        look(&history([asks.clone()].into_iter().chain(claim(2, 1)).chain(sent)))
    };
    assert!(given(1).is_ok());
    assert!(given(2).is_err(), "another submit explains nothing");
}

#[test]
fn a_look_that_shows_what_was_true_before_is_found() {
    assert!(!judged([submit(OUTSIDE), claim(2, 1), seen(3, Phase::Pending, 0)]));
    assert!(!judged([submit(OUTSIDE), claim(2, 1), claim(3, 2), seen(4, Phase::Running, 1)]));
    assert!(!judged([submit(OUTSIDE), claim(2, 1), complete(3, 1), seen(4, Phase::Running, 1)]));
    let unknown = call(2, Request::Look { task: task(1) }, Answer::Looked(None));
    assert!(!judged([submit(OUTSIDE), unknown]));
}

#[test]
fn a_look_beside_a_change_may_show_either() {
    for (phase, attempt) in [(Phase::Pending, 0), (Phase::Running, 1)] {
        let [looks, shown] = seen(3, phase, attempt);
        let [claims, given] = claim(2, 1);
        let facts = submit(OUTSIDE).into_iter().chain([looks, claims, given, shown]);
        assert!(look(&history(facts)).is_ok(), "{phase}");
    }
}

#[test]
fn a_look_after_an_event_was_told_shows_it() {
    let before = || submit(INSIDE).into_iter().chain([leased(2, 1, 1), ended(3, 1, Phase::Completed)]);
    assert!(look(&history(before().chain(seen(2, Phase::Completed, 1)))).is_ok());
    assert!(look(&history(before().chain(seen(2, Phase::Running, 1)))).is_err());
    // Asked before the event was told, it may show the task as it was.
    let [looks, shown] = seen(2, Phase::Running, 1);
    let facts = submit(INSIDE).into_iter().chain([leased(2, 1, 1), looks]);
    assert!(look(&history(facts.chain([ended(3, 1, Phase::Completed), shown]))).is_ok());
}

#[test]
fn what_had_no_answer_may_be_done_at_any_later_time_or_never() {
    let [unanswered, _] = call(9, cancel(), Answer::Done);
    let before = || submit(OUTSIDE).into_iter().chain([unanswered.clone()]);
    let failed = answered(9, Answer::Failed("no leader".to_owned()));
    for facts in [Vec::new(), vec![failed]] {
        let after = |rest: [[Fact; 2]; 2]| before().chain(facts.clone()).chain(rest.into_iter().flatten());
        assert!(look(&history(after([claim(2, 1), seen(3, Phase::Cancelled, 1)]))).is_ok());
        assert!(look(&history(after([claim(2, 1), complete(3, 1)]))).is_ok());
        assert!(look(&history(after([seen(2, Phase::Cancelled, 0), seen(3, Phase::Pending, 0)]))).is_err());
    }
}

#[test]
fn nobody_calls_off_or_completes_outside_what_no_client_did() {
    assert!(!judged([submit(OUTSIDE), seen(2, Phase::Cancelled, 0)]));
    assert!(!judged([submit(OUTSIDE), claim(2, 1), seen(3, Phase::Completed, 1)]));
    assert!(judged([submit(INSIDE), seen(2, Phase::Completed, 1)]));
    assert!(judged([submit(OUTSIDE), seen(2, Phase::TimedOut, 0)]));
}

#[test]
fn a_stale_attempt_that_is_heard_is_found() {
    let beats = |attempt| call(4, Request::Heartbeat { task: task(1), attempt }, Answer::Done);
    assert!(judged([submit(OUTSIDE), claim(2, 1), claim(3, 2), beats(2)]));
    assert!(!judged([submit(OUTSIDE), claim(2, 1), claim(3, 2), beats(1)]));
    assert!(!judged([submit(OUTSIDE), claim(2, 1), claim(3, 2), complete(4, 1)]));
}

#[test]
fn a_cancel_that_was_refused_says_that_the_task_is_over() {
    let over = || refused(3, cancel(), "already_ended");
    assert!(judged([submit(INSIDE), over(), seen(4, Phase::Completed, 1)]));
    assert!(!judged([submit(INSIDE), over(), seen(4, Phase::Running, 1)]));
    assert!(!judged([submit(OUTSIDE), claim(2, 1), refused(3, cancel(), "task_unknown")]));
}

#[test]
fn a_key_that_is_sent_again_names_the_task_that_the_first_made() {
    let request = || Request::Submit { key: Some("k".into()), content: 1, pool: INSIDE.into() };
    let facts = [asked(1, request()), submitted(1, 1), leased(2, 1, 1)];
    let again = call(2, request(), Answer::Submitted(task(1)));
    assert_eq!(look(&history(facts.into_iter().chain(again))), Ok(1));
}

#[test]
fn a_task_that_nobody_was_told_of_is_not_looked_at() {
    assert_eq!(look(&history([submitted(1, 1), ended(2, 1, Phase::Cancelled)])), Ok(0));
}
