//! Turns rumours about nodes into what is agreed of them; only where this node leads.
//!
//! A node that is rumoured to be dead is marked down, once the leader has listened for a while; one that said it goes,
//! at once. So is one of which nothing is heard at all: gossip that began anew knows only who is there. A node that is
//! down and rumoured to be alive is marked up, if the rumour speaks of its last start: an earlier one knows nothing of
//! that. It never marks its own node.
//!
//! Wakes when rumours or nodes change, and when it has listened; sleeps otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::command::Command;
use synod_domain::id::NodeId;
use synod_domain::node::NodeStanding;
use tokio::time::Instant;

use crate::address::{Address, Gone};
use crate::ports::{Alive, Neighbour};
use crate::propose::World;
use crate::tether::Tether;

/// How long nothing may be heard of a node that is counted on. Gossip that begins anew finds all others within a few
/// of its rounds; a node that starts gossips before it is counted on.
const UNHEARD: Duration = Duration::from_secs(10);

/// The wait after a standing that was not recorded, before rumours are looked at again.
const AGAIN: Duration = Duration::from_millis(500);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
}

/// The only way to talk to it. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle(pub(crate) Address<Message>);

impl Handle {
    /// Tells it that what is agreed of nodes may have changed.
    pub(crate) fn look(&self) -> Result<(), Gone> {
        self.0.tell(Message::LookAtNodes)
    }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    LookAtNodes,
    ListenElapsed,
    UnheardElapsed,
    Recorded { node: NodeId },
}

pub(crate) struct State {
    args: Args,
    /// Until when nobody is taken for dead by rumour: a node that was cut off together with this one, or that its own
    /// stall made look dead, has refuted that by then. More would delay the recovery from the loss of a leader, whose
    /// agents wait for it.
    listens_until: Instant,
    /// Whose standing is being recorded.
    recording: BTreeSet<NodeId>,
    /// Those of whose present start nothing is heard, which that is, and since when.
    unheard: BTreeMap<NodeId, (u64, Instant)>,
    beside: Tether,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Census;

impl Actor for Census {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        let beside = Tether::default();
        let (elapsed, mut changes) = (me.clone(), args.world.neighbours.changes());
        // Those that are agreed on: gossip that began anew knows fewer at first, and all of them have to be heard.
        let members = args.world.read(|state| state.nodes().count());
        let listens_until = Instant::now() + args.world.neighbours.patience(members);
        beside.spawn(async move {
            tokio::time::sleep_until(listens_until).await;
            // An error means that this actor is gone.
            let _ = elapsed.send_message(Message::ListenElapsed);
        });
        me.send_message(Message::LookAtNodes)?;
        beside.spawn(async move {
            // Ends with whoever tells of rumours, or with this actor.
            while changes.changed().await.is_ok() {
                if me.send_message(Message::LookAtNodes).is_err() {
                    return;
                }
            }
        });
        Ok(State { args, listens_until, recording: BTreeSet::new(), unheard: BTreeMap::new(), beside })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::LookAtNodes | Message::ListenElapsed | Message::UnheardElapsed => {}
            Message::Recorded { node } => {
                state.recording.remove(&node);
            }
        }
        state.look(&me);
        Ok(())
    }
}

impl State {
    fn look(&mut self, me: &ActorRef<Message>) {
        let listened = Instant::now() >= self.listens_until;
        let here = self.args.world.node;
        let seen = self.args.world.neighbours.seen();
        self.look_for_the_unheard(me, &seen);
        for neighbour in seen {
            let id = neighbour.node;
            if id == here || self.recording.contains(&id) {
                continue;
            }
            let known =
                self.args.world.read(|state| state.node(id).map(|node| (node.standing, node.generation)));
            let Some((standing, generation)) = known else { continue };
            // An earlier life says nothing of this one.
            if neighbour.generation < generation {
                continue;
            }
            // A later one has not been recorded yet. It records itself, unless it is over before that.
            if neighbour.generation > generation && matches!(neighbour.alive, Alive::Alive | Alive::Suspect) {
                continue;
            }
            let (to, reason) = match (standing, neighbour.alive) {
                (NodeStanding::Up, Alive::Left) => (NodeStanding::Down, "it said that it goes"),
                (NodeStanding::Up, Alive::Dead) if listened => (NodeStanding::Down, "it does not answer"),
                (NodeStanding::Down, Alive::Alive) => (NodeStanding::Up, "it answers again"),
                (NodeStanding::Up | NodeStanding::Down | NodeStanding::Joining, _) => continue,
            };
            self.record(me, id, to, reason.into());
        }
    }

    /// Marks those down of whose present start nothing was heard for too long.
    fn look_for_the_unheard(&mut self, me: &ActorRef<Message>, seen: &[Neighbour]) {
        let here = self.args.world.node;
        let heard: BTreeMap<NodeId, u64> = seen.iter().map(|one| (one.node, one.generation)).collect();
        let unheard: BTreeMap<NodeId, u64> = self.args.world.read(|state| {
            let counted_on = state.nodes().filter(|node| node.standing == NodeStanding::Up);
            let known = counted_on.map(|node| (node.spec.id, node.generation));
            known
                .filter(|(id, generation)| {
                    *id != here && heard.get(id).is_none_or(|heard| heard < generation)
                })
                .collect()
        });
        self.unheard.retain(|id, (generation, _)| unheard.get(id) == Some(&*generation));
        let now = Instant::now();
        for (id, generation) in unheard {
            let since = match self.unheard.get(&id) {
                Some((_, since)) => *since,
                None => {
                    self.unheard.insert(id, (generation, now));
                    let me = me.clone();
                    self.beside.spawn(async move {
                        tokio::time::sleep(UNHEARD).await;
                        // An error means that this actor is gone.
                        let _ = me.send_message(Message::UnheardElapsed);
                    });
                    now
                }
            };
            if now.saturating_duration_since(since) >= UNHEARD && !self.recording.contains(&id) {
                self.record(me, id, NodeStanding::Down, "nothing is heard of it".into());
            }
        }
    }

    fn record(&mut self, me: &ActorRef<Message>, node: NodeId, standing: NodeStanding, reason: Arc<str>) {
        tracing::info!(%node, %standing, %reason, "marking a node");
        self.recording.insert(node);
        let (world, me) = (self.args.world.clone(), me.clone());
        self.beside.spawn(async move {
            match world.propose(Command::MarkNode { node, standing, reason }).await {
                Ok(Ok(_)) => {}
                Ok(Err(refusal)) => {
                    tracing::info!(%node, %refusal, "the standing of a node was refused");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => {
                    tracing::info!(%node, %error, "the standing of a node was not recorded");
                    tokio::time::sleep(AGAIN).await;
                }
            }
            // An error means that this actor is gone.
            let _ = me.send_message(Message::Recorded { node });
        });
    }
}
