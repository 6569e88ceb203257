//! Settings of the API: where it listens, who is let in, and its bounds.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::de::{Deserializer, SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Serialize};

use crate::http::server;
use crate::period::Period;

/// How the node is served over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Address and port. Beyond loopback it takes TLS.
    pub listen: SocketAddr,
    /// Names of this server besides loopback's and the address that a connection came to, as `name` or
    /// `name:port`. Each is a name under which a browser may reach it.
    #[serde(deserialize_with = "list")]
    pub allow_hosts: Vec<String>,
    /// Origins of web pages that may call, as `https://name`.
    #[serde(deserialize_with = "list")]
    pub allow_origins: Vec<String>,
    /// Certificate and key.
    pub tls: TlsSettings,
    /// Bytes of a request's body. Each connection may take so much memory.
    pub body_bytes: usize,
    /// Connections at a time. Each takes a descriptor and some 20 KiB.
    pub connections: usize,
    /// Requests of one token, in the long run. Higher lets one client take the node from the others.
    pub requests_per_second: NonZeroU32,
    /// Requests of one token at once, after a pause.
    pub burst: NonZeroU32,
    /// Event streams that one token holds open. Each takes a connection and a subscription.
    pub streams_per_token: usize,
    /// How long an ordinary request may take. Longer holds connections longer when a disk hangs.
    pub timeout: Period,
}

/// Certificate and key, both PEM.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// The certificate, and those between it and its authority.
    pub cert: Option<PathBuf>,
    /// Its key; readable for the owner alone.
    pub key: Option<PathBuf>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        let server = server::Options::default();
        Self {
            listen: server.listen,
            allow_hosts: server.hosts,
            allow_origins: server.origins,
            tls: TlsSettings::default(),
            body_bytes: server.api.body_bytes,
            connections: server.connections,
            requests_per_second: server.api.requests.per_second,
            burst: server.api.requests.burst,
            streams_per_token: server.api.streams_per_token,
            timeout: Period(server.api.timeout),
        }
    }
}

/// Reads a list, or a text whose words stand apart by commas: the environment knows only texts.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Words;

    impl<'de> Visitor<'de> for Words {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list, or words with commas between them")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            Ok(words.map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(sequence))
        }
    }

    deserializer.deserialize_any(Words)
}
