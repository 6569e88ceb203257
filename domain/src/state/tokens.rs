//! Tokens: making, rotating, revoking, and finding one by the hash of its text.
//!
//! Whether a text is taken now is for [`Token::is_valid`] and whoever has a clock. Here what is over is removed
//! when time passes anyway, oldest first and a bounded number in one entry: a token after its end, the hash of
//! an old text after the time for which it was kept. Until then both may still be found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::event::Event;
use crate::id::TokenId;
use crate::permission::Permission;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::time::Timestamp;
use crate::token::{TOKENS_MAX, Token, TokenHash, TokenSpec};

/// How many ends one entry deals with at most, so that no entry pays for a whole day of them.
const ENDED_AT_ONCE: usize = 64;

/// All tokens, by id, by the hashes of their texts, and in the order in which something of them ends.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    by_id: BTreeMap<TokenId, Arc<Token>>,
    by_hash: BTreeMap<TokenHash, TokenId>,
    by_end: BTreeSet<(Timestamp, TokenId)>,
}

impl Tokens {
    /// Puts a token in, in place of what it was.
    pub(super) fn insert(&mut self, token: Arc<Token>) {
        let id = token.spec.id;
        self.remove(id);
        for hash in hashes(&token) {
            self.by_hash.insert(hash, id);
        }
        self.by_end.extend(next_end(&token).map(|at| (at, id)));
        self.by_id.insert(id, token);
    }

    fn remove(&mut self, id: TokenId) -> Option<Arc<Token>> {
        let token = self.by_id.remove(&id)?;
        for hash in hashes(&token) {
            self.by_hash.remove(&hash);
        }
        if let Some(at) = next_end(&token) {
            self.by_end.remove(&(at, id));
        }
        Some(token)
    }

    pub(super) fn get(&self, id: TokenId) -> Option<&Arc<Token>> {
        self.by_id.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.by_id.values()
    }

    fn of_hash(&self, hash: &TokenHash) -> Option<&Arc<Token>> {
        self.by_id.get(self.by_hash.get(hash)?)
    }

    fn ended_by(&self, now: Timestamp) -> Option<TokenId> {
        self.by_end.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }
}

fn hashes(token: &Token) -> impl Iterator<Item = TokenHash> {
    let previous = token.previous.as_ref().map(|(hash, _)| *hash);
    [token.spec.hash].into_iter().chain(previous)
}

/// Returns when the token ends, or its old text before it.
fn next_end(token: &Token) -> Option<Timestamp> {
    let previous = token.previous.as_ref().map(|(_, until)| *until);
    token.spec.expires_at.into_iter().chain(previous).min()
}

fn is_over(token: &Token, now: Timestamp) -> bool {
    token.spec.expires_at.is_some_and(|end| end <= now)
}

impl State {
    pub(super) fn put_token(&mut self, step: &mut Step, spec: &Arc<TokenSpec>) -> Answer {
        let refuse =
            |field: &str, why: &str| Err(Refusal::Invalid { field: field.to_owned(), why: why.to_owned() });
        if spec.permissions.is_empty() {
            return refuse("permissions", "a token must allow something");
        }
        if spec.expires_at.is_some_and(|end| end <= step.now) {
            return refuse("expires_at", "it has passed already");
        }
        if self.tokens.get(spec.id).is_some() {
            return Err(Refusal::TokenExists(spec.id));
        }
        self.check_hash(&spec.hash)?;
        if self.tokens.by_id.len() >= TOKENS_MAX {
            return Err(Refusal::Full { bound: Bound::Tokens, limit: TOKENS_MAX as u64 });
        }
        let token = Token { spec: spec.clone(), created_at: step.now, rotated_at: None, previous: None };
        self.keep_token(token);
        step.events.push(Event::TokenCreated { token: spec.id, name: spec.name.clone() });
        Ok(Reply::Done)
    }

    pub(super) fn rotate_token(
        &mut self,
        step: &mut Step,
        id: TokenId,
        hash: TokenHash,
        keep_old_until: Option<Timestamp>,
    ) -> Answer {
        let mut token = Token::clone(self.living_token(step, id)?);
        self.check_hash(&hash)?;
        token.previous =
            keep_old_until.filter(|until| *until > step.now).map(|until| (token.spec.hash, until));
        Arc::make_mut(&mut token.spec).hash = hash;
        token.rotated_at = Some(step.now);
        let name = token.spec.name.clone();
        self.keep_token(token);
        step.events.push(Event::TokenRotated { token: id, name });
        Ok(Reply::Done)
    }

    pub(super) fn revoke_token(&mut self, step: &mut Step, id: TokenId) -> Answer {
        let token = self.living_token(step, id)?;
        let name = token.spec.name.clone();
        let makes_tokens = |token: &Token| token.spec.permissions.allow(Permission::TokensWrite);
        let another = |other: &Arc<Token>| {
            other.spec.id != id && makes_tokens(other.as_ref()) && !is_over(other.as_ref(), step.now)
        };
        // Judged here, where two that are revoked at once come one after the other.
        if makes_tokens(token.as_ref()) && !self.tokens.iter().any(another) {
            return Err(Refusal::LastToken(id));
        }
        self.tokens.remove(id);
        self.changes.touch(RowKey::Token(id));
        self.forget_access(id);
        step.events.push(Event::TokenRevoked { token: id, name });
        Ok(Reply::Done)
    }

    /// Removes what of the tokens is over; an expiry was told when the token was made, and is not told again.
    pub(super) fn forget_tokens(&mut self, now: Timestamp) {
        for _ in 0..ENDED_AT_ONCE {
            let Some(id) = self.tokens.ended_by(now) else { return };
            match self.tokens.remove(id) {
                Some(token) if !is_over(&token, now) => {
                    self.keep_token(Token { previous: None, ..Token::clone(&token) });
                }
                Some(_) | None => {
                    self.changes.touch(RowKey::Token(id));
                    self.forget_access(id);
                }
            }
        }
    }

    fn keep_token(&mut self, token: Token) {
        self.changes.touch(RowKey::Token(token.spec.id));
        self.tokens.insert(Arc::new(token));
    }

    fn living_token(&self, step: &Step, id: TokenId) -> Result<&Arc<Token>, Refusal> {
        let token = self.tokens.get(id).filter(|token| !is_over(token, step.now));
        token.ok_or(Refusal::TokenUnknown(id))
    }

    /// Two tokens of one text would be one token with two names.
    fn check_hash(&self, hash: &TokenHash) -> Result<(), Refusal> {
        self.tokens.of_hash(hash).map_or(Ok(()), |other| Err(Refusal::TokenExists(other.spec.id)))
    }

    /// Returns a token; one that is over may still be there.
    pub fn token(&self, token: TokenId) -> Option<&Arc<Token>> {
        self.tokens.get(token)
    }

    /// Walks the tokens in order of id.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.tokens.iter()
    }

    /// Returns the token whose present or previous text has this hash. Whether it is taken now is for the caller to
    /// ask, with [`Token::is_valid`].
    pub fn token_by_hash(&self, hash: &TokenHash) -> Option<&Arc<Token>> {
        self.tokens.of_hash(hash)
    }
}
