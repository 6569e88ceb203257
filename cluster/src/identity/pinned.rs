//! The network of somebody who wants to join: any node of one authority, known by the hash in its token.
//!
//! Shows no certificate, so that only admission is reachable through it.

use std::sync::Arc;

use async_trait::async_trait;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use synod_domain::sources::Clock;

use crate::identity::error::Error;
use crate::identity::tls::secure;
use crate::identity::verify::joining;
use crate::transport::{self, Datagrams, Listener, Network, Stream, Target};

/// Connects to nodes whose authority has a certain hash, and to nobody else.
pub struct PinnedNetwork {
    inner: Arc<dyn Network>,
    config: Arc<ClientConfig>,
}

impl PinnedNetwork {
    /// Wraps a network; `pin` is the SHA-256 of the authority's certificate.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(inner: Arc<dyn Network>, pin: [u8; 32], clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Ok(Self { inner, config: joining(pin, clock)? })
    }
}

fn unused(address: &str) -> transport::Error {
    let why = "a node that has not joined takes no connections".to_owned();
    transport::Error::Unreachable { address: address.to_owned(), why }
}

#[async_trait]
impl Network for PinnedNetwork {
    async fn connect(&self, to: &Target) -> Result<Box<dyn Stream>, transport::Error> {
        // The pin decides who is trusted; a name is only asked for because TLS wants one.
        let name = ServerName::try_from("admission.synod");
        let name = name.map_err(|error| transport::Error::Lost(error.to_string()))?;
        secure(&*self.inner, self.config.clone(), to, name).await
    }

    async fn listen(&self, address: &str) -> Result<Box<dyn Listener>, transport::Error> {
        Err(unused(address))
    }

    async fn bind(&self, address: &str) -> Result<Box<dyn Datagrams>, transport::Error> {
        Err(unused(address))
    }
}
