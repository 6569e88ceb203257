//! Seeded wrong histories, each caught by the judge that it is for.

use synod_chaos::history::{Answer, Fact, Request, Status};
use synod_chaos::judges::outages::Outages;

use crate::made_up::*;

#[track_caller]
fn assert_caught(script: &Script, by: &str) {
    let guilty = guilty(&script.records);
    assert!(guilty.contains(&by), "{by} did not find it, but {guilty:?}");
}

#[test]
fn an_empty_history_is_a_failure() {
    assert!(guilty(&[]).contains(&"something happened"));
}

#[test]
fn a_run_without_a_fault_is_a_failure() {
    let mut script = right();
    script.completed("b", 1);
    script.looked(&[("a", Status::Completed, 1), ("b", Status::Completed, 1)]);
    assert_eq!(guilty(&script.records), [""; 0]);
    script.records.retain(|record| !matches!(record.fact, Fact::Injected { .. }));
    assert_caught(&script, "something happened");
}

#[test]
fn a_run_that_nobody_looked_at_is_a_failure() {
    let mut script = right();
    script.note(Fact::Closed);
    assert_caught(&script, "something happened");
}

#[test]
fn an_acknowledged_task_that_is_gone_is_caught() {
    let mut script = right();
    script.looked(&[("a", Status::Completed, 1)]);
    assert_caught(&script, "acknowledged exists");
}

#[test]
fn a_task_that_one_node_lost_is_caught() {
    let mut script = right();
    script.completed("b", 1);
    script.found(0, "a", Status::Completed, 1);
    script.found(0, "b", Status::Completed, 1);
    script.note(Fact::Looked { node: 0, tasks: 2 });
    script.found(1, "a", Status::Completed, 1);
    script.note(Fact::Looked { node: 1, tasks: 1 });
    script.note(Fact::Closed);
    assert_caught(&script, "acknowledged exists");
    assert_caught(&script, "all nodes agree");
}

#[test]
fn a_list_that_shows_a_task_twice_is_caught() {
    let mut script = right();
    script.found(0, "a", Status::Completed, 1);
    script.note(Fact::Looked { node: 0, tasks: 2 });
    assert_caught(&script, "acknowledged exists");
}

#[test]
fn two_tasks_of_one_key_are_caught() {
    let mut script = right();
    script.call(submit("b"), Answer::Submitted { task: "c".into() });
    assert_caught(&script, "one key, one task");
}

#[test]
fn a_second_task_of_a_submit_whose_first_answer_was_lost_is_caught_in_the_last_look() {
    let mut script = right();
    let lost = script.ask(submit("c"));
    script.answer(lost, unknown());
    script.submitted("c");
    script.completed("b", 1);
    for node in 0..2 {
        script.found(node, "c", Status::Pending, 0);
        let again = synod_chaos::history::Found {
            task: "d".into(),
            mark: Some("mark of c".into()),
            status: Status::Pending,
            attempt: 0,
            completions: 0,
            story: String::new(),
            whole: String::new(),
        };
        script.note(Fact::Found { node, task: Box::new(again) });
    }
    assert_caught(&script, "one key, one task");
}

#[test]
fn a_task_that_nobody_submitted_is_caught() {
    let mut script = right();
    script.found(0, "z", Status::Pending, 0);
    assert_caught(&script, "one key, one task");
}

#[test]
fn a_lease_given_to_two_claims_is_caught() {
    let mut script = right();
    script.call(claim("another"), Answer::Claimed { leases: vec![("b".into(), 1)] });
    assert_caught(&script, "one lease");
    assert_caught(&script, "linearizable");
}

#[test]
fn a_lease_given_out_again_before_the_one_before_is_over_is_caught() {
    let mut script = right();
    script.wait(SILENCE_MS / 2).claimed("b", 2);
    assert_caught(&script, "one lease");
    let mut late = right();
    late.wait(SILENCE_MS * 2).claimed("b", 2);
    assert!(!guilty(&late.records).contains(&"one lease"));
}

#[test]
fn a_lease_that_was_answered_after_its_claim_was_given_up_once_is_as_good_as_any() {
    let mut script = right();
    script.submitted("c");
    let lost = script.ask(claim("claim of c 1"));
    script.answer(lost, unknown());
    script.claimed("c", 1);
    script.claimed("c", 2);
    assert_caught(&script, "one lease");
}

#[test]
fn a_lease_that_was_renewed_and_given_out_all_the_same_is_caught() {
    let renew = Request::Heartbeat { task: "b".into(), attempt: 1 };
    let mut script = right();
    script.wait(SILENCE_MS * 7 / 10).call(renew, Answer::Renewed);
    script.wait(SILENCE_MS * 7 / 10).claimed("b", 2);
    assert_caught(&script, "one lease");
}

