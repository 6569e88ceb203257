//! The feed: the latest events of a node, kept so that a listener who comes back misses none.
//!
//! ```text
//!  log entry applied ─► ring of the latest events ─► any number of readers, each with its own place
//!                             │ full: the oldest go               │ a place that is gone: told so
//! ```
//!
//! The ring is filled once, as entries are applied, before whoever proposed them gets an answer. Readers hold
//! no memory for what they have not read: they ask for what comes after their place, and sleep until there is
//! something. Promises that a reader is given every event behind its place, in order, or is told that some are
//! gone; when in doubt (a place from before this start, or of another node) it is told so. Left to others: what
//! an event means, and to whom it may be shown.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::Mutex;
use synod_actors::events::Happening;
use synod_domain::event::Event;
use synod_domain::name::Name;
use synod_domain::time::Timestamp;
use tokio::sync::watch;

/// How many events are kept. Each takes some 200 bytes and its texts; a second of full load, or an hour of ordinary work.
pub const EVENTS_KEPT: usize = 65_536;

/// How many bytes of events are kept, about: reasons and notes are of clients' making, and the longest of them in
/// every event would take hundreds of megabytes.
const BYTES_KEPT: usize = 64 * 1024 * 1024;

/// What an event takes besides its texts, about.
const EVENT_BYTES: usize = 200;

/// How many events a reader is given at a time.
const BATCH_MAX: usize = 512;

/// The place of an event: the entry of the log that brought it about, and its number in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The entry's place in the log.
    pub index: u64,
    /// The event's number among those of the entry, from 0.
    pub number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.number)
    }
}

/// Says that a text is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of an event: two numbers with a dot between them")]
pub struct PlaceUnknown(String);

impl FromStr for Place {
    type Err = PlaceUnknown;

    fn from_str(text: &str) -> Result<Self, PlaceUnknown> {
        let read = || {
            let (index, number) = text.split_once('.')?;
            Some(Self { index: index.parse().ok()?, number: number.parse().ok()? })
        };
        read().ok_or_else(|| PlaceUnknown(text.to_owned()))
    }
}

/// One event in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Where it stands.
    pub place: Place,
    /// When it happened.
    pub at: Timestamp,
    happening: Arc<Happening>,
    slot: usize,
}

impl Told {
    /// Returns what happened.
    pub fn event(&self) -> Option<&Event> {
        self.happening.events.get(self.slot)
    }

    /// Returns the workspace that is told of it, beside operators.
    pub fn workspace(&self) -> Option<&Name> {
        self.happening.workspace_of(self.slot)
    }
}

/// What a reader is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// The next events, at least one.
    Events(Vec<Told>),
    /// Events behind the reader's place are gone; it goes on with the first that is kept, if there is one.
    Missed {
        /// The first that is kept.
        resumed_at: Option<Place>,
        /// How many entries of the log lie between, those without events included, where that is known.
        entries: Option<u64>,
    },
    /// The node stops; nothing will come any more.
    Closed,
}

/// The latest events of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: Mutex<Ring>,
    /// Raised with every happening; readers sleep on it.
    grown: watch::Sender<u64>,
    /// Raised with every change of a token; what lasts as long as a token sleeps on it.
    tokens: watch::Sender<u64>,
    /// How many events are kept.
    kept: usize,
    /// How many bytes of them, about.
    bytes_kept: usize,
}

#[derive(Debug, Default)]
struct Ring {
    happenings: VecDeque<Arc<Happening>>,
    events: usize,
    bytes: usize,
    /// What comes behind this is all kept. `None` before the first happening.
    lost: Option<Place>,
    /// The last event that was told.
    last: Option<Place>,
    /// Whether events had to go.
    dropped: bool,
    closed: bool,
}

impl Default for Feed {
    fn default() -> Self {
        Self::with_room(EVENTS_KEPT, BYTES_KEPT)
    }
}

impl Feed {
    fn with_room(kept: usize, bytes_kept: usize) -> Self {
        let (grown, tokens) = (watch::Sender::new(0), watch::Sender::new(0));
        Self(Arc::new(Inner { ring: Mutex::default(), grown, tokens, kept, bytes_kept }))
    }

