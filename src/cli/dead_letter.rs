//! `synod dead-letter`

use clap::{Args, Subcommand};

use super::Common;
use super::filter::FilterArgs;
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use super::task::{Deed, WhichArgs};
use crate::client::TaskQuery;

#[derive(Debug, Args)]
pub(super) struct DeadLetterArgs {
    #[command(subcommand)]
    command: DeadLetterCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum DeadLetterCommand {
    /// List dead letters.
    List {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a dead letter.
    Get {
        /// Its id: that of the task.
        task: String,
    },
    /// Make new tasks from dead letters: some by id, or all that a filter meets.
    Redrive(WhichArgs),
    /// Forget dead letters: some by id, or all that a filter meets.
    Purge(WhichArgs),
}

pub(super) fn main(common: &Common, args: &DeadLetterArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &DeadLetterCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    let look = async |query: TaskQuery| client.dead_letters(&query).await;
    match command {
        DeadLetterCommand::List { filter, list } => {
            let filter = filter.filter(&[])?;
            pages::list(session, list, async |page| look(TaskQuery { filter: filter.clone(), page }).await)
                .await
        }
        DeadLetterCommand::Get { task } => Ok(output.item(&client.dead_letter(task).await?)),
        DeadLetterCommand::Redrive(which) => {
            let deed = Deed { verb: "Redrive", done: "redriven", statuses: &[], reason: None };
            let one = async |id: &str| Ok(client.redrive(id).await?.task_id);
            which.run(session, &deed, look, one, async |bulk| client.redrive_all(&bulk).await).await
        }
        DeadLetterCommand::Purge(which) => {
            let deed = Deed { verb: "Purge", done: "purged", statuses: &[], reason: None };
            let one = async |id: &str| {
                client.purge(id).await?;
                Ok(id.to_owned())
            };
            which.run(session, &deed, look, one, async |bulk| client.purge_all(&bulk).await).await
        }
    }
}
