//! `server`, `dev` and `tls`: what they make, say, refuse and leave behind.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{PATIENCE, Said, ended, ending, signal, synod};

/// A folder on the disk that cargo builds on; `/tmp` may be memory.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A served node, from the moment that it is ready.
struct Served {
    child: Child,
    ready: Value,
}

impl Served {
    /// Starts what is described and waits for its JSON.
    async fn start(mut command: Command) -> Self {
        let mut child = command.arg("--json").spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, out.read_line(&mut line)).await.expect("it is ready").unwrap();
        if line.is_empty() {
            panic!("it did not start: {:#?}", ending(child).await);
        }
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["version"], 1);
        assert_eq!(ready["pid"].as_u64(), child.id().map(u64::from));
        let mut rest = String::new();
        // Nothing else comes on standard output; this ends with the process.
        tokio::spawn(async move { out.read_to_string(&mut rest).await.map(|_| assert_eq!(rest, "")) });
        Self { child, ready }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.ready["url"].as_str().unwrap())
    }

    fn token_file(&self) -> PathBuf {
        self.ready["token_file"].as_str().unwrap().into()
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.token_file()).unwrap().trim().to_owned()
    }

    /// Asks with this token and returns the status.
    async fn ask(&self, token: &str) -> u16 {
        let request = reqwest::Client::new().get(self.url("/readyz")).bearer_auth(token);
        request.timeout(PATIENCE).send().await.unwrap().status().as_u16()
    }

    /// Ends it in order.
    async fn terminate(self) -> Said {
        signal(&self.child, Signal::TERM);
        ending(self.child).await
    }
}

fn server(data: &Path) -> Command {
    let mut command = synod();
    command.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    command
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_first_start_makes_a_private_folder_and_a_token_that_stays_valid() {
    let folder = folder();
    let data = folder.path().join("data");
    let served = Served::start(server(&data)).await;
    let token = served.token();
    assert_eq!(served.ready["data"], data.to_str().unwrap());
    assert_eq!(served.token_file(), data.join("admin-token"));
    #[cfg(unix)]
    for (path, expected) in [(data.clone(), 0o700), (served.token_file(), 0o600)] {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    assert_eq!((served.ask(&token).await, served.ask("wrong").await), (200, 401));
    let said = served.terminate().await;
    said.assert_code(0);
    assert!(said.err.contains("serves http://127.0.0.1:") && said.err.contains("admin-token"), "{said:#?}");
    // Not a terminal: it may be a log that others read.
    assert!(!said.err.contains(&token), "{said:#?}");

    let again = Served::start(server(&data)).await;
    assert_eq!(again.token(), token, "a second start makes no second token");
    assert_eq!(again.ask(&token).await, 200);
    again.terminate().await.assert_code(0);
}

#[cfg(unix)]
#[tokio::test]
async fn everything_in_the_data_folder_is_the_owners_alone() {
    let folder = folder();
    let data = folder.path().join("data");
    // Whatever the user's habit is.
    let mut command = Command::new("sh");
    command.arg("-c").arg("umask 000; exec \"$@\"").arg("sh").arg(env!("CARGO_BIN_EXE_synod"));
    command.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
    let served = Served::start(command).await;
    served.terminate().await.assert_code(0);
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("admin-token")), 0o600);
}

#[tokio::test]
async fn a_lost_token_is_replaced_by_who_may_open_the_folder_while_no_node_runs() {
    let folder = folder();
    let data = folder.path().join("data");
    let reset = || {
        let mut call = synod();
        call.args(["server", "reset-token", "--data"]).arg(&data);
        ended(call)
    };
    reset().await.assert_code(3);
    assert!(!data.exists(), "a mistyped folder is not made");
    let served = Served::start(server(&data)).await;
    let lost = served.token();
    let said = reset().await;
    said.assert_code(3);
    assert!(said.err.contains("in use"), "{said:#?}");
    served.terminate().await.assert_code(0);
    reset().await.assert_code(0);
    let served = Served::start(server(&data)).await;
    assert_ne!(served.token(), lost);
    assert_eq!((served.ask(&served.token()).await, served.ask(&lost).await), (200, 200));
    served.terminate().await.assert_code(0);
}

