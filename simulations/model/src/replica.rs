//! What a node has agreed to: a log, and the real state that it makes.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use synod_domain::command::Entry;
use synod_domain::event::Event;
use synod_domain::reply::Answer;
use synod_domain::row::{Row, RowKey};
use synod_domain::state::State;

use crate::protocol::Op;
use crate::setting;

/// A log and its state. Two are alike when their states are, whatever way led there.
pub struct Replica {
    log: Vec<Arc<Entry>>,
    state: State,
    digest: u64,
}

/// What came of one operation.
#[derive(Debug)]
pub struct Step {
    /// The replica after it.
    pub(crate) replica: Arc<Replica>,
    /// What was answered, if something was asked.
    pub(crate) answer: Option<Answer>,
    /// What happened.
    pub(crate) events: Vec<Event>,
}

/// What came of each operation on each state, so that it is worked out once: most steps of the model change who waits
/// for what, and the state alone has far fewer values than the whole.
#[derive(Debug, Default)]
pub struct Steps(Mutex<BTreeMap<(u64, Op), Arc<Step>>>);

impl Steps {
    /// Applies an operation to a replica.
    pub(crate) fn take(&self, replica: &Replica, op: Op) -> Arc<Step> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let step = known.entry((replica.digest, op)).or_insert_with(|| Arc::new(replica.apply(op)));
        Arc::clone(step)
    }
}

impl Replica {
    /// Returns the replica that every node begins with.
    pub(crate) fn first() -> Self {
        Self::replay(setting::beginning().map(Arc::new).to_vec())
    }

    /// Returns the state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns what another node makes of the same log, but for its last `lost` entries.
    pub(crate) fn of_another(&self, lost: usize) -> Self {
        Self::replay(self.log[..self.log.len() - lost].to_vec())
    }

    fn apply(&self, op: Op) -> Step {
        let entry = setting::entry(op, self.state.now());
        let mut state = replayed(&self.log);
        let effects = state.apply(&entry);
        let mut log = self.log.clone();
        log.push(Arc::new(entry));
        let replica = Arc::new(Self::of(log, state));
        Step { replica, answer: effects.answers.into_iter().next(), events: effects.events }
    }

    fn replay(log: Vec<Arc<Entry>>) -> Self {
        let state = replayed(&log);
        Self::of(log, state)
    }

    fn of(log: Vec<Arc<Entry>>, state: State) -> Self {
        let digest = digest(&state);
        Self { log, state, digest }
    }
}

/// The state is not copied but made again: that it may be is what a replica relies on.
fn replayed(log: &[Arc<Entry>]) -> State {
    let mut state = State::default();
    for entry in log {
        state.apply(entry);
    }
    state
}

/// Sums a state up in a number.
///
/// In which order requests were answered is left out: it only says which is forgotten first, and a model this small
/// comes to no end of the window. It would count each state once for each order that led to it.
fn digest(state: &State) -> u64 {
    let mut hasher = Text(DefaultHasher::new());
    for (key, row) in state.rows() {
        match (key, row) {
            (RowKey::Requests(_), Row::Requests(_, mut page)) => {
                page.sort_by_key(|(id, _)| *id);
                hasher.add(&page);
            }
            (_, row) => hasher.add(&row),
        }
    }
    hasher.0.finish()
}

struct Text(DefaultHasher);

impl Text {
    fn add(&mut self, what: &impl fmt::Debug) {
        // A hasher takes everything.
        let _ = write!(self, "{what:?}");
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl PartialEq for Replica {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Hash for Replica {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.digest.hash(hasher);
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries: {:?}", self.log.len(), self.state.task(setting::TASK).map(|task| &task.status))
    }
}
