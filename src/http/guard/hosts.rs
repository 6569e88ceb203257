//! Under which names this server may be addressed.
//!
//! The browser of somebody who visits a hostile page can be made to send requests here under the page's own
//! name ("DNS rebinding"); they carry that name as Host and are refused. An address as Host cannot be rebound.

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header;

use super::{Error, Options};
use crate::http::Problem;

/// Names that mean the machine itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A name or address, with the port if one is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Authority {
    /// Lower case, without brackets or a dot at the end.
    pub(super) name: String,
    pub(super) port: Option<u16>,
}

impl Authority {
    /// Reads `name`, `name:port`, `[address]` or `[address]:port`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                address.parse::<std::net::Ipv6Addr>().ok()?;
                (address, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => {
                let (name, port) = match text.split_once(':') {
                    Some((name, port)) => (name, Some(port)),
                    None => (text, None),
                };
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                let name = name.strip_suffix('.').unwrap_or(name);
                if name.is_empty() || !name.bytes().all(allowed) {
                    return None;
                }
                (name, port)
            }
        };
        let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port {
            Some(port) if digits(port) => Some(port.parse().ok()?),
            Some(_) => return None,
            None => None,
        };
        Some(Self { name: name.to_ascii_lowercase(), port })
    }
}

/// The names of this server.
#[derive(Debug)]
pub(super) struct Hosts {
    port: u16,
    names: BTreeSet<String>,
    /// Names that were given with a port of their own: of a proxy in front.
    exact: BTreeSet<Authority>,
}

impl Hosts {
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let mut names: BTreeSet<String> = LOOPBACK.map(str::to_owned).into();
        let mut exact = BTreeSet::new();
        for text in &options.hosts {
            let given = Authority::parse(text).or_else(|| Authority::parse(&format!("[{text}]")));
            let given = given.ok_or_else(|| Error::Host(text.clone()))?;
            if given.port.is_some() {
                exact.insert(given);
            } else {
                names.insert(given.name);
            }
        }
        Ok(Self { port: options.port, names, exact })
    }

    /// Returns under which name a request was sent, if it is one of ours. `local` is the address that its
    /// connection came to.
    pub(super) fn check(&self, request: &Request, local: Option<IpAddr>) -> Result<Authority, Problem> {
        let mut written = request.headers().get_all(header::HOST).iter();
        let (Some(host), None) = (written.next(), written.next()) else {
            return Err(Problem::host_refused("there must be exactly one"));
        };
        let host = host.to_str().ok().and_then(Authority::parse);
        let host = host.ok_or_else(|| Problem::host_refused("it is not a name with or without a port"))?;
        // A target such as `http://name/path` names a host too, and it counts before the header.
        let target = request.uri().authority().map(|target| Authority::parse(target.as_str()));
        if target.is_some_and(|target| target.as_ref() != Some(&host)) {
            return Err(Problem::host_refused("the request's target names another one"));
        }
        if self.knows(&host, local) {
            Ok(host)
        } else {
            Err(Problem::host_refused(match host.port {
                Some(port) => format!("{}:{port}", host.name),
                None => host.name,
            }))
        }
    }

    fn knows(&self, host: &Authority, local: Option<IpAddr>) -> bool {
        if self.exact.contains(host) {
            return true;
        }
        let is_local = || {
            let named = host.name.parse::<IpAddr>().ok();
            named.zip(local).is_some_and(|(named, local)| named.to_canonical() == local.to_canonical())
        };
        host.port.is_none_or(|port| port == self.port) && (self.names.contains(&host.name) || is_local())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &[&str], host: &str) -> bool {
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        let hosts = Hosts::new(&Options { hosts, port: 7400, ..Options::default() }).expect("hosts");
        let request = Request::builder().header("host", host).body(axum::body::Body::empty());
        hosts.check(&request.expect("request"), "10.0.0.5".parse().ok()).is_ok()
    }

    #[test]
    fn loopback_names_and_the_connections_own_address_are_known_with_the_right_port_or_none() {
        for known in [
            "localhost",
            "LOCALHOST:7400",
            "localhost.",
            "127.0.0.1:7400",
            "[::1]:7400",
            "10.0.0.5",
            "[::ffff:10.0.0.5]",
        ] {
            assert!(check(&[], known), "{known}");
        }
        for foreign in [
            "evil.example",
            "localhost:80",
            "127.0.0.1:7401",
            "10.0.0.6",
            "localhost.evil.example",
            "",
            "localhost:",
            "user@localhost",
            "localhost:7400:7400",
            "localhost/x",
            "[::1",
            "[localhost]",
            "127.0.0.1.evil.example",
        ] {
            assert!(!check(&[], foreign), "{foreign}");
        }
    }

    #[test]
    fn a_name_given_without_a_port_fits_ours_and_one_with_a_port_fits_only_that() {
        assert!(
            check(&["synod.example"], "synod.example") && check(&["synod.example"], "synod.example:7400")
        );
        assert!(!check(&["synod.example"], "synod.example:443"));
        assert!(check(&["synod.example:8443"], "Synod.Example:8443"));
        assert!(!check(&["synod.example:8443"], "synod.example"));
        assert!(Hosts::new(&Options { hosts: vec!["a b".into()], ..Options::default() }).is_err());
        assert!(check(&["2001:db8::1"], "[2001:db8::1]:7400"));
    }

    #[test]
    fn the_target_of_a_request_names_the_same_host_or_is_refused() {
        let hosts = Hosts::new(&Options { port: 7400, ..Options::default() }).expect("hosts");
        let request = |uri: &str| {
            let request = Request::builder().uri(uri).header("host", "localhost:7400");
            request.body(axum::body::Body::empty()).expect("request")
        };
        assert!(hosts.check(&request("http://localhost:7400/x"), None).is_ok());
        assert!(hosts.check(&request("http://evil.example/x"), None).is_err());
        let mut twice = request("/x");
        twice.headers_mut().append("host", axum::http::HeaderValue::from_static("localhost"));
        assert!(hosts.check(&twice, None).is_err());
        twice.headers_mut().remove("host");
        assert!(hosts.check(&twice, None).is_err());
    }
}
