//! Who is known, what each told of itself last, and how each is.
//!
//! What a node tells carries the number of its start and a count, and the later one wins, so it may come twice, late
//! and over others. How a node is, foca says; that it left rather than died, it says itself in its last telling.
//! Promises that a member is listed with the generation whose health is known. Bounded: beyond [`MEMBERS_MAX`] the
//! longest gone makes room, and where nobody is gone, a new one finds none.

use std::collections::BTreeMap;
use std::sync::Arc;

use foca::{BroadcastHandler, Invalidates, State};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use synod_domain::id::NodeId;
use synod_domain::sources::Clock;
use synod_domain::time::Timestamp;
use synod_storage::{decode, encode};

use crate::gossip::handle::{Error, Shared};
use crate::gossip::presence::Presence;
use crate::gossip::rumour::{Health, Member, RUMOUR_BYTES_MAX, Rumour};

/// The most members that are kept: every node of some regions.
const MEMBERS_MAX: usize = 1024;

/// A rumour on its way. A format.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Told {
    /// Counts the tellings of one start.
    sequence: u64,
    /// It is the last: the node goes.
    leaving: bool,
    rumour: Rumour,
}

impl Told {
    fn news(&self) -> Heard {
        let (node, generation) = (self.rumour.node, self.rumour.generation);
        Heard::News { node, generation, leaving: self.leaving }
    }
}

/// Writes a rumour as it is told, without its labels where they do not fit.
pub(super) fn telling(rumour: &Rumour, sequence: u64, leaving: bool) -> Result<Vec<u8>, Error> {
    let write = |rumour: Rumour| encode(&Told { sequence, leaving, rumour }).unwrap_or_default();
    let whole = write(rumour.clone());
    if (1..=RUMOUR_BYTES_MAX).contains(&whole.len()) {
        return Ok(whole);
    }
    let bare = write(Rumour { labels: BTreeMap::new(), ..rumour.clone() });
    if (1..=RUMOUR_BYTES_MAX).contains(&bare.len()) {
        return Ok(bare);
    }
    Err(Error::TooLarge { size: bare.len(), limit: RUMOUR_BYTES_MAX })
}

/// What became of a telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is news, to be sent on.
    News {
        /// Of whom.
        node: NodeId,
        /// Of which start.
        generation: u64,
        /// Whether that node goes.
        leaving: bool,
    },
    /// It was known, or later is known, or it is about this node.
    Known,
}

#[derive(Debug, Clone)]
struct Known {
    told: Option<Told>,
    /// The start whose health it is, and that health; `None` until SWIM knows it.
    health: Option<(u64, Health)>,
    since: Timestamp,
    /// Where that start's datagrams arrive; empty until SWIM knows it, and for this node.
    datagrams: String,
}

/// The members.
#[derive(Debug)]
pub(super) struct Book {
    me: NodeId,
    known: BTreeMap<NodeId, Known>,
}

impl Book {
    pub(super) fn new(me: Rumour, now: Timestamp) -> Result<Self, Error> {
        telling(&me, u64::MAX, false)?;
        let (node, generation) = (me.node, me.generation);
        let told = Some(Told { sequence: 0, leaving: false, rumour: me });
        let known =
            Known { told, health: Some((generation, Health::Alive)), since: now, datagrams: String::new() };
        Ok(Self { me: node, known: BTreeMap::from([(node, known)]) })
    }

    /// Takes what this node tells of itself; tells whether it is another thing.
    pub(super) fn tell(&mut self, rumour: &Rumour) -> bool {
        let told = self.known.get_mut(&self.me).and_then(|known| known.told.as_mut());
        told.is_some_and(|told| {
            let changed = told.rumour != *rumour;
            told.rumour = rumour.clone();
            changed
        })
    }

    /// Hears a telling; `None` when it is none.
    pub(super) fn hear(&mut self, telling: &[u8], now: Timestamp) -> Option<Heard> {
        let told: Told = decode(telling).ok()?;
        let node = told.rumour.node;
        if node == self.me {
            return Some(Heard::Known);
        }
        let version = |told: &Told| (told.rumour.generation, told.sequence);
        if let Some(known) = self.known.get_mut(&node) {
            if known.told.as_ref().is_some_and(|before| version(before) >= version(&told)) {
                return Some(Heard::Known);
            }
            let news = told.news();
            known.told = Some(told);
            return Some(news);
        }
        if !self.make_room() {
            return Some(Heard::Known);
        }
        let news = told.news();
        self.known
            .insert(node, Known { told: Some(told), health: None, since: now, datagrams: String::new() });
        Some(news)
    }

