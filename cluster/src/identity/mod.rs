//! Who is a member of the cluster, and how it proves it.
//!
//! ```text
//!  init ──► CA, first key, first certificate ──► Folder (DATA/cluster/) ──► Credentials ──► TlsNetwork
//!  join ══► Admission: token, request ──► Registrar (agreed) ──► Authority signs ──► Folder
//!  keep_renewed ══► Admission: a certificate of the same node for a new key
//!  federate ══► Admission: token, name ──► Registrar (agreed) ──► the authority with its key ──► Folder
//! ```
//!
//! A cluster has one authority (CA), whose key voters hold. Every node has a certificate of it that names the node,
//! and shows it on every connection, in both directions, under TLS 1.3. Regions that know each other share one
//! authority: certificates say of which region a node is, and in which role. Promises that nobody is talked to who has
//! not proven to be a node of the cluster, but for [`Admission`], and that no secret is ever printed. Leaves who is
//! a member to the state, how nodes agree on it to a [`Registrar`], and sealing datagrams to gossip.

mod admission;
mod authority;
mod certificate;
mod credentials;
mod door;
mod error;
mod federate;
mod folder;
mod init;
mod join;
mod keys;
#[cfg(test)]
mod laws;
mod names;
mod pinned;
mod renew;
mod stranger;
mod throttle;
mod tls;
mod token;
mod verify;
mod wire;

pub use admission::{ADMISSION_PATIENCE, Admission, Admitted, LetIn, Registrar};
pub use authority::{AUTHORITY_LIFE, Authority, AuthorityCertificate, Subject};
pub use certificate::{BACKDATED, CERTIFICATE_LIFE, NodeCertificate};
pub use credentials::Credentials;
pub use door::{MembersOnly, StillMembers, Word};
pub use error::Error;
pub use federate::federate;
pub use folder::{Federated, Folder, Identity, Pending, check_log};
pub use init::init;
pub use join::{Joined, Joining};
pub use keys::NodeKey;
pub use names::InRegion;
pub use pinned::PinnedNetwork;
pub use renew::{Renewal, keep_renewed};
pub use tls::{TlsNetwork, TurnedAway};
pub use token::{JoinText, TOKEN_LIFE};
