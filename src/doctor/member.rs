//! Looks at what being a member of a cluster takes: the identity, how long its certificate rests valid, the address.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

use synod_cluster::identity::Folder;
use synod_domain::sources::Clock;

use super::{Finding, Verdict};
use crate::clock::SystemClock;
use crate::settings::{Loaded, is_member};

/// How long a certificate should rest valid at least: it renews by itself long before, unless no voter is reached.
const CERTIFICATE_RESTS_LOW: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// The folder of the identity, below the data folder.
const IDENTITY: &str = "cluster";

/// Looks at a member's folder and address; at nothing for a node that stands alone.
pub fn examine_member(loaded: &Loaded, data: &Path) -> Vec<Finding> {
    if !is_member(data) {
        return Vec::new();
    }
    let mut findings = vec![identity(data)];
    findings.extend(address(loaded, data));
    findings
}

/// Reading it checks the modes of its files too.
fn identity(data: &Path) -> Finding {
    let check = "cluster identity";
    let path = data.join(IDENTITY);
    let bad = |seen: String, advice: &str| Finding {
        check,
        verdict: Verdict::Bad,
        seen,
        advice: Some(advice.to_owned()),
    };
    let identity = match Folder::at(&path).load() {
        Ok(Some(identity)) => identity,
        Ok(None) => {
            return bad(
                format!("{} holds no identity", path.display()),
                "remove the folder, and join with a new token",
            );
        }
        Err(error) => {
            return bad(error.to_string(), "correct what it names, or restore the whole data folder");
        }
    };
    let rests = identity.certificate.rests(SystemClock.now());
    let days = rests.as_secs() / (24 * 60 * 60);
    let seen = format!(
        "{} {} of cluster {}, certificate for {days} days",
        identity.role, identity.node, identity.cluster
    );
    if rests.is_zero() {
        return bad(seen, "its certificate is over: remove the node on another, and join with a new token");
    }
    if rests < CERTIFICATE_RESTS_LOW {
        let advice = "it renews by itself while a voter is reached; start the node, and look why it did not"
            .to_owned();
        return Finding { check, verdict: Verdict::Poor, seen, advice: Some(advice) };
    }
    Finding { check, verdict: Verdict::Well, seen, advice: None }
}

fn address(loaded: &Loaded, data: &Path) -> Option<Finding> {
    let check = "cluster address";
    let cluster = match loaded.cluster(data, loaded.settings.http.listen, None) {
        Ok(cluster) => cluster?,
        Err(error) => {
            let advice = Some("correct the setting that it names".to_owned());
            return Some(Finding { check, verdict: Verdict::Bad, seen: error.to_string(), advice });
        }
    };
    let listen = &cluster.listen;
    let free = TcpListener::bind(listen).and_then(|_| UdpSocket::bind(listen));
    Some(match free {
        Ok(_) => Finding {
            check,
            verdict: Verdict::Well,
            seen: format!(
                "{listen} is free for TCP and UDP; others reach it at {}",
                cluster.advertise.as_ref().unwrap_or(listen)
            ),
            advice: None,
        },
        Err(error) => Finding {
            check,
            verdict: Verdict::Poor,
            seen: format!("{listen} cannot be had: {error}"),
            advice: Some(
                "it may be a node that runs already; otherwise choose another with --cluster-listen"
                    .to_owned(),
            ),
        },
    })
}
