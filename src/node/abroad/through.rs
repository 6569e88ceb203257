//! Other regions, for a node that does not talk to them itself: through a voter of its own region.
//!
//! ```text
//!  worker ── Carry, Look ═══► a voter of its region ═══► other regions
//!         ◄═══ what they said, whom the voter hears ══
//! ```
//!
//! Only voters talk to other regions, so that few doors are open; yet any node takes any request. A node without gossip
//! between regions hands what it wants of them to a voter, and is told by one whom it hears: it asks once, is answered when
//! that has changed, and asks again. Promises that what is carried is never carried on, and that a node which no voter
//! answers hears nobody. Costs nothing while no other region is known.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use synod_cluster::gossip::{Health, Member};
use synod_cluster::transport::links::Links;
use synod_domain::federation::Federation;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::OtherRegions;
use super::asking::{Lost, Tries};
use super::wire::{Said, Wish};

/// How long a voter keeps a look that has nothing to tell. A connection that broke in silence is found out by then.
const LOOK_PATIENCE: Duration = Duration::from_secs(20);

/// How long an answer to a look may take on its way.
const WAY_PATIENCE: Duration = Duration::from_secs(5);

/// How long a voter may take to have a wish done elsewhere: it may ask several nodes there.
const CARRY_PATIENCE: Duration = Duration::from_secs(120);

/// The wait before voters are asked again of which none has answered.
const REST: Duration = Duration::from_secs(1);

/// The way to the voters of this node's own region.
pub(in crate::node) struct Own {
    pub(in crate::node) links: Links,
    /// Names the voters that may be asked, those that are heard if there are any.
    pub(in crate::node) voters: Box<dyn Fn() -> Vec<NodeId> + Send + Sync>,
}

/// A voter of a region, as gossip between regions knows it. A format: fields are only appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::node) struct Seen {
    /// Which region it says it is of.
    pub(in crate::node) region: Name,
    /// Which node.
    pub(in crate::node) node: NodeId,
    /// The number of its start.
    pub(in crate::node) generation: u64,
    /// What people call it.
    pub(in crate::node) name: Name,
    /// Whether it is there.
    pub(in crate::node) health: Health,
    /// Where nodes reach it.
    pub(in crate::node) address: String,
    /// Where its API is; empty when it serves none.
    pub(in crate::node) api: String,
}

impl From<Member> for Seen {
    fn from(member: Member) -> Self {
        let Member { rumour, health, .. } = member;
        Self {
            region: rumour.region,
            node: rumour.node,
            generation: rumour.generation,
            name: rumour.name,
            health,
            address: rumour.address,
            api: rumour.api,
        }
    }
}

impl OtherRegions {
    /// Has a voter of this region wish something of another one.
    pub(super) async fn wish_through(&self, to: &Name, wish: Wish, no_harm: bool) -> Result<Said, Lost> {
        let wish = Wish::Carry { to: to.clone(), wish: Box::new(wish), no_harm };
        self.ask_own(wish, CARRY_PATIENCE, no_harm).await
    }

    /// Does for another node of this region what it wants of another one. What cannot be done here may be done by
    /// another voter.
    pub(super) async fn carry(&self, to: &Name, wish: Wish, no_harm: bool) -> Said {
        if !self.talks() {
            return Said::NotHere("this node does not talk to other regions".to_owned());
        }
        match wish {
            Wish::Take { .. } | Wish::Serve(_) => {}
            Wish::Share { .. } | Wish::Carry { .. } | Wish::Look { .. } => {
                return Said::NotHere("that is not asked of other regions for others".to_owned());
            }
        }
        match self.wish_directly(&self.links, to, wish, no_harm).await {
            Ok(said) => said,
            Err(Lost::Another(why) | Lost::NotDone(why)) => Said::NotHere(why),
            Err(Lost::Unknown(why)) => Said::Unknown(why),
        }
    }

    /// Returns who is heard, as soon as that is something else than `known`, or after a while.
    pub(super) async fn seen_other_than(&self, known: &[Seen]) -> Vec<Seen> {
        let mut changes = self.changes.subscribe();
        let changed = async {
            while self.seen() == known {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(LOOK_PATIENCE, changed).await;
        self.seen()
    }

    /// Keeps what voters tell, while this node does not talk to other regions itself and there are any.
    pub(in crate::node) async fn be_told(
        self: Arc<Self>,
        mut federation: watch::Receiver<Federation>,
        stop: CancellationToken,
    ) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let others = {
                let agreed = federation.borrow_and_update();
                agreed.ring.used.is_some() && agreed.others().any(|(region, _)| *region != self.here)
            };
            let is_wanted = others && !self.talks();
            if !is_wanted {
                self.tell(Vec::new());
            }
            let changed = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = federation.changed() => changed,
                // Gossip of its own may have begun or ended.
                changed = changes.changed() => changed,
                () = self.look(), if is_wanted => Ok(()),
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Asks a voter whom it hears, and waits until that is something else than what is known here.
    async fn look(&self) {
        let wish = Wish::Look { known: self.told.read().clone() };
        let why = match self.ask_own(wish, LOOK_PATIENCE + WAY_PATIENCE, true).await {
            Ok(Said::Seen(seen)) => return self.tell(seen),
            Ok(Said::Judged(_) | Said::Served(_) | Said::NotHere(_) | Said::Unknown(_)) => {
                "it answers another question".to_owned()
            }
            Err(Lost::Another(why) | Lost::NotDone(why) | Lost::Unknown(why)) => why,
        };
        tracing::info!(why, "no voter tells which regions it hears; it is asked again");
        self.tell(Vec::new());
        tokio::time::sleep(REST).await;
    }

    async fn ask_own(&self, wish: Wish, patience: Duration, no_harm: bool) -> Result<Said, Lost> {
        let nodes = (self.own.voters)();
        let tries = Tries { links: &self.own.links, nodes, patience, no_harm };
        self.ask_each(tries, &self.here, wish).await
    }

    fn tell(&self, seen: Vec<Seen>) {
        let is_news = *self.told.read() != seen;
        if is_news {
            *self.told.write() = seen;
            self.changed();
        }
    }
}
