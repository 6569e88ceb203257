//! What a certificate calls its node.
//!
//! A certificate names the node, its cluster and its number in the group, as two DNS names:
//! `<26 digits of the node's id>.<cluster>.synod` and `number-<number>.<cluster>.synod`. The first is what
//! whoever connects asks for. The number tells a node that was removed from one that was admitted after what a
//! doorkeeper knows. A third names its region and what it does there:
//! `<26 digits>.voter.<region in hexadecimal>.region.synod`, or `worker`. That is what whoever connects from another
//! region asks for. Certificates of clusters that are older than regions lack it until they are renewed.

use rustls::pki_types::ServerName;
use synod_domain::federation::REGION_NAME_BYTES_MAX;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::NodeRole;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::identity::error::{Error, certificate};
use crate::identity::keys::hex;

const NODE_PREFIX: &str = "node_";
const NUMBER_PREFIX: &str = "number-";
const SUFFIX: &str = "synod";
const REGION_SUFFIX: &str = ".region.synod";

/// The letters of one label of a region's name. DNS allows 63; two of them are one byte.
const REGION_LABEL_LETTERS: usize = 60;

/// The letters of a cluster's id: 64 bits in hexadecimal. It tells clusters apart; it proves nothing.
pub(super) const CLUSTER_LETTERS: usize = 16;

/// Where a node is, and what it does there, as its certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InRegion {
    /// The region.
    pub name: Name,
    /// What the node does in its group.
    pub role: NodeRole,
}

/// Who a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) node: NodeId,
    pub(super) number: u64,
    pub(super) cluster: String,
    pub(super) region: Option<InRegion>,
}

/// Tells whether a text may be a cluster's id.
pub(super) fn is_cluster(text: &str) -> bool {
    text.len() == CLUSTER_LETTERS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Holds that a name may be a region's: it must fit a certificate.
pub(super) fn check_region(region: &Name) -> Result<(), Error> {
    if region.as_str().len() <= REGION_NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Error::Region(region.clone()))
}

impl Named {
    /// Returns the names that stand in the certificate.
    pub(super) fn names(&self) -> Vec<String> {
        let number = format!("{NUMBER_PREFIX}{}.{}.{SUFFIX}", self.number, self.cluster);
        let region = self.region.as_ref().map(|region| region_name_of(self.node, region));
        [name_of(self.node, &self.cluster), number].into_iter().chain(region).collect()
    }

    /// Reads them from a certificate; whether it is genuine is judged elsewhere.
    pub(super) fn of(der: &[u8]) -> Result<Self, Error> {
        let unnamed = || certificate("it names no node of a cluster");
        let (rest, parsed) = X509Certificate::from_der(der).map_err(certificate)?;
        if !rest.is_empty() {
            return Err(certificate("bytes follow it"));
        }
        let names = parsed.subject_alternative_name().map_err(certificate)?.ok_or_else(unnamed)?;
        let (node, number, region) = match &*names.value.general_names {
            [GeneralName::DNSName(node), GeneralName::DNSName(number)] => (node, number, None),
            [GeneralName::DNSName(node), GeneralName::DNSName(number), GeneralName::DNSName(region)] => {
                (node, number, Some(region))
            }
            _ => return Err(unnamed()),
        };
        let ((node, cluster), (number, same)) =
            (split(node).ok_or_else(unnamed)?, split(number).ok_or_else(unnamed)?);
        let node = format!("{NODE_PREFIX}{node}").parse().map_err(|_| unnamed())?;
        let number = number.strip_prefix(NUMBER_PREFIX).and_then(|digits| digits.parse().ok());
        if cluster != same {
            return Err(unnamed());
        }
        let region = region.map(|region| read_region(region, node).ok_or_else(unnamed)).transpose()?;
        Ok(Self { node, number: number.ok_or_else(unnamed)?, cluster: cluster.to_owned(), region })
    }
}

