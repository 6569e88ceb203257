//! Keeps a node's certificate fresh, and the authority's key where it belongs.
//!
//! A certificate is renewed when a third of its life is left: a voter signs its own, another node asks the voters.
//! One whose certificate is over, because it was away, asks with its old key. A node that became a voter fetches
//! the authority's key from one that has it; one that is a voter no more gives it away, once another voter has it.
//! What fails is tried again, and said in the log.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use synod_domain::id::NodeId;
use synod_domain::node::NodeRole;
use synod_domain::sources::Entropy;
use synod_domain::state::State;
use synod_storage::decode;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::identity::admission::{ADMISSION_PATIENCE, voters};
use crate::identity::authority::Authority;
use crate::identity::certificate::NodeCertificate;
use crate::identity::credentials::Credentials;
use crate::identity::error::Error;
use crate::identity::folder::Folder;
use crate::identity::keys::NodeKey;
use crate::identity::wire::{Denied, Granted, Reply, Request};
use crate::offload::Offload;
use crate::transport::links::{Links, Service};

/// How long at most until the clock is looked at again: it may have jumped.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// The first and the longest wait after something failed.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_LONGEST: Duration = Duration::from_secs(600);

/// All that renewing needs.
#[derive(Clone)]
pub struct Renewal {
    /// What is kept fresh.
    pub credentials: Arc<Credentials>,
    /// Where it is kept.
    pub folder: Folder,
    /// Who is asked.
    pub links: Links,
    /// Who is a voter.
    pub state: Arc<RwLock<State>>,
    /// For new keys.
    pub entropy: Arc<dyn Entropy>,
    /// Where the disk is waited for.
    pub offload: Offload,
}

