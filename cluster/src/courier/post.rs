//! The handle of the courier: who is here, where others are, and sending.
//!
//! Where a name is, the nodes are asked once and the answer is kept; a node that says it has nobody of that name was
//! never given the letter, so it is looked for once more. Of several nodes that have the name, the one with the lowest
//! id gets it, so that all senders choose alike.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use parking_lot::{Mutex, RwLock};
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::sources::Clock;
use synod_storage::{decode, encode};
use tokio::time::Instant;

use crate::courier::dead::{DeadLetter, DeadLetters};
use crate::courier::desk::Desk;
use crate::courier::envelope::{Address, Answer, Envelope, NAMES_MAX, Question, Undelivered};
use crate::gossip::{Gossip, Health, Member};
use crate::transport::links::{Links, Service};
use crate::transport::serve::Handler;
use crate::transport::{Error, FRAME_BYTES_MAX};

/// The largest body: what a frame holds, less what stands beside it.
const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - 4096;

/// How long a node may take to say whether it has a name; one that stalls must not hold up the letter.
const FIND_PATIENCE: Duration = Duration::from_secs(1);

/// Places that are kept; more are looked for again.
const PLACES_MAX: usize = NAMES_MAX;

/// Gets letters under a name.
#[async_trait]
pub trait Recipient: Send + Sync + 'static {
    /// Takes a letter: answers once its mailbox has it, or once it is answered when the letter asks.
    ///
    /// # Errors
    /// When it does not take it.
    async fn deliver(&self, letter: Envelope) -> Result<Option<Bytes>, Undelivered>;
}

/// Knows which other nodes there are.
pub trait Others: Send + Sync + 'static {
    /// Returns those that can be asked now, in order of id.
    fn others(&self) -> Vec<NodeId>;
}

/// A node that stands alone has none.
impl Others for () {
    fn others(&self) -> Vec<NodeId> {
        Vec::new()
    }
}

impl Others for Gossip {
    fn others(&self) -> Vec<NodeId> {
        let there = |member: &Member| matches!(member.health, Health::Alive | Health::Suspect);
        self.members().iter().filter(|member| there(member)).map(|member| member.rumour.node).collect()
    }
}

/// What a courier needs.
pub struct Options {
    /// This node.
    pub me: NodeId,
    /// The connections to others; `None` on a node that stands alone.
    pub links: Option<Links>,
    /// Which others there are.
    pub others: Arc<dyn Others>,
    /// What time it is, for people.
    pub clock: Arc<dyn Clock>,
}

pub(super) struct Room {
    pub(super) me: NodeId,
    links: Option<Links>,
    others: Arc<dyn Others>,
    clock: Arc<dyn Clock>,
    pub(super) here: RwLock<BTreeMap<Name, Arc<dyn Recipient>>>,
    places: Mutex<BTreeMap<Name, NodeId>>,
    dead: Mutex<DeadLetters>,
}

/// The courier of one node. Cheap to clone.
#[derive(Clone)]
pub struct Courier(Arc<Room>);

/// Keeps a name taken; dropping it frees the name.
pub struct Registration {
    name: Name,
    recipient: Arc<dyn Recipient>,
    room: Weak<Room>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(room) = self.room.upgrade() {
            let mut here = room.here.write();
            if here.get(&self.name).is_some_and(|recipient| Arc::ptr_eq(recipient, &self.recipient)) {
                here.remove(&self.name);
            }
        }
    }
}

impl Courier {
    /// Makes the courier of a node.
    pub fn new(options: Options) -> Self {
        let Options { me, links, others, clock } = options;
        Self(Arc::new(Room {
            me,
            links,
            others,
            clock,
            here: RwLock::default(),
            places: Mutex::default(),
            dead: Mutex::default(),
        }))
    }

    /// Returns who answers other nodes, for [`Service::Courier`].
    pub fn handler(&self) -> Arc<dyn Handler> {
        Arc::new(Desk(self.clone()))
    }

    /// Gives a name of this node to a recipient.
    ///
    /// # Errors
    /// When somebody has it already, or there are too many. Nothing was changed.
    pub fn register(&self, name: Name, recipient: Arc<dyn Recipient>) -> Result<Registration, String> {
        let mut here = self.0.here.write();
        if here.contains_key(&name) {
            return Err(format!("somebody here is called {name} already"));
        }
        if here.len() >= NAMES_MAX {
            return Err(format!("{NAMES_MAX} recipients are here already"));
        }
        here.insert(name.clone(), recipient.clone());
        drop(here);
        Ok(Registration { name, recipient, room: Arc::downgrade(&self.0) })
    }

    /// Sends a letter and waits until it is delivered, or answered when `asks`; at most for `patience`.
    ///
    /// # Errors
    /// When it is not delivered or not answered; the error says whether it may have had its effect.
    pub async fn send(
        &self,
        to: &Address,
        (kind, version): (&str, u16),
        body: Bytes,
        patience: Duration,
        asks: bool,
    ) -> Result<Option<Bytes>, Undelivered> {
        let letter = Envelope {
            from: self.0.me,
            to: to.name.clone(),
            kind: kind.to_owned(),
            version,
            body,
            patience_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            asks,
        };
        let sent = self.carry(to, letter.clone(), patience).await;
        if let Err(why) = &sent {
            self.bury(to.clone(), &letter, why.clone());
        }
        sent
    }

