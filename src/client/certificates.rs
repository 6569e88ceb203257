//! Whom to believe that they are the node.

use reqwest::Certificate;

use super::Error;

/// Where systems keep the certificates they trust. The first that is there counts.
const OF_SYSTEMS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Returns the roots to trust: those of the system, and those of a PEM text.
pub(crate) fn roots(extra: Option<&[u8]>) -> Result<Vec<Certificate>, Error> {
    let mut roots: Vec<Certificate> = of_system();
    if let Some(pem) = extra {
        let own = Certificate::from_pem_bundle(pem)
            .map_err(|error| Error::Setup(format!("the certificates given are not PEM: {error}")))?;
        if own.is_empty() {
            return Err(Error::Setup(
                "the file of certificates holds none; give the PEM file that `synod tls init` wrote"
                    .to_owned(),
            ));
        }
        roots.extend(own);
    }
    Ok(roots)
}

/// A system without any is no error: a node's own certificate may be all that is needed.
fn of_system() -> Vec<Certificate> {
    let text = OF_SYSTEMS.iter().find_map(|path| std::fs::read(path).ok());
    text.and_then(|pem| Certificate::from_pem_bundle(&pem).ok()).unwrap_or_default()
}
