//! Sees to it that a voter has the large payloads that are still wanted.
//!
//! A blob is put on a majority of those who vote at the time. Voters come and go, so each of them looks for what it
//! lacks when it comes up, when it begins to vote, when the others who vote change, and when a snapshot took the
//! place of entries; then whoever holds a blob may be replaced, one after the other. What is still to be done comes
//! first, the results of what has ended after it. Promises that the state is locked for a page at a time, and that
//! fetching leaves room for those who wait for a blob. Leaves what no node has to its task, which will say so when it
//! is taken or asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use synod_actors::events::{Heard, Subscription};
use synod_cluster::blobs::Copies;
use synod_cluster::consensus::Consensus;
use synod_domain::id::{NodeId, TaskId};
use synod_domain::payload::Payload;
use synod_domain::state::State;
use synod_domain::task::{Outcome, Task};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::node::Readiness;

/// Tasks that are looked at under one lock: well under a millisecond, so that applying does not wait for it.
const PAGE_TASKS: usize = 1000;

/// Blobs that are fetched at once; less than may travel, so that those who wait for one have their turn.
const FETCHING_MAX: usize = 2;

/// Rounds for one occasion: a node that has a blob may be out of reach for a moment.
const ROUNDS_MAX: u32 = 3;

/// The rest between two rounds: long enough for a connection to be made again.
const REST: Duration = Duration::from_secs(5);

/// Who votes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Voters {
    /// Who shall, as the nodes agreed.
    pub(super) agreed: BTreeSet<NodeId>,
    /// Who does. It follows the former.
    pub(super) voting: BTreeSet<NodeId>,
}

pub(super) struct Keeper {
    pub(super) me: NodeId,
    pub(super) consensus: Arc<Consensus>,
    pub(super) copies: Copies,
    pub(super) voters: watch::Receiver<Voters>,
    pub(super) ready: watch::Receiver<Readiness>,
    pub(super) events: Subscription,
}

/// A part of what names payloads; the latest ids come first.
#[derive(Clone, Copy)]
enum Page {
    Runs,
    Tasks(Option<TaskId>),
    DeadLetters(Option<TaskId>),
    Ended(Option<TaskId>),
}

/// What one round did not get.
#[derive(Default)]
struct Lacking {
    count: u64,
    /// Why the last of them did not come.
    why: String,
}

impl Lacking {
    /// Ends a walk that cannot go on, because of `why`.
    fn none(&mut self, why: String) -> (BTreeSet<[u8; 32]>, Option<Page>) {
        *self = Self { count: self.count + 1, why };
        (BTreeSet::new(), None)
    }
}

impl Keeper {
    pub(super) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(mut self) {
        if self.ready.wait_for(|ready| matches!(ready, Readiness::Ready)).await.is_err() {
            return;
        }
        let mut events = self.events;
        let fetching = Fetching { consensus: self.consensus, copies: self.copies };
        loop {
            let voters = self.voters.borrow_and_update().clone();
            let is_needed = voters.agreed.contains(&self.me) && voters.agreed.len() > 1;
            let mut work = std::pin::pin!(async {
                if is_needed {
                    fetching.all().await;
                }
            });
            let (mut is_done, mut is_due) = (false, false);
            // An occasion during the work waits for its end: what it has fetched by then is not looked for again.
            while !(is_done && is_due) {
                tokio::select! {
                    biased;
                    changed = self.voters.changed() => match changed {
                        Ok(()) => is_due = true,
                        Err(_) => return,
                    },
                    heard = events.next() => match heard {
                        Heard::Happening(_) => {}
                        Heard::Missed(_) => is_due = true,
                        Heard::Closed => return,
                    },
                    () = &mut work, if !is_done => is_done = true,
                }
            }
        }
    }
}

struct Fetching {
    consensus: Arc<Consensus>,
    copies: Copies,
}

impl Fetching {
    /// Fetches what is wanted and not here, in a few rounds.
    async fn all(&self) {
        for round in 1..=ROUNDS_MAX {
            let lacking = self.round().await;
            if lacking.count == 0 {
                return;
            }
            let (count, why) = (lacking.count, lacking.why);
            if round == ROUNDS_MAX {
                tracing::warn!(count, why, "large payloads are not kept here; no node gave them");
            } else {
                tracing::debug!(count, why, "large payloads did not come yet");
                tokio::time::sleep(REST).await;
            }
        }
    }

