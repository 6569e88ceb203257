//! `synod limit`

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::output::{Cell, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::print;
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{Limit, LimitKey, LimitRate, PutLimit};
use crate::period::Period;

#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    #[command(subcommand)]
    command: LimitCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum LimitCommand {
    /// Make a limit set, or change it, at once for what waits.
    Put {
        /// Its name.
        name: String,
        /// What makes a key of a task: workspace, type, pool, label:NAME, payload:/PATH, or a text with several in braces,
        /// such as '{workspace}/{payload:/repo}'.
        #[arg(long, value_name = "EXPRESSION")]
        key: String,
        /// How many tasks of a key may run at once.
        #[arg(long, value_name = "N", required_unless_present_any = ["rate", "tokens_per_minute"])]
        concurrency: Option<u32>,
        /// How many tasks of a key may begin in which time, such as 10/1m.
        #[arg(long, value_name = "N/PERIOD", value_parser = rate)]
        rate: Option<LimitRate>,
        /// How many tokens the tasks of a key may use in a minute.
        #[arg(long, value_name = "N")]
        tokens_per_minute: Option<u64>,
        /// Only for tasks of this workspace.
        #[arg(long, value_name = "WORKSPACE")]
        workspace: Option<String>,
        /// Only for tasks of this type; may be given several times.
        #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
        types: Vec<String>,
    },
    /// List the limit sets.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show what each key of a limit set uses, and what waits for it.
    Show {
        /// The set's name.
        name: String,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Remove a limit set; what it held back goes on.
    Remove {
        /// Its name.
        name: String,
    },
}

pub(super) fn main(common: &Common, args: &LimitArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &LimitCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        LimitCommand::Put { name, key, concurrency, rate, tokens_per_minute, workspace, types } => {
            let wanted = PutLimit {
                key: key.clone(),
                workspace: workspace.clone(),
                types: types.clone(),
                concurrency: *concurrency,
                rate: rate.clone(),
                tokens_per_minute: *tokens_per_minute,
            };
            Ok(output.item(&client.put_limit(name, &wanted).await?))
        }
        LimitCommand::List { list } => {
            pages::list(session, list, async |page| client.limits(&page).await).await
        }
        LimitCommand::Show { name, list } => {
            if output.is_for_people() {
                let limit = client.limit(name).await?;
                print::note(&print::harmless(&format!(
                    "limit {name}, for each {}: {}",
                    limit.key,
                    allowed(&limit)
                )));
            }
            pages::list(session, list, async |page| client.limit_keys(name, &page).await).await
        }
        LimitCommand::Remove { name } => {
            client.remove_limit(name).await?;
            Ok(output.done("limit", name, &format!("removed: limit {name}")))
        }
    }
}

/// Reads how many may begin in which time.
fn rate(text: &str) -> Result<LimitRate, String> {
    let wrong = || format!("{text:?} is no rate; write it as 10/1m");
    let (count, period) = text.split_once('/').ok_or_else(wrong)?;
    let count = count.parse().map_err(|_| wrong())?;
    let period: Period = period.parse().map_err(|_| wrong())?;
    Ok(LimitRate { count, window_ms: u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX) })
}

/// Says what is allowed, on one line.
fn allowed(limit: &Limit) -> String {
    let at_once = limit.concurrency.map(|count| format!("{count} at once"));
    let rate = limit.rate.as_ref().map(|rate| format!("{} in {} ms", rate.count, rate.window_ms));
    let tokens = limit.tokens_per_minute.map(|tokens| format!("{tokens} tokens a minute"));
    at_once.into_iter().chain(rate).chain(tokens).collect::<Vec<_>>().join(", ")
}

impl Row for Limit {
    const KIND: &'static str = "limit";
    const COLUMNS: &'static [&'static str] = &["name", "key", "allowed", "workspace", "types"];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let types = if self.types.is_empty() { "-".to_owned() } else { self.types.join(",") };
        vec![
            self.name.as_str().into(),
            self.key.as_str().into(),
            allowed(self).into(),
            self.workspace.as_deref().unwrap_or("-").into(),
            types.into(),
        ]
    }
}

impl Row for LimitKey {
    const KIND: &'static str = "limit_key";
    const COLUMNS: &'static [&'static str] = &["key", "running", "began", "tokens", "waiting", "room in"];

    fn id(&self) -> &str {
        &self.key
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let tone = if self.waiting > 0 { Tone::Busy } else { Tone::Plain };
        vec![
            self.key.as_str().into(),
            self.running.to_string().into(),
            self.began.to_string().into(),
            self.tokens.to_string().into(),
            Cell::toned(self.waiting.to_string(), tone),
            self.opens_at.as_deref().map_or_else(|| "-".into(), |at| Cell::from(until(now, at))),
        ]
    }
}

/// Says how long it is until a time, roughly.
fn until(now: Timestamp, at: &str) -> String {
    let parsed = at.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
    match parsed.and_then(|at| at.checked_sub(now.as_millis())) {
        Some(millis) => format!("{} s", millis.div_ceil(1000)),
        None => age(now, Some(at)),
    }
}
