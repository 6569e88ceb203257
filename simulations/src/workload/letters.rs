//! Somebody who decides about dead letters: submits them again, or drops them.
//!
//! What had no answer is unknown, and asked again: with the same new task, as a program does that tries again, or with
//! another, as somebody does who looks at the list anew.

use std::sync::Arc;

use synod::node::domain::command::Command;
use synod::node::domain::id::TaskId;
use synod::node::domain::reply::Reply;
use synod::node::{Error, JournalError, Node};

use crate::chance::Stream;
use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::shared::Phase;
use crate::workload::question::ask;
use crate::workload::{CLERK, CLIENTS, client_name};

/// How many of the latest letters it looks at.
const LATEST: usize = 12;

/// Decides until the world settles.
pub(super) async fn run(node: Arc<Node>, shared: Arc<Machine>, life: u32) {
    let mut stream = shared.streams.open(&format!("{CLERK} life {life}"));
    // What it asked last and was not answered.
    let mut open = None;
    while shared.phase() == Phase::Busy {
        let pause = stream.millis(200, 2_000);
        tokio::time::sleep(pause).await;
        let again = open.take().filter(|_| stream.happens(50));
        let Some(letter) =
            again.map(|(letter, _)| letter).or_else(|| some_letter(&node, &shared, &mut stream))
        else {
            continue;
        };
        if stream.happens(25) {
            let call = node.propose(Command::Purge { task: letter });
            // What it could not do is noted with its answer.
            let _ = ask(&shared, &CLERK.into(), Request::Purge { letter }, call, |_| Answer::Done).await;
            continue;
        }
        let task = again.map_or_else(|| node.new_task_id(), |(_, task)| task);
        let call = async {
            match node.propose(Command::Redrive { task: letter, new_task: task }).await? {
                Reply::Submitted { task, .. } => Ok(task),
                _ => Err(Error::Journal(JournalError::Stopped)),
            }
        };
        let request = Request::Redrive { letter, task };
        let said = ask(&shared, &CLERK.into(), request, call, |task| Answer::Submitted(*task)).await;
        if !matches!(said, Ok(_) | Err(Error::Refused(_))) {
            open = Some((letter, task));
        }
    }
}

/// Picks a dead letter; without one, now and then a task that is none and is to be refused.
fn some_letter(node: &Node, shared: &Machine, stream: &mut Stream) -> Option<TaskId> {
    let letters: Vec<TaskId> =
        node.read(|state| state.dead_letters_below(None).take(LATEST).map(|letter| letter.spec.id).collect());
    if !letters.is_empty() && stream.happens(90) {
        return stream.pick(&letters).copied();
    }
    let client = usize::try_from(stream.between(0, CLIENTS as u64 - 1)).unwrap_or(0);
    shared.memory(&client_name(client).into(), |memory| stream.pick(&memory.acknowledged).copied())
}
