//! Who calls: the holder of a token.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, header, request::Parts};
use subtle::ConstantTimeEq;
use synod_domain::audit::{Actor, ActorKind};
use synod_domain::id::TokenId;
use synod_domain::name::Name;
use synod_domain::permission::{Permission, Permissions};
use synod_domain::time::Timestamp;
use synod_domain::token::{Token, TokenHash};

use crate::http::{Context, Problem, token_text};
use crate::node::Node;

/// The holder of a valid token, as a handler sees them.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Names the token in logs; not secret.
    pub accessor: Arc<str>,
    /// The token, unless the environment gave it.
    pub token: Option<TokenId>,
    permissions: Held,
    kind: ActorKind,
}

#[derive(Debug, Clone)]
enum Held {
    Agreed {
        token: Arc<Token>,
        /// Of the text that was shown: a rotation may take that text's right away and leave the token.
        hash: TokenHash,
        /// Its own and those of its roles.
        permissions: Arc<Permissions>,
        workspace: Option<Name>,
    },
    Static(Arc<Permissions>),
}

impl Caller {
    /// Stands for somebody whom another region has let in, and vouches for.
    pub(super) fn of_region(accessor: Arc<str>, permissions: Permissions) -> Self {
        let permissions = Held::Static(Arc::new(permissions));
        Self { accessor, token: None, permissions, kind: ActorKind::Region }
    }

    /// Tells whether the token allows `permission`.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions().allow(permission)
    }

    /// Returns what the token allows.
    pub fn permissions(&self) -> &Permissions {
        match &self.permissions {
            Held::Agreed { permissions, .. } => permissions,
            Held::Static(permissions) => permissions,
        }
    }

    /// Returns the workspace that the token is bound to; none for an operator's.
    pub fn workspace(&self) -> Option<&Name> {
        match &self.permissions {
            Held::Agreed { workspace, .. } => workspace.as_ref(),
            Held::Static(_) => None,
        }
    }

    /// Returns the caller as whoever asks for changes, from a place that is known as `source`.
    pub(super) fn actor(&self, source: &str) -> Arc<Actor> {
        let name = match &self.permissions {
            Held::Agreed { token, .. } => token.spec.name.as_str().into(),
            Held::Static(_) => Arc::clone(&self.accessor),
        };
        let id = Arc::clone(&self.accessor);
        let workspace = self.workspace().cloned();
        Arc::new(Actor { kind: self.kind, id, name, workspace, source: source.into() })
    }

    /// Tells whether what the caller has shown would be taken now too. What lasts longer than a request asks this
    /// whenever something has happened, and waits for [`Caller::expired`] meanwhile.
    pub fn is_valid(&self, node: &Node) -> bool {
        match &self.permissions {
            // A role that was taken away takes its right with it.
            Held::Agreed { hash, permissions, .. } => {
                let (hash, now) = (*hash, node.now());
                let valid = |known: &Known| known.token.is_valid(&hash, now);
                find(node, &hash).filter(valid).is_some_and(|known| known.permissions.include(permissions))
            }
            Held::Static(_) => true,
        }
    }

    /// Returns when what the caller has shown is over; `None` for never.
    pub fn ends_at(&self, node: &Node) -> Option<Timestamp> {
        match &self.permissions {
            // One that was revoked a moment ago is over.
            Held::Agreed { hash, .. } => {
                let end = known(node, hash).map_or(node.now(), |token| token.end_of(hash));
                Some(end).filter(|end| *end != Timestamp::NEVER)
            }
            Held::Static(_) => None,
        }
    }

    /// Waits until what the caller has shown is over by its time, as that stands now: a rotation or a revocation is
    /// an event, and who listens to those asks [`Caller::is_valid`] and waits anew.
    pub async fn expired(&self, node: &Node) {
        let Held::Agreed { hash, .. } = &self.permissions else { return std::future::pending().await };
        while let Some(token) = known(node, hash) {
            let (end, now) = (token.end_of(hash), node.now());
            if end <= now {
                return;
            }
            // The wall clock may have been put back meanwhile; then there is something left.
            tokio::time::sleep(end.since(now)).await;
        }
    }

    /// Waits until what the caller has shown would be taken no more: its time is over, or it was rotated away or
    /// revoked. Woken by changes of tokens alone, however much else happens.
    async fn over(&self, node: &Node) {
        let mut changes = node.feed().token_changes();
        while self.is_valid(node) {
            tokio::select! {
                biased;
                () = self.expired(node) => return,
                changed = changes.changed() => if changed.is_err() {
                    return std::future::pending().await;
                },
            }
        }
    }

    /// Carries out what may take long, as long as the caller may have it; then drops it, and with it what it was
    /// about to be given.
    ///
    /// # Errors
    /// Those of the work, or that the token is not known any more.
    pub async fn while_valid<T>(
        &self,
        node: &Node,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        tokio::select! {
            biased;
            () = self.over(node) => Err(Problem::token_unknown()),
            done = work => done,
        }
    }

    /// Finds the caller of a request by its bearer token.
    pub(super) fn find(context: &Context, headers: &HeaderMap) -> Result<Self, Problem> {
        let text = bearer(headers).ok_or_else(Problem::no_token)?;
        // Hashes are compared, not texts: how long that takes tells nothing about any text.
        let hash = token_text::hash(text);
        if token_text::is_well_formed(text) {
            let node = context.node();
            let now = node.now();
            let found = find(node, &hash).filter(|known| known.token.is_valid(&hash, now));
            if let Some(Known { token, permissions, workspace }) = found {
                let id = token.spec.id;
                let permissions = Arc::new(permissions);
                return Ok(Self {
                    accessor: id.to_string().into(),
                    token: Some(id),
                    permissions: Held::Agreed { token, hash, permissions, workspace },
                    kind: ActorKind::Token,
                });
            }
        }
        let fixed = context.options().static_tokens.iter().find(|one| bool::from(one.hash.ct_eq(&hash)));
        let fixed = fixed.ok_or_else(Problem::token_unknown)?;
        let permissions = Held::Static(Arc::new(fixed.permissions.clone()));
        Ok(Self { accessor: fixed.name.into(), token: None, permissions, kind: ActorKind::Static })
    }
}

/// A token with what follows from roles and bindings.
struct Known {
    token: Arc<Token>,
    permissions: Permissions,
    workspace: Option<Name>,
}

fn find(node: &Node, hash: &TokenHash) -> Option<Known> {
    node.read(|state| {
        let token = state.token_by_hash(hash)?;
        let workspace = state.workspace_of_token(token.spec.id);
        let permissions = state.permissions_of(&token.spec, workspace).into_owned();
        Some(Known { token: Arc::clone(token), permissions, workspace: workspace.cloned() })
    })
}

fn known(node: &Node, hash: &TokenHash) -> Option<Arc<Token>> {
    node.read(|state| state.token_by_hash(hash).cloned())
}

/// Who called, for the access log; travels back with the answer.
#[derive(Debug, Clone)]
pub(super) struct Accessor(pub(super) Arc<str>);

/// Returns the text of the bearer token; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut written = headers.get_all(header::AUTHORIZATION).iter();
    let value = written.next()?.to_str().ok()?;
    if written.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// Takes the caller that [`crate::http::Routes`] put into the request.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::no_token)
    }
}