    /// Notes a letter that could not be delivered; for recipients whose mailbox it died in.
    pub fn bury(&self, to: Address, letter: &Envelope, why: Undelivered) {
        tracing::debug!(from = %letter.from, %to, kind = letter.kind, error = %why, "a letter was not delivered");
        self.0.dead.lock().note(DeadLetter {
            at: self.0.clock.now(),
            from: letter.from,
            to,
            kind: letter.kind.clone(),
            version: letter.version,
            bytes: letter.body.len(),
            why,
        });
    }

    /// Returns the letters that could not be delivered.
    pub fn dead_letters(&self) -> DeadLetters {
        self.0.dead.lock().clone()
    }

    /// Returns who is here, in order of name.
    pub fn names(&self) -> Vec<Name> {
        self.0.here.read().keys().cloned().collect()
    }

    async fn carry(
        &self,
        to: &Address,
        letter: Envelope,
        patience: Duration,
    ) -> Result<Option<Bytes>, Undelivered> {
        let (size, limit) = (letter.body.len(), BODY_BYTES_MAX);
        if size > limit {
            return Err(Undelivered::TooLarge { size, limit });
        }
        let start = Instant::now();
        let delivering = async {
            if to.node.is_none_or(|node| node == self.0.me) && self.has(&to.name) {
                return self.deliver_here(letter).await;
            }
            match to.node {
                Some(node) if node == self.0.me => Err(self.unknown(&to.name)),
                Some(node) => self.deliver_there(node, letter, start, patience).await,
                None => self.deliver_anywhere(letter, start, patience).await,
            }
        };
        tokio::time::timeout(patience, delivering).await.unwrap_or(Err(Undelivered::NoAnswer))
    }

    fn has(&self, name: &Name) -> bool {
        self.0.here.read().contains_key(name)
    }

    fn unknown(&self, name: &Name) -> Undelivered {
        Undelivered::UnknownName { name: name.clone(), place: format!("on {}", self.0.me) }
    }

    pub(super) async fn deliver_here(&self, letter: Envelope) -> Result<Option<Bytes>, Undelivered> {
        let recipient = self.0.here.read().get(&letter.to).cloned();
        let recipient = recipient.ok_or_else(|| self.unknown(&letter.to))?;
        recipient.deliver(letter).await
    }

    async fn deliver_anywhere(
        &self,
        letter: Envelope,
        start: Instant,
        patience: Duration,
    ) -> Result<Option<Bytes>, Undelivered> {
        let known = self.0.places.lock().get(&letter.to).copied();
        if let Some(node) = known {
            match self.deliver_there(node, letter.clone(), start, patience).await {
                // It was not delivered there, so it may be delivered elsewhere.
                Err(Undelivered::UnknownName { .. } | Undelivered::NodeGone { .. }) => {}
                delivered => return delivered,
            }
        }
        let node = self.find(&letter.to).await;
        let Some(node) = node else {
            let place = "on any node that answers".to_owned();
            return Err(Undelivered::UnknownName { name: letter.to, place });
        };
        self.deliver_there(node, letter, start, patience).await
    }

    async fn deliver_there(
        &self,
        node: NodeId,
        mut letter: Envelope,
        start: Instant,
        patience: Duration,
    ) -> Result<Option<Bytes>, Undelivered> {
        let left = patience.saturating_sub(start.elapsed());
        letter.patience_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let name = letter.to.clone();
        let answered = self.ask(node, &Question::Deliver(letter), left).await;
        let undelivered = match answered {
            Ok(Answer::Delivered(answer)) => return Ok(answer),
            Ok(Answer::Undelivered(why)) => why,
            Ok(Answer::Found(_)) => Undelivered::Unknown("the other side answered something else".to_owned()),
            Err(why) => why,
        };
        // Whatever is wrong there, the next letter looks for the name anew.
        let gone = matches!(
            undelivered,
            Undelivered::UnknownName { .. } | Undelivered::NodeGone { .. } | Undelivered::Unknown(_)
        );
        if gone {
            self.0.places.lock().remove(&name);
        }
        Err(undelivered)
    }

    /// Asks all other nodes who has a name; the lowest id of those that do.
    async fn find(&self, name: &Name) -> Option<NodeId> {
        let question = Question::Find(name.clone());
        let asked = self.0.others.others().into_iter().filter(|node| *node != self.0.me).map(|node| {
            let question = &question;
            async move { (node, self.ask(node, question, FIND_PATIENCE).await) }
        });
        let answers = join_all(asked).await;
        let found = answers.into_iter().filter(|(_, answer)| *answer == Ok(Answer::Found(true)));
        let node = found.map(|(node, _)| node).min()?;
        let mut places = self.0.places.lock();
        if places.len() >= PLACES_MAX {
            places.pop_first();
        }
        places.insert(name.clone(), node);
        Some(node)
    }

    async fn ask(&self, node: NodeId, question: &Question, left: Duration) -> Result<Answer, Undelivered> {
        let gone = |why: String| Undelivered::NodeGone { node, why };
        let links = self.0.links.as_ref().ok_or_else(|| gone("this node stands alone".to_owned()))?;
        let body = encode(question).map_err(|error| Undelivered::Unreadable(error.to_string()))?;
        let answer =
            links.ask(node, Service::Courier, body.into(), left).await.map_err(|error| match error {
                Error::Unreachable { .. }
                | Error::Refused { .. }
                | Error::Another { .. }
                | Error::Overloaded(_) => gone(error.to_string()),
                Error::Late => Undelivered::NoAnswer,
                Error::Lost(_) => Undelivered::Unknown(error.to_string()),
                Error::TooLarge { size, limit } => Undelivered::TooLarge { size, limit },
            })?;
        decode(&answer).map_err(|error| Undelivered::Unknown(error.to_string()))
    }
}
