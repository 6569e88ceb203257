//! Changing many tasks at once: by id, or by filter.

use clap::Args;

use crate::api::{Bulk, BulkDone, BulkFailure, Filter, Page, PageQuery, TaskStatus};
use crate::cli::confirm::ConfirmArgs;
use crate::cli::filter::FilterArgs;
use crate::cli::output::Row;
use crate::cli::remote::{Failure, Session};
use crate::cli::{exit, pages, print};
use crate::client::{self, TaskQuery};

/// Which statuses a cancel is for unless a flag says less.
const OPEN: [TaskStatus; 3] = [TaskStatus::Pending, TaskStatus::Scheduled, TaskStatus::Running];

/// Which statuses a retry is for unless a flag says less.
const GIVEN_UP: [TaskStatus; 2] = [TaskStatus::Failed, TaskStatus::TimedOut];

/// How many tasks are counted before a question; above it the question says "more than".
const COUNTED_MAX: usize = 10_000;

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Why, for whoever looks later.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    which: WhichArgs,
}

/// Which ones: by id, or by filter, or all.
#[derive(Debug, Args)]
pub(in crate::cli) struct WhichArgs {
    /// Their ids.
    #[arg(value_name = "ID", conflicts_with = "all")]
    ids: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// All of them; must be said when no filter is given.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

/// What is done to them.
pub(in crate::cli) struct Deed<'a> {
    /// As in "Cancel 3 tasks?".
    pub(in crate::cli) verb: &'static str,
    /// As in "cancelled: 3 of 3".
    pub(in crate::cli) done: &'static str,
    /// Which statuses it is for.
    pub(in crate::cli) statuses: &'a [TaskStatus],
    /// What is called off says why.
    pub(in crate::cli) reason: Option<String>,
}

impl CancelArgs {
    pub(super) async fn run(&self, session: &Session) -> Result<u8, Failure> {
        let client = &session.client;
        let deed = Deed { verb: "Cancel", done: "cancelled", statuses: &OPEN, reason: self.reason.clone() };
        let one = async |id: &str| {
            client.cancel(id, self.reason.clone()).await?;
            Ok(id.to_owned())
        };
        let look = async |query: TaskQuery| client.tasks(&query).await;
        self.which.run(session, &deed, look, one, async |bulk| client.cancel_all(&bulk).await).await
    }
}

impl RetryArgs {
    pub(super) async fn run(&self, session: &Session) -> Result<u8, Failure> {
        let client = &session.client;
        let deed = Deed { verb: "Retry", done: "retried", statuses: &GIVEN_UP, reason: None };
        let one = async |id: &str| Ok(client.redrive(id).await?.task_id);
        let look = async |query: TaskQuery| client.tasks(&query).await;
        self.which.run(session, &deed, look, one, async |bulk| client.retry_all(&bulk).await).await
    }
}

impl WhichArgs {
    /// Does `one` to each id, or `many` to all that the filter meets, as often as there are more.
    pub(in crate::cli) async fn run<R: Row>(
        &self,
        session: &Session,
        deed: &Deed<'_>,
        look: impl AsyncFn(TaskQuery) -> Result<Page<R>, client::Error>,
        one: impl AsyncFn(&str) -> Result<String, client::Error>,
        many: impl AsyncFn(Bulk) -> Result<BulkDone, client::Error>,
    ) -> Result<u8, Failure> {
        if !self.ids.is_empty() {
            if !self.filter.is_empty() {
                return Err(Failure::Usage("give ids or a filter, not both".to_owned()));
            }
            return self.each(session, deed, one).await;
        }
        if self.filter.is_empty() && !self.all {
            return Err(Failure::Usage("say which: ids, a filter such as --type, or --all".to_owned()));
        }
        let filter = self.filter.filter(deed.statuses)?;
        if self.confirm.dry_run || !self.confirm.yes {
            let count = count(&filter, &look).await?;
            if self.confirm.dry_run {
                let said = format!("would be {}: {count}", deed.done);
                return Ok(session.output.done("bulk_dry_run", &count.to_string(), &said));
            }
            self.confirm.ask(&format!("{} {count}", deed.verb))?;
        }
        // A filter that names statuses excludes something, but everything may be meant all the same.
        let all = self.all || filter == Filter::default();
        let bulk = Bulk { filter, all, reason: deed.reason.clone() };
        let done = repeat(bulk, many).await?;
        Ok(show(session, deed, &done))
    }

    async fn each(
        &self,
        session: &Session,
        deed: &Deed<'_>,
        one: impl AsyncFn(&str) -> Result<String, client::Error>,
    ) -> Result<u8, Failure> {
        if self.confirm.dry_run {
            let said = format!("would be {}: {}", deed.done, self.ids.join(", "));
            return Ok(session.output.done("bulk_dry_run", &self.ids.len().to_string(), &said));
        }
        let mut worst = exit::OK;
        for id in &self.ids {
            match one(id).await {
                Ok(named) => {
                    let said = if named == *id {
                        format!("{}: {id}", deed.done)
                    } else {
                        format!("{}: {id} as {named}", deed.done)
                    };
                    session.output.done(deed.done, &named, &said);
                }
                // The others may still be done.
                Err(error) if error.status().is_some() && !error.is_denied() => {
                    worst = Failure::from(error).tell(&session.output);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(worst)
    }
}

/// How many tasks a filter meets, as far as they are counted.
struct Count(usize, bool);

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let more = if self.1 { "more than " } else { "" };
        let tasks = if self.0 == 1 { "task" } else { "tasks" };
        write!(f, "{more}{} {tasks}", self.0)
    }
}

async fn count<R>(
    filter: &Filter,
    look: &impl AsyncFn(TaskQuery) -> Result<Page<R>, client::Error>,
) -> Result<Count, client::Error> {
    let fetch = async |page| look(TaskQuery { filter: filter.clone(), page }).await;
    let seen = pages::walk(PageQuery::default(), &fetch, COUNTED_MAX).await?;
    Ok(Count(seen.items.len(), seen.next_cursor.is_some()))
}

/// Calls again while there are more. What fails stays and is met again, so a call that does nothing is the last.
async fn repeat(
    bulk: Bulk,
    many: impl AsyncFn(Bulk) -> Result<BulkDone, client::Error>,
) -> Result<BulkDone, client::Error> {
    let mut sum = BulkDone::default();
    loop {
        let done = many(bulk.clone()).await?;
        sum.done += done.done;
        sum.failures = done.failures;
        let failed = u64::try_from(sum.failures.len()).unwrap_or(u64::MAX);
        sum.matched = sum.done + (done.matched - done.done.min(done.matched)).max(failed);
        sum.more = done.more;
        if !done.more || done.done == 0 {
            return Ok(sum);
        }
    }
}

fn show(session: &Session, deed: &Deed<'_>, done: &BulkDone) -> u8 {
    let said = format!("{}: {} of {}", deed.done, done.done, done.matched);
    let shown =
        session.output.streamed("bulk", &done.done.to_string(), done, &said).err().unwrap_or(exit::OK);
    for BulkFailure { task_id, code, detail } in &done.failures {
        print::note(&print::harmless(&format!("error: {task_id}: {detail} ({code})")));
    }
    let complete = done.done == done.matched && done.failures.is_empty();
    if shown == exit::OK && !complete { exit::WORK_FAILED } else { shown }
}
