//! Datagrams between nodes, some of them lost, doubled or overtaken.

use std::collections::VecDeque;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use synod::node::transport::{DATAGRAM_BYTES_MAX, Datagrams, Error};
use turmoil::net::UdpSocket;

use super::wires::{Fate, Wires};
use super::{node_at, unreachable};

pub(super) struct GatedDatagrams {
    socket: UdpSocket,
    me: u64,
    address: String,
    wires: Wires,
    /// What comes next: the second coming of one, and whoever was overtaken.
    next: Mutex<VecDeque<(Bytes, String)>>,
    /// Those that wait to be overtaken.
    late: Mutex<VecDeque<(Bytes, String)>>,
}

impl GatedDatagrams {
    pub(super) const fn new(socket: UdpSocket, me: u64, address: String, wires: Wires) -> Self {
        Self {
            socket,
            me,
            address,
            wires,
            next: Mutex::new(VecDeque::new()),
            late: Mutex::new(VecDeque::new()),
        }
    }
}

#[async_trait]
impl Datagrams for GatedDatagrams {
    async fn send(&self, to: &str, bytes: Bytes) -> Result<(), Error> {
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(Error::TooLarge { size: bytes.len(), limit: DATAGRAM_BYTES_MAX });
        }
        // Like a real one, it says nothing of a receiver that is not there.
        if let Ok(to) = to.parse::<std::net::SocketAddr>() {
            let _ = self.socket.send_to(&bytes, to).await;
        }
        Ok(())
    }

    async fn receive(&self) -> Result<(Bytes, String), Error> {
        if let Some(next) = self.next.lock().pop_front() {
            return Ok(next);
        }
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        loop {
            let received = self.socket.recv_from(&mut buffer).await;
            let (size, from) = received.map_err(|error| unreachable(&self.address, error))?;
            let datagram = (Bytes::copy_from_slice(&buffer[..size]), from.to_string());
            match self.wires.fate(node_at(from.ip()), self.me) {
                Fate::Lost => continue,
                Fate::Late => {
                    self.late.lock().push_back(datagram);
                    continue;
                }
                Fate::Twice => self.next.lock().push_back(datagram.clone()),
                Fate::Once => {}
            }
            self.next.lock().extend(self.late.lock().drain(..));
            return Ok(datagram);
        }
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}