    async fn round(&self) -> Lacking {
        let mut lacking = Lacking::default();
        let mut page = Some(Page::Runs);
        while let Some(at) = page {
            let wanted;
            (wanted, page) = match at {
                Page::Ended(before) => self.of_ended(before, &mut lacking).await,
                Page::Runs | Page::Tasks(_) | Page::DeadLetters(_) => {
                    wanted_in(&self.consensus.state().read(), at)
                }
            };
            self.fetch(wanted, &mut lacking).await;
        }
        lacking
    }

    /// Returns the results of the next tasks that have ended, and the page after them.
    async fn of_ended(
        &self,
        before: Option<TaskId>,
        lacking: &mut Lacking,
    ) -> (BTreeSet<[u8; 32]>, Option<Page>) {
        let history = self.consensus.history();
        let read = self.copies.offload().run(move || history.page(before, PAGE_TASKS)).await;
        let tasks = match read {
            Ok(Ok(tasks)) => tasks,
            Ok(Err(error)) => return lacking.none(error.to_string()),
            Err(error) => return lacking.none(error.to_string()),
        };
        let result = |task: &Arc<Task>| match task.end().map(|end| &end.outcome) {
            Some(Outcome::Completed { result }) => result.blob(),
            Some(Outcome::Failed { .. } | Outcome::TimedOut { .. } | Outcome::Cancelled { .. }) | None => {
                None
            }
        };
        let wanted = tasks.iter().filter_map(result).collect();
        (wanted, tasks.last().map(|last| Page::Ended(Some(last.spec.id))))
    }

    async fn fetch(&self, wanted: BTreeSet<[u8; 32]>, lacking: &mut Lacking) {
        if wanted.is_empty() {
            return;
        }
        let missing = match self.copies.missing(wanted).await {
            Ok(missing) => missing,
            Err(why) => {
                *lacking = Lacking { count: lacking.count + 1, why };
                return;
            }
        };
        let fetched = missing.into_iter().map(|hash| async move { self.copies.get(&hash).await.map(drop) });
        let mut fetched = futures::stream::iter(fetched).buffer_unordered(FETCHING_MAX);
        while let Some(fetched) = fetched.next().await {
            if let Err(why) = fetched {
                *lacking = Lacking { count: lacking.count + 1, why };
            }
        }
    }
}

/// Returns the blobs that a page names, and the page after it.
fn wanted_in(state: &State, page: Page) -> (BTreeSet<[u8; 32]>, Option<Page>) {
    match page {
        Page::Runs => {
            let of_runs = state.runs().filter_map(|run| run.plan.blob());
            let of_hooks = state.hooks().flat_map(|hook| {
                [hook.spec.work.blob(), hook.result().and_then(Payload::blob)].into_iter().flatten()
            });
            (of_runs.chain(of_hooks).collect(), Some(Page::Tasks(None)))
        }
        Page::Tasks(before) => {
            let (wanted, last) = of_tasks(state.tasks_below(before));
            (wanted, Some(last.map_or(Page::DeadLetters(None), |last| Page::Tasks(Some(last)))))
        }
        Page::DeadLetters(before) => {
            let (wanted, last) = of_tasks(state.dead_letters_below(before));
            (wanted, Some(last.map_or(Page::Ended(None), |last| Page::DeadLetters(Some(last)))))
        }
        // They are on the disk.
        Page::Ended(_) => (BTreeSet::new(), None),
    }
}

/// Returns the blobs that the next tasks name, and the last of these tasks, if there was any.
fn of_tasks<'a>(tasks: impl Iterator<Item = &'a Arc<Task>>) -> (BTreeSet<[u8; 32]>, Option<TaskId>) {
    let (mut wanted, mut last) = (BTreeSet::new(), None);
    for task in tasks.take(PAGE_TASKS) {
        wanted.extend(task.spec.payload.blob());
        last = Some(task.spec.id);
    }
    (wanted, last)
}
