//! The keeper: sees to it that work on a hook of this node is done.
//!
//! ```text
//!  start, patrol, event ─► what became of the attempt's task? ─► say it of the hook
//!                                                                     │
//!        agent ◄─ one task for each attempt ◄─ worktree and record ◄──┘
//! ```
//!
//! If there is work on an agent's hook, the agent gets it: as one task in its own mailbox, which the log redelivers
//! until the agent has ended it, and whose id and idempotency key follow from hook and attempt, so that it is never
//! made twice. How the task ends is how the attempt ends; who has the lease is at work. Promises that nothing is
//! decided here: who has a hook, and whether it is abandoned, is judged in the log alone. While no hook of this node is
//! unfinished, the keeper sleeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use parking_lot::Mutex;
use serde_json::json;
use synod_actors::events::{Heard, Subscription};
use synod_actors::ports::JournalError;
use synod_actors::system::World;
use synod_cluster::history::History;
use synod_domain::capability::Capabilities;
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::hook::{Hook, HookCommand, HookState};
use synod_domain::id::{HookId, TaskId};
use synod_domain::name::Name;
use synod_domain::payload::{INLINE_BYTES_MAX, Payload};
use synod_domain::refusal::Refusal;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{Lane, MailboxId, Outcome, Task, TaskSpec, TaskStatus, Timeouts};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Load, Repositories};

/// How many hooks are looked after at a time. More use more of the disk, and one repository is one at a time anyway.
const AT_ONCE: usize = 4;

/// The wait before it is tried again what the log did not take.
const AGAIN: Duration = Duration::from_secs(1);

/// How often within the time that it may be silent a hook is said to go on.
const SIGNS_OF_LIFE: u32 = 3;

/// How many attempts back a task may be that is still to be called off.
const EARLIER_MAX: u32 = 8;

/// The label that a hook's tasks carry.
const LABEL: &str = "hook";

/// What keeps hooks of this node from going on, for whoever looks at them. Passing: it is found again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Troubles(Arc<Mutex<BTreeMap<HookId, String>>>);

impl Troubles {
    pub(crate) fn of(&self, hook: HookId) -> Option<String> {
        self.0.lock().get(&hook).cloned()
    }

    pub(crate) fn note(&self, hook: HookId, trouble: Option<String>) {
        let mut all = self.0.lock();
        match trouble {
            Some(trouble) => {
                if all.get(&hook) != Some(&trouble) {
                    tracing::warn!(%hook, trouble, "a hook does not go on");
                }
                all.insert(hook, trouble);
            }
            None => {
                all.remove(&hook);
            }
        }
    }
}

/// Looks after the hooks of this node, from its start to its stop.
pub(crate) struct Keeper {
    pub(crate) world: World,
    pub(crate) history: History,
    pub(crate) repositories: Arc<dyn Repositories>,
    pub(crate) patrol: Duration,
    /// How long a program may take to end that was told to.
    pub(crate) kill_grace: Duration,
    pub(crate) troubles: Troubles,
    pub(crate) stop: CancellationToken,
}

/// What is looked after next.
#[derive(Debug, Default)]
struct Wanted {
    all: bool,
    hooks: BTreeSet<HookId>,
}

/// What the keeper remembers between rounds; all of it is found again after a start.
#[derive(Default)]
struct Memory {
    /// The revision that worktree and record were brought up to.
    brought: BTreeMap<HookId, u64>,
    /// The tasks of the present attempts at hooks that have not ended.
    tasks: BTreeMap<TaskId, HookId>,
}

/// Why a hook could not be looked after.
enum Trouble {
    /// It is a matter of moments.
    Soon(String),
    /// Somebody has to do something about it, or the patrol finds it gone.
    Lasting(String),
}

impl From<super::Error> for Trouble {
    fn from(error: super::Error) -> Self {
        match error {
            super::Error::Contended(_) => Self::Soon(error.to_string()),
            _ => Self::Lasting(error.to_string()),
        }
    }
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        Self::Soon(error.to_string())
    }
}

