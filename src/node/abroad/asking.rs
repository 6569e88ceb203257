//! The asking side: has something done by whichever voter of a region answers.
//!
//! A voter that was not reached, or that says that it did nothing, is passed over for the next. One that may have done
//! it is asked no more than the others when it does not matter who does it, which is when the request carries the id that
//! makes it count once; else the outcome stays unknown.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use synod_actors::ports::Regions;
use synod_cluster::transport;
use synod_cluster::transport::links::{Links, Service};
use synod_domain::id::{NodeId, RequestId};
use synod_domain::name::Name;
use synod_domain::node::Keyring;
use synod_domain::payload::{INLINE_BYTES_MAX, Payload};
use synod_domain::reply::Answer;
use synod_domain::task::TaskSpec;
use synod_storage::{decode, encode};
use tokio::sync::watch;

use super::OtherRegions;
use super::parcels::{PARCEL_BYTES_MAX, PIECE_BYTES, hash_of};
use super::wire::{Message, Question, Said, Wish, Word};
use crate::node::elsewhere::{Elsewhere, ElsewhereError, HandedAnswer, HandedRequest};

/// How long one piece may take on its way between far places.
const PIECE_PATIENCE: Duration = Duration::from_secs(15);

/// How long a region may take to do what is wished: an election there, and a request of the API that waits, included.
const WISH_PATIENCE: Duration = Duration::from_secs(60);

/// Voters of a region that are tried for one wish. More makes whoever waits wait longer for a region that is in trouble.
const TRIES_MAX: usize = 3;

/// Why there is no answer.
pub(super) enum Lost {
    /// Nothing was done: that node is of another cluster than the region.
    Another(String),
    /// Nothing was done.
    NotDone(String),
    /// It may have been done.
    Unknown(String),
}

/// Whom to ask, and how.
pub(super) struct Tries<'a> {
    pub(super) links: &'a Links,
    pub(super) nodes: Vec<NodeId>,
    /// How long each may take to do what is wished.
    pub(super) patience: Duration,
    /// Whether it does no harm to wish it twice.
    pub(super) no_harm: bool,
}

impl OtherRegions {
    /// Wishes something of a region: itself, or through a voter of this one.
    async fn wish(&self, links: &Links, region: &Name, wish: Wish, no_harm: bool) -> Result<Said, Lost> {
        if self.talks() {
            self.wish_directly(links, region, wish, no_harm).await
        } else {
            self.wish_through(region, wish, no_harm).await
        }
    }

    /// Wishes something of the voters of a region.
    pub(super) async fn wish_directly(
        &self,
        links: &Links,
        region: &Name,
        wish: Wish,
        no_harm: bool,
    ) -> Result<Said, Lost> {
        let tries = Tries { links, nodes: self.alive(region), patience: WISH_PATIENCE, no_harm };
        self.ask_each(tries, region, wish).await
    }

    /// Asks nodes of a region, one after the other, until one has done what is wished or may have done it; after
    /// that, too, if it does no harm to wish it twice. Nodes of another cluster are passed over and not counted.
    pub(super) async fn ask_each(&self, asked: Tries<'_>, region: &Name, wish: Wish) -> Result<Said, Lost> {
        let Tries { links, nodes, patience, no_harm } = asked;
        let message = Message { from: self.here.clone(), wish };
        let message = encode(&message).map_err(|error| Lost::NotDone(error.to_string()))?;
        let message = Bytes::from(message);
        let mut lost = Lost::NotDone("nobody of it is heard".to_owned());
        let mut tries = 0_usize;
        for node in nodes {
            if tries == TRIES_MAX {
                break;
            }
            let said = say(links, node, &message, patience).await;
            let failed = match said {
                Ok(Said::NotHere(why)) => Lost::NotDone(format!("{node}: {why}")),
                Ok(Said::Unknown(why)) => Lost::Unknown(format!("{node}: {why}")),
                Ok(said @ (Said::Judged(_) | Said::Served(_) | Said::Seen(_))) => return Ok(said),
                Err(failed) => failed,
            };
            match &failed {
                Lost::Another(why) => self.is_another(region, node, why),
                Lost::NotDone(_) | Lost::Unknown(_) => tries += 1,
            }
            lost = match (lost, failed) {
                // What one of them may have done stays possible.
                (Lost::Unknown(why), Lost::NotDone(_) | Lost::Another(_)) => Lost::Unknown(why),
                (_, failed) => failed,
            };
            if matches!(lost, Lost::Unknown(_)) && !no_harm {
                break;
            }
        }
        Err(lost)
    }

