//! What is asked of admission, and what it answers.
//!
//! Formats: variants and fields are only appended, with a new number of the protocol. None of them prints itself,
//! because most hold a secret.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::{Keyring, NodeRole, NodeSpec};
use synod_storage::{decode, encode};

/// The largest request: a specification with all its labels, and a request for a certificate. Strangers send it,
/// so it is as small as that allows.
pub(super) const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What is asked.
#[derive(Serialize, Deserialize)]
pub(super) enum Request {
    /// Whoever has the secret of a token wants to be a node.
    Join(Box<JoinRequest>),
    /// A node wants a certificate for a new key; the connection has proven which node.
    Renew {
        /// Its request, signed with the new key.
        request: Vec<u8>,
    },
    /// A node whose certificate is over wants a new one for the same key.
    Return {
        /// The old certificate, as PEM.
        certificate: String,
        /// Its request, signed with the key of the old certificate.
        request: Vec<u8>,
    },
    /// A voter wants the authority's key.
    Authority,
    /// A node wants to know whether this one has the authority's key.
    HoldsAuthority,
    /// Whoever has the secret of a token wants to found a region beside this one.
    Found(Box<FoundRequest>),
    /// The same, of whoever says which cluster it founds.
    FoundAs(Box<FoundRequest>, String),
}

/// See [`Request::Join`].
#[derive(Serialize, Deserialize)]
pub(super) struct JoinRequest {
    /// The secret of the token.
    pub(super) secret: [u8; 32],
    /// What the node says of itself.
    pub(super) spec: NodeSpec,
    /// What it wants to be.
    pub(super) role: NodeRole,
    /// Its request for a certificate.
    pub(super) request: Vec<u8>,
}

/// See [`Request::Found`] and [`Request::FoundAs`].
#[derive(Serialize, Deserialize)]
pub(super) struct FoundRequest {
    /// The secret of the token.
    pub(super) secret: [u8; 32],
    /// The node that founds it.
    pub(super) node: NodeId,
    /// What it shall be called.
    pub(super) region: Name,
}

/// What is granted.
#[derive(Serialize, Deserialize)]
pub(super) enum Granted {
    /// To [`Request::Join`].
    Joined(Box<JoinGrant>),
    /// A certificate, as PEM.
    Certificate(String),
    /// The authority's key, as PEM.
    Authority(String),
    /// To [`Request::HoldsAuthority`].
    Holds(bool),
    /// To [`Request::Found`] and [`Request::FoundAs`].
    Founded(Box<FoundGrant>),
}

/// See [`Granted::Founded`].
#[derive(Serialize, Deserialize)]
pub(super) struct FoundGrant {
    /// The authority's certificate, as PEM.
    pub(super) authority: String,
    /// Its key, as PEM.
    pub(super) authority_key: String,
    /// The keys of gossip between regions.
    pub(super) ring: Keyring,
    /// Counts the changes of the ring.
    pub(super) ring_number: u64,
    /// The regions that there are, this one among them, and addresses of gossip between them.
    pub(super) regions: BTreeMap<Name, Vec<String>>,
}

/// See [`Granted::Joined`].
#[derive(Serialize, Deserialize)]
pub(super) struct JoinGrant {
    /// The node's number.
    pub(super) number: u64,
    /// Its certificate, as PEM.
    pub(super) certificate: String,
    /// The authority's certificate, as PEM.
    pub(super) authority: String,
    /// Where the members are.
    pub(super) members: BTreeMap<NodeId, String>,
    /// The keys of gossip.
    pub(super) keyring: Keyring,
}

/// Why nothing is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Denied {
    /// With the reason; asking again the same changes nothing, unless it says so.
    Refused(String),
    /// The node that was asked cannot sign; another can.
    NoAuthority,
}

pub(super) type Reply = Result<Granted, Denied>;

pub(super) fn refused<T>(why: impl Into<String>) -> Result<T, Denied> {
    Err(Denied::Refused(why.into()))
}

impl Request {
    /// Reads one; whatever else a stranger sent is none.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Denied> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return refused(format!("a request has at most {REQUEST_BYTES_MAX} bytes"));
        }
        decode(bytes)
            .or_else(|_| refused("the request makes no sense here; are both of the same version of synod?"))
    }

    pub(super) fn write(&self) -> Result<Bytes, synod_storage::Error> {
        encode(self).map(Bytes::from)
    }
}