impl Keeper {
    /// Runs until the node stops.
    pub(crate) async fn run(self) {
        let stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(self) {
        let mut events = self.world.hub.subscribe();
        let memory = Mutex::new(Memory::default());
        self.forget_strangers().await;
        let mut wanted = Wanted { all: true, ..Wanted::default() };
        let mut again = false;
        let mut looked = Instant::now();
        loop {
            if wanted.all {
                looked = Instant::now();
            }
            again |= self.round(&memory, std::mem::take(&mut wanted)).await;
            let next = match (again, self.period()) {
                (true, _) => Some(Instant::now() + AGAIN),
                (false, Some(period)) => Some(looked + period),
                (false, None) => None,
            };
            let rest = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                heard = listen(&mut events, &memory) => match heard {
                    Some(heard) => wanted = heard,
                    None => return,
                },
                () = rest => (wanted.all, again) = (true, false),
            }
        }
    }

    /// Returns how often the hooks of this node are looked after, while it has any that have not ended.
    fn period(&self) -> Option<Duration> {
        let shortest = self.world.read(|state| {
            let unfinished = state.hooks().filter(|hook| self.is_ours(hook) && !hook.status().is_end());
            unfinished.map(|hook| hook.spec.stale_after).min()
        })?;
        Some(self.patrol.min(shortest / SIGNS_OF_LIFE))
    }

    fn is_ours(&self, hook: &Hook) -> bool {
        hook.spec.node == self.world.node
    }

    /// Looks after some hooks; true when it is to be done again soon.
    async fn round(&self, memory: &Mutex<Memory>, wanted: Wanted) -> bool {
        let (hooks, gone) = self.world.read(|state| {
            if wanted.all {
                let hooks: Vec<Arc<Hook>> =
                    state.hooks().filter(|hook| self.is_ours(hook)).cloned().collect();
                return (hooks, Vec::new());
            }
            let known = wanted.hooks.iter().filter_map(|hook| state.hook(*hook));
            let hooks = known.filter(|hook| self.is_ours(hook)).cloned().collect();
            let gone = wanted.hooks.iter().filter(|hook| state.hook(**hook).is_none());
            (hooks, gone.copied().collect::<Vec<HookId>>())
        });
        for hook in gone {
            memory.lock().brought.remove(&hook);
            self.forget(hook).await;
        }
        let again = Mutex::new(false);
        futures::stream::iter(hooks)
            .for_each_concurrent(AT_ONCE, async |hook| {
                let id = hook.spec.id;
                let trouble = match Box::pin(self.attend(memory, hook)).await {
                    Ok(()) => None,
                    Err(Trouble::Soon(why)) => {
                        *again.lock() = true;
                        Some(why)
                    }
                    Err(Trouble::Lasting(why)) => Some(why),
                };
                self.troubles.note(id, trouble);
            })
            .await;
        self.remember_tasks(memory);
        again.into_inner()
    }

    fn remember_tasks(&self, memory: &Mutex<Memory>) {
        let tasks = self.world.read(|state| {
            let unfinished = state.hooks().filter(|hook| self.is_ours(hook) && !hook.status().is_end());
            unfinished.map(|hook| (hook.task(), hook.spec.id)).collect()
        });
        memory.lock().tasks = tasks;
    }

    /// Looks after one hook.
    async fn attend(&self, memory: &Mutex<Memory>, hook: Arc<Hook>) -> Result<(), Trouble> {
        let id = hook.spec.id;
        let task = self.task(hook.task())?;
        if let Some(task) = &task {
            self.follow(&hook, task).await?;
        }
        // What was said of it counts at once.
        let Some(hook) = self.world.read(|state| state.hook(id).cloned()) else { return Ok(()) };
        let task = self.task(hook.task())?;
        let brought = memory.lock().brought.get(&id) == Some(&hook.revision);
        let lacks_worktree = hook.is_held() && !self.repositories.is_there(id).await;
        if brought && !lacks_worktree && (task.is_some() || !hook.is_held()) {
            return Ok(());
        }
        self.call_off_earlier(&hook).await?;
        let load = self.load(&hook).await?;
        let worktree = self.repositories.bring_up(&hook, &load).await?;
        memory.lock().brought.insert(id, hook.revision);
        if hook.is_held() && task.is_none() {
            self.submit(&hook, &worktree.display().to_string(), &load.work).await?;
        }
        Ok(())
    }

