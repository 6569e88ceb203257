//! Joining: tokens that admit one node each.

use std::sync::Arc;

use crate::event::Event;
use crate::id::TokenId;
use crate::node::{JOIN_TOKENS_MAX, JoinToken, NODES_MAX, NodeRole, NodeSpec};
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::token::TokenHash;

impl State {
    pub(super) fn put_join_token(&mut self, step: &Step, token: &JoinToken) -> Answer {
        if token.expires_at <= step.now {
            let (field, why) = ("expires_at".to_owned(), "it has passed already".to_owned());
            return Err(Refusal::Invalid { field, why });
        }
        let live = || self.join_tokens.values().filter(|one| one.expires_at > step.now);
        if live().any(|one| one.id == token.id || one.hash == token.hash) {
            return Err(Refusal::TokenExists(token.id));
        }
        if live().count() >= JOIN_TOKENS_MAX {
            return Err(Refusal::Full { bound: Bound::JoinTokens, limit: JOIN_TOKENS_MAX as u64 });
        }
        let over: Vec<TokenId> =
            self.join_tokens.values().filter(|one| one.expires_at <= step.now).map(|one| one.id).collect();
        for id in over {
            self.drop_join_token(id);
        }
        self.keep_join_token(JoinToken { used_by: None, ..token.clone() });
        Ok(Reply::Done)
    }

    pub(super) fn revoke_join_token(&mut self, token: TokenId) -> Answer {
        if !self.join_tokens.contains_key(&token) {
            if let Some(answer) = self.drop_region_token(token) {
                return answer;
            }
            return Err(Refusal::TokenUnknown(token));
        }
        self.drop_join_token(token);
        Ok(Reply::Done)
    }

    /// Admits a node. The same node may ask again with its token until it starts: the answer to its first asking may
    /// have been lost.
    pub(super) fn admit_node(
        &mut self,
        step: &mut Step,
        spec: &Arc<NodeSpec>,
        role: NodeRole,
        token: &TokenHash,
    ) -> Answer {
        let refuse = |why: &str| Err(Refusal::JoinTokenRefused(why.to_owned()));
        let Some(found) = self.join_tokens.values().find(|one| one.hash == *token) else {
            return refuse("is not known");
        };
        if found.expires_at <= step.now {
            return refuse("has expired");
        }
        if found.used_by.is_some_and(|node| node != spec.id) {
            return refuse("was used by another node");
        }
        if found.role == NodeRole::Worker && role == NodeRole::Voter {
            return refuse("admits workers only");
        }
        if let Some(node) = self.nodes.get(&spec.id) {
            return match found.used_by {
                // Whoever has started had the answer. What asks now is somebody else who has found the token.
                Some(_) if node.generation > 0 => refuse("was used, and its node has started since"),
                Some(_) => Ok(Reply::Admitted { number: node.number }),
                None => refuse("is for a node that is not yet a member"),
            };
        }
        if found.used_by.is_some() {
            return refuse("was used, and the node that used it was removed since");
        }
        if self.nodes.len() >= NODES_MAX {
            return Err(Refusal::Full { bound: Bound::Nodes, limit: NODES_MAX as u64 });
        }
        self.check_node_name(spec)?;
        let used = JoinToken { used_by: Some(spec.id), ..found.clone() };
        self.keep_join_token(used);
        let node = self.new_node(step, spec, role);
        let number = node.number;
        self.keep_node(node);
        let (node, name) = (spec.id, spec.name.clone());
        step.events.push(Event::NodeAdmitted { node, name, number, role });
        Ok(Reply::Admitted { number })
    }

    fn keep_join_token(&mut self, token: JoinToken) {
        self.changes.touch(RowKey::JoinToken(token.id));
        self.join_tokens.insert(token.id, token);
    }

    fn drop_join_token(&mut self, token: TokenId) {
        self.changes.touch(RowKey::JoinToken(token));
        self.join_tokens.remove(&token);
    }

    /// Walks the join tokens in order of id; some may be over.
    pub fn join_tokens(&self) -> impl Iterator<Item = &JoinToken> {
        self.join_tokens.values()
    }
}
