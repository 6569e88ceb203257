//! Which web pages may call: this server's own, and those that the operator named.
//!
//! Programs send no Origin and are not concerned. A browser sends one with everything but plain reads, and
//! says of every request whether another site caused it. There is no CORS: even an allowed page can read an
//! answer only through a proxy that makes it the same origin.

use std::collections::BTreeSet;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};

use super::hosts::Authority;
use super::{Error, Options};
use crate::http::Problem;

/// By which header a browser says who caused a request.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The origins that may call.
#[derive(Debug)]
pub(super) struct Origins {
    tls: bool,
    named: BTreeSet<Origin>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Origin {
    tls: bool,
    name: String,
    port: u16,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (tls, rest) = match text.split_once("://")? {
            ("http", rest) => (false, rest),
            ("https", rest) => (true, rest),
            _ => return None,
        };
        let Authority { name, port } = Authority::parse(rest)?;
        Some(Self { tls, name, port: port.unwrap_or(default_port(tls)) })
    }

    /// Tells whether a page of this origin addressed `host` as its own server. A server without TLS may stand
    /// behind a proxy that has it, so there both schemes fit.
    fn is_of(&self, host: &Authority, tls: bool) -> bool {
        let port = host.port.unwrap_or(default_port(self.tls));
        self.name == host.name && self.port == port && (self.tls || !tls)
    }
}

const fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

impl Origins {
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let named = options
            .origins
            .iter()
            .map(|text| Origin::parse(text.trim_end_matches('/')).ok_or_else(|| Error::Origin(text.clone())));
        Ok(Self { tls: options.tls, named: named.collect::<Result<_, _>>()? })
    }

    /// Refuses a request that a foreign page caused. `host` is the name of ours that it was sent to.
    pub(super) fn check(&self, request: &Request, host: &Authority) -> Result<(), Problem> {
        let mut written = request.headers().get_all(header::ORIGIN).iter();
        if let Some(origin) = written.next() {
            let text = origin.to_str().unwrap_or("not a text");
            let origin = Origin::parse(text).filter(|_| written.next().is_none());
            let allowed = |origin: &Origin| origin.is_of(host, self.tls) || self.named.contains(origin);
            return if origin.as_ref().is_some_and(allowed) {
                Ok(())
            } else {
                // What a client wrote comes back shortened: it may be long, and means nothing here.
                let shown: String = text.chars().take(100).collect();
                Err(Problem::origin_refused(format!("this one says it is of {shown:?}")))
            };
        }
        let reads = *request.method() == Method::GET || *request.method() == Method::HEAD;
        if !reads && is_cross_site(request.headers()) {
            return Err(Problem::origin_refused("another site caused this one"));
        }
        Ok(())
    }
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get_all(SEC_FETCH_SITE).iter().any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tls: bool, method: &str, host: &str, headers: &[(&str, &str)]) -> bool {
        let options = Options { tls, origins: vec!["https://console.example".into()], ..Options::default() };
        let origins = Origins::new(&options).expect("origins");
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(axum::body::Body::empty()).expect("request");
        origins.check(&request, &Authority::parse(host).expect("host")).is_ok()
    }

    #[test]
    fn a_page_of_the_same_origin_may_call_and_any_other_may_not() {
        let origin = |tls, host, origin| check(tls, "GET", host, &[("origin", origin)]);
        assert!(origin(false, "localhost:7400", "http://localhost:7400"));
        assert!(origin(false, "synod.example", "https://synod.example"), "a proxy with TLS");
        assert!(origin(true, "localhost:7400", "https://localhost:7400"));
        assert!(!origin(true, "localhost:7400", "http://localhost:7400"));
        for foreign in [
            "null",
            "http://localhost",
            "http://localhost:3000",
            "http://127.0.0.1:7400",
            "http://evil.example",
            "file://",
            "http://localhost:7400.evil.example",
            "http://localhost:7400, http://x",
            "",
        ] {
            assert!(!origin(false, "localhost:7400", foreign), "{foreign}");
        }
    }

    #[test]
    fn named_origins_may_call_and_two_origins_are_none() {
        let named = ("origin", "https://console.example");
        assert!(check(false, "POST", "localhost:7400", &[named, ("sec-fetch-site", "cross-site")]));
        assert!(!check(false, "POST", "localhost:7400", &[("origin", "http://console.example")]));
        assert!(!check(false, "POST", "localhost:7400", &[named, named]));
        assert!(Origins::new(&Options { origins: vec!["console".into()], ..Options::default() }).is_err());
    }

    #[test]
    fn what_another_site_causes_is_refused_on_every_method_but_reads() {
        let site = |method, site| check(false, method, "localhost:7400", &[("sec-fetch-site", site)]);
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert!(!site(method, "cross-site") && !site(method, "same-site"), "{method}");
            assert!(site(method, "same-origin") && site(method, "none"), "{method}");
        }
        assert!(site("GET", "cross-site") && site("HEAD", "cross-site"));
    }
}
