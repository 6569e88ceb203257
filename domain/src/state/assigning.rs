//! Which mailbox a task that is submitted to a pool comes to, as the pool assigns its work.

use std::sync::Arc;

use crate::assignment::{Assignment, DELEGATIONS_MAX};
use crate::capability::Capabilities;
use crate::name::Name;
use crate::refusal::Refusal;
use crate::state::State;
use crate::task::{MailboxId, TaskSpec};

impl State {
    /// Returns the task as it is taken: addressed to the pool that it is passed on to. Refused when nobody is free and
    /// its pool does not let work wait.
    pub(super) fn assign(&self, spec: &Arc<TaskSpec>) -> Result<Arc<TaskSpec>, Refusal> {
        let MailboxId::Pool(asked) = &spec.mailbox else { return Ok(spec.clone()) };
        let mut passed: Vec<&Name> = Vec::new();
        let mut pool = asked;
        loop {
            match self.assignment(pool) {
                Assignment::Queued | Assignment::Consolidated => break,
                Assignment::Immediate if self.has_free(pool, &spec.demand) => break,
                Assignment::Immediate => return Err(Refusal::NobodyFree(pool.clone())),
                Assignment::Delegated { to } => {
                    passed.push(pool);
                    let is_open = self.pools.get(to).is_some_and(|other| other.retiring.is_none())
                        && self.may_use_pool(&spec.workspace, to);
                    let ends = passed.len() > DELEGATIONS_MAX || passed.contains(&to);
                    if !is_open || ends || self.has_free(pool, &spec.demand) {
                        break;
                    }
                    pool = to;
                }
            }
        }
        if pool == asked {
            return Ok(spec.clone());
        }
        Ok(Arc::new(TaskSpec { mailbox: MailboxId::Pool(pool.clone()), ..TaskSpec::clone(spec) }))
    }

    /// Tells whether an agent of a pool would take one more such task at once, besides what waits there already. It
    /// looks at agents until it has found enough: O(members) when all are busy.
    fn has_free(&self, pool: &Name, demand: &Capabilities) -> bool {
        let mailbox = MailboxId::Pool(pool.clone());
        if self.pauses.of_mailbox(&mailbox).is_some() {
            return false;
        }
        let ahead = self.mailboxes.get(&mailbox).map_or(0, |mailbox| mailbox.depth() as u64);
        let mut free = 0;
        for agent in self.agents_of(pool) {
            if self.may_claim(agent) && agent.spec.capabilities.satisfy(demand) {
                free += u64::from(agent.free());
                if free > ahead {
                    return true;
                }
            }
        }
        false
    }
}
