//! One call of etcd's own protocol: `etcdserverpb.KV/Put` over HTTP/2.
//!
//! etcd also speaks JSON, through a gateway that makes this call itself; measured that way alone it would look
//! worse than it is.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// A connection to one member.
pub(crate) struct Kv {
    sender: SendRequest<Full<Bytes>>,
    uri: String,
}

impl Kv {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let made = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(Self { sender, uri: format!("http://{address}/etcdserverpb.KV/Put") })
    }

    /// Writes a value; returns once it is replicated and durable.
    pub(crate) async fn put(&mut self, key: &str, value: &str) -> Result<(), String> {
        let request = hyper::Request::post(&self.uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(put_request(key, value)))
            .map_err(|error| error.to_string())?;
        self.sender.ready().await.map_err(|error| error.to_string())?;
        let answer = self.sender.send_request(request).await.map_err(|error| error.to_string())?;
        let in_head = answer.headers().get("grpc-status").cloned();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
        let status = in_head.or_else(|| body.trailers()?.get("grpc-status").cloned());
        match status {
            Some(status) if status == "0" => Ok(()),
            status => Err(format!("grpc status {status:?}")),
        }
    }
}

/// A frame with `PutRequest { key = 1, value = 2 }`.
fn put_request(key: &str, value: &str) -> Bytes {
    let mut message = BytesMut::new();
    for (field, text) in [(1_u8, key), (2, value)] {
        message.put_u8(field << 3 | 2);
        varint(&mut message, text.len());
        message.put_slice(text.as_bytes());
    }
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("a small message"));
    frame.put_slice(&message);
    frame.freeze()
}

fn varint(into: &mut BytesMut, mut number: usize) {
    while number >= 128 {
        into.put_u8(u8::try_from(number & 127).expect("seven bits") | 128);
        number >>= 7;
    }
    into.put_u8(u8::try_from(number).expect("seven bits"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_is_framed_as_protobuf_wants_it() {
        assert_eq!(&put_request("k", "vv")[..], b"\0\0\0\0\x07\x0a\x01k\x12\x02vv");
        let long = put_request("", &"x".repeat(300));
        assert_eq!(&long[..10], b"\0\0\0\x01\x31\x0a\x00\x12\xac\x02");
    }
}
