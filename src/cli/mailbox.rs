//! `synod mailbox`

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::output::{Cell, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{Mailbox, Pause, PauseOf};

#[derive(Debug, Args)]
pub(super) struct MailboxArgs {
    #[command(subcommand)]
    command: MailboxCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum MailboxCommand {
    /// List the mailboxes that have waiting work or are paused.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// List the pauses in force.
    Pauses,
    /// Pause a mailbox, a pool or a workspace: it gives nothing out until it is resumed.
    Pause {
        #[command(flatten)]
        of: OfArgs,
        /// Why, for whoever asks why nothing moves.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// End a pause.
    Resume {
        #[command(flatten)]
        of: OfArgs,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct OfArgs {
    /// The mailbox: open, pool/NAME or agent/ID.
    mailbox: Option<String>,
    /// The pool: its mailbox gives nothing out and its agents claim nothing.
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// The workspace: none of its tasks is given out.
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<String>,
}

impl OfArgs {
    fn of(&self, reason: Option<String>) -> PauseOf {
        PauseOf {
            mailbox: self.mailbox.clone(),
            pool: self.pool.clone(),
            workspace: self.workspace.clone(),
            reason,
        }
    }

    fn name(&self) -> String {
        let named = |kind: &str, name: &Option<String>| name.as_ref().map(|name| format!("{kind} {name}"));
        named("mailbox", &self.mailbox)
            .or_else(|| named("pool", &self.pool))
            .or_else(|| named("workspace", &self.workspace))
            .unwrap_or_default()
    }
}

pub(super) fn main(common: &Common, args: &MailboxArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &MailboxCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        MailboxCommand::List { list } => {
            pages::list(session, list, async |page| client.mailboxes(&page).await).await
        }
        MailboxCommand::Pauses => {
            let pauses = client.pauses().await?;
            Ok(output.list(&pauses.items, None))
        }
        MailboxCommand::Pause { of, reason } => {
            client.pause(&of.of(reason.clone())).await?;
            Ok(output.done("pause", &of.name(), &format!("paused: {}", of.name())))
        }
        MailboxCommand::Resume { of } => {
            client.resume(&of.of(None)).await?;
            Ok(output.done("pause", &of.name(), &format!("resumed: {}", of.name())))
        }
    }
}

impl Row for Mailbox {
    const KIND: &'static str = "mailbox";
    const COLUMNS: &'static [&'static str] =
        &["name", "waiting", "critical", "high", "normal", "low", "oldest", "paused"];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let lanes = &self.lanes;
        vec![
            self.name.as_str().into(),
            self.waiting.to_string().into(),
            lanes.critical.to_string().into(),
            lanes.high.to_string().into(),
            lanes.normal.to_string().into(),
            lanes.low.to_string().into(),
            age(now, self.oldest_since.as_deref()).into(),
            match &self.paused {
                Some(reason) => Cell::toned(reason, Tone::Bad),
                None => "-".into(),
            },
        ]
    }
}

impl Row for Pause {
    const KIND: &'static str = "pause";
    const COLUMNS: &'static [&'static str] = &["of", "name", "reason", "since"];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        vec![
            self.of.as_str().into(),
            self.name.as_str().into(),
            self.reason.as_str().into(),
            age(now, Some(&self.since)).into(),
        ]
    }
}
