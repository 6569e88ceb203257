//! What a node keeps of its identity: the folder `DATA/cluster/`.
//!
//! ```text
//!  cluster/         mode 0700, its files 0600
//!  ├── identity     cluster, node, number, role; written last: with it the identity is whole
//!  ├── ca.pem       the authority's certificate
//!  ├── ca.key       its key, on voters
//!  ├── node.pem     the node's certificate and its key, in one file, so that they change together
//!  ├── members      where the others were when this node last knew
//!  ├── first-key    the founder's first gossip key, until it is agreed
//!  ├── federation   what the founder of a region got of the others, until it is agreed
//!  ├── wan          where this node listened for other regions, to be found there again
//!  └── joining      who this node asks to be admitted as, until it is
//! ```
//!
//! Promises that each file is there whole or not at all, that an identity without its last file is none, and that
//! a file that others could read is refused. Whether the node still is a member only the state knows.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::{GossipSecret, Keyring, NodeRole};
use synod_storage::{create_folder, decode, encode, remove_file, write_file};

use crate::identity::authority::AuthorityCertificate;
use crate::identity::certificate::NodeCertificate;
use crate::identity::error::Error;
use crate::identity::keys::NodeKey;

const IDENTITY: &str = "identity";
const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";
const CERTIFICATE: &str = "node.pem";
const MEMBERS: &str = "members";
const FIRST_KEY: &str = "first-key";
const FEDERATION: &str = "federation";
const WAN: &str = "wan";
const JOINING: &str = "joining";

/// Who a node is, as its folder has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster that it belongs to.
    pub cluster: String,
    /// The node.
    pub node: NodeId,
    /// What it is called in the Raft group.
    pub number: u64,
    /// What it joined as; what it is now, the state knows.
    pub role: NodeRole,
    /// The certificate of the cluster's authority.
    pub authority: AuthorityCertificate,
    /// The authority's key, if this node has it.
    pub authority_key: Option<NodeKey>,
    /// The node's certificate and key.
    pub certificate: NodeCertificate,
    /// The first gossip key of a cluster that was just founded, until it is agreed.
    pub first_key: Option<GossipSecret>,
    /// Where the members were when this node last knew.
    pub members: BTreeMap<NodeId, String>,
    /// What the founder of a region got of the others, until it is agreed.
    pub federation: Option<Federated>,
}

/// What the founder of a region gets of the others. A format: fields are only appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Federated {
    /// The keys of gossip between regions.
    pub ring: Keyring,
    /// Counts the changes of the ring.
    pub ring_number: u64,
    /// The regions that there are, and addresses of gossip between them.
    pub regions: BTreeMap<Name, Vec<String>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("cluster", &self.cluster)
            .field("node", &self.node)
            .field("number", &self.number)
            .field("role", &self.role)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Checks that the log beside the identity is the node's own. `log` is the node that the log belongs to, `None`
    /// when it has forgotten or never knew.
    ///
    /// # Errors
    /// [`Error::Amnesia`] when it is not: the node must not start, because it may have voted and acknowledged
    /// what it does not remember.
    pub fn check_against(&self, log: Option<NodeId>) -> Result<(), Error> {
        check_log(&self.cluster, self.node, log)
    }
}

/// Checks that a log is that of a node, as [`Identity::check_against`] does.
///
/// # Errors
/// [`Error::Amnesia`] when it is not.
pub fn check_log(cluster: &str, node: NodeId, log: Option<NodeId>) -> Result<(), Error> {
    let found = match log {
        Some(found) if found == node => return Ok(()),
        Some(other) => format!("its log belongs to {other}"),
        None => "its log is empty".to_owned(),
    };
    Err(Error::Amnesia { node, cluster: cluster.to_owned(), found })
}

/// The first file of an identity. A format: fields are only appended.
#[derive(Serialize, Deserialize)]
struct Record {
    cluster: String,
    node: NodeId,
    number: u64,
    role: NodeRole,
}

/// A joining that was begun: the node asks again with the same id and key. A format: fields are only appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Who asks to be admitted.
    pub node: NodeId,
    pub(super) key: NodeKey,
}

