//! Tokens: who may call the API, and what for.
//!
//! The state holds the SHA-256 of a token's text and never the text. A token is named by its id (the
//! *accessor*), which may stand in logs; the text is shown once, when it is made.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::TokenId;
use crate::name::Name;
use crate::permission::Permissions;
use crate::time::Timestamp;

/// The most tokens that are kept; each takes some 300 bytes on every replica.
pub const TOKENS_MAX: usize = 10_000;

/// SHA-256 of a token's text.
pub type TokenHash = [u8; 32];

/// What sort of caller a token is for; it stands in the token's text, so that a found one can be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// An operator.
    Admin,
    /// A person or a service that submits and looks.
    Client,
    /// A remote worker.
    Worker,
}

impl TokenKind {
    /// Returns the word that stands in the token's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Client => "client",
            Self::Worker => "worker",
        }
    }
}

/// What a token is when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSpec {
    /// Names it wherever it is spoken of.
    pub id: TokenId,
    /// What people call it.
    pub name: Name,
    /// What sort of caller it is for.
    pub kind: TokenKind,
    /// SHA-256 of its text.
    pub hash: TokenHash,
    /// What it allows.
    pub permissions: Permissions,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Who made it; none for the first.
    pub created_by: Option<TokenId>,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it was made as; a rotation changes its hash.
    pub spec: Arc<TokenSpec>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was rotated last.
    pub rotated_at: Option<Timestamp>,
    /// The text before the last rotation, by its hash, and until when it is still taken.
    pub previous: Option<(TokenHash, Timestamp)>,
}

impl Token {
    /// Tells whether a text of this hash is taken at `now`.
    pub fn is_valid(&self, hash: &TokenHash, now: Timestamp) -> bool {
        now < self.end_of(hash)
    }

    /// Returns until when a text of this hash is taken, as things stand: the beginning of time when it is not the
    /// token's, its end when it has none.
    pub fn end_of(&self, hash: &TokenHash) -> Timestamp {
        let end = self.spec.expires_at.unwrap_or(Timestamp::NEVER);
        match &self.previous {
            _ if self.spec.hash == *hash => end,
            Some((old, until)) if old == hash => end.min(*until),
            Some(_) | None => Timestamp::ZERO,
        }
    }
}
