//! Right histories, drawn at random from a small server that keeps every promise: no judge finds anything. The same
//! server with one promise broken is found out.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use synod_chaos::history::{Answer, Fact, Record, Request, Status};

use crate::made_up::*;

/// A server of one thread: what is asked is done at some moment between question and answer, or its answer is lost.
#[derive(Default)]
struct Server {
    tasks: BTreeMap<String, (Status, u32)>,
    /// Which claim has which attempt.
    claims: BTreeMap<(String, u32), String>,
    broken: Broken,
}

/// The promise that a server breaks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Broken {
    #[default]
    None,
    /// It takes a result under any attempt.
    AnyAttempt,
    /// It acknowledges and forgets one submit in three.
    Forgets,
    /// It shows tasks as they were.
    Stale,
}

impl Server {
    fn does(&mut self, request: &Request) -> Answer {
        match request {
            Request::Submit { mark, .. } => {
                let task = mark.trim_start_matches("mark of ").to_owned();
                let forgotten = self.broken == Broken::Forgets && task.ends_with('2');
                if !forgotten {
                    self.tasks.entry(task.clone()).or_insert((Status::Pending, 0));
                }
                Answer::Submitted { task }
            }
            Request::Claim { key, .. } => {
                let mine = self.claims.iter().find(|(lease, by)| {
                    *by == key && self.tasks.get(&lease.0) == Some(&(Status::Running, lease.1))
                });
                if let Some((lease, _)) = mine {
                    return Answer::Claimed { leases: vec![lease.clone()] };
                }
                let next = self.tasks.iter_mut().find(|(_, task)| task.0 == Status::Pending);
                let leases = next.map(|(id, task)| {
                    *task = (Status::Running, task.1 + 1);
                    self.claims.insert((id.clone(), task.1), key.clone());
                    (id.clone(), task.1)
                });
                Answer::Claimed { leases: leases.into_iter().collect() }
            }
            Request::Complete { task, attempt } => {
                let any = self.broken == Broken::AnyAttempt;
                match self.tasks.get_mut(task) {
                    None => refused("task_unknown"),
                    Some(task) if *task == (Status::Completed, *attempt) => {
                        Answer::Stands { status: Status::Completed }
                    }
                    Some(task) if *task == (Status::Running, *attempt) || any && !task.0.is_end() => {
                        *task = (Status::Completed, *attempt);
                        Answer::Stands { status: Status::Completed }
                    }
                    Some(task) if task.0.is_end() && task.1 == *attempt => refused("already_ended"),
                    Some(_) => refused("lease_lost"),
                }
            }
            Request::Cancel { task } => match self.tasks.get_mut(task) {
                None => refused("task_unknown"),
                Some((status, _)) if status.is_end() && *status != Status::Cancelled => {
                    refused("already_ended")
                }
                Some((status, _)) => {
                    *status = Status::Cancelled;
                    Answer::Stands { status: Status::Cancelled }
                }
            },
            Request::Read { task } => match self.tasks.get(task) {
                Some((_, attempt)) if self.broken == Broken::Stale && *attempt > 0 => {
                    shown(Status::Pending, 0)
                }
                Some((status, attempt)) => shown(*status, *attempt),
                None => refused("task_unknown"),
            },
            Request::Heartbeat { .. } | Request::Fail { .. } => unknown(),
        }
    }

    /// Every lease is lost to silence.
    fn time_passes(&mut self) {
        for (status, _) in self.tasks.values_mut().filter(|(status, _)| *status == Status::Running) {
            *status = Status::Pending;
        }
    }
}

/// One step of a run: what, about which task, and what becomes of its answer.
type Step = (u8, u8, u8);