    /// Takes what SWIM knows of everybody else; tells whether anything that is listed changed.
    pub(super) fn observe<'a>(
        &mut self,
        states: impl Iterator<Item = (&'a Presence, State)>,
        now: Timestamp,
    ) -> bool {
        let mut changed = false;
        for (presence, state) in states {
            if presence.node == self.me || (!self.known.contains_key(&presence.node) && !self.make_room()) {
                continue;
            }
            let known = self.known.entry(presence.node).or_insert(Known {
                told: None,
                health: None,
                since: now,
                datagrams: String::new(),
            });
            let left = known
                .told
                .as_ref()
                .is_some_and(|told| told.leaving && told.rumour.generation == presence.generation);
            let health = match state {
                State::Down if left => Health::Left,
                State::Down => Health::Dead,
                State::Suspect => Health::Suspect,
                State::Alive => Health::Alive,
            };
            let health = Some((presence.generation, health));
            if known.datagrams != presence.address {
                known.datagrams.clone_from(&presence.address);
                changed = true;
            }
            if known.health != health {
                known.health = health;
                known.since = now;
                changed = true;
            }
        }
        changed
    }

    fn make_room(&mut self) -> bool {
        if self.known.len() < MEMBERS_MAX {
            return true;
        }
        let gone = |known: &Known| matches!(known.health, None | Some((_, Health::Dead | Health::Left)));
        let mut gone = self.known.iter().filter(|(_, known)| gone(known));
        let first = gone.next().map(|(node, known)| (known.since, *node));
        let oldest = gone.fold(first, |oldest, (node, known)| oldest.min(Some((known.since, *node))));
        oldest.is_some_and(|(_, node)| self.known.remove(&node).is_some())
    }

    pub(super) fn members(&self) -> Vec<Member> {
        self.known.values().filter_map(Known::member).collect()
    }

    pub(super) fn member(&self, node: NodeId) -> Option<Member> {
        self.known.get(&node).and_then(Known::member)
    }
}

impl Known {
    fn member(&self) -> Option<Member> {
        let (told, (generation, health)) = (self.told.as_ref()?, self.health?);
        let rumour = Rumour { generation, ..told.rumour.clone() };
        Some(Member { rumour, health, since: self.since, datagrams: self.datagrams.clone() })
    }
}

/// Lets foca carry tellings: the later one of a node replaces the earlier.
pub(super) struct Ears {
    /// Where they are written down.
    pub(super) shared: Arc<Shared>,
    /// What time it is.
    pub(super) clock: Arc<dyn Clock>,
    /// Who said goodbye.
    pub(super) leaving: Goodbyes,
}

/// Nodes that said they go, and which start of each, since the task looked last.
pub(super) type Goodbyes = Arc<Mutex<Vec<(NodeId, u64)>>>;

/// Whose telling it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Of(NodeId);

impl Invalidates for Of {
    fn invalidates(&self, other: &Self) -> bool {
        self == other
    }
}

/// Bytes that are no telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no rumour")]
pub(super) struct NoTelling;

impl Ears {
    /// Hears a telling; `Some` when it is news.
    pub(super) fn hear(&self, telling: &[u8]) -> Result<Option<Of>, NoTelling> {
        let heard = self.shared.book.lock().hear(telling, self.clock.now()).ok_or(NoTelling)?;
        match heard {
            Heard::Known => Ok(None),
            Heard::News { node, generation, leaving } => {
                if leaving {
                    self.leaving.lock().push((node, generation));
                }
                self.shared.changes.send_modify(|number| *number += 1);
                Ok(Some(Of(node)))
            }
        }
    }
}

impl BroadcastHandler<Presence> for Ears {
    type Key = Of;
    type Error = NoTelling;

