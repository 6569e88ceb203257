//! Compares what was acknowledged with what is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use synod::node::domain::id::TaskId;
use synod::node::domain::task::{AttemptEnd, Phase};

use super::ledger::Fact;

/// One ended task, as history has it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) task: TaskId,
    pub(super) phase: Phase,
    pub(super) attempts: Vec<(u32, AttemptEnd)>,
    pub(super) result: Option<Value>,
}

/// Returns everything that is wrong, in words. `in_doubt` submits may have happened without an acknowledgement.
pub(super) fn faults(facts: &[Fact], found: &[Found], unfinished: usize, in_doubt: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    if unfinished > 0 {
        wrong.push(format!("{unfinished} tasks are stuck"));
    }
    let mut ended = BTreeMap::new();
    for one in found {
        if ended.insert(one.task, one).is_some() {
            wrong.push(format!("{} stands in history twice", one.task));
        }
        wrong.extend(fault_of(one));
    }
    let submitted = check_submits(facts, &ended, &mut wrong);
    let extra = ended.len().saturating_sub(submitted.len());
    if extra > in_doubt {
        wrong.push(format!("{extra} tasks were never acknowledged, more than the {in_doubt} in doubt"));
    }
    check_work(facts, &ended, &mut wrong);
    wrong
}

/// An end is a completion by exactly one attempt, the last one, which gave the result.
fn fault_of(found: &Found) -> Option<String> {
    let Found { task, phase, attempts, result } = found;
    let completions: Vec<u32> =
        attempts.iter().filter(|(_, end)| *end == AttemptEnd::Completed).map(|(number, _)| *number).collect();
    let last = attempts.last().map_or(0, |(number, _)| *number);
    if *phase != Phase::Completed {
        return Some(format!("{task} is {phase}: {attempts:?}"));
    }
    if completions != [last] {
        return Some(format!("{task} was completed by the attempts {completions:?}, the last was {last}"));
    }
    let expected = json!({ "task": task, "attempt": last });
    (result.as_ref() != Some(&expected)).then(|| format!("{task} has the result {result:?}, not {expected}"))
}

/// What was acknowledged is there, and one key has one task. Returns the tasks.
fn check_submits(
    facts: &[Fact],
    ended: &BTreeMap<TaskId, &Found>,
    wrong: &mut Vec<String>,
) -> BTreeSet<TaskId> {
    let (mut submitted, mut keys) = (BTreeSet::new(), BTreeMap::new());
    for fact in facts {
        let Fact::Submitted { task, key } = fact else { continue };
        if submitted.insert(*task) && !ended.contains_key(task) {
            wrong.push(format!("{task} was acknowledged and is lost"));
        }
        if let Some(key) = key
            && *keys.entry(key).or_insert(task) != task
        {
            wrong.push(format!("the key {key} has two tasks, {task} is the second"));
        }
    }
    submitted
}

/// A completion that was acknowledged is the one in history, and no attempt begins after it.
fn check_work(facts: &[Fact], ended: &BTreeMap<TaskId, &Found>, wrong: &mut Vec<String>) {
    let (mut begun, mut completed) = (BTreeSet::new(), BTreeMap::new());
    for fact in facts {
        match fact {
            Fact::Submitted { .. } => {}
            Fact::Began { task, attempt } => {
                if let Some(by) = completed.get(task) {
                    wrong.push(format!("{task} was completed by attempt {by} and redone by {attempt}"));
                }
                if !begun.insert((task, attempt)) {
                    wrong.push(format!("attempt {attempt} of {task} was given out twice"));
                }
            }
            Fact::Completed { task, attempt } => {
                if let Some(by) = completed.insert(task, attempt) {
                    wrong.push(format!("{task} was completed by attempt {by} and again by {attempt}"));
                }
                let stands = ended.get(task).and_then(|found| found.attempts.last());
                if stands.map(|(number, _)| number) != Some(attempt) {
                    wrong.push(format!("{task} was completed by attempt {attempt}, history has {stands:?}"));
                }
            }
        }
    }
}

fn task(raw: u128) -> TaskId {
    TaskId::from_raw(raw)
}

/// Two tasks that went well, the second at its second attempt.
fn good() -> (Vec<Fact>, Vec<Found>) {
    let (one, two) = (task(1), task(2));
    let facts = vec![
        Fact::Submitted { task: one, key: Some("key-1".to_owned()) },
        Fact::Began { task: one, attempt: 1 },
        Fact::Submitted { task: two, key: None },
        Fact::Completed { task: one, attempt: 1 },
        Fact::Began { task: two, attempt: 1 },
        Fact::Began { task: two, attempt: 2 },
        Fact::Completed { task: two, attempt: 2 },
    ];
    let found = |task, attempts: Vec<(u32, AttemptEnd)>| Found {
        task,
        phase: Phase::Completed,
        result: Some(json!({ "task": task, "attempt": attempts.len() })),
        attempts,
    };
    let lost = AttemptEnd::Lost("its node restarted".into());
    let second = vec![(1, lost), (2, AttemptEnd::Completed)];
    (facts, vec![found(one, vec![(1, AttemptEnd::Completed)]), found(two, second)])
}

fn assert_found(facts: &[Fact], found: &[Found], unfinished: usize, fault: &str) {
    let wrong = faults(facts, found, unfinished, 0);
    assert!(wrong.iter().any(|wrong| wrong.contains(fault)), "{fault:?} is not among {wrong:#?}");
}

#[test]
fn a_good_run_has_no_faults() {
    let (facts, found) = good();
    assert_eq!(faults(&facts, &found, 0, 0), Vec::<String>::new());
}

#[test]
fn each_fault_is_found() {
    let (facts, found) = good();
    assert_found(&facts, &found, 1, "1 tasks are stuck");
    assert_found(&facts, &found[..1], 0, "was acknowledged and is lost");
    assert_found(&facts, &[found.clone(), found.clone()].concat(), 0, "stands in history twice");
    assert_found(&facts[..2], &found, 0, "1 tasks were never acknowledged");

    let mut twice = found.clone();
    twice[1].attempts[0].1 = AttemptEnd::Completed;
    assert_found(&facts, &twice, 0, "was completed by the attempts [1, 2]");
    let mut stale = found.clone();
    stale[1].result = Some(json!({ "task": task(2), "attempt": 1 }));
    assert_found(&facts, &stale, 0, "has the result");
    let mut failed = found.clone();
    failed[0].phase = Phase::Failed;
    assert_found(&facts, &failed, 0, "is failed");

    let more = |fact: Fact| [facts.clone(), vec![fact]].concat();
    let redone = more(Fact::Began { task: task(1), attempt: 2 });
    assert_found(&redone, &found, 0, "was completed by attempt 1 and redone by 2");
    let again = more(Fact::Completed { task: task(2), attempt: 2 });
    assert_found(&again, &found, 0, "and again by 2");
    let other = more(Fact::Submitted { task: task(2), key: Some("key-1".to_owned()) });
    assert_found(&other, &found, 0, "the key key-1 has two tasks");
    let mut shared = facts.clone();
    shared.insert(5, Fact::Began { task: task(2), attempt: 1 });
    assert_found(&shared, &found, 0, "attempt 1 of");
    let mut disagrees = facts.clone();
    disagrees[6] = Fact::Completed { task: task(2), attempt: 1 };
    assert_found(&disagrees, &found, 0, "history has");
}
