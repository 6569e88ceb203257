//! Ports on loopback for the nodes of a cluster to try things with.
//!
//! Not those that a kernel gives to whoever connects: while a node is away, or has not come yet, one of those may become
//! somebody's end of a connection, and the node finds its port in use.

use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;

use synod_domain::sources::Entropy;

use crate::clock::SeededEntropy;

/// Below those that Linux (from 32768 on), macOS and Windows (from 49152 on) give to whoever connects, and above those of
/// well-known services.
const PORTS: Range<u16> = 15_000..32_000;

/// How many are tried before it is said that none is free.
const TRIES: u32 = 1_000;

/// Finds ports that nobody has, and holds them until it is dropped, so that none is found twice. Somebody may take one
/// between that and the start of its node; then the node says so.
pub(super) struct Ports {
    entropy: SeededEntropy,
    held: Vec<(TcpListener, UdpSocket)>,
}

impl Ports {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { entropy: SeededEntropy::from_system().map_err(Error::other)?, held: Vec::new() })
    }

    /// Returns a port that is free for TCP and UDP.
    pub(super) fn next(&mut self) -> Result<u16> {
        for _ in 0..TRIES {
            let count = u64::from(PORTS.end - PORTS.start);
            let port = PORTS.start + u16::try_from(self.entropy.draw() % count).unwrap_or(0);
            let here = (Ipv4Addr::LOCALHOST, port);
            match TcpListener::bind(here).and_then(|streams| Ok((streams, UdpSocket::bind(here)?))) {
                Ok(sockets) => {
                    self.held.push(sockets);
                    return Ok(port);
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        let (from, to) = (PORTS.start, PORTS.end - 1);
        Err(Error::new(
            ErrorKind::AddrInUse,
            format!("no port from {from} to {to} was free in {TRIES} tries"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_differ_and_are_not_those_of_whoever_connects() {
        let mut ports = Ports::new().unwrap();
        let mut found: Vec<u16> = (0..50).map(|_| ports.next().unwrap()).collect();
        drop(ports);
        for port in &found {
            assert!(PORTS.contains(port));
            assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok(), "{port}");
        }
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 50);
    }
}
