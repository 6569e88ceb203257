//! What happened in a run, in order: the only thing that judges look at.
//!
//! Every try of a request is a call of its own, under the request's key: an answer that did not come leaves its
//! outcome open, and a try that follows is judged by what the key promises and not by what the client hopes.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Microseconds since the run began.
pub type Micros = u64;

/// One fact and when it was noted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Since the run began.
    pub at: Micros,
    /// What.
    pub fact: Fact,
}

/// What can happen in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// The run began.
    Began {
        /// Which scenario.
        scenario: String,
        /// From which its chance comes.
        seed: u64,
        /// Whether faults belong to it; one without any has shown nothing then.
        faults: bool,
        /// How long an agent outside of the nodes may be silent, by the nodes' settings.
        agent_timeout: Micros,
    },
    /// Something was done to nodes or to what is between them.
    Injected {
        /// What.
        fault: String,
        /// To which node, if to one.
        node: Option<usize>,
        /// Whether writes stop until the nodes have got over it, so that the time until the next one counts.
        outage: bool,
    },
    /// It is over.
    Healed {
        /// What.
        fault: String,
        /// On which node, if on one.
        node: Option<usize>,
    },
    /// A client asked something.
    Asked {
        /// Pairs it with its answer.
        call: u64,
        /// Which node.
        node: usize,
        /// What.
        request: Request,
    },
    /// An answer came, or it is certain that none will.
    Answered {
        /// To what.
        call: u64,
        /// What it says.
        answer: Answer,
    },
    /// A node said that it leads.
    Leads {
        /// Which.
        node: usize,
        /// In which term.
        term: u64,
    },
    /// An agent that a node runs said what it does. It is noted a little later than it happened.
    Worked {
        /// Which task it works on.
        task: String,
        /// Under which attempt.
        attempt: u32,
        /// Which agent, and on which node.
        agent: String,
        /// What it does.
        step: Step,
    },
    /// A task, as a node shows it in the last look.
    Found {
        /// Which node.
        node: usize,
        /// The task.
        task: Box<Found>,
    },
    /// A node was looked at to the end.
    Looked {
        /// Which.
        node: usize,
        /// How many tasks it has.
        tasks: usize,
    },
    /// The run is over.
    Closed,
}

/// What an agent that a node runs does with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// It begins.
    Began,
    /// It has a result, and ends so that its node completes the task.
    Ended,
}

/// How the marks of tasks begin that are for agents which the nodes run.
pub const HOSTED: &str = "hosted-";

/// Tells by its mark whether a task is for agents which the nodes run.
pub fn is_hosted(mark: &str) -> bool {
    mark.starts_with(HOSTED)
}

/// What clients ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// To take a task.
    Submit {
        /// The client's own name for it; the same one, the same task.
        key: Option<String>,
        /// Stands in the task's metadata, and differs from one request to the next.
        mark: String,
        /// How long an attempt may be silent.
        silence: Option<Micros>,
    },
    /// To give a worker tasks.
    Claim {
        /// The client's own name for it; the same one, the same leases.
        key: String,
        /// Who asks.
        worker: String,
    },
    /// To renew a lease.
    Heartbeat {
        /// Of which task.
        task: String,
        /// Under which attempt.
        attempt: u32,
    },
    /// To take a result.
    Complete {
        /// Of which task.
        task: String,
        /// Under which attempt.
        attempt: u32,
    },
    /// To take a failure.
    Fail {
        /// Of which task.
        task: String,
        /// Under which attempt.
        attempt: u32,
    },
    /// To call a task off.
    Cancel {
        /// Which.
        task: String,
    },
    /// To show a task as it is.
    Read {
        /// Which.
        task: String,
    },
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// The task is durable.
    Submitted {
        /// Its id.
        task: String,
    },
    /// These leases are granted: task and attempt.
    Claimed {
        /// In the order of the answer.
        leases: Vec<(String, u32)>,
    },
    /// The lease is renewed.
    Renewed,
    /// The attempt or the task is over; this is how the task stands.
    Stands {
        /// Where it is in its life.
        status: Status,
    },
    /// The task, as it is.
    Shown {
        /// Where it is in its life.
        status: Status,
        /// The number of its last lease.
        attempt: u32,
    },
    /// It was not done, for certain.
    Refused {
        /// The node's code, or `unreachable` when nobody took the request.
        code: String,
    },
    /// It may have been done, or may be later.
    Unknown {
        /// What is known.
        why: String,
    },
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits.
    Pending,
    /// Leased, not started.
    Scheduled,
    /// Worked on.
    Running,
    /// Ended with a result.
    Completed,
    /// Ended as a dead letter.
    Failed,
    /// Ended by a timeout.
    TimedOut,
    /// Called off.
    Cancelled,
}

