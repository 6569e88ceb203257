//! TLS: served from files, made by the node itself, and not spoken without.

use std::net::SocketAddr;

use reqwest::Method;
use synod::http::server::{self, Bound};
use synod::http::tls::{self, Certificate};

use crate::support::{Api, options, raw};

#[tokio::test]
async fn a_certificate_that_signs_itself_is_served_and_verified_by_who_trusts_it() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let [cert, key] = Certificate::make(&hosts).unwrap().write(folder.path(), false).unwrap();
    let mut options = options();
    options.tls = Some(tls::read(&cert, &key).unwrap());
    let api = Api::with(options).await;
    assert!(api.server.url().starts_with("https://127.0.0.1:"));
    let trusted = reqwest::Certificate::from_pem(&std::fs::read(&cert).unwrap()).unwrap();
    let client = reqwest::Client::builder().add_root_certificate(trusted).build().unwrap();
    for name in ["127.0.0.1", "localhost"] {
        let url = format!("https://{name}:{}/readyz", api.server.address().port());
        let answer = client.get(url).bearer_auth(api.admin.expose()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert!(
        api.bare(Method::GET, "/healthz").send().await.is_err(),
        "a stranger's certificate is not trusted"
    );
    let plain = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", api.server.address());
    let answer = raw(&mut api.connect().await, plain.as_bytes()).await;
    assert!(!answer.contains("HTTP/1.1"), "plain HTTP is not answered: {answer:?}");
    assert_eq!(client.get(format!("{}/healthz", api.server.url())).send().await.unwrap().status(), 200);
    api.stop().await;
}

#[tokio::test]
async fn beyond_loopback_nothing_is_served_without_tls() {
    let exposed = |address: &str| {
        let listen: SocketAddr = address.parse().unwrap();
        Bound::bind(server::Options { listen, ..server::Options::default() })
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let error = exposed(address).await.unwrap_err();
        assert!(matches!(error, server::Error::Exposed(_)), "{address}: {error}");
        assert!(error.to_string().contains("synod tls init"), "{error}");
    }
    exposed("127.0.0.1:0").await.unwrap();
}

#[tokio::test]
async fn files_that_are_there_are_kept_and_the_key_is_the_owners_alone() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let made = Certificate::make(&["localhost".to_owned()]).unwrap();
    let [cert, key] = made.write(folder.path(), false).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let other = Certificate::make(&["localhost".to_owned()]).unwrap();
    assert!(matches!(other.write(folder.path(), false), Err(tls::Error::Exists(_))));
    other.write(folder.path(), true).unwrap();
    tls::read(&cert, &key).unwrap();
    // A key of another certificate is no use.
    made.write(&folder.path().join("first"), false).unwrap();
    assert!(matches!(tls::read(&folder.path().join("first/cert.pem"), &key), Err(tls::Error::Pair(_))));
    assert!(matches!(tls::read(&key, &key), Err(tls::Error::File { .. })));
    assert!(
        Certificate::make(&["not a name".to_owned()]).is_err() || made.fingerprint() != other.fingerprint()
    );
}
