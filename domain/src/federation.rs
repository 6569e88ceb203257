//! What a region knows of the others: who they are, where they were heard, and the keys that all of them share.
//!
//! Each region is a cluster of its own, and agrees on this by itself. What must be alike everywhere, which is the ring of
//! gossip between regions, carries a number that grows with each change, so that the later of two is known for what
//! it is. A region that was removed stays in the list: its name is not given out again, and its nodes are not let in.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{NodeId, TokenId};
use crate::name::Name;
use crate::node::Keyring;
use crate::time::Timestamp;
use crate::token::TokenHash;

/// The most regions that are known, those that were removed among them. Each has members that all others listen to.
pub const REGIONS_MAX: usize = 64;

/// The most tokens for regions that are kept at a time; they live for minutes.
pub const REGION_TOKENS_MAX: usize = 16;

/// The most addresses that are kept of a region. One that answers is enough to find the others.
pub const REGION_ADDRESSES_MAX: usize = 8;

/// The longest name of a region, in bytes. It stands in certificates, which have less room than other places.
pub const REGION_NAME_BYTES_MAX: usize = 63;

/// The longest id of a cluster that is kept, in bytes; ours have 16 letters.
pub const CLUSTER_BYTES_MAX: usize = 64;

/// The longest address that is kept, in bytes.
pub const REGION_ADDRESS_BYTES_MAX: usize = 255;

/// A permission to found a region, as agreed. Its text is never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionToken {
    /// What it is called in lists and logs; not secret.
    pub id: TokenId,
    /// SHA-256 of its secret.
    pub hash: TokenHash,
    /// Until when it is taken.
    pub expires_at: Timestamp,
    /// The node that founded a region with it, and which. It may ask again until its region is heard of.
    pub used_by: Option<(NodeId, Name)>,
}

/// Another region, as this one knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRegion {
    /// Where members of it were heard: their addresses of gossip between regions.
    pub addresses: Vec<String>,
    /// Since when it is known.
    pub since: Timestamp,
    /// Whether it was heard of by gossip, and not only admitted.
    pub heard: bool,
    /// Since when it is removed, if it is.
    pub removed: Option<Timestamp>,
}

/// Which cluster a region is: the first one that was let in or seen under its name. Two that were let in under one name,
/// in two regions that were cut off from each other, are told apart by it, and only the first is talked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// The id of its cluster.
    pub cluster: Arc<str>,
    /// Another cluster that has shown itself under the same name; the latest of them.
    pub rival: Option<Rival>,
}

/// A second cluster under the name of a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rival {
    /// The id of its cluster.
    pub cluster: Arc<str>,
    /// When it was seen first.
    pub at: Timestamp,
}

/// What is agreed about other regions. As good as nothing where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Federation {
    /// The keys of gossip between regions.
    pub ring: Keyring,
    /// Counts the changes of the ring, in all regions alike.
    pub ring_number: u64,
    /// Permissions to found a region.
    pub tokens: BTreeMap<TokenId, RegionToken>,
    /// The other regions, by name.
    pub regions: BTreeMap<Name, KnownRegion>,
    /// Which clusters they are, as far as they have shown that. It has a row of its own.
    #[serde(skip)]
    pub clusters: BTreeMap<Name, Identified>,
}

impl Federation {
    /// Tells whether a region was removed.
    pub fn is_removed(&self, region: &Name) -> bool {
        self.regions.get(region).is_some_and(|known| known.removed.is_some())
    }

    /// Returns which cluster a region is, once that is known.
    pub fn cluster_of(&self, region: &Name) -> Option<&Arc<str>> {
        self.clusters.get(region).map(|identified| &identified.cluster)
    }

    /// Walks the regions that were not removed, in order of name.
    pub fn others(&self) -> impl Iterator<Item = (&Name, &KnownRegion)> {
        self.regions.iter().filter(|(_, known)| known.removed.is_none())
    }

    /// Walks the regions that were removed and since when, in order of name.
    pub fn removed(&self) -> impl Iterator<Item = (&Name, Timestamp)> {
        self.regions.iter().filter_map(|(name, known)| Some((name, known.removed?)))
    }

    /// Tells whether a ring is later than the one that is agreed. Of two that were changed at the same time in two
    /// regions, one is taken for the later, and the same everywhere.
    pub fn is_later(&self, ring: &Keyring, number: u64) -> bool {
        let secrets =
            |ring: &Keyring| ring.keys.iter().map(|key| (key.number, key.secret.0)).collect::<Vec<_>>();
        let rank = |number: u64, ring: &Keyring| (number, ring.last, ring.used, secrets(ring));
        rank(number, ring) > rank(self.ring_number, &self.ring)
    }
}
