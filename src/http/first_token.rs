//! The first token of a node: an operator's, made when there is none at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::permission::Permissions;
use synod_domain::token::{TokenKind, TokenSpec};

use crate::http::{TokenText, tls, token_text};
use crate::node::{self, Node};

/// What the first token is called.
const NAME: &str = "admin";

/// The file in the data folder that holds the text of the operator's token.
pub const FILE: &str = "admin-token";

/// Where the text is until the node has taken it.
const FILE_BEFORE: &str = "admin-token.new";

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node does not take it.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// The file cannot be written; no token was made.
    #[error("{path} cannot be written: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// Makes a token that allows everything and writes it into the data folder, if the node has no tokens yet. This
/// happens once: who has lost theirs needs [`admin_token`].
///
/// # Errors
/// When the node cannot take it, or the file cannot be written.
pub async fn first_token(node: &Node, data: &Path) -> Result<Option<TokenText>, Error> {
    if node.read(|state| state.tokens().next().is_some()) {
        take_up(node, data)?;
        return Ok(None);
    }
    admin_token(node, data).await.map(Some)
}

/// Makes another token that allows everything and writes it into the data folder, for its owner alone.
///
/// # Errors
/// When the node cannot take it, or the file cannot be written.
pub async fn admin_token(node: &Node, data: &Path) -> Result<TokenText, Error> {
    let text = TokenText::make(TokenKind::Admin, node.entropy());
    // A file comes first: the other way round a crash between the two would leave a token that nobody knows. It gets
    // its name last, so that a node which refuses leaves the file of before, which is good.
    let (before, path) = (data.join(FILE_BEFORE), data.join(FILE));
    tls::write(&before, format!("{}\n", text.expose()).as_bytes(), true)
        .map_err(|error| Error::File { path: before.clone(), error })?;
    let spec = TokenSpec {
        id: node.new_token_id(),
        name: Name::new(NAME).map_err(node::Error::from)?,
        kind: TokenKind::Admin,
        hash: text.hash(),
        permissions: Permissions::all(),
        expires_at: None,
        created_by: None,
    };
    if let Err(error) = node.propose(Command::PutToken { spec: Arc::new(spec) }).await {
        // It may have been taken all the same, when the node stopped before it could say so: the next start knows.
        take_up(node, data)?;
        return Err(error.into());
    }
    rename(&before, path)?;
    Ok(text)
}

/// Gives a text that was left over its name if the node has taken it.
fn take_up(node: &Node, data: &Path) -> Result<(), Error> {
    let before = data.join(FILE_BEFORE);
    let Ok(text) = fs::read_to_string(&before) else { return Ok(()) };
    let hash = token_text::hash(text.trim_end());
    match node.read(|state| state.token_by_hash(&hash).is_some()) {
        true => rename(&before, data.join(FILE)),
        false => Ok(()),
    }
}

fn rename(from: &Path, to: PathBuf) -> Result<(), Error> {
    fs::rename(from, &to).map_err(|error| Error::File { path: to, error })
}
