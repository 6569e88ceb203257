//! A journal in memory: the real state, a clock that stands still with the test's, and faults on demand.
//!
//! Like the real one it takes commands in the order in which they came, writes everything that queued up as
//! one entry, publishes events before it answers, and applies what was queued although its caller left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use synod_actors::events::{EventHub, Happening};
use synod_actors::ports::{Journal, JournalError};
use synod_domain::chance::Chance;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::RequestId;
use synod_domain::reply::Answer;
use synod_domain::sources::{Clock, Entropy};
use synod_domain::state::State;
use synod_domain::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The time that tokio shows, which stands still unless the test lets it pass.
pub(crate) struct PausedClock(Instant);

impl PausedClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000_000).after(self.0.elapsed())
    }
}

pub(crate) struct SeededEntropy(Mutex<Chance>);

impl SeededEntropy {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Chance::new(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn draw(&self) -> u64 {
        self.0.lock().draw()
    }
}

/// How often a test's node may be told that there is no room. Simulated time stands still while somebody asks
/// again and again, so that would end in a test that hangs and not in one that fails.
const TURNED_AWAY_MAX: usize = 100_000;

/// What is to go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// How long an entry takes.
    pub(crate) delay: Duration,
    /// Of a hundred commands, how many are not written and answered as unknown.
    pub(crate) lost: u64,
    /// Of a hundred commands, how many are written and answered as unknown.
    pub(crate) unsure: u64,
    /// Answers everything at once that there is no room.
    pub(crate) no_room: bool,
}

struct Waiting {
    /// None for a tick.
    request: Option<Request>,
    caller: oneshot::Sender<Result<Option<Answer>, JournalError>>,
}

pub(crate) struct FakeJournal {
    queue: mpsc::UnboundedSender<Waiting>,
    core: Arc<Core>,
    /// How many of the next reads panic.
    pub(crate) broken_reads: AtomicUsize,
    turned_away: AtomicUsize,
}

/// What the writer and its callers share.
pub(crate) struct Core {
    state: RwLock<State>,
    clock: Arc<PausedClock>,
    pub(crate) hub: EventHub,
    chance: Mutex<Chance>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) asked: Mutex<Asked>,
}

/// What was asked of the journal.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) commands: Vec<Command>,
    pub(crate) ticks: usize,
    /// How often each request was sent; more than once after an unknown outcome.
    pub(crate) sent: BTreeMap<RequestId, usize>,
    index: u64,
}

impl FakeJournal {
    pub(crate) fn start(clock: Arc<PausedClock>, hub: EventHub, seed: u64) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        let core = Arc::new(Core {
            state: RwLock::default(),
            clock,
            hub,
            chance: Mutex::new(Chance::new(seed)),
            faults: Mutex::default(),
            asked: Mutex::default(),
        });
        tokio::spawn(core.clone().write(waiting));
        Self { queue, core, broken_reads: AtomicUsize::new(0), turned_away: AtomicUsize::new(0) }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    async fn ask(&self, request: Option<Request>) -> Result<Option<Answer>, JournalError> {
        if self.core.faults.lock().no_room {
            let turned_away = self.turned_away.fetch_add(1, Ordering::SeqCst);
            assert!(turned_away < TURNED_AWAY_MAX, "somebody asks without a pause");
            return Err(JournalError::NoSpace);
        }
        let (caller, answer) = oneshot::channel();
        self.queue.send(Waiting { request, caller }).map_err(|_| JournalError::Stopped)?;
        answer.await.map_err(|_| JournalError::Stopped)?
    }
}

impl Core {
    async fn write(self: Arc<Self>, mut waiting: mpsc::UnboundedReceiver<Waiting>) {
        while let Some(first) = waiting.recv().await {
            let mut batch = vec![first];
            let delay = self.faults.lock().delay;
            if delay.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(delay).await;
            }
            while let Ok(next) = waiting.try_recv() {
                batch.push(next);
            }
            self.write_batch(batch);
        }
    }

    fn write_batch(&self, batch: Vec<Waiting>) {
        let faults = *self.faults.lock();
        let unknown = || Err(JournalError::Unknown("the test wants it so".to_owned()));
        let (mut commands, mut callers) = (Vec::new(), Vec::new());
        for Waiting { request, caller } in batch {
            let Some(request) = request else {
                callers.push((caller, None, false));
                continue;
            };
            let drawn = self.chance.lock().below(100);
            if drawn < faults.lost {
                let _ = caller.send(unknown());
                continue;
            }
            callers.push((caller, Some(commands.len()), drawn < faults.lost + faults.unsure));
            commands.push(request);
        }
        let answers = self.apply(commands);
        for (caller, place, unsure) in callers {
            let told = if unsure { unknown() } else { Ok(place.map(|place| answers[place].clone())) };
            // The caller may have left.
            let _ = caller.send(told);
        }
    }

    /// Applies one entry at once, without waiting behind others.
    pub(crate) fn apply(&self, commands: Vec<Request>) -> Vec<Answer> {
        let seed = self.chance.lock().draw();
        let mut state = self.state.write();
        let entry = Entry { at: self.clock.now(), seed, commands };
        let effects = state.apply(&entry);
        drop(state);
        let index = {
            let mut asked = self.asked.lock();
            asked.index += 1;
            asked.index
        };
        let whose = BTreeMap::new();
        self.hub.publish(Happening { index, at: entry.at, events: effects.events, whose });
        effects.answers
    }
}

#[async_trait]
impl Journal for FakeJournal {
    async fn propose(&self, id: RequestId, command: Command) -> Result<Answer, JournalError> {
        {
            let mut asked = self.core.asked.lock();
            asked.commands.push(command.clone());
            *asked.sent.entry(id).or_default() += 1;
        }
        let answer = self.ask(Some(Request { id, command })).await?;
        Ok(answer.unwrap())
    }

    async fn tick(&self) -> Result<(), JournalError> {
        self.core.asked.lock().ticks += 1;
        self.ask(None).await.map(drop)
    }

    fn read(&self, look: &mut dyn FnMut(&State)) {
        let broken =
            self.broken_reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(broken.is_err(), "the test wants this look at the state to panic");
        look(&self.core.state.read());
    }
}
