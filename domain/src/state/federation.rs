//! Other regions: tokens that let one be founded, what is known of each, and the ring that all share.

use std::sync::Arc;

use crate::federation::{
    CLUSTER_BYTES_MAX, Federation, Identified, KnownRegion, REGION_ADDRESS_BYTES_MAX, REGION_ADDRESSES_MAX,
    REGION_NAME_BYTES_MAX, REGION_TOKENS_MAX, REGIONS_MAX, RegionToken, Rival,
};
use crate::id::{NodeId, TokenId};
use crate::name::Name;
use crate::node::{GOSSIP_KEYS_MAX, Keyring};
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::token::TokenHash;

impl State {
    pub(super) fn put_region_token(&mut self, step: &Step, token: &RegionToken) -> Answer {
        if token.expires_at <= step.now {
            let (field, why) = ("expires_at".to_owned(), "it has passed already".to_owned());
            return Err(Refusal::Invalid { field, why });
        }
        let live = || self.federation.tokens.values().filter(|one| one.expires_at > step.now);
        if live().any(|one| one.id == token.id || one.hash == token.hash) {
            return Err(Refusal::TokenExists(token.id));
        }
        if live().count() >= REGION_TOKENS_MAX {
            return Err(Refusal::Full { bound: Bound::JoinTokens, limit: REGION_TOKENS_MAX as u64 });
        }
        self.federation.tokens.retain(|_, one| one.expires_at > step.now);
        self.federation.tokens.insert(token.id, RegionToken { used_by: None, ..token.clone() });
        self.changes.touch(RowKey::Federation);
        Ok(Reply::Done)
    }

    /// Ends a token for a region; `None` when there is none of that id.
    pub(super) fn drop_region_token(&mut self, token: TokenId) -> Option<Answer> {
        self.federation.tokens.remove(&token)?;
        self.changes.touch(RowKey::Federation);
        Some(Ok(Reply::Done))
    }

    /// Lets a region in. Its founder may ask again with its token until the region is heard of: the answer to its
    /// first asking may have been lost, and the cluster that it began with it.
    pub(super) fn admit_region(
        &mut self,
        step: &Step,
        region: &Name,
        founder: NodeId,
        token: &TokenHash,
        cluster: Option<&Arc<str>>,
    ) -> Answer {
        let refuse = |why: &str| Err(Refusal::JoinTokenRefused(why.to_owned()));
        let Some(found) = self.federation.tokens.values().find(|one| one.hash == *token) else {
            return refuse("is not known");
        };
        if found.expires_at <= step.now {
            return refuse("has expired");
        }
        let asker = (founder, region.clone());
        if found.used_by.as_ref().is_some_and(|used| *used != asker) {
            return refuse("was used for another region");
        }
        check_name(region)?;
        cluster.map_or(Ok(()), check_cluster)?;
        match (self.federation.regions.get(region), &found.used_by) {
            (Some(known), Some(_)) if !known.heard && known.removed.is_none() => {
                self.identify(region, cluster);
                return Ok(Reply::Done);
            }
            (Some(_), Some(_)) => return refuse("was used, and its region has been heard of since"),
            (Some(_), None) => return Err(Refusal::RegionNameTaken(region.clone())),
            (None, _) => {}
        }
        self.check_room_for_regions()?;
        let id = found.id;
        if let Some(token) = self.federation.tokens.get_mut(&id) {
            token.used_by = Some(asker);
        }
        let known = KnownRegion { addresses: Vec::new(), since: step.now, heard: false, removed: None };
        self.federation.regions.insert(region.clone(), known);
        self.identify(region, cluster);
        self.changes.touch(RowKey::Federation);
        Ok(Reply::Done)
    }

    /// Says which cluster a region is, for as long as nobody has seen it.
    fn identify(&mut self, region: &Name, cluster: Option<&Arc<str>>) {
        if let Some(cluster) = cluster {
            let identified = Identified { cluster: cluster.clone(), rival: None };
            self.federation.clusters.insert(region.clone(), identified);
            self.changes.touch(RowKey::Clusters);
        }
    }

