//! Where a node is reached: an address, perhaps inside a network namespace of its own.
//!
//! A connection keeps the namespace in which its socket was made, so only the connecting is done in there, on a
//! thread that ends afterwards. The paths of clients are thus never cut by what is done between nodes.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::TcpStream;

/// Where the kernel's tools keep names for namespaces.
pub(crate) const NAMESPACES: &str = "/var/run/netns";

/// How long a connection may take to be made on one machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The address.
    pub address: SocketAddr,
    /// The namespace in which that address is meant.
    pub namespace: Option<String>,
}

impl Place {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = match &self.namespace {
            None => tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(self.address)).await??,
            Some(name) => {
                let (name, address) = (name.clone(), self.address);
                let (tell, told) = tokio::sync::oneshot::channel();
                std::thread::spawn(move || {
                    let _ = tell.send(connect_inside(&name, address));
                });
                TcpStream::from_std(told.await.map_err(std::io::Error::other)??)?
            }
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

fn connect_inside(name: &str, address: SocketAddr) -> std::io::Result<std::net::TcpStream> {
    let namespace = std::fs::File::open(format!("{NAMESPACES}/{name}"))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    let stream = std::net::TcpStream::connect_timeout(&address, CONNECT_WITHIN)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}
