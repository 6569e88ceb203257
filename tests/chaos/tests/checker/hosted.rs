//! Histories with agents that the nodes run.

use synod_chaos::history::{Answer, Fact, Request, Status, Step};

use crate::made_up::*;

fn submitted(script: &mut Script) {
    let request = Request::Submit { key: Some("k".into()), mark: "hosted-1".into(), silence: None };
    script.call(request, Answer::Submitted { task: "h".into() });
}

fn worked(script: &mut Script, attempt: u32, step: Step) {
    script.note(Fact::Worked { task: "h".into(), attempt, agent: "a@n".into(), step });
}

/// Ends a history of the tasks `a`, `b` and the hosted `h`.
fn ended(script: &mut Script, h: (Status, u32)) -> Vec<&'static str> {
    script.completed("b", 1);
    for node in 0..2 {
        script.found(node, "a", Status::Completed, 1);
        script.found(node, "b", Status::Completed, 1);
        script.found(node, "h", h.0, h.1);
        if let Some(Fact::Found { task, .. }) = script.records.last_mut().map(|record| &mut record.fact) {
            task.mark = Some("hosted-1".into());
        }
        script.note(Fact::Looked { node, tasks: 3 });
    }
    script.note(Fact::Closed);
    guilty(&script.records)
}

#[test]
fn work_that_is_done_at_a_second_attempt_while_the_first_comes_late_is_right() {
    let mut script = right();
    submitted(&mut script);
    worked(&mut script, 1, Step::Began);
    script.call(read("h"), shown(Status::Running, 1));
    worked(&mut script, 2, Step::Began);
    worked(&mut script, 1, Step::Ended);
    worked(&mut script, 2, Step::Ended);
    script.call(read("h"), shown(Status::Completed, 2));
    let guilty = ended(&mut script, (Status::Completed, 2));
    assert!(guilty.is_empty(), "{}", said(&script.records));
}

#[test]
fn a_completion_under_an_attempt_that_no_agent_ended_is_caught() {
    let mut script = right();
    submitted(&mut script);
    worked(&mut script, 1, Step::Began);
    worked(&mut script, 1, Step::Ended);
    worked(&mut script, 2, Step::Began);
    let guilty = ended(&mut script, (Status::Completed, 2));
    assert!(guilty.contains(&"hosted work") && guilty.contains(&"linearizable"), "{guilty:?}");
}

#[test]
fn a_result_that_counts_after_a_later_attempt_was_shown_is_caught() {
    let mut script = right();
    submitted(&mut script);
    worked(&mut script, 1, Step::Began);
    worked(&mut script, 2, Step::Began);
    script.call(read("h"), shown(Status::Running, 2));
    worked(&mut script, 1, Step::Ended);
    assert_eq!(ended(&mut script, (Status::Completed, 1)), ["linearizable"]);
}

#[test]
fn an_attempt_that_two_programs_begin_is_caught() {
    let mut script = right();
    submitted(&mut script);
    worked(&mut script, 1, Step::Began);
    worked(&mut script, 1, Step::Began);
    worked(&mut script, 1, Step::Ended);
    assert_eq!(ended(&mut script, (Status::Completed, 1)), ["hosted work"]);
}

#[test]
fn a_run_in_which_hosted_agents_completed_nothing_is_a_failure() {
    let mut script = right();
    submitted(&mut script);
    assert_eq!(ended(&mut script, (Status::Failed, 1)), ["hosted work"]);
}