/// The folder of an identity, whether there is one in it or not.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// Names the folder; nothing is read or made yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the identity; `None` when there is none.
    ///
    /// # Errors
    /// When a file cannot be read, is damaged, or others could read it.
    pub fn load(&self) -> Result<Option<Identity>, Error> {
        let Some(Record { cluster, node, number, role }) = self.record(IDENTITY)? else { return Ok(None) };
        let authority = self.needed(AUTHORITY)?;
        let authority = AuthorityCertificate::from_pem(&authority);
        let authority = authority.map_err(|error| self.damaged(AUTHORITY, &error))?;
        let authority_key = self.text(AUTHORITY_KEY)?.map(|text| NodeKey::from_pem(&text)).transpose();
        let both = self.needed(CERTIFICATE)?;
        let certificate = NodeKey::from_pem(&both).and_then(|key| {
            let pem = both.find("-----BEGIN PRIVATE KEY-----").map_or(both.as_str(), |end| &both[..end]);
            NodeCertificate::new(pem, key)
        });
        let certificate = certificate.map_err(|error| self.damaged(CERTIFICATE, &error))?;
        let named = certificate.named();
        if (named.node, named.number, &named.cluster) != (node, number, &cluster) {
            return Err(self.damaged(CERTIFICATE, &"it is the certificate of another node"));
        }
        Ok(Some(Identity {
            authority_key: authority_key.map_err(|error| self.damaged(AUTHORITY_KEY, &error))?,
            first_key: self.record(FIRST_KEY)?,
            members: self.record(MEMBERS)?.unwrap_or_default(),
            federation: self.record(FEDERATION)?,
            cluster,
            node,
            number,
            role,
            authority,
            certificate,
        }))
    }

    /// Writes a new identity.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is one already; else when the disk refuses.
    pub fn create(&self, identity: &Identity) -> Result<(), Error> {
        if let Some(Record { node, cluster, .. }) = self.record(IDENTITY)? {
            return Err(Error::Exists { path: self.0.clone(), node, cluster });
        }
        create_folder(&self.0)?;
        self.write(AUTHORITY, identity.authority.pem().as_bytes())?;
        self.keep_authority_key(identity.authority_key.as_ref())?;
        self.keep_certificate(&identity.certificate)?;
        self.keep_members(&identity.members)?;
        match &identity.first_key {
            Some(key) => self.write(FIRST_KEY, &encode(key)?)?,
            None => self.first_key_is_agreed()?,
        }
        match &identity.federation {
            Some(federation) => self.write(FEDERATION, &encode(federation)?)?,
            None => self.federation_is_agreed()?,
        }
        let Identity { cluster, node, number, role, .. } = identity;
        let record = Record { cluster: cluster.clone(), node: *node, number: *number, role: *role };
        self.write(IDENTITY, &encode(&record)?)?;
        Ok(remove_file(&self.0.join(JOINING))?)
    }

    /// Keeps another certificate of the node.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep_certificate(&self, certificate: &NodeCertificate) -> Result<(), Error> {
        let pem = certificate.pem();
        let end = if pem.ends_with('\n') { "" } else { "\n" };
        let both = format!("{pem}{end}{}", certificate.key().pem()?);
        self.write(CERTIFICATE, both.as_bytes())
    }

    /// Keeps the authority's key, or removes it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep_authority_key(&self, key: Option<&NodeKey>) -> Result<(), Error> {
        match key {
            Some(key) => self.write(AUTHORITY_KEY, key.pem()?.as_bytes()),
            None => Ok(remove_file(&self.0.join(AUTHORITY_KEY))?),
        }
    }

    /// Keeps where the members are, to find them again after a restart.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep_members(&self, members: &BTreeMap<NodeId, String>) -> Result<(), Error> {
        self.write(MEMBERS, &encode(members)?)
    }

    /// Forgets the founder's first gossip key, which the state has from here on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn first_key_is_agreed(&self) -> Result<(), Error> {
        Ok(remove_file(&self.0.join(FIRST_KEY))?)
    }

    /// Forgets what the founder got of other regions, which the state has from here on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn federation_is_agreed(&self) -> Result<(), Error> {
        Ok(remove_file(&self.0.join(FEDERATION))?)
    }

    /// Keeps where this node listens for other regions, so that it is found there again.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep_wan(&self, address: &str) -> Result<(), Error> {
        self.write(WAN, &encode(&address.to_owned())?)
    }

    /// Returns where this node last listened for other regions, if it did.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn wan(&self) -> Result<Option<String>, Error> {
        self.record(WAN)
    }

    /// Returns the joining that was begun here and has not come to its end.
    ///
    /// # Errors
    /// When its file cannot be read or is damaged.
    pub fn pending(&self) -> Result<Option<Pending>, Error> {
        let Some((node, pem)) = self.record::<(NodeId, String)>(JOINING)? else { return Ok(None) };
        let key = NodeKey::from_pem(&pem).map_err(|error| self.damaged(JOINING, &error))?;
        Ok(Some(Pending { node, key }))
    }

    pub(super) fn keep_pending(&self, pending: &Pending) -> Result<(), Error> {
        create_folder(&self.0)?;
        self.write(JOINING, &encode(&(pending.node, pending.key.pem()?))?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        Ok(write_file(&self.0.join(name), bytes)?)
    }

    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.0.join(name);
        let failed = |error| Error::Read { path: path.clone(), error };
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(found) => check_mode(&path, &found)?,
        }
        std::fs::read(&path).map(Some).map_err(failed)
    }

    fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|_| self.damaged(name, &"it is no text"))
    }

    fn needed(&self, name: &str) -> Result<String, Error> {
        self.text(name)?.ok_or_else(|| self.damaged(name, &"it is missing"))
    }

    fn record<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        decode(&bytes).map(Some).map_err(|error| self.damaged(name, &error))
    }

    fn damaged(&self, name: &str, why: &dyn fmt::Display) -> Error {
        Error::Damaged { path: self.0.join(name), why: why.to_string() }
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, found: &std::fs::Metadata) -> Result<(), Error> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::Exposed { path: path.to_owned(), mode })
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &std::fs::Metadata) -> Result<(), Error> {
    Ok(())
}
