//! A run in which nothing was acknowledged, no fault was injected or nobody looked at the end has shown nothing.
//!
//! Source: reliability plan, "a check that cannot fail is a defect".

use super::{Judge, Verdict, broken};
use crate::history::{Answer, Fact, Record, Request, calls};

pub(super) const JUDGE: Judge = Judge {
    name: "something happened",
    says: "submits and completions were acknowledged, faults injected if there should be any, and every node looked at",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let Some(Fact::Began { faults, .. }) = history.first().map(|record| &record.fact) else {
        return broken(0, None, "the history is empty or has no beginning");
    };
    let count = |wanted: fn(&Fact) -> bool| history.iter().filter(|record| wanted(&record.fact)).count();
    let injected = count(|fact| matches!(fact, Fact::Injected { .. }));
    if *faults && injected == 0 {
        return broken(0, None, "faults belong to this scenario and none was injected");
    }
    let calls = calls(history);
    let answered = |wanted: fn(&Request, &Answer) -> bool| {
        calls.iter().filter(|call| call.answer.is_some_and(|answer| wanted(call.request, answer))).count()
    };
    let submitted = answered(|_, answer| matches!(answer, Answer::Submitted { .. }));
    let completed = answered(|request, answer| {
        matches!((request, answer), (Request::Complete { .. }, Answer::Stands { .. }))
    });
    if submitted == 0 || completed == 0 {
        return broken(0, None, format!("{submitted} submits and {completed} completions were acknowledged"));
    }
    if count(|fact| matches!(fact, Fact::Looked { .. })) == 0 {
        return broken(0, None, "no node was looked at in the end");
    }
    if !matches!(history.last().map(|record| &record.fact), Some(Fact::Closed)) {
        return broken(
            history.len() - 1,
            None,
            "the run was not closed: what it would have shown is missing",
        );
    }
    Ok(submitted + completed + injected)
}