    /// Takes in what an entry brought about. Never waits.
    pub fn tell(&self, happening: Arc<Happening>) {
        let Some(last) = last_of(&happening) else { return };
        let changes_tokens = happening.events.iter().any(|event| event.token().is_some());
        {
            let mut ring = self.0.ring.lock();
            // After a restart the entries behind the last checkpoint are told again; never backwards.
            if ring.last.is_some_and(|known| last <= known) {
                return;
            }
            let before = Place { index: happening.index.saturating_sub(1), number: u64::MAX };
            ring.lost.get_or_insert(before);
            ring.last = Some(last);
            ring.events += happening.events.len();
            ring.bytes += bytes_of(&happening);
            ring.happenings.push_back(happening);
            // The latest stays whatever its size.
            let is_full = |ring: &Ring| ring.events > self.0.kept || ring.bytes > self.0.bytes_kept;
            while is_full(&ring) && ring.happenings.len() > 1 {
                let Some(oldest) = ring.happenings.pop_front() else { break };
                ring.events -= oldest.events.len();
                ring.bytes -= bytes_of(&oldest);
                ring.lost = last_of(&oldest).or(ring.lost);
                ring.dropped = true;
            }
        }
        self.0.grown.send_modify(|count| *count += 1);
        if changes_tokens {
            self.0.tokens.send_modify(|count| *count += 1);
        }
    }

    /// Notes that what happened through an entry was not told here: readers that were behind it have missed it.
    pub fn skip(&self, index: u64) {
        {
            let mut ring = self.0.ring.lock();
            let gone = Place { index, number: u64::MAX };
            if ring.last.is_some_and(|known| gone <= known) {
                return;
            }
            ring.happenings.clear();
            (ring.events, ring.bytes) = (0, 0);
            (ring.lost, ring.last, ring.dropped) = (Some(gone), Some(gone), true);
        }
        self.0.grown.send_modify(|count| *count += 1);
        // Tokens may be among what was not told.
        self.0.tokens.send_modify(|count| *count += 1);
    }

    /// Tells of changes of tokens from here on, and of nothing else.
    pub(crate) fn token_changes(&self) -> watch::Receiver<u64> {
        self.0.tokens.subscribe()
    }

    /// Sends all readers away.
    pub fn close(&self) {
        self.0.ring.lock().closed = true;
        self.0.grown.send_modify(|count| *count += 1);
    }

    /// Reads on behind `after`, or from here on.
    pub fn reader(&self, after: Option<Place>) -> Reader {
        let grown = self.0.grown.subscribe();
        let after = after.or(self.0.ring.lock().last);
        Reader { feed: self.clone(), grown, after }
    }
}

fn last_of(happening: &Happening) -> Option<Place> {
    let number = happening.events.len().checked_sub(1)?;
    Some(Place { index: happening.index, number: u64::try_from(number).unwrap_or(u64::MAX) })
}

/// Returns what the events of an entry take, about.
fn bytes_of(happening: &Happening) -> usize {
    happening.events.iter().map(|event| EVENT_BYTES + event.text_bytes()).sum()
}

impl Ring {
    /// Returns what comes after a place, and the place to go on from; `None` when nothing has come.
    fn after(&self, after: Option<Place>) -> Option<(Read, Option<Place>)> {
        let unknown = match after {
            // Nothing had been told when this reader came, so everything is new to it.
            None => self.dropped,
            Some(after) => {
                let too_old = self.lost.is_none_or(|lost| after < lost);
                let of_elsewhere = self.last.is_none_or(|last| after.index > last.index);
                too_old || of_elsewhere
            }
        };
        if unknown {
            // What is kept comes next, from its first event on.
            return Some((self.missed(after), self.lost));
        }
        let from = after.map_or(0, |after| self.happenings.partition_point(|one| one.index < after.index));
        let mut told = Vec::new();
        for happening in self.happenings.iter().skip(from) {
            for slot in 0..happening.events.len() {
                let number = u64::try_from(slot).unwrap_or(u64::MAX);
                let place = Place { index: happening.index, number };
                if after.is_none_or(|after| place > after) {
                    told.push(Told { place, at: happening.at, happening: happening.clone(), slot });
                }
                if told.len() >= BATCH_MAX {
                    return Some((Read::Events(told), Some(place)));
                }
            }
        }
        match (told.last().map(|last| last.place), self.closed) {
            (Some(last), _) => Some((Read::Events(told), Some(last))),
            (None, true) => Some((Read::Closed, after)),
            (None, false) => None,
        }
    }

    fn missed(&self, after: Option<Place>) -> Read {
        let first = self.happenings.front().map(|first| Place { index: first.index, number: 0 });
        let entries = first.zip(after).and_then(|(first, after)| first.index.checked_sub(after.index));
        Read::Missed { resumed_at: first, entries }
    }
}

/// A place in the feed, and what comes after it.
#[derive(Debug)]
pub struct Reader {
    feed: Feed,
    grown: watch::Receiver<u64>,
    after: Option<Place>,
}

