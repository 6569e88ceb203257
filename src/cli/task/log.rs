//! `synod task log`

use std::time::Duration;

use clap::Args;

use crate::api::LogQuery;
use crate::cli::remote::{Failure, Session};
use crate::cli::{exit, print};

/// How long one request waits for more of a log that is followed.
const FOLLOW_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// The task's id.
    task: String,
    /// Which attempt, from 1; the last if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Stay until the attempt is over and show what it writes.
    #[arg(long, short = 'f')]
    follow: bool,
}

impl LogArgs {
    pub(super) async fn run(&self, session: &Session) -> Result<u8, Failure> {
        let mut query = LogQuery { attempt: self.attempt, offset: Some(0), wait_ms: None };
        let mut noted = None;
        loop {
            let chunk = session.client.log(&self.task, &query).await?;
            // The attempt that was the last at first stays the one that is shown.
            query.attempt = query.attempt.or((chunk.attempt > 0).then_some(chunk.attempt));
            if !session.output.is_for_people() {
                if let Err(code) = session.output.streamed("log", &chunk.task_id, &chunk, "") {
                    return Ok(code);
                }
            } else if let Err(code) = print::piece(&print::harmless(&chunk.text)) {
                return Ok(code);
            }
            if chunk.note.is_some() && chunk.note != noted {
                noted.clone_from(&chunk.note);
                let note = chunk.note.as_deref().unwrap_or_default();
                print::note(&print::harmless(&format!("note: {note}")));
            }
            let moved = chunk.next_offset > chunk.offset;
            query.offset = Some(chunk.next_offset);
            if self.follow && chunk.more {
                query.wait_ms = u64::try_from(FOLLOW_WAIT.as_millis()).ok();
            } else if !moved || chunk.text.is_empty() {
                return Ok(exit::OK);
            }
        }
    }
}
