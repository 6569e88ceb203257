//! Histories made up by hand: one line for each fact, a millisecond apart.

use synod_chaos::history::{Answer, Fact, Found, Record, Request, Status};
use synod_chaos::judges;

/// Writes a history.
pub(crate) struct Script {
    pub(crate) records: Vec<Record>,
    at: u64,
    calls: u64,
}

/// Silence that a lease of these histories survives, in milliseconds.
pub(crate) const SILENCE_MS: u64 = 1_000;

impl Script {
    pub(crate) fn new() -> Self {
        let mut script = Self { records: Vec::new(), at: 0, calls: 0 };
        script.note(Fact::Began {
            scenario: "made up".into(),
            seed: 1,
            faults: true,
            agent_timeout: 60_000_000,
        });
        script.note(Fact::Injected { fault: "kill".into(), node: Some(0), outage: true });
        script
    }

    pub(crate) fn note(&mut self, fact: Fact) {
        self.at += 1_000;
        self.records.push(Record { at: self.at, fact });
    }

    /// Lets milliseconds pass.
    pub(crate) fn wait(&mut self, ms: u64) -> &mut Self {
        self.at += ms * 1_000;
        self
    }

    pub(crate) fn ask(&mut self, request: Request) -> u64 {
        self.calls += 1;
        self.note(Fact::Asked { call: self.calls, node: 0, request });
        self.calls
    }

    pub(crate) fn answer(&mut self, call: u64, answer: Answer) {
        self.note(Fact::Answered { call, answer });
    }

    pub(crate) fn call(&mut self, request: Request, answer: Answer) {
        let call = self.ask(request);
        self.answer(call, answer);
    }

    pub(crate) fn submitted(&mut self, task: &str) {
        self.call(submit(task), Answer::Submitted { task: task.into() });
    }

    pub(crate) fn claimed(&mut self, task: &str, attempt: u32) {
        let leases = vec![(task.to_owned(), attempt)];
        self.call(claim(&format!("claim of {task} {attempt}")), Answer::Claimed { leases });
    }

    pub(crate) fn completed(&mut self, task: &str, attempt: u32) {
        self.call(complete(task, attempt), Answer::Stands { status: Status::Completed });
    }

    pub(crate) fn found(&mut self, node: usize, task: &str, status: Status, attempt: u32) {
        let completions = usize::from(status == Status::Completed);
        let whole = format!("{status:?} {attempt}");
        let mark = Some(format!("mark of {task}"));
        let found =
            Found { task: task.into(), mark, status, attempt, completions, story: String::new(), whole };
        self.note(Fact::Found { node, task: Box::new(found) });
    }

    /// Looks at two nodes that show the same.
    pub(crate) fn looked(&mut self, tasks: &[(&str, Status, u32)]) {
        for node in 0..2 {
            for (task, status, attempt) in tasks {
                self.found(node, task, *status, *attempt);
            }
            self.note(Fact::Looked { node, tasks: tasks.len() });
        }
        self.note(Fact::Closed);
    }
}

pub(crate) fn submit(task: &str) -> Request {
    Request::Submit {
        key: Some(format!("key of {task}")),
        mark: format!("mark of {task}"),
        silence: Some(SILENCE_MS * 1_000),
    }
}

pub(crate) fn claim(key: &str) -> Request {
    Request::Claim { key: key.into(), worker: "w".into() }
}

pub(crate) fn complete(task: &str, attempt: u32) -> Request {
    Request::Complete { task: task.into(), attempt }
}

pub(crate) fn read(task: &str) -> Request {
    Request::Read { task: task.into() }
}

pub(crate) fn unknown() -> Answer {
    Answer::Unknown { why: "no answer".into() }
}

pub(crate) fn refused(code: &str) -> Answer {
    Answer::Refused { code: code.into() }
}

pub(crate) fn shown(status: Status, attempt: u32) -> Answer {
    Answer::Shown { status, attempt }
}

/// Returns the names of the judges that find something.
pub(crate) fn guilty(history: &[Record]) -> Vec<&'static str> {
    judges::ask_all(history)
        .into_iter()
        .filter(|(_, said)| said.is_err())
        .map(|(judge, _)| judge.name)
        .collect()
}

/// Returns what the judges found, as text.
pub(crate) fn said(history: &[Record]) -> String {
    let found =
        judges::ask_all(history).into_iter().filter_map(|(judge, said)| Some((judge.name, said.err()?)));
    found.map(|(name, found)| format!("{name}: {:?}: {}\n", found.task, found.what)).collect()
}

/// A right history of two tasks to begin with.
pub(crate) fn right() -> Script {
    let mut script = Script::new();
    script.submitted("a");
    script.submitted("b");
    script.claimed("a", 1);
    script.completed("a", 1);
    script.claimed("b", 1);
    script
}
