//! `synod task`

mod bulk;
mod log;
mod submit;

pub(super) use bulk::{Deed, WhichArgs};
pub(super) use submit::SubmitArgs;

use std::time::Duration;

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::filter::{FilterArgs, priority, word};
use super::output::{Cell, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use super::{Common, exit, print};
use crate::api::{Priority, Task, TaskStatus};
use crate::client::TaskQuery;
use crate::period::Period;

/// How much of a reason stands in a table; all of it is in `get`.
const REASON_CHARS: usize = 60;

#[derive(Debug, Args)]
pub(super) struct TaskArgs {
    #[command(subcommand)]
    command: TaskCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// Submit a task; done once it is durable.
    Submit(Box<SubmitArgs>),
    /// List tasks.
    List {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a task with its payload and result.
    Get {
        /// Its id.
        task: String,
    },
    /// Call tasks off: some by id, or all that a filter meets.
    Cancel(bulk::CancelArgs),
    /// Make new tasks from tasks that failed or timed out: some by id, or all that a filter meets.
    Retry(bulk::RetryArgs),
    /// Wait until a task has ended; exit code 0 only if it completed.
    Wait {
        /// Its id.
        task: String,
        /// How long at most; exit code 75 if it is not over by then.
        #[arg(long, value_name = "PERIOD")]
        timeout: Option<Period>,
    },
    /// Show what an attempt wrote to standard error.
    Log(log::LogArgs),
    /// Tell why a task waits, runs or ended.
    Why {
        /// Its id.
        task: String,
    },
    /// Show what came out of a task; exit code 1 unless it completed.
    Result {
        /// Its id.
        task: String,
    },
    /// Move a waiting task to another lane.
    Priority {
        /// Its id.
        task: String,
        /// The lane: critical, high, normal or low.
        #[arg(value_parser = priority)]
        priority: Priority,
    },
}

pub(super) fn main(common: &Common, args: &TaskArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &TaskCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        TaskCommand::Submit(args) => args.run(session, None).await,
        TaskCommand::List { filter, list } => {
            let filter = filter.filter(&[])?;
            pages::list(session, list, async |page| {
                client.tasks(&TaskQuery { filter: filter.clone(), page }).await
            })
            .await
        }
        TaskCommand::Get { task } => Ok(output.item(&client.task(task).await?)),
        TaskCommand::Cancel(args) => args.run(session).await,
        TaskCommand::Retry(args) => args.run(session).await,
        TaskCommand::Wait { task, timeout } => wait(session, task, timeout.map(|period| period.0)).await,
        TaskCommand::Log(args) => args.run(session).await,
        TaskCommand::Why { task } => {
            let why = client.why(task).await?;
            let text = format!("{} {}: {}", why.task_id, why.status.as_str(), why.sentence);
            Ok(output.streamed("why", &why.task_id, &why, &text).err().unwrap_or(exit::OK))
        }
        TaskCommand::Result { task } => result(session, task).await,
        TaskCommand::Priority { task, priority } => {
            Ok(output.item(&client.set_priority(task, *priority).await?))
        }
    }
}

/// Waits for the end of a task and shows it; the exit code says how it ended.
async fn wait(session: &Session, task: &str, timeout: Option<Duration>) -> Result<u8, Failure> {
    let seen = session.client.wait(task, timeout).await?;
    let shown = session.output.item(&seen);
    if shown != exit::OK {
        return Ok(shown);
    }
    if !seen.status.is_end() {
        print::note(&format!("note: {} is not over yet: {}", seen.id, seen.status.as_str()));
    }
    Ok(code_of(seen.status))
}

async fn result(session: &Session, task: &str) -> Result<u8, Failure> {
    let task = session.client.task(task).await?;
    if task.status == TaskStatus::Completed {
        let result = task.result.unwrap_or_default();
        // As it is, so that it can be given to a program; a terminal gets it harmless.
        let text = print::harmless(result.text());
        return Ok(session.output.streamed("result", &task.id, &result, &text).err().unwrap_or(exit::OK));
    }
    let reason = task.reason.as_deref().unwrap_or("it is not over yet");
    print::note(&print::harmless(&format!("error: {} is {}: {reason}", task.id, task.status.as_str())));
    Ok(code_of(task.status))
}

/// Says by an exit code how a task is.
pub(super) const fn code_of(status: TaskStatus) -> u8 {
    match status {
        TaskStatus::Completed => exit::OK,
        TaskStatus::Failed | TaskStatus::TimedOut | TaskStatus::Cancelled => exit::WORK_FAILED,
        TaskStatus::Pending | TaskStatus::Scheduled | TaskStatus::Running => exit::NOT_YET,
    }
}

/// Tells how a task's status is meant.
pub(super) const fn tone(status: TaskStatus) -> Tone {
    match status {
        TaskStatus::Completed => Tone::Good,
        TaskStatus::Scheduled | TaskStatus::Running => Tone::Busy,
        TaskStatus::Failed | TaskStatus::TimedOut => Tone::Bad,
        TaskStatus::Pending => Tone::Plain,
        TaskStatus::Cancelled => Tone::Faint,
    }
}

impl Row for Task {
    const KIND: &'static str = "task";
    const COLUMNS: &'static [&'static str] =
        &["id", "type", "status", "lane", "for", "attempts", "age", "reason"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let addressed = match (&self.pool, &self.agent) {
            (Some(pool), _) => format!("pool/{pool}"),
            (None, Some(agent)) => agent.clone(),
            (None, None) => "open".to_owned(),
        };
        let said = self.progress.as_ref().and_then(|progress| progress.message.as_deref());
        let reason = self.reason.as_deref().or(said).unwrap_or("-");
        vec![
            self.id.as_str().into(),
            self.kind.as_str().into(),
            Cell::toned(self.status.as_str(), tone(self.status)),
            word(self.lane).into(),
            addressed.into(),
            format!("{}/{}", self.attempt, self.max_attempts).into(),
            Cell::toned(age(now, Some(&self.submitted_at)), Tone::Faint),
            print::first_line(reason, REASON_CHARS).into(),
        ]
    }
}