    /// Wishes what counts once, whoever does it, and reads how it was judged.
    async fn judged(&self, links: &Links, region: &Name, wish: Wish) -> Result<Answer, String> {
        match self.wish(links, region, wish, true).await {
            Ok(Said::Judged(answer)) => Ok(answer.map(|applied| self.state.read().answer_again(applied))),
            Ok(Said::Served(_) | Said::NotHere(_) | Said::Unknown(_) | Said::Seen(_)) => {
                Err("it answers another question".to_owned())
            }
            Err(Lost::Another(why) | Lost::NotDone(why) | Lost::Unknown(why)) => Err(why),
        }
    }

    /// Gives a region the ring of gossip between regions. It keeps the later of two. One that is not agreed to be any cluster
    /// yet gets it too, as whoever has a certificate of that name may: so it learns which cluster this region is.
    ///
    /// # Errors
    /// With a text for people: it does not have it, as far as is known.
    pub(super) async fn share(&self, region: &Name, ring: Keyring, number: u64) -> Result<(), String> {
        let links = if self.is_identified(region) { &self.links } else { &self.first_sight };
        let answer = self.judged(links, region, Wish::Share { ring, number }).await?;
        answer.map(drop).map_err(|refusal| refusal.to_string())
    }
}

/// Says a message to a node, in pieces if need be, and hears the whole answer.
async fn say(links: &Links, node: NodeId, message: &Bytes, patience: Duration) -> Result<Said, Lost> {
    let word = if message.len() <= PIECE_BYTES {
        ask(links, node, &Question::Whole(message.clone()), patience).await?
    } else {
        say_in_pieces(links, node, message, patience).await?
    };
    let unknown = |why: String| Lost::Unknown(format!("{node}: {why}"));
    let said = match word {
        Word::Whole(said) => said,
        Word::Long { hash, size } => fetch(links, node, hash, size).await.map_err(unknown)?,
        Word::Refused(why) => return Err(Lost::NotDone(format!("{node}: {why}"))),
        Word::Taken | Word::Piece(_) => return Err(unknown("it answers another question".to_owned())),
    };
    decode::<Said>(&said).map_err(|error| unknown(error.to_string()))
}

async fn say_in_pieces(
    links: &Links,
    node: NodeId,
    message: &Bytes,
    patience: Duration,
) -> Result<Word, Lost> {
    let (hash, size) = (hash_of(message), message.len() as u64);
    let mut start = 0;
    loop {
        let end = message.len().min(start + PIECE_BYTES);
        let question = Question::Piece { hash, size, offset: start as u64, piece: message.slice(start..end) };
        if end == message.len() {
            return ask(links, node, &question, patience).await;
        }
        let not_done = |why: String| Lost::NotDone(format!("{node}: {why}"));
        // Nothing is done with a message that is not whole.
        match ask(links, node, &question, PIECE_PATIENCE).await {
            Ok(Word::Taken) => start = end,
            Ok(Word::Refused(why)) => return Err(not_done(why)),
            Ok(Word::Whole(_) | Word::Long { .. } | Word::Piece(_)) => {
                return Err(not_done("it answers another question".to_owned()));
            }
            Err(lost @ Lost::Another(_)) => return Err(lost),
            Err(Lost::NotDone(why) | Lost::Unknown(why)) => return Err(Lost::NotDone(why)),
        }
    }
}

