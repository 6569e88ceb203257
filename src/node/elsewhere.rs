//! Requests of the API that another region answers: what travels, the way there, and who serves them here.
//!
//! ```text
//!  client ─► this region: token, rate, permission ─► Elsewhere::ask ═► that region: Handed ─► its routes ─► back
//! ```
//!
//! Promises that a request is served with the permissions that its token has where the client showed it, and no
//! others. Leaves to others: which node of a region is asked, how it is proven to belong to a region, what a route does.

use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
pub use synod_actors::ports::Regions;
use synod_domain::name::Name;
use synod_domain::permission::Permissions;

/// A request that is handed to another region. What it names as `region` has been taken out of its query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedRequest {
    /// GET, POST, ...
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers that the routes look at.
    pub headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
    /// Who asks.
    pub principal: Principal,
}

/// Who asks, as the region says that let them in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Names the token in logs; not secret.
    pub accessor: String,
    /// What the token allows.
    pub permissions: Permissions,
}

/// What a region answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// The headers that a client looks at.
    pub headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// Why another region did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElsewhereError {
    /// Nothing was done there.
    #[error("region {region} cannot be reached from here: {why}")]
    Unreachable {
        /// Which region.
        region: Name,
        /// Why, for a person.
        why: String,
    },
    /// It may have been done there.
    #[error("region {region} did not answer, and may have done what was asked: {why}")]
    Unknown {
        /// Which region.
        region: Name,
        /// Why, for a person.
        why: String,
    },
}

/// The way of requests to other regions.
#[async_trait]
pub trait Elsewhere: Send + Sync + 'static {
    /// Has a request answered by a region, by any node of it that serves an API.
    ///
    /// # Errors
    /// When no node of it was reached, or the one that was did not answer.
    async fn ask(&self, region: &Name, request: HandedRequest) -> Result<HandedAnswer, ElsewhereError>;
}

/// The way of a node that knows no other regions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

#[async_trait]
impl Elsewhere for Nowhere {
    async fn ask(&self, region: &Name, _: HandedRequest) -> Result<HandedAnswer, ElsewhereError> {
        let why = "no such region is known here".to_owned();
        Err(ElsewhereError::Unreachable { region: region.clone(), why })
    }
}

/// Serves requests that another region hands over: the routes of an API.
#[async_trait]
pub trait Serving: fmt::Debug + Send + Sync + 'static {
    /// Answers a request of a region, as its principal.
    async fn serve(&self, from: &Name, request: HandedRequest) -> HandedAnswer;
}

/// Where whoever brings handed requests finds who serves them. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Handed(Arc<RwLock<Option<Weak<dyn Serving>>>>);

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handed({})", if self.served().is_some() { "served" } else { "by nobody" })
    }
}

impl Handed {
    /// Says who serves from here on, as long as that lives. The last who said so counts.
    pub fn serve_with(&self, serving: &Arc<dyn Serving>) {
        *self.0.write() = Some(Arc::downgrade(serving));
    }

    /// Answers a request of a region; `None` while this node serves no API, and another one may be asked.
    pub async fn answer(&self, from: &Name, request: HandedRequest) -> Option<HandedAnswer> {
        let serving = self.served()?;
        Some(serving.serve(from, request).await)
    }

    fn served(&self) -> Option<Arc<dyn Serving>> {
        self.0.read().as_ref()?.upgrade()
    }
}