#[tokio::test]
async fn what_cannot_be_served_exits_2_before_anything_is_made() {
    let folder = folder();
    let data = folder.path().join("data");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 7] = [
        (&["--listen", "0.0.0.0:0"], &[], &["synod tls init", "127.0.0.1"]),
        (&["--listen", "[::]:0"], &[], &["synod tls init"]),
        (&["--listen", &taken], &[], &[&taken, "cannot be listened on"]),
        (&["--allow-host", "a b"], &[], &["\"a b\" is not a host"]),
        (&["--tls-cert", "cert.pem"], &[], &["http.tls.key"]),
        (&["--tls-cert", "gone.pem", "--tls-key", "gone.pem"], &[], &["gone.pem cannot be used"]),
        (&[], &[("ARAGORA_API_TOKEN", "short")], &["ARAGORA_API_TOKEN", "16 characters"]),
    ];
    for (args, env, words) in cases {
        let mut call = synod();
        call.arg("server").arg("--data").arg(&data).args(args).envs(env.iter().copied());
        if !args.contains(&"--listen") {
            call.args(["--listen", "127.0.0.1:0"]);
        }
        let said = ended(call).await;
        said.assert_code(2);
        for word in words {
            assert!(said.err.contains(word), "{word:?}: {said:#?}");
        }
        assert!(!said.err.contains("short\""), "a secret is not repeated: {said:#?}");
        assert_eq!(said.out, "");
        assert!(!data.exists(), "{args:?} made the folder");
    }
    let mut call = synod();
    call.arg("server");
    let said = ended(call).await;
    said.assert_code(2);
    assert!(said.err.contains("--data") && said.err.contains("synod dev"), "{said:#?}");
}

#[tokio::test]
async fn the_token_of_the_environment_is_valid_beside_the_others() {
    let folder = folder();
    let text = "a-static-token-of-an-older-client";
    let mut command = server(&folder.path().join("data"));
    command.env("ARAGORA_API_TOKEN", text);
    let served = Served::start(command).await;
    assert_eq!((served.ask(text).await, served.ask(&served.token()).await), (200, 200));
    assert_eq!(served.ask(&text[1..]).await, 401);
    served.terminate().await.assert_code(0);
}

