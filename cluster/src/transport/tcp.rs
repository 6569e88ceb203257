//! The network of the operating system.
//!
//! Promises streams without delay (small frames are not held back). Leaves encryption to a wrapper.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::transport::{DATAGRAM_BYTES_MAX, Datagrams, Error, Incoming, Listener, Network, Stream, Target};

/// TCP and UDP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

#[async_trait]
impl Network for Tcp {
    async fn connect(&self, to: &Target) -> Result<Box<dyn Stream>, Error> {
        let address = to.address.as_str();
        let stream = TcpStream::connect(address).await.map_err(|error| unreachable(address, &error))?;
        stream.set_nodelay(true).map_err(|error| unreachable(address, &error))?;
        Ok(Box::new(stream))
    }

    async fn listen(&self, address: &str) -> Result<Box<dyn Listener>, Error> {
        let listener = TcpListener::bind(address).await.map_err(|error| unreachable(address, &error))?;
        let address = listener.local_addr().map_err(|error| unreachable(address, &error))?.to_string();
        Ok(Box::new(Door { listener, address }))
    }

    async fn bind(&self, address: &str) -> Result<Box<dyn Datagrams>, Error> {
        let socket = UdpSocket::bind(address).await.map_err(|error| unreachable(address, &error))?;
        let address = socket.local_addr().map_err(|error| unreachable(address, &error))?.to_string();
        Ok(Box::new(Socket { socket, address }))
    }
}

struct Door {
    listener: TcpListener,
    address: String,
}

#[async_trait]
impl Listener for Door {
    async fn accept(&mut self) -> Result<Incoming, Error> {
        let (stream, _) = self.listener.accept().await.map_err(|error| unreachable(&self.address, &error))?;
        stream.set_nodelay(true).map_err(|error| Error::Lost(error.to_string()))?;
        Ok(Incoming { stream: Box::new(stream), proven: None, proves: false })
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}

struct Socket {
    socket: UdpSocket,
    address: String,
}

#[async_trait]
impl Datagrams for Socket {
    async fn send(&self, to: &str, bytes: Bytes) -> Result<(), Error> {
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(Error::TooLarge { size: bytes.len(), limit: DATAGRAM_BYTES_MAX });
        }
        self.socket.send_to(&bytes, to).await.map_err(|error| unreachable(to, &error))?;
        Ok(())
    }

    async fn receive(&self) -> Result<(Bytes, String), Error> {
        let mut buffer = [0_u8; DATAGRAM_BYTES_MAX];
        let received = self.socket.recv_from(&mut buffer).await;
        let (size, from) = received.map_err(|error| Error::Lost(error.to_string()))?;
        Ok((Bytes::copy_from_slice(&buffer[..size]), from.to_string()))
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}

fn unreachable(address: &str, error: &std::io::Error) -> Error {
    Error::Unreachable { address: address.to_owned(), why: error.to_string() }
}
