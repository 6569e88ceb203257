//! The answering side: does what other regions wish, as any request of this region's own is done.
//!
//! Promises that nobody is answered who speaks for another region than its certificate names, or is of another cluster than
//! that region is agreed to be, which the first is that comes under its name; that a large payload is
//! on a majority of this region's voters before its task is proposed, and that a task is proposed under the request
//! that the other region names, so that a second wish is no second task. Leaves what a task may do to the rules, and what a
//! request of the API may do to whoever serves it. What nodes of this region wish of others is carried there, and what
//! another region wishes is not carried on.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use synod_actors::system::World;
use synod_cluster::transport::hello::{Caller, Hello};
use synod_cluster::transport::serve::Handler;
use synod_domain::command::Command;
use synod_domain::federation::Identified;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::reply::{Answer, Applied};
use synod_storage::{decode, encode};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::OtherRegions;
use super::parcels::{PIECE_BYTES, Parcels, Place};
use super::wire::{Message, Question, Said, Wish, Word};
use crate::node::PROPOSE_PATIENCE;
use crate::node::elsewhere::Handed;
use crate::node::regions::arrive;

/// How many changes of the ring a region may have missed, and how many keys. People make them by hand; what counts
/// further is no ring that anybody made.
const RING_CHANGES_MAX: u64 = 1 << 20;
const RING_KEYS_MAX: u32 = 1 << 16;

/// What other regions are answered with.
pub(in crate::node) struct Answering {
    world: World,
    handed: Handed,
    regions: Arc<OtherRegions>,
    stop: CancellationToken,
    parcels: Mutex<Parcels>,
}

impl Answering {
    /// Lets a wait for something to tell end with `stop`.
    pub(in crate::node) fn new(
        world: World,
        handed: Handed,
        regions: Arc<OtherRegions>,
        stop: CancellationToken,
    ) -> Self {
        Self { world, handed, regions, stop, parcels: Mutex::default() }
    }

    /// Hears a voter of another region.
    async fn hear_other(&self, region: &Name, hello: &Hello, question: Question) -> Word {
        if let Err(why) = self.identify(region, &hello.cluster).await {
            tracing::warn!(node = %hello.node, why, "a voter of another region was not heard");
            return Word::Refused(why);
        }
        self.hear(region, false, hello.node, question).await
    }

    /// Hears a node that is known to be of a region; whether that is this one, `own` says.
    async fn hear(&self, region: &Name, own: bool, node: NodeId, question: Question) -> Word {
        let mut place = None;
        let message = match question {
            Question::Whole(message) => message,
            Question::Piece { hash, size, offset, piece } => {
                let key = (node, hash);
                let taken = self.parcels.lock().take(region, key, (size, offset), &piece, Instant::now());
                match taken {
                    Ok(Some(message)) => {
                        place = Some(Place::of(&self.parcels, key));
                        message
                    }
                    Ok(None) => return Word::Taken,
                    Err(why) => return Word::Refused(why),
                }
            }
            Question::Rest { hash, offset } => {
                let piece = self.parcels.lock().piece((node, hash), offset);
                return piece.map_or_else(
                    || Word::Refused("the answer was given up meanwhile".to_owned()),
                    Word::Piece,
                );
            }
        };
        let message = match decode::<Message>(&message) {
            Ok(message) => message,
            Err(error) => return Word::Refused(format!("the message is not understood: {error}")),
        };
        if message.from != *region {
            let why =
                format!("it speaks for region {}, and its certificate is of region {region}", message.from);
            tracing::warn!(%node, why, "a voter of another region was not heard");
            return Word::Refused(why);
        }
        let said =
            if own { self.fulfil_own(message.wish).await } else { self.fulfil(region, message.wish).await };
        drop(place);
        let said = match encode(&said) {
            Ok(said) => Bytes::from(said),
            Err(error) => return Word::Refused(error.to_string()),
        };
        if said.len() <= PIECE_BYTES {
            return Word::Whole(said);
        }
        let size = said.len() as u64;
        Word::Long { hash: self.parcels.lock().keep(region, node, said), size }
    }