/// Keeps certificate and authority as they must be, until `stop`. `role` is what this node is, as far as is agreed
/// and known here; `None` while it is not known.
pub async fn keep_renewed(
    renewal: Renewal,
    mut role: watch::Receiver<Option<NodeRole>>,
    stop: CancellationToken,
) {
    let mut retry = RETRY_FIRST;
    let mut told = true;
    loop {
        let is = *role.borrow_and_update();
        let tending = async { renewal.tend_authority(is).await.and(renewal.renew_if_due(is).await) };
        let tended = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            tended = tending => tended,
        };
        let pause = match tended {
            // Whoever signed does not know yet what this node became.
            Ok(renewed) if renewed && is.is_some_and(|role| !renewal.credentials.says_where(role)) => {
                let pause = retry;
                retry = (retry * 2).min(RETRY_LONGEST);
                pause
            }
            Ok(_) => {
                retry = RETRY_FIRST;
                let certificate = renewal.credentials.certificate();
                certificate.rests(renewal.credentials.now()).clamp(RETRY_FIRST, LOOK_EVERY)
            }
            Err(error) => {
                let ends = synod_domain::time::Utc(renewal.credentials.certificate().not_after());
                tracing::warn!(%error, %ends, "the identity of this node could not be brought up to date");
                let pause = retry;
                retry = (retry * 2).min(RETRY_LONGEST);
                pause
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = role.changed(), if told => told = changed.is_ok(),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Renewal {
    /// Renews the certificate if a third of its life or less is left, or if it does not say of the node's region and
    /// role what is so; tells whether it did.
    ///
    /// # Errors
    /// When nobody signs one, or the disk refuses. The old one stays.
    pub async fn renew_if_due(&self, role: Option<NodeRole>) -> Result<bool, Error> {
        let old = self.credentials.certificate();
        let says = role.is_none_or(|role| self.credentials.says_where(role));
        if says && !old.rests(self.credentials.now()).is_zero() {
            return Ok(false);
        }
        let (key, pem) = match self.credentials.authority() {
            Some(authority) => {
                let said = old.region().map(|region| region.role);
                self.sign(&authority, role.or(said).unwrap_or_default())?
            }
            None => self.ask_for_one(&old).await?,
        };
        let renewed = NodeCertificate::new(&pem, key)?;
        let (folder, kept) = (self.folder.clone(), renewed.clone());
        self.on_disk(move || folder.keep_certificate(&kept)).await?;
        self.credentials.replace(renewed)?;
        tracing::info!("the certificate of this node was renewed");
        Ok(true)
    }

    fn sign(&self, authority: &Authority, role: NodeRole) -> Result<(NodeKey, String), Error> {
        let key = NodeKey::make(&*self.entropy);
        let (node, number) = (self.credentials.node(), self.credentials.number());
        let subject = self.credentials.subject(node, number, role);
        let pem = authority.issue(&key.request()?, &subject, self.credentials.now(), &*self.entropy)?;
        Ok((key, pem))
    }

    async fn ask_for_one(&self, old: &NodeCertificate) -> Result<(NodeKey, String), Error> {
        let (key, request) = if old.is_over(self.credentials.now()) {
            let key = old.key().clone();
            let request = Request::Return { certificate: old.pem().to_owned(), request: key.request()? };
            (key, request)
        } else {
            let key = NodeKey::make(&*self.entropy);
            let request = Request::Renew { request: key.request()? };
            (key, request)
        };
        let signed = |granted| match granted {
            Granted::Certificate(pem) => Some(pem),
            Granted::Joined(_) | Granted::Authority(_) | Granted::Holds(_) | Granted::Founded(_) => None,
        };
        Ok((key, self.ask_voters(&request, signed).await?))
    }

    /// Fetches the authority's key, or gives it away, as the node's role wants it.
    ///
    /// # Errors
    /// When nobody has it, or the disk refuses. What is held stays as it is.
    pub async fn tend_authority(&self, role: Option<NodeRole>) -> Result<(), Error> {
        let held = self.credentials.authority().is_some();
        match role {
            Some(NodeRole::Voter) if !held => self.fetch_authority().await,
            Some(NodeRole::Worker) if held => self.give_away_authority().await,
            Some(NodeRole::Voter | NodeRole::Worker) | None => Ok(()),
        }
    }

    async fn fetch_authority(&self) -> Result<(), Error> {
        let key = |granted| match granted {
            Granted::Authority(pem) => Some(pem),
            Granted::Joined(_) | Granted::Certificate(_) | Granted::Holds(_) | Granted::Founded(_) => None,
        };
        let pem = self.ask_voters(&Request::Authority, key).await?;
        let key = NodeKey::from_pem(&pem)?;
        let certificate = self.credentials.authority_certificate().clone();
        let authority = Authority::new(self.credentials.cluster(), certificate, key.clone())?;
        let folder = self.folder.clone();
        self.on_disk(move || folder.keep_authority_key(Some(&key))).await?;
        self.credentials.hold_authority(Some(Arc::new(authority)));
        tracing::info!("this node has the key of the authority");
        Ok(())
    }

    async fn give_away_authority(&self) -> Result<(), Error> {
        let holds = |granted| match granted {
            Granted::Holds(true) => Some(()),
            Granted::Holds(false)
            | Granted::Joined(_)
            | Granted::Certificate(_)
            | Granted::Authority(_)
            | Granted::Founded(_) => None,
        };
        // The last one that has it keeps it, voter or not: without it nobody could join any more.
        self.ask_voters(&Request::HoldsAuthority, holds).await?;
        let folder = self.folder.clone();
        self.on_disk(move || folder.keep_authority_key(None)).await?;
        self.credentials.hold_authority(None);
        tracing::info!("this node has given the key of the authority away");
        Ok(())
    }

    /// Asks the voters, and then all others, until one answers what is wanted.
    async fn ask_voters<T>(
        &self,
        request: &Request,
        wanted: impl Fn(Granted) -> Option<T>,
    ) -> Result<T, Error> {
        let body = request.write()?;
        let mut why = "no other node is known".to_owned();
        for node in self.whom_to_ask() {
            let asked = self.links.ask(node, Service::Admission, body.clone(), ADMISSION_PATIENCE).await;
            why = match asked.map(|answer| decode::<Reply>(&answer)) {
                Ok(Ok(Ok(granted))) => match wanted(granted) {
                    Some(found) => return Ok(found),
                    None => format!("{node} does not have it"),
                },
                Ok(Ok(Err(Denied::NoAuthority))) => format!("{node} does not have the key"),
                Ok(Ok(Err(Denied::Refused(why)))) => format!("{node} refuses: {why}"),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
        }
        Err(Error::NoAuthority(why))
    }

    /// A node that was a voter may be the last one that has the key, so everybody is asked in the end.
    fn whom_to_ask(&self) -> Vec<NodeId> {
        let (state, me) = (self.state.read(), self.credentials.node());
        let mut nodes = voters(&state, me);
        let rest = state.nodes().map(|node| node.spec.id);
        let rest: Vec<NodeId> = rest.filter(|node| *node != me && !nodes.contains(node)).collect();
        nodes.extend(rest);
        nodes
    }

    async fn on_disk(&self, work: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Result<(), Error> {
        self.offload.run(work).await.map_err(|error| Error::Certificate(error.to_string()))?
    }
}