impl Reader {
    /// Waits for what comes next. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Read {
        loop {
            self.grown.mark_unchanged();
            let read = self.feed.0.ring.lock().after(self.after);
            if let Some((read, after)) = read {
                self.after = after;
                return read;
            }
            if self.grown.changed().await.is_err() {
                return Read::Closed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use synod_domain::id::AgentId;
    use synod_domain::pause::Pausable;

    use super::*;

    fn happening(index: u64, events: usize) -> Arc<Happening> {
        let event =
            |number| Event::AgentRemoved { agent: AgentId::from_raw(number), workspace: Name::default() };
        let events = (0..events).map(|number| event(number as u128)).collect();
        Arc::new(Happening { index, at: Timestamp::ZERO, events, whose: BTreeMap::new() })
    }

    fn place(text: &str) -> Place {
        text.parse().expect("a place")
    }

    fn places(read: Read) -> Vec<String> {
        match read {
            Read::Events(told) => told.iter().map(|one| one.place.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn reader_goes_on_behind_its_place_within_an_entry_too() {
        let feed = Feed::default();
        for index in [5, 7, 9] {
            feed.tell(happening(index, 2));
        }
        let mut reader = feed.reader(Some(place("5.0")));
        assert_eq!(places(reader.next().await), ["5.1", "7.0", "7.1", "9.0", "9.1"]);
        feed.tell(happening(10, 1));
        assert_eq!(places(reader.next().await), ["10.0"]);
        let from_here = feed.reader(None);
        feed.tell(happening(11, 1));
        let mut from_here = from_here;
        assert_eq!(places(from_here.next().await), ["11.0"]);
    }

    #[tokio::test]
    async fn reader_that_fell_behind_is_told_so_and_goes_on_with_the_first_that_is_kept() {
        let feed = Feed::with_room(4, BYTES_KEPT);
        feed.tell(happening(1, 2));
        let mut reader = feed.reader(Some(place("1.0")));
        for index in 2..=4 {
            feed.tell(happening(index, 2));
        }
        let missed = Read::Missed { resumed_at: Some(place("3.0")), entries: Some(2) };
        assert_eq!(reader.next().await, missed);
        assert_eq!(places(reader.next().await), ["3.0", "3.1", "4.0", "4.1"]);
        // Who has seen the last of what is gone has missed nothing.
        assert_eq!(places(feed.reader(Some(place("2.1"))).next().await), ["3.0", "3.1", "4.0", "4.1"]);
    }

    #[tokio::test]
    async fn events_with_long_texts_make_the_oldest_go_sooner() {
        let told = |index, reason: &str| {
            let reason = reason.into();
            let event = Event::Paused { what: Pausable::Workspace(Name::default()), reason };
            let (at, events) = (Timestamp::ZERO, vec![event]);
            Arc::new(Happening { index, at, events, whose: BTreeMap::new() })
        };
        let feed = Feed::with_room(EVENTS_KEPT, 3 * EVENT_BYTES);
        feed.tell(told(1, "short"));
        let mut reader = feed.reader(Some(place("1.0")));
        feed.tell(told(2, "short"));
        assert_eq!(places(reader.next().await), ["2.0"]);
        feed.tell(told(3, &"long".repeat(EVENT_BYTES)));
        let missed = Read::Missed { resumed_at: Some(place("3.0")), entries: Some(2) };
        assert_eq!(feed.reader(Some(place("1.0"))).next().await, missed);
        assert_eq!(places(reader.next().await), ["3.0"], "the latest stays whatever its size");
    }

    #[tokio::test]
    async fn place_of_before_this_start_or_of_another_node_is_told_to_have_missed_events() {
        let feed = Feed::default();
        assert_eq!(
            feed.reader(Some(place("3.0"))).next().await,
            Read::Missed { resumed_at: None, entries: None }
        );
        feed.tell(happening(8, 1));
        let first = Some(place("8.0"));
        for (after, entries) in [("7.3", Some(1)), ("3.0", Some(5)), ("9.0", None)] {
            let missed = Read::Missed { resumed_at: first, entries };
            assert_eq!(feed.reader(Some(place(after))).next().await, missed, "{after}");
        }
    }

    #[tokio::test]
    async fn entries_told_again_and_those_without_events_are_not_told() {
        let feed = Feed::default();
        let mut reader = feed.reader(None);
        feed.tell(happening(1, 1));
        feed.tell(happening(1, 1));
        feed.tell(happening(2, 0));
        feed.tell(happening(3, 1));
        assert_eq!(places(reader.next().await), ["1.0", "3.0"]);
    }

    #[tokio::test]
    async fn closed_feed_gives_what_it_has_and_then_sends_its_readers_away() {
        let feed = Feed::default();
        let mut reader = feed.reader(None);
        feed.tell(happening(1, 1));
        feed.close();
        assert_eq!(places(reader.next().await), ["1.0"]);
        assert_eq!(reader.next().await, Read::Closed);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for wrong in ["", "1", "1.", ".1", "1.2.3", "-1.0", "x.y"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
