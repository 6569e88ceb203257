//! `synod event`

mod export;

use clap::{Args, Subcommand};
use futures::StreamExt;

use super::remote::{self, ClientArgs, Failure, Session};
use super::{Common, exit, print};
use crate::api::{Event, EventFilter};
use crate::client::Signal;

/// How much of an event's content a line for people shows; all of it is in `--json`.
const DATA_CHARS: usize = 200;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct EventArgs {
    #[command(subcommand)]
    command: Option<EventCommand>,
    /// Of these types, apart by commas.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Of this workspace.
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<String>,
    /// About these, apart by commas: the id of a task, agent or run, or the name of a pool.
    #[arg(long = "about", value_name = "RESOURCE", value_delimiter = ',')]
    resources: Vec<String>,
    /// Begin behind the event with this id, instead of with the next one.
    #[arg(long, value_name = "ID")]
    since: Option<String>,
    /// Stop after so many events.
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum EventCommand {
    /// Write what the node still knows of what happened into a file, for `synod simulate --replay`.
    Export(export::ExportArgs),
}

pub(super) fn main(common: &Common, args: &EventArgs) -> u8 {
    if let Some(EventCommand::Export(export)) = &args.command {
        return remote::run(common, &export.client, async |session| export::run(&session, export).await);
    }
    remote::run(common, &args.client, async |session| follow(&session, args).await)
}

async fn follow(session: &Session, args: &EventArgs) -> Result<u8, Failure> {
    let joined = |words: &[String]| (!words.is_empty()).then(|| words.join(","));
    let filter = EventFilter {
        kind: joined(&args.types),
        workspace: args.workspace.clone(),
        resource: joined(&args.resources),
        after: args.since.clone(),
    };
    let mut signals = Box::pin(session.client.events(filter));
    let mut left = args.count.unwrap_or(usize::MAX);
    while left > 0 {
        let Some(signal) = signals.next().await else { break };
        let shown = match signal? {
            Signal::Connected => Ok(()),
            Signal::Event(event) => {
                left -= 1;
                session.output.streamed("event", &event.id, &event, &line(&event))
            }
            Signal::Missed(missed) => {
                print::note(&"note: some events are not kept any more and were missed");
                if session.output.is_for_people() || session.output.is_quiet() {
                    Ok(())
                } else {
                    session.output.streamed("missed", "", &missed, "")
                }
            }
            Signal::Away { reason } => {
                print::note(&print::harmless(&format!("note: the node is away ({reason}); waiting for it")));
                Ok(())
            }
        };
        if let Err(code) = shown {
            return Ok(code);
        }
    }
    Ok(exit::OK)
}

/// One event on one line.
pub(super) fn line(event: &Event) -> String {
    let workspace = event.workspace.as_deref().unwrap_or("-");
    let data = print::first_line(event.data.text(), DATA_CHARS);
    format!("{}  {}  {:<20}  {workspace}  {data}", event.id, event.at, event.kind)
}
