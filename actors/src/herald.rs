//! Tells webhooks what is noted for them, in order, one message of each at a time; only where this node leads.
//!
//! ```text
//!   noted ─► router ─► look ─► the next of each webhook ─► a try ─► taken, or not: proposed ─► look again
//!                       ▲                                                                        │
//!                       └───── asleep until the first next try, if one is waited for ◄───────────┘
//! ```
//!
//! What is to be told and when is agreed; nothing of it is held here, so who begins anew goes on where the last one stood.
//! A message whose receiver took it while its node fell is told again, under the same number. Writing and signing it is
//! left to the port ([`Receivers`](crate::ports::Receivers)). While nothing is to be told it sleeps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::command::Command;
use synod_domain::id::WebhookId;
use synod_domain::time::Timestamp;
use synod_domain::webhook::{Delivery, Webhook, WebhookCommand};

use crate::address::Address;
use crate::ports::{NotTaken, Receivers};
use crate::propose::World;
use crate::tether::Tether;

/// How many messages are on their way at a time, each of another webhook. One that hangs keeps its place for as long as
/// [`TRY_PATIENCE`], so a few that hang do not hold the others up.
const IN_HAND_MAX: usize = 16;

/// How long one try may take in all. Senders have shorter bounds of their own; this one is for those that do not keep them.
const TRY_PATIENCE: Duration = Duration::from_secs(60);

/// The wait after the journal did not take what came of a try.
const NOT_RECORDED_PAUSE: Duration = Duration::from_secs(1);

/// The longest sleep while a try is due later: a wall clock that jumps ahead is noticed by then.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
}

/// The only way to talk to it. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle {
    pub(crate) address: Address<Message>,
    /// The count of what was noted, as it was seen last.
    seen: Arc<AtomicU64>,
}

impl Handle {
    /// Tells it how much has been noted. Costs one comparison unless that is more than before.
    pub(crate) fn stirred(&self, count: u64) {
        if self.seen.swap(count, Ordering::AcqRel) != count {
            self.look();
        }
    }

    /// Tells it that anything may be noted.
    pub(crate) fn look(&self) {
        // One that is down looks when it starts.
        let _ = self.address.tell(Message::Look);
    }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    Look,
    Tried { webhook: WebhookId },
}

pub(crate) struct State {
    args: Args,
    /// Nothing on a node that tells nobody.
    receivers: Option<Arc<dyn Receivers>>,
    in_hand: BTreeSet<WebhookId>,
    /// The sleep until the next try; replaced by each look.
    sleep: Tether,
    beside: Tether,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Herald;

impl Actor for Herald {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        me.send_message(Message::Look)?;
        let receivers = args.world.receivers.clone();
        let (in_hand, sleep, beside) = (BTreeSet::new(), Tether::default(), Tether::default());
        Ok(State { args, receivers, in_hand, sleep, beside })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Look => {}
            Message::Tried { webhook } => {
                state.in_hand.remove(&webhook);
            }
        }
        state.look(&me);
        Ok(())
    }
}

/// Something to be told, with what is needed for it.
struct Due {
    webhook: Arc<Webhook>,
    delivery: Arc<Delivery>,
}

impl State {
    /// Sets out with what is due, and sleeps until the next is.
    fn look(&mut self, me: &ActorRef<Message>) {
        let Some(receivers) = self.receivers.clone() else { return };
        self.sleep = Tether::default();
        let mut next: Vec<Due> = self.args.world.read(|state| {
            let idle = state.to_be_told().filter(|(webhook, _)| !self.in_hand.contains(&webhook.spec.id));
            let due = idle.map(|(webhook, delivery)| (webhook.clone(), delivery.clone()));
            due.map(|(webhook, delivery)| Due { webhook, delivery }).collect()
        });
        // Who has waited longest comes first, so that a few that fail soon do not take every place.
        next.sort_by_key(|due| (due.delivery.next, due.webhook.spec.id));
        let now = self.now();
        for due in next {
            if due.delivery.next > now {
                self.sleep_until(me, due.delivery.next.since(now));
                return;
            }
            if self.in_hand.len() >= IN_HAND_MAX {
                // Whoever comes back makes it look again.
                return;
            }
            self.set_out(me, &receivers, due, now);
        }
    }

    fn now(&self) -> Timestamp {
        // A log that is ahead of this clock has the time that counts.
        self.args.world.clock.now().max(self.args.world.read(|state| state.now()))
    }

    fn sleep_until(&self, me: &ActorRef<Message>, wait: Duration) {
        let me = me.clone();
        self.sleep.spawn(async move {
            tokio::time::sleep(wait.clamp(Duration::from_millis(1), SLEEP_MAX)).await;
            // An error means that this herald is gone.
            let _ = me.send_message(Message::Look);
        });
    }

    fn set_out(&mut self, me: &ActorRef<Message>, receivers: &Arc<dyn Receivers>, due: Due, now: Timestamp) {
        let webhook = due.webhook.spec.id;
        self.in_hand.insert(webhook);
        let (world, receivers, me) = (self.args.world.clone(), Arc::clone(receivers), me.clone());
        self.beside.spawn(async move {
            let command = tell(&*receivers, &due, now).await;
            // A refusal says that it was removed or dropped meanwhile; then there is nothing to say of it any more.
            if let Err(error) = world.propose(Command::Webhook(command)).await {
                tracing::debug!(%webhook, %error, "what came of telling a webhook was not recorded");
                tokio::time::sleep(NOT_RECORDED_PAUSE).await;
            }
            // An error means that this herald is gone; the next looks at everything.
            let _ = me.send_message(Message::Tried { webhook });
        });
    }
}

/// Tries to tell a webhook something, and returns what is to be agreed of it.
async fn tell(receivers: &dyn Receivers, due: &Due, now: Timestamp) -> WebhookCommand {
    let (webhook, seq) = (due.webhook.spec.id, due.delivery.seq);
    let told = tokio::time::timeout(TRY_PATIENCE, receivers.tell(&due.webhook, &due.delivery, now)).await;
    let not_taken = match told {
        Ok(Ok(())) => {
            tracing::debug!(%webhook, seq, "a webhook was told something");
            return WebhookCommand::Delivered { webhook, seq };
        }
        Ok(Err(not_taken)) => not_taken,
        Err(_) => NotTaken::because(format!("it did not answer within {TRY_PATIENCE:?}")),
    };
    let NotTaken { status, why, wait } = not_taken;
    tracing::info!(%webhook, seq, why, "a webhook did not take what it was told");
    WebhookCommand::Failed { webhook, seq, status, why: why.into(), wait }
}
