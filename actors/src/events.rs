//! The event hub: what happened, to everybody who listens.
//!
//! Bounded: a subscriber that falls behind loses the oldest happenings and is told how many. Nobody
//! else waits for it. Events are hints to look at the state; the state is what counts, so a subscriber
//! that missed some reads it afresh.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_domain::event::Event;
use synod_domain::name::Name;
use synod_domain::time::Timestamp;
use tokio::sync::broadcast;

/// How many happenings the hub holds for its slowest subscriber. Each is one log entry's events; more
/// let subscribers lag longer and hold more memory.
const BACKLOG: usize = 4096;

/// What one entry of the log brought about.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// The entry's place in the log.
    pub index: u64,
    /// The entry's time.
    pub at: Timestamp,
    /// The events, in order.
    pub events: Vec<Event>,
    /// Whose those of them are that do not say it themselves, by their place, as it was when they happened.
    pub whose: BTreeMap<usize, Name>,
}

impl Happening {
    /// Returns the workspace that is told of the event of a place, beside operators.
    pub fn workspace_of(&self, slot: usize) -> Option<&Name> {
        self.events.get(slot)?.workspace().or_else(|| self.whose.get(&slot))
    }
}

/// Takes happenings in and gives them out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventHub {
    sender: broadcast::Sender<Arc<Happening>>,
}

impl Default for EventHub {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG) }
    }
}

impl EventHub {
    /// Tells all subscribers. Never waits.
    pub fn publish(&self, happening: impl Into<Arc<Happening>>) {
        let happening = happening.into();
        if !happening.events.is_empty() {
            // An error means that nobody listens.
            let _ = self.sender.send(happening);
        }
    }

    /// Tells all subscribers that what happened through an entry was not told, so that they read the state afresh.
    /// Never waits.
    pub fn skip(&self, index: u64, at: Timestamp) {
        // An error means that nobody listens.
        let _ =
            self.sender.send(Arc::new(Happening { index, at, events: Vec::new(), whose: BTreeMap::new() }));
    }

    /// Listens from here on.
    pub fn subscribe(&self) -> Subscription {
        Subscription { receiver: self.sender.subscribe() }
    }
}

/// What a subscriber hears next.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// Something happened.
    Happening(Arc<Happening>),
    /// So many happenings at least were dropped, because this subscriber was too slow or the node got a snapshot in
    /// their place; read the state afresh.
    Missed(u64),
    /// The hub is gone; nothing will come any more.
    Closed,
}

/// One subscriber's place in the stream.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Arc<Happening>>,
}

impl Subscription {
    /// Waits for what comes next. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Heard {
        match self.receiver.recv().await {
            // Entries without events are not told, so this is a gap.
            Ok(happening) if happening.events.is_empty() => Heard::Missed(1),
            Ok(happening) => Heard::Happening(happening),
            Err(broadcast::error::RecvError::Lagged(missed)) => Heard::Missed(missed),
            Err(broadcast::error::RecvError::Closed) => Heard::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_domain::id::TaskId;
    use synod_domain::name::Name;

    use super::*;

    fn happening(index: u64) -> Happening {
        let events = vec![Event::DeadLetterRemoved { task: TaskId::from_raw(1), workspace: Name::default() }];
        Happening { index, at: Timestamp::ZERO, events, whose: BTreeMap::new() }
    }

    #[tokio::test]
    async fn slow_subscriber_is_told_how_many_it_missed_and_goes_on_with_the_oldest_kept() {
        let hub = EventHub::default();
        let mut subscription = hub.subscribe();
        for index in 0..BACKLOG as u64 + 7 {
            hub.publish(happening(index));
        }
        assert_eq!(subscription.next().await, Heard::Missed(7));
        assert_eq!(subscription.next().await, Heard::Happening(Arc::new(happening(7))));
    }

    #[tokio::test]
    async fn gap_is_heard_as_something_missed() {
        let hub = EventHub::default();
        let mut subscription = hub.subscribe();
        hub.skip(7, Timestamp::ZERO);
        hub.publish(happening(8));
        assert_eq!(subscription.next().await, Heard::Missed(1));
        assert_eq!(subscription.next().await, Heard::Happening(Arc::new(happening(8))));
    }

    #[tokio::test]
    async fn entries_without_events_are_not_told() {
        let hub = EventHub::default();
        let mut subscription = hub.subscribe();
        hub.publish(Happening { index: 1, at: Timestamp::ZERO, events: Vec::new(), whose: BTreeMap::new() });
        hub.publish(happening(2));
        assert_eq!(subscription.next().await, Heard::Happening(Arc::new(happening(2))));
    }
}