    /// Says of a hook what became of the task of its present attempt.
    async fn follow(&self, hook: &Hook, task: &Task) -> Result<(), Trouble> {
        let (id, attempt) = (hook.spec.id, hook.attempt);
        if hook.status().is_end() {
            return Ok(());
        }
        let command = match &task.status {
            TaskStatus::Running { .. } if hook.state == HookState::Pending => {
                HookCommand::Start { hook: id, attempt }
            }
            TaskStatus::Running { .. } => HookCommand::Touch { hook: id, attempt },
            TaskStatus::Ended(end) => match &end.outcome {
                Outcome::Completed { result } => {
                    HookCommand::Complete { hook: id, attempt, result: result.clone() }
                }
                Outcome::Failed { reason } | Outcome::TimedOut { reason } => {
                    HookCommand::Fail { hook: id, attempt, reason: reason.clone() }
                }
                Outcome::Cancelled { reason } => {
                    let reason = format!("its task was cancelled: {reason}").into();
                    HookCommand::Fail { hook: id, attempt, reason }
                }
            },
            _ => return Ok(()),
        };
        let has_failed = matches!(command, HookCommand::Fail { .. });
        self.tell(Command::Hook(command)).await?;
        if has_failed {
            // The hook says what became of it; tried again, its task would write where the next attempt does.
            self.tell(Command::Purge { task: task.spec.id }).await?;
        }
        Ok(())
    }

    /// Calls off what is left of earlier attempts, and waits until who worked on it has ended.
    async fn call_off_earlier(&self, hook: &Hook) -> Result<(), Trouble> {
        let mut was_running = false;
        let first = hook.attempt.saturating_sub(EARLIER_MAX).max(1);
        for attempt in first..hook.attempt {
            let task = hook.spec.id.task_of(attempt);
            let is_running = self.world.read(|state| {
                let task = state.task(task).filter(|task| task.end().is_none());
                task.map(|task| task.lease().is_some())
            });
            let Some(is_running) = is_running else { continue };
            was_running |= is_running;
            let reason = format!("attempt {} has its hook", hook.attempt).into();
            self.tell(Command::Cancel { task, reason }).await?;
        }
        if was_running {
            tokio::time::sleep(self.kill_grace).await;
        }
        Ok(())
    }

    /// Gives the agent of a hook its work.
    async fn submit(&self, hook: &Hook, worktree: &str, work: &[u8]) -> Result<(), Trouble> {
        let spec = &hook.spec;
        let work = serde_json::from_slice::<serde_json::Value>(work)
            .unwrap_or_else(|_| String::from_utf8_lossy(work).into_owned().into());
        let payload = json!({
            "hook": spec.id.to_string(),
            "attempt": hook.attempt,
            "repository": &*spec.repository,
            "branch": &*spec.branch,
            "worktree": worktree,
            "work": work,
        });
        let payload = self.store(payload.to_string().into_bytes()).await?;
        let labels = Name::new(LABEL).map(|label| (label, spec.id.to_string().into()));
        let task = TaskSpec {
            id: hook.task(),
            workspace: spec.workspace.clone(),
            kind: spec.kind.clone(),
            mailbox: MailboxId::Agent(hook.agent),
            demand: Capabilities::default(),
            lane: Lane::default(),
            deadline: None,
            timeouts: Timeouts::default(),
            // Another try is another attempt at the hook, on what this one left.
            retry: RetryPolicy { max_attempts: 1, ..RetryPolicy::default() },
            payload,
            idempotency_key: Some(format!("{}/{}", spec.id, hook.attempt).into()),
            labels: labels.into_iter().collect(),
            run: None,
            redriven_from: None,
            metadata: None,
        };
        let spec = Arc::new(task);
        let terms = self.world.read(|state| state.hook_terms(hook.spec.id)?.terms.clone());
        let submit = match terms {
            Some(terms) => Command::SubmitWith { spec, terms },
            None => Command::Submit { spec },
        };
        match self.world.propose(submit).await? {
            Ok(_) | Err(Refusal::TaskExists(_)) => Ok(()),
            Err(refusal) if refusal.is_temporary() => Err(Trouble::Lasting(refusal.to_string())),
            Err(refusal) => Err(Trouble::Lasting(format!("{refusal}; {}", refusal.hint()))),
        }
    }