fn split(name: &str) -> Option<(&str, &str)> {
    let (first, rest) = name.split_once('.')?;
    let (cluster, suffix) = rest.split_once('.')?;
    (suffix == SUFFIX && is_cluster(cluster)).then_some((first, cluster))
}

fn digits_of(node: NodeId) -> String {
    let text = node.to_string();
    text.strip_prefix(NODE_PREFIX).unwrap_or(&text).to_owned()
}

fn name_of(node: NodeId, cluster: &str) -> String {
    format!("{}.{cluster}.{SUFFIX}", digits_of(node))
}

/// In hexadecimal, because names of regions hold characters that DNS does not have, and DNS ignores case.
fn region_name_of(node: NodeId, region: &InRegion) -> String {
    let letters = hex(region.name.as_str().as_bytes());
    let mut text = format!("{}.{}", digits_of(node), region.role);
    for label in letters.as_bytes().chunks(REGION_LABEL_LETTERS) {
        text.push('.');
        text.extend(label.iter().map(|letter| char::from(*letter)));
    }
    text.push_str(REGION_SUFFIX);
    text
}

fn read_region(text: &str, node: NodeId) -> Option<InRegion> {
    let (digits, rest) = text.strip_suffix(REGION_SUFFIX)?.split_once('.')?;
    let (role, letters) = rest.split_once('.')?;
    let role = [NodeRole::Voter, NodeRole::Worker].into_iter().find(|known| known.to_string() == role)?;
    let letters = letters.replace('.', "");
    if digits != digits_of(node) || letters.len() > 2 * REGION_NAME_BYTES_MAX || !letters.is_ascii() {
        return None;
    }
    let mut bytes = Vec::with_capacity(letters.len() / 2);
    for pair in letters.as_bytes().chunks(2) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        bytes.push(u8::from_str_radix(pair, 16).ok()?);
    }
    let region = InRegion { name: Name::new(std::str::from_utf8(&bytes).ok()?).ok()?, role };
    // Of several ways to write a name only one is taken.
    (region_name_of(node, &region) == text).then_some(region)
}

/// Returns what whoever connects to a voter of another region asks its certificate for.
pub(super) fn voter_name(node: NodeId, region: &Name) -> Result<ServerName<'static>, Error> {
    let region = InRegion { name: region.clone(), role: NodeRole::Voter };
    ServerName::try_from(region_name_of(node, &region)).map_err(certificate)
}

/// Returns what whoever connects to a node asks its certificate for.
pub(super) fn server_name(node: NodeId, cluster: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name_of(node, cluster)).map_err(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_reads_back_from_its_name_whatever_letters_it_has() {
        let node = NodeId::from_raw(7);
        let longest = "x".repeat(REGION_NAME_BYTES_MAX);
        for text in ["eu", "EU", "a.b/c:d@e+f", longest.as_str()] {
            for role in [NodeRole::Voter, NodeRole::Worker] {
                let region = InRegion { name: Name::new(text).unwrap(), role };
                let written = region_name_of(node, &region);
                assert!(ServerName::try_from(written.clone()).is_ok(), "{written}");
                assert_eq!(read_region(&written, node).as_ref(), Some(&region), "{written}");
                assert_eq!(read_region(&written, NodeId::from_raw(8)), None, "another node's");
            }
        }
    }

    #[test]
    fn what_is_no_region_is_none() {
        let node = NodeId::from_raw(7);
        let digits = digits_of(node);
        for text in [
            format!("{digits}.voter.region.synod"),
            format!("{digits}.voter.6.region.synod"),
            format!("{digits}.voter.+6.region.synod"),
            format!("{digits}.leader.6575.region.synod"),
            format!("{digits}.voter.65.75.region.synod"),
            format!("{digits}.voter.6575.synod"),
            format!("{digits}.voter.2f.region.synod"),
        ] {
            assert_eq!(read_region(&text, node), None, "{text}");
        }
    }
}