    fn receive_item(&mut self, data: &[u8], sender: Option<&Presence>) -> Result<Option<Of>, NoTelling> {
        match sender {
            // This node's own.
            None => Ok(Some(Of(self.shared.book.lock().me))),
            Some(_) => self.hear(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_domain::name::Name;
    use synod_domain::node::NodeRole;

    use super::*;
    use crate::gossip::rumour::Load;

    fn rumour(node: u128, generation: u64) -> Rumour {
        Rumour {
            node: NodeId::from_raw(node),
            generation,
            name: Name::new("n").unwrap(),
            address: "n:1".to_owned(),
            api: String::new(),
            region: Name::default(),
            role: NodeRole::Voter,
            labels: BTreeMap::new(),
            load: Load::default(),
            version: "1".into(),
            leads: None,
            applied: 0,
        }
    }

    fn presence(node: u128, generation: u64) -> Presence {
        Presence { node: NodeId::from_raw(node), generation, renewed: 0, address: "n:1".to_owned() }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn health(book: &Book, node: u128) -> Option<(u64, Health)> {
        book.member(NodeId::from_raw(node)).map(|member| (member.rumour.generation, member.health))
    }

    #[test]
    fn later_telling_of_a_node_wins_whatever_the_order() {
        let mut book = Book::new(rumour(1, 1), at(0)).unwrap();
        let news = |generation| Some(Heard::News { node: NodeId::from_raw(2), generation, leaving: false });
        let telling = |generation, sequence| telling(&rumour(2, generation), sequence, false).unwrap();
        assert_eq!(book.hear(&telling(1, 5), at(1)), news(1));
        assert_eq!(book.hear(&telling(1, 5), at(1)), Some(Heard::Known));
        assert_eq!(book.hear(&telling(1, 4), at(1)), Some(Heard::Known));
        assert_eq!(book.hear(&telling(2, 1), at(1)), news(2));
        assert_eq!(book.hear(&telling(1, 9), at(1)), Some(Heard::Known));
        assert_eq!(book.hear(b"nonsense", at(1)), None);
    }

    #[test]
    fn member_is_listed_once_both_its_rumour_and_its_health_are_known() {
        let mut book = Book::new(rumour(1, 1), at(0)).unwrap();
        assert!(book.observe([(&presence(2, 1), State::Alive)].into_iter(), at(1)));
        assert_eq!(health(&book, 2), None);
        book.hear(&telling(&rumour(2, 1), 1, false).unwrap(), at(2));
        assert_eq!(health(&book, 2), Some((1, Health::Alive)));
        assert!(!book.observe([(&presence(2, 1), State::Alive)].into_iter(), at(3)));
        assert_eq!(health(&book, 1), Some((1, Health::Alive)), "this node is one of them");
    }

    #[test]
    fn goodbye_of_an_earlier_start_does_not_make_a_death_a_leaving() {
        let mut book = Book::new(rumour(1, 1), at(0)).unwrap();
        book.hear(&telling(&rumour(2, 1), 7, true).unwrap(), at(1));
        book.observe([(&presence(2, 1), State::Down)].into_iter(), at(1));
        assert_eq!(health(&book, 2), Some((1, Health::Left)));
        book.observe([(&presence(2, 2), State::Down)].into_iter(), at(2));
        assert_eq!(health(&book, 2), Some((2, Health::Dead)));
    }

    #[test]
    fn labels_that_do_not_fit_are_left_out_and_long_names_are_refused() {
        let mut large = rumour(1, 1);
        for number in 0..20 {
            large.labels.insert(Name::new(&format!("label-{number}")).unwrap(), "x".repeat(60).into());
        }
        let mut book = Book::new(rumour(9, 1), at(0)).unwrap();
        book.hear(&telling(&large, 1, false).unwrap(), at(0));
        book.observe([(&presence(1, 1), State::Alive)].into_iter(), at(0));
        assert!(book.member(NodeId::from_raw(1)).unwrap().rumour.labels.is_empty());
        large.version = "x".repeat(900).into();
        assert!(matches!(telling(&large, 1, false), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn book_has_a_bound_and_the_longest_gone_makes_room() {
        let mut book = Book::new(rumour(0, 1), at(0)).unwrap();
        for node in 1..MEMBERS_MAX as u128 {
            book.hear(&telling(&rumour(node, 1), 1, false).unwrap(), at(0));
            book.observe([(&presence(node, 1), State::Alive)].into_iter(), at(0));
        }
        let newcomer = presence(5_000, 1);
        book.observe([(&newcomer, State::Alive)].into_iter(), at(1));
        assert!(!book.known.contains_key(&newcomer.node), "nobody is gone");
        book.observe([(&presence(7, 1), State::Down)].into_iter(), at(3));
        book.observe([(&presence(8, 1), State::Down)].into_iter(), at(2));
        book.observe([(&newcomer, State::Alive)].into_iter(), at(4));
        assert!(book.known.contains_key(&newcomer.node) && !book.known.contains_key(&NodeId::from_raw(8)));
        assert_eq!(book.known.len(), MEMBERS_MAX);
    }
}
