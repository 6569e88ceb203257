//! Looks at what serving a node takes: the address, certificate and key, the operator's token.

use std::net::TcpListener;
use std::path::Path;

use super::{Finding, Verdict};
use crate::http::first_token;
use crate::settings::Loaded;

/// Looks at everything that matters for `synod server` with these settings on this data folder.
pub fn examine_serving(loaded: &Loaded, data: &Path) -> Vec<Finding> {
    let mut findings = vec![address(loaded)];
    findings.extend(tls(loaded));
    findings.extend(private("operator's token", &data.join(first_token::FILE)));
    findings
}

fn address(loaded: &Loaded) -> Finding {
    let check = "address";
    let address = loaded.settings.http.listen;
    let exposed = !address.ip().to_canonical().is_loopback();
    if exposed && loaded.settings.http.tls.cert.is_none() {
        return Finding {
            check,
            verdict: Verdict::Bad,
            seen: format!("{address} is reachable from other machines, and there is no TLS"),
            advice: Some("synod tls init, or listen on 127.0.0.1 behind a proxy that has TLS".to_owned()),
        };
    }
    match TcpListener::bind(address) {
        Ok(_) => Finding { check, verdict: Verdict::Well, seen: format!("{address} is free"), advice: None },
        Err(error) => Finding {
            check,
            verdict: Verdict::Poor,
            seen: format!("{address} cannot be had: {error}"),
            advice: Some(
                "it may be a node that runs already; otherwise choose another with --listen".to_owned(),
            ),
        },
    }
}

fn tls(loaded: &Loaded) -> Vec<Finding> {
    let tls = &loaded.settings.http.tls;
    if tls.cert.is_none() && tls.key.is_none() {
        return Vec::new();
    }
    let usable = match loaded.server() {
        Ok(_) => Finding {
            check: "TLS",
            verdict: Verdict::Well,
            seen: "certificate and key belong together".to_owned(),
            advice: None,
        },
        Err(error) => Finding {
            check: "TLS",
            verdict: Verdict::Bad,
            seen: error.to_string(),
            advice: Some("give both as PEM; synod tls init makes a pair".to_owned()),
        },
    };
    let mut findings = vec![usable];
    findings.extend(tls.key.as_deref().and_then(|key| private("TLS key", key)));
    findings
}

/// Looks who may read a secret; nothing when there is none.
#[cfg(unix)]
fn private(check: &'static str, path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let seen = format!("{} (0{mode:o})", path.display());
    Some(if mode & 0o077 == 0 {
        Finding { check, verdict: Verdict::Well, seen, advice: None }
    } else {
        let advice = Some(format!("chmod 600 {}", path.display()));
        Finding {
            check,
            verdict: Verdict::Bad,
            seen: format!("{seen}: others on this machine may read it"),
            advice,
        }
    })
}

#[cfg(not(unix))]
fn private(_: &'static str, _: &Path) -> Option<Finding> {
    None
}