fn run(steps: &[Step], broken: Broken) -> Vec<Record> {
    let mut server = Server { broken, ..Server::default() };
    let mut script = Script::new();
    // Asked and done, and not yet answered.
    let mut late: Vec<(u64, Answer)> = Vec::new();
    // Asked and not yet done, and never answered.
    let mut slow: Vec<Request> = Vec::new();
    let mut keys = 0;
    for (what, which, fate) in steps {
        let task = format!("t{}", which % 6);
        // Clients speak only under attempts that an answer gave them: the last, or any.
        let known: Vec<u32> = given(&script.records, &task);
        let last = known.iter().max().copied();
        let any = known.get(usize::from(which / 6) % known.len().max(1)).copied();
        let request = match what % 8 {
            0 | 1 => submit(&task),
            2 | 3 => {
                // Now and then a claim is asked again.
                keys += u32::from(fate % 3 != 0);
                claim(&format!("claim {keys}"))
            }
            4 | 5 => match if what % 8 == 4 { last } else { any } {
                Some(attempt) => complete(&task, attempt),
                None => read(&task),
            },
            6 => read(&task),
            _ if *fate > 200 => Request::Cancel { task },
            _ => {
                server.time_passes();
                script.wait(SILENCE_MS * 2);
                continue;
            }
        };
        let call = script.ask(request.clone());
        match fate % 8 {
            0 => {
                server.does(&request);
                script.answer(call, unknown());
            }
            1 => {
                slow.push(request);
                script.answer(call, unknown());
            }
            2 | 3 => {
                let answer = server.does(&request);
                late.push((call, answer));
            }
            _ => {
                let answer = server.does(&request);
                script.answer(call, answer);
            }
        }
        if fate % 5 == 0
            && let Some(request) = slow.pop()
        {
            server.does(&request);
        }
        if fate % 3 == 0
            && let Some((call, answer)) = late.pop()
        {
            script.answer(call, answer);
        }
    }
    for (call, answer) in late {
        script.answer(call, answer);
    }
    // Whatever is open is worked off, so that the last look shows ends only.
    script.submitted("t0");
    server.does(&submit("t0"));
    loop {
        server.time_passes();
        script.wait(SILENCE_MS * 2);
        keys += 1;
        let request = claim(&format!("last {keys}"));
        let answer = server.does(&request);
        let Answer::Claimed { leases } = answer.clone() else { unreachable!() };
        script.call(request, answer);
        let Some((task, attempt)) = leases.first() else { break };
        let answer = server.does(&complete(task, *attempt));
        script.call(complete(task, *attempt), answer);
    }
    let tasks: Vec<(&str, Status, u32)> =
        server.tasks.iter().map(|(id, (status, attempt))| (id.as_str(), *status, *attempt)).collect();
    script.looked(&tasks);
    script.records
}

/// Returns the attempts at a task that answers to claims gave so far.
fn given(history: &[Record], task: &str) -> Vec<u32> {
    let leases = history.iter().filter_map(|record| match &record.fact {
        Fact::Answered { answer: Answer::Claimed { leases }, .. } => Some(leases),
        _ => None,
    });
    leases.flatten().filter(|(of, _)| of == task).map(|(_, attempt)| *attempt).collect()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<Step>(), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_right_history_is_never_blamed(steps in steps()) {
        let mut history = run(&steps, Broken::None);
        let guilty = guilty(&history);
        // A short run may have completed nothing, and says so.
        let blamed: Vec<_> = guilty.into_iter().filter(|name| *name != "something happened").collect();
        prop_assert!(blamed.is_empty(), "{blamed:?}\n{}", said(&history));
        // Nor does an answer that was never written down change that.
        history.retain(|record| !matches!(record.fact, Fact::Answered { answer: Answer::Unknown { .. }, .. }));
        let blamed: Vec<_> = crate::made_up::guilty(&history);
        prop_assert!(blamed.iter().all(|name| *name == "something happened"), "{blamed:?}");
    }
}

/// How many of the runs of a server are found to be wrong.
fn found_out(broken: Broken) -> usize {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let run_one = |runner: &mut proptest::test_runner::TestRunner| {
        let steps = steps().new_tree(runner).expect("steps").current();
        usize::from(guilty(&run(&steps, broken)).iter().any(|name| *name != "something happened"))
    };
    (0..100).map(|_| run_one(&mut runner)).sum()
}

#[test]
fn a_server_that_breaks_a_promise_is_found_out() {
    assert_eq!(found_out(Broken::None), 0);
    for broken in [Broken::AnyAttempt, Broken::Forgets, Broken::Stale] {
        let found = found_out(broken);
        assert!(found >= 20, "{broken:?} was found out in {found} of 100 runs");
    }
}
