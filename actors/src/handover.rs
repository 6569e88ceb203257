//! Letting the agents of other nodes begin before those of this node leave whose places have moved there.
//!
//! A pool whose share here has become smaller keeps what it has until as many agents serve elsewhere as shall, so that
//! draining a node does not leave its pools without anybody. A pool that has only become smaller does not wait: the
//! others have what they shall have. Bounded, because the others may never manage.

use std::time::Duration;

use ractor::ActorRef;
use synod_domain::agent::{Host, Standing};
use synod_domain::state::State as Agreed;

use crate::events::Heard;
use crate::pool::{Args, Message};
use crate::tether::Tether;

/// How long agents stay whose places have moved while nobody serves there. Starting an agent takes a sync or two and
/// what its runtime needs to prepare; whatever takes longer than this had better not hold up a drain.
const HANDOVER_MAX: Duration = Duration::from_secs(30);

/// How far the handover of a pool's places is.
#[derive(Debug, Default)]
pub(crate) enum Handover {
    /// There is nothing to hand over.
    #[default]
    None,
    /// Others are about to serve; dropping it ends the waiting.
    Waiting(#[expect(dead_code, reason = "what it holds up ends with it")] Tether),
    /// Others serve, or have had the time to.
    Over,
}

impl Handover {
    /// Tells whether surplus agents may leave. If not, the pool is told when they may.
    pub(crate) fn may_leave(&mut self, args: &Args, surplus: usize, me: &ActorRef<Message>) -> bool {
        if surplus == 0 {
            *self = Self::None;
            return true;
        }
        if args.world.read(|state| others_serve(state, args)) {
            return true;
        }
        match self {
            Self::Over => true,
            Self::Waiting(_) => false,
            Self::None => {
                let waiting = Tether::default();
                let (args, me) = (args.clone(), me.clone());
                waiting.spawn(async move {
                    // What happened before this is in the state already.
                    let _ = tokio::time::timeout(HANDOVER_MAX, until_others_serve(&args)).await;
                    // An error means that the pool is gone.
                    let _ = me.send_message(Message::HandedOver);
                });
                *self = Self::Waiting(waiting);
                false
            }
        }
    }

    /// Takes note that there is nobody to wait for any more.
    pub(crate) fn over(&mut self) {
        *self = Self::Over;
    }
}

async fn until_others_serve(args: &Args) {
    let mut events = args.world.hub.subscribe();
    while !args.world.read(|state| others_serve(state, args)) {
        if events.next().await == Heard::Closed {
            return;
        }
    }
}

/// Tells whether as many agents of the pool serve on other nodes as shall.
fn others_serve(state: &Agreed, args: &Args) -> bool {
    let here = args.world.node;
    let Some(pool) = state.pool(&args.pool) else { return true };
    let shares = pool.shares.iter().filter(|(node, _)| **node != here);
    let wanted: u32 = shares.map(|(_, share)| share).sum();
    let serves = |host: &Host| matches!(host, Host::Node(node) if *node != here);
    let serving = state
        .agents_of(&args.pool)
        .filter(|agent| agent.standing == Standing::Ready && !agent.standby && serves(&agent.spec.host));
    serving.count() >= wanted as usize
}