#[tokio::test]
async fn a_certificate_made_by_tls_init_serves() {
    let folder = folder();
    let out = folder.path().join("tls");
    let init = |args: &[&str]| {
        let mut call = synod();
        call.args(["tls", "init", "--host", "localhost", "--host", "127.0.0.1", "--out"])
            .arg(&out)
            .args(args);
        ended(call)
    };
    let made = init(&["--json"]).await;
    made.assert_code(0);
    let made = made.json();
    assert_eq!(made["sha256"].as_str().unwrap().len(), 32 * 3 - 1);
    let said = init(&[]).await;
    said.assert_code(2);
    assert!(said.err.contains("--force"), "{said:#?}");
    let said = init(&["--force"]).await;
    said.assert_code(0);
    assert!(said.out.starts_with("SHA-256 ") && !said.out.contains(made["sha256"].as_str().unwrap()));
    assert!(said.err.contains("--tls-cert"), "{said:#?}");
    let (cert, key) = (out.join("cert.pem"), out.join("key.pem"));
    let mut command = server(&folder.path().join("data"));
    command.arg("--tls-cert").arg(&cert).arg("--tls-key").arg(&key);
    let served = Served::start(command).await;
    assert!(served.url("").starts_with("https://127.0.0.1:"));
    let trusted = reqwest::Certificate::from_pem(&std::fs::read(&cert).unwrap()).unwrap();
    let client = reqwest::Client::builder().add_root_certificate(trusted).build().unwrap();
    let answer = client.get(served.url("/healthz")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    served.terminate().await.assert_code(0);
}

#[tokio::test]
async fn dev_prints_url_token_and_what_to_try_and_leaves_nothing_behind() {
    // Whether this is ours or somebody else's, the usual port is taken.
    let _taken = std::net::TcpListener::bind("127.0.0.1:7400");
    let mut command = synod();
    command.arg("dev");
    let served = Served::start(command).await;
    let (url, token, data) = (served.url(""), served.token(), served.ready["data"].clone());
    assert_ne!(url, "http://127.0.0.1:7400");
    let data = PathBuf::from(data.as_str().unwrap());
    #[cfg(unix)]
    assert_eq!(mode(&data), 0o700);
    assert_eq!((served.ask(&token).await, served.ask("").await), (200, 401), "no check is skipped");
    signal(&served.child, Signal::INT);
    let said = ending(served.child).await;
    said.assert_code(0);
    for word in [&url, &format!("SYNOD_URL={url} SYNOD_TOKEN={token}"), &"synod task submit".to_owned()] {
        assert!(said.err.contains(word.as_str()), "{word}: {said:#?}");
    }
    assert!(!data.exists(), "{} stays", data.display());
}

#[tokio::test]
async fn dev_keeps_a_folder_that_was_named_and_its_token() {
    let folder = folder();
    let data = folder.path().join("data");
    let dev = || {
        let mut command = synod();
        command.args(["dev", "--port", "0", "--data"]).arg(&data);
        Served::start(command)
    };
    let first = dev().await;
    let token = first.token();
    first.terminate().await.assert_code(0);
    let again = dev().await;
    assert_eq!(again.ask(&token).await, 200);
    let said = again.terminate().await;
    assert!(said.err.contains(&token), "{said:#?}");
}

#[tokio::test]
async fn no_token_and_no_body_stands_in_the_log_at_any_level() {
    let folder = folder();
    let extra = "canary-of-the-environment";
    let mut command = server(&folder.path().join("data"));
    command.args(["--log", "trace"]).env("ARAGORA_API_TOKEN", extra);
    let served = Served::start(command).await;
    let token = served.token();
    let client = reqwest::Client::new();
    for bearer in [&token, extra, "canary-guess", "synod_admin_canary"] {
        for path in ["/readyz", "/nothing?token=canary-query"] {
            let get = client.get(served.url(path)).bearer_auth(bearer);
            get.send().await.unwrap();
            let post = client.post(served.url(path)).bearer_auth(bearer).body("{\"x\": \"canary-body\"}");
            post.send().await.unwrap();
        }
    }
    let said = served.terminate().await;
    said.assert_code(0);
    assert!(said.err.contains("answered a request"), "the log was not on: {said:#?}");
    for secret in [token.as_str(), "canary"] {
        let line = said.err.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

#[tokio::test]
async fn doctor_looks_at_the_address_the_certificate_and_who_may_read_secrets() {
    let folder = folder();
    let data = folder.path().join("data");
    let served = Served::start(server(&data)).await;
    let address = served.ready["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let doctor = |env: &[(&str, &str)]| {
        let mut call = synod();
        call.args(["doctor", "--json", "--data"]).arg(&data).envs(env.iter().copied());
        ended(call)
    };
    let finding = |said: &Said, check: &str| {
        let document = said.json();
        let findings = document["findings"].as_array().unwrap();
        findings
            .iter()
            .find(|one| one["check"] == check)
            .cloned()
            .unwrap_or_else(|| panic!("no {check}: {said:#?}"))
    };
    let busy = doctor(&[("SYNOD_HTTP__LISTEN", &address)]).await;
    assert_eq!(finding(&busy, "address")["verdict"], "poor", "{busy:#?}");
    assert_eq!(finding(&busy, "operator's token")["verdict"], "well", "{busy:#?}");
    served.terminate().await.assert_code(0);
    let free = doctor(&[("SYNOD_HTTP__LISTEN", &address)]).await;
    assert_eq!(finding(&free, "address")["verdict"], "well", "{free:#?}");
    let exposed = doctor(&[("SYNOD_HTTP__LISTEN", "0.0.0.0:0")]).await;
    assert_eq!(finding(&exposed, "address")["verdict"], "bad", "{exposed:#?}");
    exposed.assert_code(3);
    let gone = doctor(&[("SYNOD_HTTP__TLS__CERT", "gone.pem"), ("SYNOD_HTTP__TLS__KEY", "gone.pem")]).await;
    assert_eq!(finding(&gone, "TLS")["verdict"], "bad", "{gone:#?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let token = data.join("admin-token");
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
        let open = doctor(&[("SYNOD_HTTP__LISTEN", &address)]).await;
        assert_eq!(finding(&open, "operator's token")["verdict"], "bad", "{open:#?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn connections_leave_descriptors_to_the_node_however_many_come() {
    let folder = folder();
    let data = folder.path().join("data");
    let mut command = Command::new("sh");
    command.arg("-c").arg("ulimit -n 128; exec \"$@\"").arg("sh").arg(env!("CARGO_BIN_EXE_synod"));
    command.args(["server", "--listen", "127.0.0.1:0", "--log", "info", "--data"]).arg(&data);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
    let served = Served::start(command).await;
    let address = served.url("").trim_start_matches("http://").to_owned();
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    let full = reqwest::Client::new().get(served.url("/healthz")).send().await;
    assert!(full.is_err() || full.is_ok_and(|answer| answer.status() == 503));
    drop(held);
    // Places are free as soon as the server has seen the ends.
    loop {
        let asked = reqwest::Client::new().get(served.url("/healthz")).send().await;
        if asked.is_ok_and(|answer| answer.status() == 200) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let said = served.terminate().await;
    said.assert_code(0);
    assert!(said.err.contains("connections=64"), "{said:#?}");
}
