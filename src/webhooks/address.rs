//! Where messages may go.
//!
//! Whoever may make a webhook has a node send something to an address of their choice, from where the node stands. So what
//! is not open to everybody is refused unless the operator allows it: addresses of private networks, of the machine itself,
//! of its link, and those that nobody should have. A name is looked up when it is connected to, and only addresses that are
//! allowed are connected to: it does not help to let a name lead elsewhere after it was looked at.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};

/// Which addresses may be written to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is allowed although not everybody can reach it.
    pub allow: Vec<Network>,
    /// Whether messages may go in the clear to others than this machine.
    pub plain_http: bool,
}

/// Addresses that begin alike, as `10.0.0.0/8`; one alone, as `127.0.0.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Says that a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network: write it as 10.0.0.0/8, fd00::/8 or 127.0.0.1")]
pub struct NetworkUnknown(String);

impl FromStr for Network {
    type Err = NetworkUnknown;

    fn from_str(text: &str) -> Result<Self, NetworkUnknown> {
        let read = || {
            let (address, bits) = match text.split_once('/') {
                Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
                None => (text, None),
            };
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(most);
            (bits <= most).then_some(Self { address, bits })
        };
        read().ok_or_else(|| NetworkUnknown(text.to_owned()))
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkUnknown;

    fn try_from(text: String) -> Result<Self, NetworkUnknown> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Network {
    /// A network of version 4, for tables.
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    /// A network of version 6 by its first two groups, for tables.
    const fn v6(first: u16, second: u16, bits: u8) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)), bits }
    }

    /// Tells whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u32| {
            let rest = width - u32::from(self.bits);
            one.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
        };
        match (self.address, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                same(u128::from(one.to_bits()), u128::from(other.to_bits()), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// What is not open to everybody, by the registries of special addresses (RFC 6890 and its successors).
const SPECIAL: [Network; 27] = [
    Network::v4(0, 0, 0, 0, 8),
    Network::v4(10, 0, 0, 0, 8),
    Network::v4(100, 64, 0, 0, 10),
    Network::v4(127, 0, 0, 0, 8),
    Network::v4(169, 254, 0, 0, 16),
    Network::v4(172, 16, 0, 0, 12),
    Network::v4(192, 0, 0, 0, 24),
    Network::v4(192, 0, 2, 0, 24),
    Network::v4(192, 88, 99, 0, 24),
    Network::v4(192, 168, 0, 0, 16),
    Network::v4(198, 18, 0, 0, 15),
    Network::v4(198, 51, 100, 0, 24),
    Network::v4(203, 0, 113, 0, 24),
    Network::v4(224, 0, 0, 0, 4),
    Network::v4(240, 0, 0, 0, 4),
    // Nobody, this machine, and addresses of version 4 in disguise that no longer mean them.
    Network::v6(0, 0, 8),
    // Through translators and tunnels, to addresses of version 4 that nobody looks at.
    Network::v6(0x64, 0xff9b, 32),
    Network::v6(0x100, 0, 64),
    Network::v6(0x2001, 0, 23),
    Network::v6(0x2001, 0xdb8, 32),
    Network::v6(0x2002, 0, 16),
    Network::v6(0x3fff, 0, 20),
    Network::v6(0x5f00, 0, 16),
    Network::v6(0xfc00, 0, 7),
    Network::v6(0xfe80, 0, 10),
    Network::v6(0xfec0, 0, 10),
    Network::v6(0xff00, 0, 8),
];

impl Rules {
    /// Tells whether an address may be written to, in the clear or not.
    pub fn may(&self, address: IpAddr, is_plain: bool) -> bool {
        // `::ffff:10.0.0.1` is 10.0.0.1.
        let address = address.to_canonical();
        if is_plain && !self.plain_http && !address.is_loopback() {
            return false;
        }
        let is_special = SPECIAL.iter().any(|network| network.contains(address));
        !is_special || self.allow.iter().any(|network| network.contains(address))
    }

    /// Reads where a webhook wants its messages, and checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// With a text for people: what is wrong with it.
    pub fn check(&self, url: &str) -> Result<Url, String> {
        let read: Url = url.parse().map_err(|error| format!("it is no address: {error}"))?;
        let is_plain = match read.scheme() {
            "https" => false,
            "http" => true,
            other => return Err(format!("messages go over https and not over {other}")),
        };
        if !read.username().is_empty() || read.password().is_some() {
            return Err(
                "it holds a name or a password, which everybody would see who sees the webhook".to_owned()
            );
        }
        if read.fragment().is_some() {
            return Err("what stands behind # is never sent; leave it out".to_owned());
        }
        let host = read.host_str().ok_or("it names no host")?;
        // Reading has made every way to write an address into the one that is read here.
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        match literal {
            Some(address) if !self.may(address, is_plain) => {
                Err(refused(address, is_plain && !self.plain_http))
            }
            None if is_plain && !self.plain_http && !is_this_machine(&read) => Err(
                "messages go over https; http is for this machine alone unless webhooks.plain_http is set"
                    .to_owned(),
            ),
            Some(_) | None => Ok(read),
        }
    }

    /// Returns what looks names up and gives only addresses that may be written to.
    pub(super) fn resolver(&self, is_plain: bool) -> Guarded {
        Guarded { rules: self.clone(), is_plain }
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost")
}

fn refused(address: IpAddr, is_plain: bool) -> String {
    if is_plain && !address.to_canonical().is_loopback() {
        return format!("messages to {address} go over https, unless webhooks.plain_http is set");
    }
    format!("{address} is not open to everybody; an operator can allow it with webhooks.allow")
}

/// Looks names up as the system does, and keeps what may be written to.
#[derive(Debug)]
pub(super) struct Guarded {
    rules: Rules,
    is_plain: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, is_plain) = (self.rules.clone(), self.is_plain);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().copied().filter(|one| rules.may(one.ip(), is_plain)).collect();
            match (allowed.is_empty(), found.first()) {
                (true, Some(first)) => Err(refused(first.ip(), is_plain && !rules.plain_http).into()),
                (true, None) => Err(format!("{} has no address", name.as_str()).into()),
                (false, _) => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], plain_http: bool) -> Rules {
        Rules { allow: allow.iter().map(|one| one.parse().expect("a network")).collect(), plain_http }
    }

    #[test]
    fn only_what_is_open_to_everybody_may_be_written_to() {
        let rules = rules(&[], false);
        let may = |text: &str| rules.may(text.parse().expect("an address"), false);
        for open in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1"]
        {
            assert!(may(open), "{open}");
        }
        for special in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!may(special), "{special}");
        }
    }

    #[test]
    fn what_the_operator_allows_may_be_written_to_and_no_more() {
        let rules = rules(&["10.1.0.0/16", "fd00::/8", "127.0.0.1"], false);
        let may = |text: &str| rules.may(text.parse().expect("an address"), false);
        assert!(may("10.1.2.3") && may("::ffff:10.1.2.3") && may("fd12::1") && may("127.0.0.1"));
        assert!(!may("10.2.0.1") && !may("fc00::1") && !may("127.0.0.2"));
    }

    #[test]
    fn addresses_that_cannot_be_meant_are_refused_with_a_reason() {
        let strict = rules(&[], false);
        for (url, why) in [
            ("ftp://example.org", "https"),
            ("http://example.org", "plain_http"),
            ("http://1.1.1.1/x", "plain_http"),
            ("https://user:secret@example.org", "password"),
            ("https://127.0.0.1/x", "webhooks.allow"),
            ("http://127.0.0.1/x", "webhooks.allow"),
            ("https://[::1]/x", "webhooks.allow"),
            ("https://2130706433/", "webhooks.allow"),
            ("https://0x7f.1/", "webhooks.allow"),
            ("https://example.org/#x", "#"),
            ("no address", "no address"),
        ] {
            let refused = strict.check(url).expect_err(url);
            assert!(refused.contains(why), "{url}: {refused}");
        }
        assert!(strict.check("https://example.org/hook?x=1").is_ok());
        let local = rules(&["127.0.0.0/8"], false);
        assert!(local.check("http://127.0.0.1:8080/").is_ok() && local.check("http://localhost:1/").is_ok());
        assert!(local.check("http://10.0.0.1/").is_err());
        assert!(rules(&["10.0.0.0/8"], true).check("http://10.0.0.1/").is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let resolve =
            async |rules: Rules| rules.resolver(true).resolve("localhost".parse().expect("a name")).await;
        let refused = resolve(rules(&[], false)).await.err().map(|error| error.to_string());
        assert!(refused.as_ref().is_some_and(|why| why.contains("webhooks.allow")), "{refused:?}");
        let mut found = resolve(rules(&["127.0.0.0/8", "::1"], false)).await.expect("addresses");
        assert!(found.all(|one| one.ip().is_loopback()));
    }

    #[test]
    fn networks_are_read_and_written() {
        for (text, written) in [("10.0.0.0/8", "10.0.0.0/8"), ("::1", "::1/128"), ("0.0.0.0/0", "0.0.0.0/0")]
        {
            assert_eq!(text.parse::<Network>().expect("a network").to_string(), written);
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "localhost", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        assert!(
            "0.0.0.0/0".parse::<Network>().expect("all").contains("9.9.9.9".parse().expect("an address"))
        );
    }
}
