//! The keys of gossip, which every node gets with the state.

use crate::node::{GOSSIP_KEYS_MAX, GossipKey, GossipSecret, Keyring};
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::State;

impl State {
    pub(super) fn install_gossip_key(&mut self, secret: &GossipSecret) -> Answer {
        if self.keyring.keys.len() >= GOSSIP_KEYS_MAX {
            return Err(Refusal::Full { bound: Bound::GossipKeys, limit: GOSSIP_KEYS_MAX as u64 });
        }
        if let Some(same) = self.keyring.keys.iter().find(|key| key.secret == *secret) {
            let why = "is the same key".to_owned();
            return Err(Refusal::GossipKeyRefused { number: same.number, why });
        }
        self.keyring.last += 1;
        let number = self.keyring.last;
        self.keyring.keys.push(GossipKey { number, secret: secret.clone() });
        self.keyring.used.get_or_insert(number);
        self.changes.touch(RowKey::Keyring);
        Ok(Reply::Done)
    }

    pub(super) fn use_gossip_key(&mut self, number: u32) -> Answer {
        self.known_key(number)?;
        self.keyring.used = Some(number);
        self.changes.touch(RowKey::Keyring);
        Ok(Reply::Done)
    }

    pub(super) fn remove_gossip_key(&mut self, number: u32) -> Answer {
        self.known_key(number)?;
        if self.keyring.used == Some(number) {
            return Err(Refusal::GossipKeyRefused { number, why: "is in use".to_owned() });
        }
        self.keyring.keys.retain(|key| key.number != number);
        self.changes.touch(RowKey::Keyring);
        Ok(Reply::Done)
    }

    fn known_key(&self, number: u32) -> Result<(), Refusal> {
        let known = self.keyring.keys.iter().any(|key| key.number == number);
        if known {
            Ok(())
        } else {
            Err(Refusal::GossipKeyRefused { number, why: "is not in the ring".to_owned() })
        }
    }

    /// Returns the keys of gossip.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}
