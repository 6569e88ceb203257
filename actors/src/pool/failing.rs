//! What becomes of an agent that stopped or failed: it starts again, or is given up.

use ractor::{ActorCell, ActorRef};
use synod_domain::agent::Standing;
use synod_domain::chance::Chance;
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::restart::{Decision, Exit, decide};
use synod_domain::task::bounded_reason;
use synod_domain::tending::PoolCommand;

use super::{Child, Life, Message, State};

impl State {
    /// Takes note that an agent does not run any more; returns it.
    fn exited(&mut self, who: &ActorCell) -> Option<&mut Child> {
        let id = self.by_actor.remove(&who.get_id())?;
        let child = self.children.get_mut(&id)?;
        child.life = Life::Over;
        child.handle.0.clear();
        Some(child)
    }

    pub(super) fn on_stop(&mut self, me: &ActorRef<Message>, who: &ActorCell) {
        if self.draining {
            self.exited(who);
        } else {
            self.on_failure(me, who, "it stopped without being told to");
        }
    }

    pub(super) fn on_failure(&mut self, me: &ActorRef<Message>, who: &ActorCell, reason: &str) {
        let policy = self
            .args
            .world
            .read(|state| state.pool(&self.args.pool).map(|pool| pool.spec.restart.clone()))
            .unwrap_or_default();
        let now = self.args.world.clock.now();
        let mut chance = Chance::new(self.chance.draw());
        let Some(child) = self.exited(who) else { return };
        if child.leaving {
            return;
        }
        child.life = Life::Restarting;
        let id = child.spec.id;
        if child.renewing || !child.afresh.is_empty() {
            // An error means that the pool is stopping.
            let _ = me.send_message(Message::Restarted { agent: id });
            return;
        }
        let decision = decide(&policy, &mut child.history, Exit::Failed, now, &mut chance);
        tracing::warn!(agent = %child.spec.name, error = reason, ?decision, "an agent failed");
        let (world, me, reason) = (self.args.world.clone(), me.clone(), bounded_reason(reason));
        self.beside.spawn(async move {
            // What becomes of one that is given up is agreed with it.
            let command = match decision {
                Decision::GiveUp => Command::Pool(PoolCommand::GiveUpAgent { agent: id, reason }),
                Decision::Restart { .. } | Decision::Leave => {
                    Command::SetStanding { agent: id, standing: Standing::Failed, reason }
                }
            };
            if let Err(error) = world.persist(command).await {
                tracing::debug!(agent = %id, %error, "the standing was not recorded");
            }
            // An error means that the pool is gone.
            let _ = me.send_message(Message::FailureRecorded { agent: id, decision });
        });
    }

    pub(super) fn failure_recorded(&mut self, me: &ActorRef<Message>, id: AgentId, decision: Decision) {
        let Some(child) = self.children.get_mut(&id) else { return };
        match decision {
            Decision::Restart { after } => {
                me.send_after(after, move || Message::RestartElapsed { agent: id });
            }
            Decision::GiveUp => child.life = Life::GivenUp,
            Decision::Leave => child.life = Life::Over,
        }
    }
}