#[test]
fn attempts_that_go_down_are_caught() {
    let mut script = right();
    script.wait(SILENCE_MS * 2).claimed("b", 3);
    script.wait(SILENCE_MS * 2).claimed("b", 2);
    assert_caught(&script, "one lease");
    assert_caught(&script, "linearizable");
}

#[test]
fn a_result_of_an_attempt_that_lost_its_lease_is_caught() {
    let mut script = right();
    script.wait(SILENCE_MS * 2).claimed("b", 2);
    script.completed("b", 1);
    assert_caught(&script, "no stale completion");
    assert_caught(&script, "linearizable");
}

#[test]
fn a_stale_result_that_was_refused_is_right() {
    let mut script = right();
    script.wait(SILENCE_MS * 2).claimed("b", 2);
    script.call(complete("b", 1), refused("lease_lost"));
    script.completed("b", 2);
    script.looked(&[("a", Status::Completed, 1), ("b", Status::Completed, 2)]);
    assert_eq!(guilty(&script.records), [""; 0]);
}

#[test]
fn a_heartbeat_taken_from_a_lost_lease_is_caught() {
    let mut script = right();
    script.wait(SILENCE_MS * 2).claimed("b", 2);
    script.call(Request::Heartbeat { task: "b".into(), attempt: 1 }, Answer::Renewed);
    assert_caught(&script, "no stale completion");
    assert_caught(&script, "linearizable");
}

#[test]
fn a_task_completed_by_two_attempts_is_caught() {
    let mut script = right();
    script.completed("b", 1);
    script.claimed("b", 2);
    script.completed("b", 2);
    assert_caught(&script, "ends once");
    assert_caught(&script, "linearizable");
}

#[test]
fn a_task_completed_and_cancelled_is_caught() {
    let mut script = right();
    script.completed("b", 1);
    script.call(Request::Cancel { task: "b".into() }, Answer::Stands { status: Status::Cancelled });
    assert_caught(&script, "ends once");
    assert_caught(&script, "linearizable");
}

#[test]
fn an_end_that_was_told_and_forgotten_is_caught() {
    let mut script = right();
    script.completed("b", 1);
    script.looked(&[("a", Status::Completed, 1), ("b", Status::Running, 1)]);
    assert_caught(&script, "ends once");
    assert_caught(&script, "all work ends");
}

#[test]
fn a_read_older_than_what_was_acknowledged_is_caught() {
    let mut script = right();
    script.call(read("a"), shown(Status::Running, 1));
    assert_caught(&script, "linearizable");
}

#[test]
fn a_read_that_does_not_find_an_acknowledged_task_is_caught() {
    let mut script = right();
    script.call(read("b"), refused("task_unknown"));
    assert_caught(&script, "linearizable");
}

#[test]
fn a_completion_refused_after_it_was_acknowledged_is_caught() {
    let mut script = right();
    script.call(complete("a", 1), refused("lease_lost"));
    assert_caught(&script, "linearizable");
}

#[test]
fn two_leaders_of_one_term_are_caught() {
    let mut script = right();
    script.note(Fact::Leads { node: 0, term: 3 });
    script.note(Fact::Leads { node: 1, term: 3 });
    assert_caught(&script, "one leader");
}

#[test]
fn nodes_that_differ_in_the_end_are_caught() {
    let mut script = right();
    script.found(0, "a", Status::Completed, 1);
    script.found(1, "a", Status::Completed, 2);
    assert_caught(&script, "all nodes agree");
}

#[test]
fn work_that_never_ends_is_caught() {
    let mut script = right();
    script.looked(&[("a", Status::Completed, 1), ("b", Status::Running, 1)]);
    assert_eq!(guilty(&script.records), ["all work ends"]);
}

#[test]
fn an_outage_runs_to_the_first_write_asked_for_after_the_fault() {
    let mut script = right();
    let on_its_way = script.ask(complete("b", 1));
    script.note(Fact::Injected { fault: "kill".into(), node: Some(0), outage: true });
    script.answer(on_its_way, Answer::Stands { status: Status::Completed });
    script.wait(998).submitted("c");
    let outages = Outages::of(&script.records);
    assert_eq!(outages.max(), Some(1_001_000), "{outages:?}");
    script.note(Fact::Injected { fault: "kill".into(), node: Some(0), outage: true });
    assert_eq!(Outages::of(&script.records).without_end, 1);
}
