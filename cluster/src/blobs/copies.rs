//! The asking side: puts copies of blobs on other nodes, and fetches what this node does not have.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use synod_domain::id::{NodeId, TaskId};
use synod_storage::{BLOB_MAX, BlobId, Blobs, decode, encode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::blobs::PIECE_BYTES;
use crate::blobs::wire::{Question, Word};
use crate::consensus::Consensus;
use crate::offload::Offload;
use crate::transport::links::{Links, Service};
use crate::view::MemberView;

/// How long a blob may take to reach a majority, or to come from another node: some seconds for the largest over
/// a slow line.
const TRAVEL_PATIENCE: Duration = Duration::from_secs(30);

/// How long one piece may take.
const PIECE_PATIENCE: Duration = Duration::from_secs(5);

/// Blobs on their way at once, in either direction; each may hold [`BLOB_MAX`] bytes in memory.
const TRAVELLING_MAX: usize = 4;

/// What is needed to put copies elsewhere.
pub struct Parts {
    /// The blobs of this node.
    pub blobs: Arc<dyn Blobs>,
    /// Who votes; whoever copies does not keep the group.
    pub consensus: Weak<Consensus>,
    /// The connections to the others.
    pub links: Links,
    /// Where work for the disk is done.
    pub offload: Offload,
}

/// Puts and fetches copies. Cheap to clone.
#[derive(Clone)]
pub struct Copies {
    parts: Arc<Parts>,
    travelling: Arc<Semaphore>,
}

impl Copies {
    /// Begins with nothing on its way.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), travelling: Arc::new(Semaphore::new(TRAVELLING_MAX)) }
    }

    /// Returns where work for the disk is done.
    pub fn offload(&self) -> &Offload {
        &self.parts.offload
    }

    /// Stores bytes here and on a majority of the voters, durable on return, and returns their SHA-256.
    ///
    /// # Errors
    /// With a text for people: too large, no room, too few voters that took them in time.
    pub async fn put(&self, bytes: &Bytes) -> Result<[u8; 32], String> {
        if bytes.len() > BLOB_MAX {
            return Err(format!("{} bytes are more than the {BLOB_MAX} of a blob", bytes.len()));
        }
        let (blobs, content) = (Arc::clone(&self.parts.blobs), bytes.clone());
        let stored = self.parts.offload.run(move || blobs.put(&content)).await;
        let id = stored.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let travel = async {
            let _turn = self.travelling.acquire().await.map_err(|error| error.to_string())?;
            self.spread(*id.digest(), bytes).await
        };
        match tokio::time::timeout(TRAVEL_PATIENCE, travel).await {
            Ok(spread) => spread.map(|()| *id.digest()),
            Err(_) => Err("a majority of the voters did not take a large payload in time".to_owned()),
        }
    }

    async fn spread(&self, hash: [u8; 32], bytes: &Bytes) -> Result<(), String> {
        let (me, members) = self.parts.members()?;
        let voters: Vec<NodeId> =
            members.iter().filter(|member| member.voter).map(|member| member.node).collect();
        let needed = voters.len() / 2 + 1;
        let mut kept = usize::from(voters.contains(&me));
        let mut asked: FuturesUnordered<_> = voters
            .iter()
            .filter(|node| **node != me)
            .map(|node| self.parts.give(*node, hash, bytes))
            .collect();
        let mut why = String::new();
        while kept < needed {
            match asked.next().await {
                Some(Ok(())) => kept += 1,
                Some(Err(error)) => why = error,
                None => {
                    return Err(format!(
                        "a large payload is on {kept} of {} voters, and {needed} must have it: {why}",
                        voters.len()
                    ));
                }
            }
        }
        Ok(())
    }

    /// Reads bytes, from here or from any node that has them; then they are kept here, too.
    ///
    /// # Errors
    /// With a text for people: nobody has them, or nobody gave them in time.
    pub async fn get(&self, hash: &[u8; 32]) -> Result<Bytes, String> {
        let id = BlobId::from_digest(*hash);
        let blobs = Arc::clone(&self.parts.blobs);
        let here = self.parts.offload.run(move || blobs.get(&id)).await.map_err(|error| error.to_string())?;
        let missing = match here {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error.to_string(),
        };
        let travel = async {
            let _turn = self.travelling.acquire().await.map_err(|error| error.to_string())?;
            self.fetch(id, missing).await
        };
        tokio::time::timeout(TRAVEL_PATIENCE, travel)
            .await
            .unwrap_or_else(|_| Err(format!("blob {id} did not come from another node in time")))
    }

    /// Returns which of these are not here, without reading them.
    ///
    /// # Errors
    /// With a text for people, when the store cannot tell.
    pub async fn missing(&self, hashes: BTreeSet<[u8; 32]>) -> Result<Vec<[u8; 32]>, String> {
        let blobs = Arc::clone(&self.parts.blobs);
        let look = move || {
            let mut missing = Vec::new();
            for hash in hashes {
                if !blobs.contains(&BlobId::from_digest(hash))? {
                    missing.push(hash);
                }
            }
            Ok::<_, synod_storage::Error>(missing)
        };
        let looked = self.parts.offload.run(look).await.map_err(|error| error.to_string())?;
        looked.map_err(|error| error.to_string())
    }

    async fn fetch(&self, id: BlobId, mut why: String) -> Result<Bytes, String> {
        for node in self.parts.others()? {
            let first = |offset| Question::Get { hash: *id.digest(), offset };
            match self.parts.whole(node, BLOB_MAX, first).await {
                Ok(Some(bytes)) if BlobId::of(&bytes) == id => {
                    let (blobs, content) = (Arc::clone(&self.parts.blobs), bytes.clone());
                    // Whether it is kept here, too, makes no difference to whoever asks now.
                    if let Ok(Err(error)) = self.parts.offload.run(move || blobs.put(&content)).await {
                        tracing::warn!(%error, blob = %id, "a fetched blob is not kept here");
                    }
                    return Ok(bytes);
                }
                Ok(Some(_)) => why = format!("what {node} gave for blob {id} is damaged"),
                Ok(None) => {}
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// Returns the log of an attempt from another node; `None` when none has it. `first` is asked before the others.
    ///
    /// # Errors
    /// With a text for people, when some node that may have it did not answer.
    pub async fn log(
        &self,
        task: TaskId,
        attempt: u32,
        first: Option<NodeId>,
        bytes_max: usize,
    ) -> Result<Option<Bytes>, String> {
        let mut nodes = self.parts.others()?;
        nodes.sort_by_key(|node| Some(*node) != first);
        let mut failed = None;
        for node in nodes {
            let ask = |offset| Question::Log { task, attempt, offset };
            match self.parts.whole(node, bytes_max, ask).await {
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => {}
                Err(why) => failed = Some(why),
            }
        }
        failed.map_or(Ok(None), Err)
    }
}

impl Parts {
    /// Returns who this node is, and the members of its group, voters first.
    fn members(&self) -> Result<(NodeId, Vec<MemberView>), String> {
        let consensus = self.consensus.upgrade().ok_or("the node has stopped")?;
        // Voters have what was put; workers may have what they fetched.
        let mut members = consensus.group().members;
        members.sort_by_key(|member| !member.voter);
        Ok((consensus.me().1, members))
    }

    fn others(&self) -> Result<Vec<NodeId>, String> {
        let (me, members) = self.members()?;
        Ok(members.iter().map(|member| member.node).filter(|node| *node != me).collect())
    }

    /// Gives a node all pieces of a blob.
    async fn give(&self, node: NodeId, hash: [u8; 32], bytes: &Bytes) -> Result<(), String> {
        let size = bytes.len() as u64;
        let mut start = 0;
        loop {
            let end = bytes.len().min(start + PIECE_BYTES);
            let (offset, piece) = (start as u64, bytes.slice(start..end));
            match self.ask(node, &Question::Put { hash, size, offset, piece }).await? {
                Word::Kept => return Ok(()),
                Word::Taken if end < bytes.len() => start = end,
                Word::Failed(why) => return Err(why),
                word @ (Word::Taken | Word::Piece { .. } | Word::Missing) => {
                    return Err(format!("{node} said {word:?} to a piece of a blob"));
                }
            }
        }
    }

    /// Fetches all pieces of what `ask` asks for; `None` when the node does not have it.
    async fn whole(
        &self,
        node: NodeId,
        bytes_max: usize,
        ask: impl Fn(u64) -> Question,
    ) -> Result<Option<Bytes>, String> {
        let mut bytes = BytesMut::new();
        let until = Instant::now() + TRAVEL_PATIENCE;
        loop {
            let (whole, piece) = match self.ask(node, &ask(bytes.len() as u64)).await? {
                Word::Piece { size, bytes } => (size, bytes),
                Word::Missing => return Ok(None),
                Word::Failed(why) => return Err(why),
                word @ (Word::Taken | Word::Kept) => return Err(format!("{node} said {word:?} when asked")),
            };
            let is_last = piece.is_empty() || (bytes.len() + piece.len()) as u64 >= whole;
            bytes.extend_from_slice(&piece);
            if bytes.len() > bytes_max {
                return Err(format!("{node} gives more than {bytes_max} bytes"));
            }
            if is_last {
                return Ok(Some(bytes.freeze()));
            }
            if Instant::now() >= until {
                return Err(format!("{node} is too slow"));
            }
        }
    }

    async fn ask(&self, node: NodeId, question: &Question) -> Result<Word, String> {
        let body = encode(question).map_err(|error| error.to_string())?;
        let asked = self.links.ask(node, Service::Blobs, Bytes::from(body), PIECE_PATIENCE).await;
        let heard = asked.map_err(|error| error.to_string())?;
        decode::<Word>(&heard).map_err(|error| error.to_string())
    }
}
