//! What a certificate calls its node.
//!
//! A certificate names the node, its cluster and its number in the group, as two DNS names:
//! `<26 digits of the node's id>.<cluster>.synod` and `number-<number>.<cluster>.synod`. The first is what
//! whoever connects asks for. The number tells a node that was removed from one that was admitted after what a
//! doorkeeper knows.

use rustls::pki_types::ServerName;
use synod_domain::id::NodeId;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::identity::error::{Error, certificate};

const NODE_PREFIX: &str = "node_";
const NUMBER_PREFIX: &str = "number-";
const SUFFIX: &str = "synod";

/// The letters of a cluster's id: 64 bits in hexadecimal. It tells clusters apart; it proves nothing.
pub(super) const CLUSTER_LETTERS: usize = 16;

/// Who a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) node: NodeId,
    pub(super) number: u64,
    pub(super) cluster: String,
}

/// Tells whether a text may be a cluster's id.
pub(super) fn is_cluster(text: &str) -> bool {
    text.len() == CLUSTER_LETTERS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Named {
    /// Returns the names that stand in the certificate.
    pub(super) fn names(&self) -> Vec<String> {
        let number = format!("{NUMBER_PREFIX}{}.{}.{SUFFIX}", self.number, self.cluster);
        vec![name_of(self.node, &self.cluster), number]
    }

    /// Reads them from a certificate; whether it is genuine is judged elsewhere.
    pub(super) fn of(der: &[u8]) -> Result<Self, Error> {
        let unnamed = || certificate("it names no node of a cluster");
        let (rest, parsed) = X509Certificate::from_der(der).map_err(certificate)?;
        if !rest.is_empty() {
            return Err(certificate("bytes follow it"));
        }
        let names = parsed.subject_alternative_name().map_err(certificate)?.ok_or_else(unnamed)?;
        let [GeneralName::DNSName(node), GeneralName::DNSName(number)] = &*names.value.general_names else {
            return Err(unnamed());
        };
        let ((node, cluster), (number, same)) =
            (split(node).ok_or_else(unnamed)?, split(number).ok_or_else(unnamed)?);
        let node = format!("{NODE_PREFIX}{node}").parse().map_err(|_| unnamed())?;
        let number = number.strip_prefix(NUMBER_PREFIX).and_then(|digits| digits.parse().ok());
        if cluster != same {
            return Err(unnamed());
        }
        Ok(Self { node, number: number.ok_or_else(unnamed)?, cluster: cluster.to_owned() })
    }
}

fn split(name: &str) -> Option<(&str, &str)> {
    let (first, rest) = name.split_once('.')?;
    let (cluster, suffix) = rest.split_once('.')?;
    (suffix == SUFFIX && is_cluster(cluster)).then_some((first, cluster))
}

fn name_of(node: NodeId, cluster: &str) -> String {
    let text = node.to_string();
    let digits = text.strip_prefix(NODE_PREFIX).unwrap_or(&text);
    format!("{digits}.{cluster}.{SUFFIX}")
}

/// Returns what whoever connects to a node asks its certificate for.
pub(super) fn server_name(node: NodeId, cluster: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name_of(node, cluster)).map_err(certificate)
}
