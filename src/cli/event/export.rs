//! `synod event export`: what the node still knows of what happened, as a recording that can be replayed.
//!
//! A node keeps the latest events, some tens of thousands. They are read to where nothing more comes, then the tasks
//! that they are about and the pools are asked for: a task that is not kept any more is replayed by its events alone.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use serde_json::json;

use crate::api::{Event, EventFilter, Filter, PageQuery, Pool, Task};
use crate::cli::remote::{ClientArgs, Failure, Session};
use crate::cli::{exit, pages, print};
use crate::client::{Client, Signal, TaskQuery};
use crate::node::feed::EVENTS_KEPT;
use crate::recording::{End, Writer};

/// Before every event that a node keeps.
const BEGINNING: &str = "0.0";

/// How long nothing may come before everything is taken for told: a node tells what it keeps without a pause.
const QUIET: Duration = Duration::from_secs(2);

/// The event that says of which task the recording knows from its beginning.
const SUBMITTED: &str = "task_submitted";

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The file to write.
    file: PathBuf,
    /// Begin behind the event with this id, instead of with the oldest that is kept.
    #[arg(long, value_name = "ID")]
    since: Option<String>,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

pub(super) async fn run(session: &Session, args: &ExportArgs) -> Result<u8, Failure> {
    let Session { client, output } = session;
    let events = events(client, args.since.as_deref()).await?;
    let Some(first) = events.first() else {
        return Err(Failure::Usage(
            "the node keeps no event from there on; there is nothing to record".to_owned(),
        ));
    };
    let tasks = tasks(client, &first.at, &events).await?;
    let all_pools = async |page| client.pools(&page).await;
    let pools = pages::walk(PageQuery::default(), &all_pools, usize::MAX).await?.items;
    let recorded_at = events.last().map_or_else(String::new, |last| last.at.clone());
    let end = write(&args.file, recorded_at, &pools, &tasks, &events)
        .map_err(|error| Failure::Usage(format!("{} cannot be written: {error}", args.file.display())))?;
    let name = args.file.display().to_string();
    let item =
        json!({ "id": name, "file": name, "pools": end.pools, "tasks": end.tasks, "events": end.events });
    let said = format!("{name}: {} events, {} tasks, {} pools", end.events, end.tasks, end.pools);
    Ok(output.streamed("recording", &name, &item, &said).err().unwrap_or(exit::OK))
}

async fn events(client: &Client, since: Option<&str>) -> Result<Vec<Event>, Failure> {
    let after = Some(since.unwrap_or(BEGINNING).to_owned());
    let mut signals = Box::pin(client.events(EventFilter { after, ..EventFilter::default() }));
    let mut events = Vec::new();
    while events.len() < EVENTS_KEPT {
        match tokio::time::timeout(QUIET, signals.next()).await {
            Ok(Some(signal)) => match signal? {
                Signal::Event(event) => events.push(event),
                Signal::Connected | Signal::Missed(_) => {}
                Signal::Away { reason } => {
                    print::note(&print::harmless(&format!(
                        "note: the node is away ({reason}); waiting for it"
                    )));
                }
            },
            Ok(None) | Err(_) => break,
        }
    }
    Ok(events)
}

/// Reads the tasks that were submitted within the events.
async fn tasks(client: &Client, from: &str, events: &[Event]) -> Result<Vec<Task>, Failure> {
    let mut wanted = BTreeSet::new();
    for event in events.iter().filter(|event| event.kind == SUBMITTED) {
        let data: serde_json::Value = serde_json::from_str(event.data.text()).unwrap_or_default();
        wanted.extend(data.get("task").and_then(|task| task.as_str()).map(str::to_owned));
    }
    let filter = Filter { submitted_after: earlier(from), ..Filter::default() };
    let all_tasks = async |page| client.tasks(&TaskQuery { filter: filter.clone(), page }).await;
    let mut tasks = pages::walk(PageQuery::default(), &all_tasks, usize::MAX).await?.items;
    tasks.retain(|task| wanted.contains(&task.id));
    tasks.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(tasks)
}

/// Returns a time shortly before another: tasks are submitted before they are told of.
fn earlier(than: &str) -> Option<String> {
    let at: jiff::Timestamp = than.parse().ok()?;
    at.checked_sub(jiff::SignedDuration::from_secs(60)).ok().map(|at| at.to_string())
}

fn write(
    file: &Path,
    recorded_at: String,
    pools: &[Pool],
    tasks: &[Task],
    events: &[Event],
) -> std::io::Result<End> {
    let mut writer = Writer::begin(BufWriter::new(File::create(file)?), recorded_at)?;
    pools.iter().try_for_each(|pool| writer.pool(pool))?;
    tasks.iter().try_for_each(|task| writer.task(task))?;
    events.iter().try_for_each(|event| writer.event(event))?;
    writer.end()
}