    /// Notes which cluster has proven to be a region: the first is that region, and another one its rival.
    pub(super) fn see_region(&mut self, step: &Step, region: &Name, cluster: &Arc<str>) -> Answer {
        check_name(region)?;
        check_cluster(cluster)?;
        match self.federation.regions.get_mut(region) {
            Some(known) if known.removed.is_some() => return Err(Refusal::RegionNotKnown(region.clone())),
            Some(known) => {
                if !known.heard {
                    known.heard = true;
                    self.changes.touch(RowKey::Federation);
                }
            }
            None => {
                self.check_room_for_regions()?;
                let known =
                    KnownRegion { addresses: Vec::new(), since: step.now, heard: true, removed: None };
                self.federation.regions.insert(region.clone(), known);
                self.changes.touch(RowKey::Federation);
            }
        }
        match self.federation.clusters.get_mut(region) {
            None => self.identify(region, Some(cluster)),
            Some(known) if known.cluster == *cluster => {}
            Some(known) if known.rival.as_ref().is_some_and(|rival| rival.cluster == *cluster) => {}
            Some(known) => {
                known.rival = Some(Rival { cluster: cluster.clone(), at: step.now });
                self.changes.touch(RowKey::Clusters);
            }
        }
        Ok(Reply::Done)
    }

    /// Notes where a region was heard, for later starts.
    pub(super) fn know_region(
        &mut self,
        step: &Step,
        region: &Name,
        addresses: &[String],
        heard: bool,
    ) -> Answer {
        check_name(region)?;
        if addresses.len() > REGION_ADDRESSES_MAX
            || addresses.iter().any(|address| address.len() > REGION_ADDRESS_BYTES_MAX)
        {
            let why = format!(
                "a region has at most {REGION_ADDRESSES_MAX} addresses of {REGION_ADDRESS_BYTES_MAX} bytes"
            );
            return Err(Refusal::Invalid { field: "addresses".to_owned(), why });
        }
        match self.federation.regions.get_mut(region) {
            Some(known) if known.removed.is_some() => return Err(Refusal::RegionNotKnown(region.clone())),
            Some(known) => {
                if !addresses.is_empty() {
                    known.addresses = addresses.to_vec();
                }
                known.heard |= heard;
            }
            None => {
                self.check_room_for_regions()?;
                let (addresses, since) = (addresses.to_vec(), step.now);
                let known = KnownRegion { addresses, since, heard, removed: None };
                self.federation.regions.insert(region.clone(), known);
            }
        }
        self.changes.touch(RowKey::Federation);
        Ok(Reply::Done)
    }

    /// Ends the trust in a region. No task goes there any more; one that was offered there waits for its answer, unless
    /// the region is declared lost.
    pub(super) fn remove_region(&mut self, step: &mut Step, region: &Name, lost: Option<&str>) -> Answer {
        let Some(known) = self.federation.regions.get_mut(region) else {
            return Err(Refusal::RegionNotKnown(region.clone()));
        };
        if known.removed.is_none() {
            known.removed = Some(step.now);
            known.addresses.clear();
            self.changes.touch(RowKey::Federation);
        }
        self.take_off_routes(step, region, lost);
        Ok(Reply::Done)
    }

    /// Takes a ring that is later than the one that is agreed; an earlier one changes nothing.
    pub(super) fn share_ring(&mut self, ring: &Keyring, number: u64) -> Answer {
        if ring.keys.len() > GOSSIP_KEYS_MAX {
            return Err(Refusal::Full { bound: Bound::GossipKeys, limit: GOSSIP_KEYS_MAX as u64 });
        }
        let used = ring.keys.iter().any(|key| Some(key.number) == ring.used);
        if !used {
            let why = "none of its keys is in use".to_owned();
            return Err(Refusal::GossipKeyRefused { number: ring.used.unwrap_or_default(), why });
        }
        if self.federation.is_later(ring, number) {
            (self.federation.ring, self.federation.ring_number) = (ring.clone(), number);
            self.changes.touch(RowKey::Federation);
        }
        Ok(Reply::Done)
    }

    fn check_room_for_regions(&self) -> Result<(), Refusal> {
        if self.federation.regions.len() < REGIONS_MAX {
            return Ok(());
        }
        Err(Refusal::Full { bound: Bound::Regions, limit: REGIONS_MAX as u64 })
    }

    /// Returns what is agreed about other regions.
    pub fn federation(&self) -> &Federation {
        &self.federation
    }
}

fn check_cluster(cluster: &Arc<str>) -> Result<(), Refusal> {
    if !cluster.is_empty() && cluster.len() <= CLUSTER_BYTES_MAX {
        return Ok(());
    }
    let why = format!("the id of a cluster has 1 to {CLUSTER_BYTES_MAX} bytes");
    Err(Refusal::Invalid { field: "cluster".to_owned(), why })
}

fn check_name(region: &Name) -> Result<(), Refusal> {
    if region.as_str().len() <= REGION_NAME_BYTES_MAX {
        return Ok(());
    }
    let why = format!("the name of a region has at most {REGION_NAME_BYTES_MAX} bytes");
    Err(Refusal::Invalid { field: "region".to_owned(), why })
}
