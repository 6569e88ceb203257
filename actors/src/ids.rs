//! New ids, from the node's clock and chance.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use synod_domain::id::{AgentId, HookId, IdGenerator, RequestId, RunId, TaskId, TokenId, WebhookId};
use synod_domain::sources::{Clock, Entropy};

/// Makes ids for one node. Shared by everything that proposes commands.
pub struct Ids {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    generator: Mutex<IdGenerator>,
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

impl Ids {
    /// Makes ids from the given time and chance.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy, generator: Mutex::default() }
    }

    fn raw(&self) -> u128 {
        self.generator.lock().next(self.clock.now(), self.entropy.draw())
    }

    /// Names a new request.
    pub fn request(&self) -> RequestId {
        RequestId::from_raw(self.raw())
    }

    /// Names a new task.
    pub fn task(&self) -> TaskId {
        TaskId::from_raw(self.raw())
    }

    /// Names a new agent.
    pub fn agent(&self) -> AgentId {
        AgentId::from_raw(self.raw())
    }

    /// Names a new run.
    pub fn run(&self) -> RunId {
        RunId::from_raw(self.raw())
    }

    /// Names a new hook.
    pub fn hook(&self) -> HookId {
        HookId::from_raw(self.raw())
    }

    /// Names a new webhook.
    pub fn webhook(&self) -> WebhookId {
        WebhookId::from_raw(self.raw())
    }

    /// Names a new token.
    pub fn token(&self) -> TokenId {
        TokenId::from_raw(self.raw())
    }
}
