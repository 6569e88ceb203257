//! Ports on loopback that nobody else takes while a node is away.
//!
//! Not those that the kernel gives out by itself: while a node is dead, whoever connects to its port may be given that
//! very port to connect from. Then the connection is made, with itself, and the node finds its port in use.

use std::net::{SocketAddr, TcpListener};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Below the ports that Linux gives to whoever connects (from 32768 on), and above those of well known services.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// Returns an address that is free at the moment.
pub fn free_address() -> SocketAddr {
    free_addresses(1)[0]
}

/// Returns so many different ones.
pub(super) fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let mut chance = StdRng::from_os_rng();
    let mut listeners: Vec<TcpListener> = Vec::new();
    // All are held until the last is found, so that none is found twice.
    while listeners.len() < count {
        let address = SocketAddr::from(([127, 0, 0, 1], chance.random_range(PORTS)));
        listeners.extend(TcpListener::bind(address));
    }
    listeners.iter().map(|listener| listener.local_addr().expect("its address")).collect()
}
