//! A kept connection that speaks as much HTTP/1.1 as the measurement needs.
//!
//! The clients run on the machine that is measured; a full client library would take a third of it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, read: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a request and returns the status and the body of its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).await.expect("the request is sent");
        self.read.clear();
        let head = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await;
        };
        let text = std::str::from_utf8(&self.read[..head]).expect("a head").to_ascii_lowercase();
        let status = text.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
        while self.read.len() < head + length {
            self.more().await;
        }
        (status, &self.read[head..head + length])
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.read).await.expect("the answer is read");
        assert!(read > 0, "the server closed the connection");
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
