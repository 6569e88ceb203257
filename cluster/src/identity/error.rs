//! What goes wrong with identities, and what to do about it.

use std::path::PathBuf;

use synod_domain::federation::REGION_NAME_BYTES_MAX;
use synod_domain::id::NodeId;
use synod_domain::name::Name;

use crate::transport;

/// Why a node cannot be who it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be written.
    #[error("the identity of this node cannot be kept: {0}")]
    Write(#[from] synod_storage::Error),
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}; make it readable for the user that runs synod")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file does not hold what it must.
    #[error(
        "{path} is damaged: {why}; put it back from a copy, or remove this node from the cluster \
         (`synod cluster remove`), delete the data folder, and join anew"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Others can read a secret.
    #[error(
        "{path} can be read by other users of this machine (mode {mode:o}); if nobody has, say `chmod 600` on it, \
         else remove this node from the cluster and join anew"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is an identity already.
    #[error(
        "{path} holds the identity of {node} in cluster {cluster} already; choose another data folder, or delete \
         this one if the node was removed from its cluster"
    )]
    Exists {
        /// The folder.
        path: PathBuf,
        /// Whose.
        node: NodeId,
        /// In which cluster.
        cluster: String,
    },
    /// The log of this node does not know what the node has promised.
    #[error(
        "this data folder has forgotten what {node} promised to cluster {cluster}: {found}. Starting it could lose \
         what the cluster acknowledged. Remove the node with `synod cluster remove {node}` on another one, delete \
         this data folder, make a token with `synod cluster token create`, and join anew"
    )]
    Amnesia {
        /// Who the node was.
        node: NodeId,
        /// In which cluster.
        cluster: String,
        /// What was found instead.
        found: String,
    },
    /// A certificate or a key cannot be made or used.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// The name of a region does not fit a certificate.
    #[error("{0} is too long for a region; its name has at most {REGION_NAME_BYTES_MAX} bytes")]
    Region(Name),
    /// A text is not a join token.
    #[error("this is not a join token: {0}; make one with `synod cluster token create`")]
    Token(&'static str),
    /// The cluster does not take this node.
    #[error("{address} does not take this node: {why}")]
    Refused {
        /// Who was asked.
        address: String,
        /// What it said.
        why: String,
    },
    /// Nobody could be asked. Asking again is safe.
    #[error("the cluster could not be asked: {0}; asking again is safe")]
    Unanswered(#[from] transport::Error),
    /// The other side answered what makes no sense.
    #[error("{address} answered what makes no sense: {why}; are both of the same version of synod?")]
    Nonsense {
        /// Who.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// No voter that has the key of the authority could be asked.
    #[error("no voter could sign a certificate now: {0}; it is tried again")]
    NoAuthority(String),
}

pub(crate) fn certificate(error: impl std::fmt::Display) -> Error {
    Error::Certificate(error.to_string())
}
