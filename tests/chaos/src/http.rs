//! One kept connection to one node, and what is known about a request that was sent over it.
//!
//! Promises to tell a request that nobody took from one whose answer did not come: the first was not done, the
//! second may have been. Sends nothing twice.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::place::Place;

/// A connection that is made when it is needed.
pub struct Link {
    place: Place,
    token: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The node answered.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The document; null if there is none.
        body: Value,
    },
    /// Nobody took it.
    NotSent(String),
    /// No answer came.
    Lost(String),
}

impl Outcome {
    /// Returns the document of a success.
    pub fn success(&self) -> Option<&Value> {
        match self {
            Self::Answer { status, body } if (200..300).contains(status) => Some(body),
            Self::Answer { .. } | Self::NotSent(_) | Self::Lost(_) => None,
        }
    }
}

impl Link {
    /// Makes one that connects at the first request.
    pub fn new(place: Place, token: &str) -> Self {
        Self { place, token: token.to_owned(), sender: None }
    }

    /// Asks for a document.
    pub async fn get(&mut self, path: &str, within: Duration) -> Outcome {
        self.send("GET", path, None, None, within).await
    }

    /// Sends a document.
    pub async fn post(&mut self, path: &str, body: &Value, key: Option<&str>, within: Duration) -> Outcome {
        self.send("POST", path, Some(body), key, within).await
    }

    /// Sends one request once.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
        within: Duration,
    ) -> Outcome {
        let mut kept = self.sender.take();
        // It takes a request only when it has put the answer before it away, which its own task does.
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let mut sender = match kept {
            Some(sender) => sender,
            None => match self.connect().await {
                Ok(sender) => sender,
                Err(error) => return Outcome::NotSent(error.to_string()),
            },
        };
        let mut request =
            hyper::Request::builder().method(method).uri(path).header("host", self.place.address.to_string());
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(bytes)).expect("a request");
        let exchange = async {
            let answer = sender.send_request(request).await?;
            let status = answer.status().as_u16();
            Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
        };
        match tokio::time::timeout(within, exchange).await {
            Ok(Ok((status, bytes))) => {
                self.sender = Some(sender);
                Outcome::Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
            }
            Ok(Err(error)) => Outcome::Lost(format!("{error:?}")),
            Err(_) => Outcome::Lost(format!("no answer within {within:?}")),
        }
    }

    async fn connect(&self) -> std::io::Result<SendRequest<Full<Bytes>>> {
        let stream = self.place.connect().await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
