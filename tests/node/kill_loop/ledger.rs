//! What a life saw acknowledged, written down beside the data folder.
//!
//! One line for each fact, each in one write to a file opened for appending. What a killed process has
//! written stays in the page cache, so nothing is synced: only a power cut would lose it.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use synod::node::domain::id::TaskId;

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// A submit was acknowledged.
    Submitted { task: TaskId, key: Option<String> },
    /// An attempt began its work.
    Began { task: TaskId, attempt: u32 },
    /// A completion was acknowledged.
    Completed { task: TaskId, attempt: u32 },
}

/// The file of facts.
#[derive(Debug)]
pub(super) struct Ledger(File);

const FILE: &str = "ledger";

impl Ledger {
    pub(super) fn open(folder: &Path) -> Self {
        Self(File::options().create(true).append(true).open(folder.join(FILE)).unwrap())
    }

    pub(super) fn note(&self, fact: &Fact) {
        let line = match fact {
            Fact::Submitted { task, key } => format!("submitted {task} {}\n", key.as_deref().unwrap_or("-")),
            Fact::Began { task, attempt } => format!("began {task} {attempt}\n"),
            Fact::Completed { task, attempt } => format!("completed {task} {attempt}\n"),
        };
        (&self.0).write_all(line.as_bytes()).unwrap();
    }

    /// Reads all facts in the order in which they were written.
    pub(super) fn read(folder: &Path) -> Vec<Fact> {
        let text = std::fs::read_to_string(folder.join(FILE)).unwrap();
        text.lines().map(parse).collect()
    }
}

fn parse(line: &str) -> Fact {
    let mut words = line.split(' ');
    let (Some(what), Some(task), Some(rest)) = (words.next(), words.next(), words.next()) else {
        panic!("not a fact: {line:?}");
    };
    let task = task.parse().unwrap();
    match what {
        "submitted" => Fact::Submitted { task, key: (rest != "-").then(|| rest.to_owned()) },
        "began" => Fact::Began { task, attempt: rest.parse().unwrap() },
        "completed" => Fact::Completed { task, attempt: rest.parse().unwrap() },
        _ => panic!("not a fact: {line:?}"),
    }
}
