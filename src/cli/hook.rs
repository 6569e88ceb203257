//! `synod hook`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::confirm::ConfirmArgs;
use super::output::{Cell, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::print;
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{
    CompleteHook, FailHook, Hook, HookFilter, ImportHooks, Json, NewHook, ReassignHook, StartHook,
};
use crate::period::Period;

#[derive(Debug, Args)]
pub(super) struct HookArgs {
    #[command(subcommand)]
    command: HookCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum HookCommand {
    /// Make a hook: work for an agent, on a branch of a repository of the node.
    Create {
        /// The agent that is to do it.
        #[arg(long, value_name = "AGENT")]
        agent: String,
        /// The repository's folder on the node; the present folder if left out.
        #[arg(long, value_name = "FOLDER")]
        repository: Option<PathBuf>,
        /// What is to be done: JSON, or a text.
        #[arg(value_name = "WORK")]
        work: String,
        /// The branch; `hook/ID` if left out. One that exists is gone on with.
        #[arg(long, value_name = "BRANCH")]
        branch: Option<String>,
        /// The commit that a new branch begins at.
        #[arg(long, value_name = "COMMIT")]
        base: Option<String>,
        /// The type of the tasks that the agent gets.
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Whose it is.
        #[arg(long, value_name = "WORKSPACE")]
        workspace: Option<String>,
        /// How often it is tried again.
        #[arg(long, value_name = "N")]
        max_retries: Option<u32>,
        /// How long it may be silent before it is abandoned.
        #[arg(long, value_name = "PERIOD")]
        stale_after: Option<Period>,
    },
    /// List hooks, latest first.
    List {
        /// Of this agent.
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
        /// With one of these: PENDING, ACTIVE, COMPLETED, FAILED, ABANDONED; apart by commas.
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Of this workspace.
        #[arg(long, value_name = "WORKSPACE")]
        workspace: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// List the hooks that nobody works on: pending and abandoned ones.
    Pending {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a hook, with its work and its result.
    #[command(visible_alias = "get")]
    Show {
        #[command(flatten)]
        hook: Which,
    },
    /// Say that work on a hook has begun, or goes on.
    Start {
        #[command(flatten)]
        hook: Which,
        #[command(flatten)]
        attempt: Under,
    },
    /// Complete a hook. What lies uncommitted in its worktree is committed to its branch.
    Complete {
        #[command(flatten)]
        hook: Which,
        #[command(flatten)]
        attempt: Under,
        /// What came out of it: JSON, or a text.
        #[arg(long, value_name = "RESULT", default_value = "null")]
        result: String,
    },
    /// Fail an attempt at a hook; it waits for the next, or has failed when its retries are used.
    Fail {
        #[command(flatten)]
        hook: Which,
        #[command(flatten)]
        attempt: Under,
        /// Why, for a person.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Say that its agent does not work on a hook any more; another one of its pool takes it over.
    Abandon {
        #[command(flatten)]
        hook: Which,
        #[command(flatten)]
        attempt: Under,
        /// Why, for a person.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Give a hook to an agent, under the next attempt.
    Reassign {
        #[command(flatten)]
        hook: Which,
        /// To whom; to another one of the same pool if left out.
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
    },
    /// Remove a hook that has ended or is abandoned; its branch and its record stay.
    Remove {
        #[command(flatten)]
        hook: Which,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Take over the hooks that are on record in a repository of the node.
    Import {
        /// The repository's folder on the node; the present folder if left out.
        #[arg(value_name = "FOLDER")]
        repository: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// The hook's id.
    #[arg(value_name = "HOOK")]
    id: String,
}

#[derive(Debug, Args)]
struct Under {
    /// The attempt that says it; the present one if left out. An agent names its own, so that it is refused when another has
    /// the hook.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
}

pub(super) fn main(common: &Common, args: &HookArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &HookCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        HookCommand::Create { .. } => Ok(output.item(&client.create_hook(&new_hook(command)?).await?)),
        HookCommand::List { agent, status, workspace, list } => {
            let (agent, status, workspace) = (agent.clone(), status.clone(), workspace.clone());
            let filter = HookFilter { agent, status, workspace };
            pages::list(session, list, async |page| client.hooks(&filter, &page).await).await
        }
        HookCommand::Pending { list } => {
            pages::list(session, list, async |page| client.pending_hooks(&page).await).await
        }
        HookCommand::Show { hook } => Ok(output.item(&client.hook(&hook.id).await?)),
        HookCommand::Start { hook, attempt } => {
            let attempt = attempt.of(session, hook).await?;
            Ok(output.item(&client.start_hook(&hook.id, &StartHook { attempt }).await?))
        }
        HookCommand::Complete { hook, attempt, result } => {
            let attempt = attempt.of(session, hook).await?;
            let complete = CompleteHook { attempt, result: json_or_text(result) };
            Ok(output.item(&client.complete_hook(&hook.id, &complete).await?))
        }
        HookCommand::Fail { hook, attempt, reason } => {
            let attempt = attempt.of(session, hook).await?;
            let fail = FailHook { attempt, reason: reason.clone() };
            Ok(output.item(&client.fail_hook(&hook.id, &fail).await?))
        }
        HookCommand::Abandon { hook, attempt, reason } => {
            let attempt = attempt.of(session, hook).await?;
            let fail = FailHook { attempt, reason: reason.clone() };
            Ok(output.item(&client.abandon_hook(&hook.id, &fail).await?))
        }
        HookCommand::Reassign { hook, agent } => {
            let to = ReassignHook { agent_id: agent.clone() };
            Ok(output.item(&client.reassign_hook(&hook.id, &to).await?))
        }
        HookCommand::Remove { hook, confirm } => {
            let found = client.hook(&hook.id).await?;
            let what = format!("hook {} ({} of {})", found.id, found.branch, found.repository);
            if confirm.dry_run {
                return Ok(output.done("hook_removal", &found.id, &format!("would remove {what}")));
            }
            confirm.ask(&format!("Remove {what}"))?;
            client.remove_hook(&found.id).await?;
            Ok(output.done("hook_removal", &found.id, &format!("removed: {what}")))
        }
        HookCommand::Import { repository } => {
            let import = ImportHooks { repository: folder(repository.as_ref())? };
            let taken = client.import_hooks(&import).await?;
            let text = format!("taken over from {}: {}", import.repository, taken.hooks.len());
            Ok(output.done("hook_import", &import.repository, &text))
        }
    }
}

impl Under {
    /// Returns the attempt that was named, or the one that has the hook.
    async fn of(&self, session: &Session, hook: &Which) -> Result<u32, Failure> {
        match self.attempt {
            Some(attempt) => Ok(attempt),
            None => Ok(session.client.hook(&hook.id).await?.attempt),
        }
    }
}

fn new_hook(command: &HookCommand) -> Result<NewHook, Failure> {
    let HookCommand::Create {
        agent,
        repository,
        work,
        branch,
        base,
        kind,
        workspace,
        max_retries,
        stale_after,
    } = command
    else {
        return Ok(NewHook::default());
    };
    Ok(NewHook {
        agent_id: agent.clone(),
        repository: folder(repository.as_ref())?,
        work: json_or_text(work),
        branch: branch.clone(),
        base: base.clone(),
        kind: kind.clone(),
        workspace: workspace.clone(),
        max_retries: *max_retries,
        stale_after_ms: stale_after.map(|period| u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX)),
        ..NewHook::default()
    })
}

/// Returns a folder as the node is to see it: what is relative is meant from here.
fn folder(named: Option<&PathBuf>) -> Result<String, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::Usage(format!("the present folder is gone: {error}")))?;
    let folder = named.map_or_else(|| here.clone(), |named| here.join(named));
    Ok(folder.display().to_string())
}

fn json_or_text(text: &str) -> Json {
    Json::from_bytes(text.as_bytes())
}

impl Row for Hook {
    const KIND: &'static str = "hook";
    const COLUMNS: &'static [&'static str] =
        &["id", "status", "attempt", "agent", "branch", "repository", "changed"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let status = match self.status.as_str() {
            "FAILED" | "ABANDONED" => Cell::toned(&self.status, Tone::Bad),
            _ => self.status.as_str().into(),
        };
        vec![
            self.id.as_str().into(),
            status,
            self.attempt.to_string().into(),
            self.agent_id.as_str().into(),
            print::first_line(&self.branch, 40).into(),
            print::first_line(&self.repository, 40).into(),
            Cell::toned(age(now, Some(&self.updated_at)), Tone::Faint),
        ]
    }
}
