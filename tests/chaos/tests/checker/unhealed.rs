//! Requests that no further try healed.

use synod_chaos::history::{Answer, Request, Status};
use synod_chaos::judges::unhealed::Insisted;

use crate::made_up::*;

#[test]
fn what_was_answered_at_last_is_healed() {
    let mut script = right();
    let lost = script.ask(submit("c"));
    script.answer(lost, unknown());
    script.call(submit("c"), refused("no_leader"));
    script.submitted("c");
    script.call(complete("b", 1), refused("lease_lost"));
    let insisted = Insisted::of(&script.records);
    assert_eq!(insisted.open, []);
    assert_eq!(insisted.asked.values().sum::<usize>(), 7, "{:?}", insisted.asked);
}

#[test]
fn a_last_try_without_an_answer_or_with_one_that_would_pass_stays_open() {
    let cancel = || Request::Cancel { task: "b".into() };
    let fail = || Request::Fail { task: "b".into(), attempt: 1 };
    for request in [submit("c"), claim("k"), complete("b", 1), fail(), cancel()] {
        for answer in [None, Some(unknown()), Some(refused("no_leader")), Some(refused("unreachable"))] {
            let mut script = right();
            script.call(request.clone(), refused("not_leader"));
            let call = script.ask(request.clone());
            if let Some(answer) = answer {
                script.answer(call, answer);
            }
            let open = Insisted::of(&script.records).open;
            assert_eq!(open.len(), 1, "{request:?}");
            assert_eq!(open[0].tries, 2, "{open:?}");
        }
    }
}

#[test]
fn a_submit_or_a_claim_that_is_refused_for_good_failed() {
    let mut script = right();
    script.call(submit("c"), refused("anything"));
    script.call(claim("k"), refused("agent_unknown"));
    assert_eq!(Insisted::of(&script.records).open.len(), 2);
}

#[test]
fn what_is_said_once_is_not_counted() {
    let mut script = right();
    let before = Insisted::of(&script.records);
    script.ask(read("b"));
    script.ask(Request::Heartbeat { task: "b".into(), attempt: 1 });
    script.ask(Request::Submit { key: None, mark: "m".into(), silence: None });
    assert_eq!(Insisted::of(&script.records), before);
    script.call(Request::Cancel { task: "b".into() }, Answer::Stands { status: Status::Cancelled });
    assert_ne!(Insisted::of(&script.records), before);
}