    /// Holds that a caller is of the cluster that its region is agreed to be; the first one that comes is.
    async fn identify(&self, region: &Name, cluster: &str) -> Result<(), String> {
        let known = || self.world.read(|state| state.federation().clusters.get(region).cloned());
        let is_noted = |known: &Identified| {
            *known.cluster == *cluster || known.rival.as_ref().is_some_and(|rival| *rival.cluster == *cluster)
        };
        if !known().as_ref().is_some_and(is_noted) {
            let see = Command::SeeRegion { region: region.clone(), cluster: cluster.into() };
            match tokio::time::timeout(PROPOSE_PATIENCE, self.world.propose(see)).await {
                Ok(Ok(answer)) => drop(answer.map_err(|refusal| refusal.to_string())?),
                Ok(Err(error)) => return Err(format!("it is not agreed yet which cluster it is: {error}")),
                Err(_) => return Err("no leader confirmed in time which cluster it is".to_owned()),
            }
        }
        match known() {
            Some(known) if *known.cluster == *cluster => Ok(()),
            Some(known) => Err(format!(
                "region {region} is cluster {} here, and this is cluster {cluster}: two were let in under one name; \
                 found one of them anew under another name",
                known.cluster
            )),
            None => Err("it is not agreed yet which cluster it is".to_owned()),
        }
    }

    async fn fulfil(&self, region: &Name, wish: Wish) -> Said {
        match wish {
            Wish::Take { request, spec, payload, kept } => {
                let from = kept.then_some(region);
                said(arrive(&self.world, from, request, spec, payload).await)
            }
            Wish::Serve(request) => match self.handed.answer(region, request).await {
                Some(answer) => Said::Served(answer),
                None => Said::NotHere("this node serves no API".to_owned()),
            },
            Wish::Share { ring, number } => {
                let (used, known, last) = self.world.read(|state| {
                    let agreed = state.federation();
                    (agreed.ring.used, agreed.ring_number, agreed.ring.last)
                });
                // Whoever counted to the end would have the last word on the keys, and could not be shut out.
                let too_far = number > known.saturating_add(RING_CHANGES_MAX)
                    || ring.last > last.saturating_add(RING_KEYS_MAX);
                if used.is_some() && too_far {
                    return Said::Unknown("it counts changes of the ring that never were".to_owned());
                }
                let shared = self.world.propose(Command::ShareRing { ring, number }).await;
                said(shared.map_err(|error| error.to_string()))
            }
            Wish::Carry { .. } | Wish::Look { .. } => {
                Said::NotHere("that is done for nodes of its own region alone".to_owned())
            }
        }
    }

    /// Does what a node of this region wishes, which is something of others.
    async fn fulfil_own(&self, wish: Wish) -> Said {
        match wish {
            Wish::Carry { to, wish, no_harm } => self.regions.carry(&to, *wish, no_harm).await,
            Wish::Look { known } => tokio::select! {
                biased;
                () = self.stop.cancelled() => Said::NotHere("this node is stopping".to_owned()),
                seen = self.regions.seen_other_than(&known) => Said::Seen(seen),
            },
            Wish::Take { .. } | Wish::Serve(_) | Wish::Share { .. } => {
                Said::NotHere("that is asked of other regions".to_owned())
            }
        }
    }
}

fn said(answered: Result<Answer, String>) -> Said {
    match answered {
        Ok(answer) => Said::Judged(answer.map(|reply| Applied::of(&reply))),
        Err(why) => Said::Unknown(why),
    }
}

#[async_trait]
impl Handler for Answering {
    async fn answer(&self, caller: &Caller, request: Bytes) -> Option<Bytes> {
        let word = match (&caller.region, decode::<Question>(&request)) {
            (_, Err(error)) => Word::Refused(format!("the question is not understood: {error}")),
            (Some(region), Ok(question)) => self.hear_other(region, &caller.hello, question).await,
            (None, Ok(question)) if caller.member => {
                self.hear(&self.regions.here, true, caller.hello.node, question).await
            }
            (None, Ok(_)) => {
                Word::Refused("only voters of other regions and nodes of this one may ask that".to_owned())
            }
        };
        encode(&word).ok().map(Bytes::from)
    }
}
