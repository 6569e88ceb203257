//! A kept connection that speaks as much HTTP/1.1 as a measurement needs, and survives no failure.
//!
//! The clients run on the machine that is measured; a full client library would take a third of it.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Connection {
    stream: TcpStream,
    host: String,
    authorization: String,
    read: Vec<u8>,
}

impl Connection {
    /// Connects; `token` may be empty.
    pub(crate) async fn open(address: SocketAddr, token: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let authorization = match token {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        let read = Vec::with_capacity(64 * 1024);
        Ok(Self { stream, host: address.to_string(), authorization, read })
    }

    /// Sends a document and returns the status and the body of the answer.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> std::io::Result<(u16, &[u8])> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.host,
            self.authorization,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.read.clear();
        let head = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let strange = |what: &str| Error::new(ErrorKind::InvalidData, format!("an answer without {what}"));
        let text = String::from_utf8_lossy(&self.read[..head]).to_ascii_lowercase();
        let status =
            text.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(|| strange("status"))?;
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize =
            length.and_then(|length| length.parse().ok()).ok_or_else(|| strange("a length"))?;
        while self.read.len() < head + length {
            self.more().await?;
        }
        Ok((status, &self.read[head..head + length]))
    }

    async fn more(&mut self) -> std::io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