impl Status {
    /// Tells whether the task is over.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::TimedOut | Self::Cancelled)
    }
}

/// A task in the last look at a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its id.
    pub task: String,
    /// What its submitter put into its metadata.
    pub mark: Option<String>,
    /// Where it is in its life.
    pub status: Status,
    /// The number of its last lease.
    pub attempt: u32,
    /// How often it was completed, by the attempts it remembers.
    pub completions: usize,
    /// How its attempts ended and why, as the node tells it: for whoever reads a violation.
    pub story: String,
    /// What a node shows of it that another shows otherwise; empty where all show the same.
    pub whole: String,
}

/// Takes facts. Clones write into the same history.
#[derive(Debug, Clone)]
pub struct History {
    began: Instant,
    records: Arc<Mutex<Vec<Record>>>,
}

impl History {
    /// Begins one.
    pub fn begin(scenario: &str, seed: u64, faults: bool, agent_timeout: Micros) -> Self {
        let history = Self { began: Instant::now(), records: Arc::default() };
        history.note(Fact::Began { scenario: scenario.to_owned(), seed, faults, agent_timeout });
        history
    }

    /// Returns the time since it began.
    pub fn now(&self) -> Micros {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Notes a fact; the times of a history never go back.
    pub fn note(&self, fact: Fact) {
        let mut records = self.records.lock().expect("nobody panics here");
        let at = self.now();
        records.push(Record { at, fact });
    }

    /// Notes a call that begins and returns its number.
    pub fn ask(&self, node: usize, request: Request) -> u64 {
        let mut records = self.records.lock().expect("nobody panics here");
        let at = self.now();
        let call = u64::try_from(records.len()).unwrap_or(u64::MAX);
        records.push(Record { at, fact: Fact::Asked { call, node, request } });
        call
    }

    /// Notes how a call ended.
    pub fn answer(&self, call: u64, answer: Answer) {
        self.note(Fact::Answered { call, answer });
    }

    /// Returns everything noted so far.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().expect("nobody panics here").clone()
    }
}

/// A call with its answer, if one came.
#[derive(Debug, Clone, PartialEq)]
pub struct Call<'a> {
    /// The place of its question in the history.
    pub record: usize,
    /// Which node was asked.
    pub node: usize,
    /// When.
    pub asked: Micros,
    /// When the answer came; `None` while the outcome is open.
    pub answered: Option<Micros>,
    /// What was asked.
    pub request: &'a Request,
    /// What it was answered; `Unknown` is left out like no answer at all.
    pub answer: Option<&'a Answer>,
}

/// Pairs questions with answers, in the order of the questions.
pub fn calls(history: &[Record]) -> Vec<Call<'_>> {
    let mut calls: Vec<Call<'_>> = Vec::new();
    let mut places = BTreeMap::new();
    for (record, Record { at, fact }) in history.iter().enumerate() {
        match fact {
            Fact::Asked { call, node, request } => {
                places.insert(*call, calls.len());
                calls.push(Call { record, node: *node, asked: *at, answered: None, request, answer: None });
            }
            Fact::Answered { answer: Answer::Unknown { .. }, .. } => {}
            Fact::Answered { call, answer } => {
                if let Some(place) = places.get(call) {
                    calls[*place].answered = Some(*at);
                    calls[*place].answer = Some(answer);
                }
            }
            _ => {}
        }
    }
    calls
}

/// Writes a history, a JSON document a line.
///
/// # Errors
/// When the file cannot be written.
pub fn write(history: &[Record], path: &Path) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for record in history {
        serde_json::to_writer(&mut file, record)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// Reads a history that was written.
///
/// # Errors
/// When the file cannot be read, or a line is no record.
pub fn read(path: &Path) -> std::io::Result<Vec<Record>> {
    let file = std::io::BufReader::new(std::fs::File::open(path)?);
    file.lines().map(|line| serde_json::from_str(&line?).map_err(Into::into)).collect()
}
