//! Looks now and then why work waits, and whether anything will happen at all.
//!
//! The causes are the node's own answers to why a task waits, those of the first waiting task of each entry. A cause
//! that the node learns to give is counted here without a change. What something holds back is counted under the word of
//! what holds it, and when the node says that it opens by itself, that is waited for, once: a budget that is too small in
//! every window opens for ever and lets nothing go.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use synod::node::Node;
use synod::node::domain::name::Name;
use synod::node::domain::task::{Task, TaskStatus};
use synod::node::domain::time::Timestamp;
use synod::node::domain::why::Why;

use super::stage::Stage;
use crate::machine::Machine;

/// The shortest pause between two looks.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// A look is taken after so much of the time that has passed: some thousand looks for a day.
const PART: u32 = 256;

/// For how long work waited for a cause.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Waited {
    pub(super) time: Duration,
    /// What the node said of one task.
    pub(super) example: String,
}

/// When it was looked last.
pub(super) struct Watch {
    began: Duration,
    looked: Duration,
}

impl Watch {
    pub(super) const fn new(now: Duration) -> Self {
        Self { began: now, looked: now }
    }

    /// Returns how long to wait before the next look.
    pub(super) fn pause(&self) -> Duration {
        (self.looked.saturating_sub(self.began) / PART).max(PAUSE_MIN)
    }

    /// Looks why work waits, and counts the time since the last look for the causes.
    pub(super) fn look(&mut self, node: &Node, machine: &Machine, stage: &Stage) {
        let now = machine.elapsed();
        let time = now.saturating_sub(self.looked);
        self.looked = now;
        let still_since = *stage.moved_at.lock();
        let mut waits = stage.waits.lock();
        for (kind, why) in causes(node) {
            if let Some((what, until)) = opens(&why) {
                let due = now + until.since(node.now());
                stage.openings.lock().note(still_since, (kind.clone(), what), due);
            }
            let waited = waits
                .entry((kind, word(&why)))
                .or_insert_with(|| Waited { time: Duration::ZERO, example: why.to_string() });
            waited.time += time;
        }
    }
}

/// When those that are held back go on by themselves, as the node said when nothing had happened since.
#[derive(Debug, Default)]
pub(super) struct Openings {
    /// Since when nothing has happened.
    still_since: Duration,
    /// By entry and what it waits for.
    due: BTreeMap<(Name, String), Duration>,
}

impl Openings {
    /// Notes what the node says, for the first time of each.
    fn note(&mut self, still_since: Duration, what: (Name, String), due: Duration) {
        if self.still_since != still_since {
            *self = Self { still_since, due: BTreeMap::new() };
        }
        self.due.entry(what).or_insert(due);
    }

    /// Returns from when on it is a silence that nothing happens.
    fn silent_since(&self, still_since: Duration) -> Duration {
        let due = self.due.values().filter(|_| self.still_since == still_since).max();
        due.copied().unwrap_or_default().max(still_since)
    }
}

/// Returns the word for a cause.
pub(super) const fn word(why: &Why) -> &'static str {
    match why {
        Why::HeldBack { on, .. } => on.word(),
        other => other.code(),
    }
}

/// Returns what a task waits for that comes by itself, and when.
fn opens(why: &Why) -> Option<(String, Timestamp)> {
    match why {
        Why::HeldBack { on, until: Some(until), .. } => Some((on.to_string(), *until)),
        Why::BackingOff { until, .. } => Some((why.code().to_owned(), *until)),
        _ => None,
    }
}

/// Asks of each entry why the first of its waiting tasks waits.
fn causes(node: &Node) -> BTreeMap<Name, Why> {
    node.read(|state| {
        let mut first = BTreeMap::<&Name, &Task>::new();
        for task in state.tasks() {
            let waits = match task.status {
                TaskStatus::Waiting { .. } | TaskStatus::Kept { .. } | TaskStatus::Parked { .. } => true,
                // Less telling than one that could be given out.
                TaskStatus::BackingOff { .. } => !first.contains_key(&task.spec.kind),
                TaskStatus::Scheduled { .. } | TaskStatus::Running { .. } | TaskStatus::Ended(_) => false,
            };
            let is_better = first
                .get(&task.spec.kind)
                .is_none_or(|known| matches!(known.status, TaskStatus::BackingOff { .. }));
            if waits && is_better {
                first.insert(&task.spec.kind, task);
            }
        }
        let asked =
            first.into_iter().filter_map(|(kind, task)| Some((kind.clone(), state.why(task.spec.id)?)));
        asked.collect()
    })
}

/// Tells whether nothing will happen any more: nobody works, and longer than anything may wait nothing has happened, since
/// what was held back was to go on.
pub(super) fn is_still(machine: &Machine, stage: &Stage) -> bool {
    let since = stage.openings.lock().silent_since(*stage.moved_at.lock());
    let still = machine.elapsed().saturating_sub(since);
    let outside_works = stage.hands.lock().values().flatten().any(|held| held.due < Duration::MAX);
    stage.working.load(Ordering::Relaxed) == 0 && !outside_works && still > stage.patience()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_opening_is_waited_for_once_and_until_something_happens() {
        let mut openings = Openings::default();
        let what = |on: &str| (Name::default(), on.to_owned());
        openings.note(s(10), what("budget a"), s(3_600));
        assert_eq!(openings.silent_since(s(10)), s(3_600));
        openings.note(s(10), what("budget a"), s(7_200));
        assert_eq!(openings.silent_since(s(10)), s(3_600), "it opened, and nothing came of it");
        openings.note(s(10), what("budget b"), s(86_400));
        assert_eq!(openings.silent_since(s(10)), s(86_400), "something else opens later");
        assert_eq!(openings.silent_since(s(4_000)), s(4_000), "something has happened");
        openings.note(s(4_000), what("budget a"), s(7_200));
        assert_eq!(openings.silent_since(s(4_000)), s(7_200));
    }
}
