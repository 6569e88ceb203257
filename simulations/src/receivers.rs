//! Those whom webhooks tell what happens, in a world: they take it, refuse it, or take it and are not heard.
//!
//! They lie outside of every machine and are reached from each, as the addresses of real ones are. Promises that whatever
//! reached one is noted, taken or not, before its answer leaves.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use synod::node::domain::time::Timestamp;
use synod::node::domain::webhook::{Delivery, Webhook};
use synod::webhooks::{NotTaken, Receivers};
use tokio::time::sleep;

use crate::chance::Stream;
use crate::history::Fact;
use crate::machine::Machine;
use crate::trace;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Taken,
    /// It is, and the answer is lost on its way.
    TakenUnheard,
    Refused,
}

/// The receivers, as one life of a node reaches them.
pub(crate) struct Listeners {
    machine: Arc<Machine>,
    mood: Mutex<Mood>,
}

struct Mood {
    stream: Stream,
    /// Until when everything is refused.
    down_until: Duration,
}

impl Listeners {
    pub(crate) fn new(machine: &Arc<Machine>, life: u32) -> Self {
        let stream = machine.streams.open(&format!("receivers of n{} life {life}", machine.node));
        let mood = Mutex::new(Mood { stream, down_until: Duration::ZERO });
        Self { machine: Arc::clone(machine), mood }
    }

    /// Draws how long a message is on its way, and what becomes of it.
    fn draw(&self) -> (Duration, Fate) {
        let now = self.machine.elapsed();
        let mut mood = self.mood.lock();
        if mood.stream.happens(2) {
            mood.down_until = now + mood.stream.millis(500, 3_000);
        }
        let way = mood.stream.millis(0, 40);
        let fate = match mood.stream.between(0, 99) {
            _ if now < mood.down_until => Fate::Refused,
            0..82 => Fate::Taken,
            82..92 => Fate::TakenUnheard,
            _ => Fate::Refused,
        };
        (way, fate)
    }
}

#[async_trait]
impl Receivers for Listeners {
    async fn tell(&self, webhook: &Webhook, delivery: &Delivery, _: Timestamp) -> Result<(), NotTaken> {
        let (way, fate) = self.draw();
        sleep(way).await;
        let message = &delivery.message;
        self.machine.note(Fact::Told {
            webhook: webhook.spec.id,
            seq: delivery.seq,
            topic: message.topic.clone(),
            workspace: message.workspace.clone(),
            hash: trace::hash(message.data.as_bytes()),
            taken: fate != Fate::Refused,
        });
        match fate {
            Fate::Taken => Ok(()),
            Fate::TakenUnheard => Err(NotTaken::because("it closed the connection")),
            Fate::Refused => Err(NotTaken { status: Some(503), ..NotTaken::because("it answered 503") }),
        }
    }
}