    /// Proposes something that may have become wrong meanwhile; then it is not true any more either.
    async fn tell(&self, command: Command) -> Result<(), Trouble> {
        if let Err(refusal) = self.world.propose(command).await? {
            tracing::debug!(%refusal, "what was said of a hook came too late");
        }
        Ok(())
    }

    fn task(&self, task: TaskId) -> Result<Option<Arc<Task>>, Trouble> {
        if let Some(found) = self.world.read(|state| state.task(task).cloned()) {
            return Ok(Some(found));
        }
        self.history.task(task).map_err(|error| Trouble::Soon(format!("history cannot be read: {error}")))
    }

    async fn load(&self, hook: &Hook) -> Result<Load, Trouble> {
        let work = self.fetch(&hook.spec.work).await?;
        let result = match hook.result() {
            Some(result) => Some(self.fetch(result).await?),
            None => None,
        };
        Ok(Load { work, result })
    }

    async fn fetch(&self, payload: &Payload) -> Result<Vec<u8>, Trouble> {
        match payload {
            Payload::Inline(bytes) => Ok(bytes.to_vec()),
            Payload::Blob { hash, .. } => {
                let bytes = self.world.blobs.get(hash).await;
                bytes.map(|bytes| bytes.to_vec()).map_err(Trouble::Lasting)
            }
        }
    }

    async fn store(&self, bytes: Vec<u8>) -> Result<Payload, Trouble> {
        if bytes.len() <= INLINE_BYTES_MAX {
            return Ok(Payload::inline(bytes));
        }
        let size = bytes.len() as u64;
        let hash = self.world.blobs.put(&bytes.into()).await.map_err(Trouble::Lasting)?;
        Ok(Payload::Blob { hash, size })
    }

    /// Removes the worktrees of hooks that ended and that the log does not know any more. What has not ended stays: a log
    /// that does not know it may have been lost, and an import finds it.
    async fn forget_strangers(&self) {
        for hook in self.repositories.over().await {
            let is_ours = self.world.read(|state| state.hook(hook).is_some_and(|hook| self.is_ours(hook)));
            if !is_ours {
                self.forget(hook).await;
            }
        }
    }

    async fn forget(&self, hook: HookId) {
        self.troubles.note(hook, None);
        if let Err(error) = self.repositories.forget(hook).await {
            // It is tried again with the next start.
            tracing::warn!(%hook, %error, "the worktree of a hook that was removed stays");
        }
    }
}

/// Waits for something that concerns hooks, and returns which; nothing when nothing will come any more.
async fn listen(events: &mut Subscription, memory: &Mutex<Memory>) -> Option<Wanted> {
    loop {
        let happening = match events.next().await {
            Heard::Happening(happening) => happening,
            Heard::Missed(_) => return Some(Wanted { all: true, ..Wanted::default() }),
            Heard::Closed => return None,
        };
        let hooks: BTreeSet<HookId> = {
            let memory = memory.lock();
            let of_task = |task: &TaskId| memory.tasks.get(task).copied();
            let concerned = happening.events.iter().filter_map(|event| match event {
                Event::Governed { subject, .. } => subject.parse().ok(),
                Event::TaskStarted { task, .. } | Event::TaskEnded { task, .. } => of_task(task),
                _ => None,
            });
            concerned.collect()
        };
        if !hooks.is_empty() {
            return Some(Wanted { all: false, hooks });
        }
    }
}