async fn fetch(links: &Links, node: NodeId, hash: [u8; 32], size: u64) -> Result<Bytes, String> {
    let size = usize::try_from(size).ok().filter(|size| *size <= PARCEL_BYTES_MAX);
    let size = size.ok_or_else(|| format!("its answer has more than {PARCEL_BYTES_MAX} bytes"))?;
    let mut bytes = BytesMut::new();
    while bytes.len() < size {
        let question = Question::Rest { hash, offset: bytes.len() as u64 };
        match ask(links, node, &question, PIECE_PATIENCE).await {
            Ok(Word::Piece(piece)) if !piece.is_empty() => bytes.extend_from_slice(&piece),
            Ok(Word::Refused(why)) => return Err(why),
            Ok(Word::Piece(_) | Word::Whole(_) | Word::Taken | Word::Long { .. }) => {
                return Err("it answers another question".to_owned());
            }
            Err(Lost::Another(why) | Lost::NotDone(why) | Lost::Unknown(why)) => return Err(why),
        }
    }
    if hash_of(&bytes) != hash {
        return Err("its answer came damaged".to_owned());
    }
    Ok(bytes.freeze())
}

async fn ask(links: &Links, node: NodeId, question: &Question, deadline: Duration) -> Result<Word, Lost> {
    let not_done = |why: String| Lost::NotDone(format!("{node}: {why}"));
    let body = encode(question).map_err(|error| not_done(error.to_string()))?;
    let asked = links.ask(node, Service::Regions, Bytes::from(body), deadline).await;
    let heard = asked.map_err(|error| match error {
        transport::Error::Unreachable { .. }
        | transport::Error::Refused { .. }
        | transport::Error::Overloaded(_)
        | transport::Error::TooLarge { .. } => not_done(error.to_string()),
        transport::Error::Another { .. } => Lost::Another(error.to_string()),
        transport::Error::Lost(_) | transport::Error::Late => Lost::Unknown(format!("{node}: {error}")),
    })?;
    decode::<Word>(&heard).map_err(|error| Lost::Unknown(format!("{node}: {error}")))
}

#[async_trait]
impl Regions for OtherRegions {
    fn here(&self) -> &Name {
        &self.here
    }

    fn reachable(&self) -> BTreeSet<Name> {
        self.reachable_now()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn offer(&self, region: &Name, request: RequestId, spec: Arc<TaskSpec>) -> Result<Answer, String> {
        let (payload, _held) = match (&spec.payload, self.blobs.get()) {
            (Payload::Inline(bytes), _) => (Bytes::copy_from_slice(bytes), None),
            (Payload::Blob { hash, .. }, Some(blobs)) => {
                let held = self.large.hold(region).await?;
                (blobs.get(hash).await?, Some(held))
            }
            (Payload::Blob { .. }, None) => return Err("this node comes up".to_owned()),
        };
        let spec = TaskSpec { payload: Payload::default(), ..TaskSpec::clone(&spec) };
        self.judged(&self.links, region, Wish::Take { request, spec, payload, kept: true }).await
    }

    async fn submit_direct(
        &self,
        region: &Name,
        request: RequestId,
        spec: Arc<TaskSpec>,
        payload: Bytes,
    ) -> Result<Answer, String> {
        let spec = TaskSpec::clone(&spec);
        let _held =
            if payload.len() > INLINE_BYTES_MAX { Some(self.large.hold(region).await?) } else { None };
        self.judged(&self.links, region, Wish::Take { request, spec, payload, kept: false }).await
    }
}

#[async_trait]
impl Elsewhere for OtherRegions {
    async fn ask(&self, region: &Name, request: HandedRequest) -> Result<HandedAnswer, ElsewhereError> {
        let region = region.clone();
        // What only looks may be asked twice.
        let no_harm = matches!(&*request.method, "GET" | "HEAD");
        match self.wish(&self.links, &region, Wish::Serve(request), no_harm).await {
            Ok(Said::Served(answer)) => Ok(answer),
            Ok(Said::Judged(_) | Said::NotHere(_) | Said::Unknown(_) | Said::Seen(_)) => {
                Err(ElsewhereError::Unknown { region, why: "it answers another question".to_owned() })
            }
            Err(Lost::Another(why) | Lost::NotDone(why)) => Err(ElsewhereError::Unreachable { region, why }),
            Err(Lost::Unknown(why)) => Err(ElsewhereError::Unknown { region, why }),
        }
    }
}
