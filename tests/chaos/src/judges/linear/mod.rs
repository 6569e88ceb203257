//! Every task by itself is linearizable: there is an order of all calls about it that a single task could have
//! answered so, and in which no call comes before one that was answered when it was asked.
//!
//! Source: Herlihy and Wing, "Linearizability", 1990; reliability plan T14 and T18. Linearizability is local, so
//! it may be looked at task by task.

pub mod model;
pub mod search;

use std::collections::BTreeMap;

use self::model::Task;
use self::search::{Found, Step, search};
use super::{Judge, Verdict, broken, seconds};
use crate::history::{self, Answer, Call, Fact, Micros, Record, Request, calls};

pub(super) const JUDGE: Judge = Judge {
    name: "linearizable",
    says: "the calls about each task have an order that keeps real time and that one task could have answered so",
    look,
};

/// The last look at a task, as a read that nothing comes after.
struct Last {
    request: Request,
    answer: Answer,
    at: Micros,
}

fn look(history: &[Record]) -> Verdict {
    let calls = calls(history);
    let last = last_looks(history);
    let tasks = by_task(history, &calls);
    let worked = worked(history);
    let checked = tasks.len();
    for (task, mut about) in tasks {
        about.sort_by_key(|call| call.asked);
        // What agents of the nodes did is known by its latest time alone: it may have been at any moment before.
        let hosted = worked.get(task).into_iter().flatten().map(|(request, answer, answered)| Step {
            asked: 0,
            answered: *answered,
            request,
            answer: answer.as_ref(),
        });
        let asked = about.iter().map(|call| Step {
            asked: call.asked,
            answered: call.answered,
            request: call.request,
            answer: call.answer,
        });
        let mut steps: Vec<Step<'_>> = hosted.chain(asked).collect();
        if let Some(last) = last.get(task) {
            steps.push(Step {
                asked: last.at,
                answered: Some(last.at),
                request: &last.request,
                answer: Some(&last.answer),
            });
        }
        let record = about.first().map_or(0, |call| call.record);
        match search(task, Task::Absent, &steps) {
            Found::Order => {}
            Found::None => {
                return broken(record, Some(task), format!("there is no order for\n{}", told(&steps)));
            }
            Found::TooMany => return broken(record, Some(task), "the search for an order was given up"),
        }
    }
    Ok(checked)
}

/// Sorts the calls by the tasks they are about. A submit without an answer is about the task that has its mark.
fn by_task<'a>(history: &'a [Record], calls: &'a [Call<'a>]) -> BTreeMap<&'a str, Vec<&'a Call<'a>>> {
    let mut marks: BTreeMap<&str, &str> = BTreeMap::new();
    for record in history {
        if let Fact::Found { task, .. } = &record.fact
            && let Some(mark) = &task.mark
        {
            marks.insert(mark, &task.task);
        }
    }
    for call in calls {
        if let (Request::Submit { mark, .. }, Some(Answer::Submitted { task })) = (call.request, call.answer)
        {
            marks.insert(mark, task);
        }
    }
    let mut tasks: BTreeMap<&str, Vec<&Call<'_>>> = BTreeMap::new();
    for call in calls {
        match (call.request, call.answer) {
            (Request::Submit { .. }, Some(Answer::Submitted { task })) => {
                tasks.entry(task).or_default().push(call);
            }
            (Request::Submit { mark, .. }, None) => {
                if let Some(task) = marks.get(mark.as_str()) {
                    tasks.entry(task).or_default().push(call);
                }
            }
            (Request::Claim { .. }, Some(Answer::Claimed { leases })) => {
                for (task, _) in leases {
                    tasks.entry(task).or_default().push(call);
                }
            }
            (Request::Submit { .. } | Request::Claim { .. }, _) => {}
            (
                Request::Heartbeat { task, .. }
                | Request::Complete { task, .. }
                | Request::Fail { task, .. }
                | Request::Cancel { task }
                | Request::Read { task },
                _,
            ) => tasks.entry(task).or_default().push(call),
        }
    }
    tasks
}

/// What an agent of a node did, as calls: it had the task when it began, and whether its node heard of its end is open.
type Worked = (Request, Option<Answer>, Option<Micros>);

fn worked(history: &[Record]) -> BTreeMap<&str, Vec<Worked>> {
    let mut worked: BTreeMap<&str, Vec<Worked>> = BTreeMap::new();
    for record in history {
        let Fact::Worked { task, attempt, agent, step } = &record.fact else { continue };
        let did = match step {
            history::Step::Began => (
                Request::Claim { key: format!("hosted {task} {attempt}"), worker: agent.clone() },
                Some(Answer::Claimed { leases: vec![(task.clone(), *attempt)] }),
                Some(record.at),
            ),
            history::Step::Ended => (Request::Complete { task: task.clone(), attempt: *attempt }, None, None),
        };
        worked.entry(task).or_default().push(did);
    }
    worked
}

fn last_looks(history: &[Record]) -> BTreeMap<&str, Last> {
    let mut last = BTreeMap::new();
    for record in history {
        let Fact::Found { task, .. } = &record.fact else { continue };
        last.entry(task.task.as_str()).or_insert_with(|| Last {
            request: Request::Read { task: task.task.clone() },
            answer: Answer::Shown { status: task.status, attempt: task.attempt },
            at: record.at,
        });
    }
    last
}

fn told(steps: &[Step<'_>]) -> String {
    let line = |step: &Step<'_>| {
        let answered = step.answered.map_or_else(|| "never".to_owned(), seconds);
        let answer = step.answer.map_or_else(String::new, |answer| format!("{answer:?}"));
        format!("  {} to {answered}: {:?} -> {answer}", seconds(step.asked), step.request)
    };
    steps.iter().map(line).collect::<Vec<_>>().join("\n")
}
