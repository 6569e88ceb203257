//! A node's verbs about webhooks.

use synod_domain::id::WebhookId;
use synod_domain::webhook::WebhookSecret;

use crate::node::Node;
use crate::webhooks::Rules;

impl Node {
    /// Makes the id of a new webhook.
    pub fn new_webhook_id(&self) -> WebhookId {
        self.world.ids.webhook()
    }

    /// Draws a new secret for a webhook: 256 bits of chance.
    pub fn new_webhook_secret(&self) -> WebhookSecret {
        let mut secret = [0; 32];
        for part in secret.chunks_exact_mut(8) {
            part.copy_from_slice(&self.entropy().draw().to_be_bytes());
        }
        WebhookSecret(secret)
    }

    /// Returns where webhooks may be, by the settings of this node. Those of the node that leads count when one is told
    /// something.
    pub const fn webhook_rules(&self) -> &Rules {
        &self.webhook_rules
    }
}
