//! Verbs about the cluster: who belongs to it, who leads, how others join, the keys of gossip, backups.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{
    Cluster, DrainNode, GossipKey, JoinToken, JoinTokenWithText, Leader, Member, NewJoinToken, Node, Page,
    PageQuery, Region, RemoveRegionQuery, SetRole, SnapshotMade, TransferLeadership,
};

/// How long a node may take to leave: it gives its agents away first.
const LEAVE_WITHIN: Duration = Duration::from_secs(120);

impl Client {
    /// Reads the cluster as the node that answers knows it.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn cluster(&self) -> Result<Cluster, Error> {
        self.send(Ask::look(["cluster"])).await
    }

    /// Lists the members as gossip knows them.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn members(&self, page: &PageQuery) -> Result<Page<Member>, Error> {
        self.send(Ask::look(["cluster", "members"]).with_fields(page)?).await
    }

    /// Lets another voter lead. Not repeated: who leads may have changed meanwhile.
    ///
    /// # Errors
    /// When there is none that could, or the node cannot be asked or refuses.
    pub async fn transfer_leadership(&self, to: Option<&str>) -> Result<Leader, Error> {
        let wanted = TransferLeadership { to: to.map(str::to_owned) };
        self.send(Ask::post(["cluster", "transfer"]).body(&wanted)?.long_poll(Duration::ZERO)).await
    }

    /// Makes a snapshot on the node that answers. Not repeated: another node might.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn make_snapshot(&self) -> Result<SnapshotMade, Error> {
        self.send(Ask::post(["cluster", "snapshot"]).long_poll(LEAVE_WITHIN)).await
    }

    /// Lets the node that is asked leave its cluster for good. Not repeated: another node might hear it.
    ///
    /// # Errors
    /// When it is the last voter, or cannot be asked or refuses.
    pub async fn leave_cluster(&self) -> Result<Leader, Error> {
        self.send(Ask::post(["cluster", "leave"]).long_poll(LEAVE_WITHIN)).await
    }

    /// Makes a join token. Its text is in the answer and nowhere else, so the request is not repeated.
    ///
    /// # Errors
    /// When the node stands alone, or cannot be asked or refuses.
    pub async fn create_join_token(&self, token: &NewJoinToken) -> Result<JoinTokenWithText, Error> {
        self.send(Ask::post(["cluster", "join-tokens"]).body(token)?).await
    }

    /// Lists join tokens, without their texts.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn join_tokens(&self, page: &PageQuery) -> Result<Page<JoinToken>, Error> {
        self.send(Ask::get(["cluster", "join-tokens"]).with_fields(page)?).await
    }

    /// Revokes a join token.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn revoke_join_token(&self, token: &str) -> Result<(), Error> {
        self.tell(self.delete(["cluster", "join-tokens", token])).await
    }

    /// Lists the regions, the one of the node that answers among them.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn regions(&self, page: &PageQuery) -> Result<Page<Region>, Error> {
        self.send(Ask::look(["cluster", "regions"]).with_fields(page)?).await
    }

    /// Ends the trust in a region, for good.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn remove_region(&self, region: &str, lost: bool) -> Result<(), Error> {
        self.tell(self.delete(["cluster", "regions", region]).with_fields(&RemoveRegionQuery { lost })?).await
    }

    /// Lists the keys of gossip between regions by number.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn region_keyring(&self, page: &PageQuery) -> Result<Page<GossipKey>, Error> {
        self.send(Ask::get(["cluster", "region-keyring"]).with_fields(page)?).await
    }

    /// Installs a key of gossip between regions. The node draws it, so the request is not repeated.
    ///
    /// # Errors
    /// When the ring is full, or the node cannot be asked or refuses.
    pub async fn install_region_key(&self) -> Result<GossipKey, Error> {
        self.send(Ask::post(["cluster", "region-keyring"])).await
    }

    /// Seals gossip between regions with a key.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn use_region_key(&self, number: u32) -> Result<GossipKey, Error> {
        let number = number.to_string();
        self.send(self.post(["cluster", "region-keyring", &number, "use"])).await
    }

    /// Removes a key of gossip between regions.
    ///
    /// # Errors
    /// When it is in use, there is none, or the node cannot be asked or refuses.
    pub async fn remove_region_key(&self, number: u32) -> Result<(), Error> {
        let number = number.to_string();
        self.tell(self.delete(["cluster", "region-keyring", &number])).await
    }

    /// Lists the keys of gossip by number.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn keyring(&self, page: &PageQuery) -> Result<Page<GossipKey>, Error> {
        self.send(Ask::get(["cluster", "keyring"]).with_fields(page)?).await
    }

    /// Installs a key of gossip. The node draws it, so the request is not repeated.
    ///
    /// # Errors
    /// When the ring is full, or the node cannot be asked or refuses.
    pub async fn install_gossip_key(&self) -> Result<GossipKey, Error> {
        self.send(Ask::post(["cluster", "keyring"])).await
    }

    /// Seals gossip with another key of the ring.
    ///
    /// # Errors
    /// When there is no such key, or the node cannot be asked or refuses.
    pub async fn use_gossip_key(&self, number: u32) -> Result<GossipKey, Error> {
        self.send(self.post(["cluster", "keyring", &number.to_string(), "use"])).await
    }

    /// Removes a key from the ring.
    ///
    /// # Errors
    /// When there is no such key or it is in use, or the node cannot be asked or refuses.
    pub async fn remove_gossip_key(&self, number: u32) -> Result<(), Error> {
        self.tell(self.delete(["cluster", "keyring", &number.to_string()])).await
    }

    /// Reads a node by id or name.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn node(&self, node: &str) -> Result<Node, Error> {
        self.send(Ask::look(["nodes", node])).await
    }

    /// Lets a node give its agents away, or ends that.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn drain_node(&self, node: &str, drain: bool, reason: Option<&str>) -> Result<Node, Error> {
        let verb = if drain { "drain" } else { "undrain" };
        let wanted = DrainNode { reason: reason.map(str::to_owned) };
        self.send(self.post(["nodes", node, verb]).body(&wanted)?).await
    }

    /// Takes a node out of the cluster for good.
    ///
    /// # Errors
    /// When there is none, it is the last voter, or the node cannot be asked or refuses.
    pub async fn remove_node(&self, node: &str) -> Result<(), Error> {
        self.tell(self.delete(["nodes", node])).await
    }

    /// Makes a node a voter or a worker.
    ///
    /// # Errors
    /// When there is none, it is the last voter, or the node cannot be asked or refuses.
    pub async fn set_node_role(&self, node: &str, role: &str) -> Result<Node, Error> {
        let role = SetRole { role: role.to_owned() };
        let ask = self.put(["nodes", node, "role"]);
        self.send(ask.body(&role)?).await
    }

    /// Writes a backup into `into` and returns how many bytes it has; `progress` hears how many there are so far.
    /// Not repeated: what was written before a failure is no backup.
    ///
    /// # Errors
    /// When it broke off or cannot be written, or the node cannot be asked or refuses.
    pub async fn backup(
        &self,
        into: &mut (dyn AsyncWrite + Send + Unpin),
        mut progress: impl FnMut(u64),
    ) -> Result<u64, Error> {
        let mut response = self.stream(&Ask::look(["cluster", "backup"])).await?;
        let mut bytes = 0_u64;
        let broken = |reason: String| Error::Unanswered { url: self.url().to_owned(), reason };
        while let Some(piece) = response.chunk().await.map_err(|error| broken(error.to_string()))? {
            into.write_all(&piece)
                .await
                .map_err(|error| Error::Setup(format!("the backup cannot be written: {error}")))?;
            bytes += piece.len() as u64;
            progress(bytes);
        }
        Ok(bytes)
    }
}
