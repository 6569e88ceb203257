//! How another terminal reaches a `synod dev --nodes`: one line over a socket in its folder, one line back.
//!
//! The process that started the nodes kills and starts them: it holds them, so it can mistake no other process for one.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::cli::{exit, print};

/// The socket, in the folder of the nodes.
const SOCKET: &str = "dev.sock";

/// Where the environment names the folder.
pub(super) const ENV_DEV: &str = "SYNOD_DEV";

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 256;

/// How long a line may take. The sender says it at once, and whoever comes next waits.
const LINE_PATIENCE: Duration = Duration::from_secs(2);

/// The rest after a connection could not be taken, which often means that files are short, and lasts.
const ACCEPT_REST: Duration = Duration::from_millis(500);

/// Which node of which `synod dev --nodes`.
#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// Its name, such as node-b.
    node: String,
    /// The folder of the nodes [env: SYNOD_DEV].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Says one line to the process that runs the nodes of a folder, and returns the exit code.
pub(super) fn tell(verb: &str, args: &NodeArgs) -> u8 {
    let folder = args.data.clone().or_else(|| std::env::var_os(ENV_DEV).map(PathBuf::from));
    let Some(folder) = folder else {
        print::note(&format!(
            "error: which nodes? Name their folder with --data or {ENV_DEV}; `synod dev` prints it"
        ));
        return exit::USAGE;
    };
    match ask(&folder, &format!("{verb} {}", args.node)) {
        Ok(answer) => match answer.strip_prefix("error: ") {
            Some(_) => {
                print::note(&answer);
                exit::WORK_FAILED
            }
            None => print::result(&answer, exit::OK),
        },
        Err(error) => {
            print::note(&format!("error: no `synod dev --nodes` runs on {}: {error}", folder.display()));
            exit::UNAVAILABLE
        }
    }
}

fn ask(folder: &Path, line: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(folder.join(SOCKET))?;
    writeln!(stream, "{line}")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    match answer.trim_end() {
        "" => Err(std::io::Error::other("it did not answer")),
        answer => Ok(answer.to_owned()),
    }
}

/// Listens in a folder, which is its owner's alone.
pub(super) fn listen(folder: &Path) -> std::io::Result<UnixListener> {
    let path = folder.join(SOCKET);
    if UnixStream::connect(&path).is_ok() {
        return Err(std::io::Error::other("another `synod dev` runs on this folder"));
    }
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    UnixListener::bind(path)
}

/// Somebody who has said a line and waits for the answer.
pub(super) struct Said {
    /// What is to be done: `kill` or `start`.
    pub(super) verb: String,
    /// To which node.
    pub(super) node: String,
    stream: tokio::net::UnixStream,
}

/// Waits for the next line. Who says none for a while is left alone.
pub(super) async fn next(listener: &UnixListener) -> Said {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                print::note(&format!("warning: another terminal did not get through: {error}"));
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let mut reader = tokio::io::BufReader::new(tokio::io::AsyncReadExt::take(stream, LINE_BYTES_MAX));
        let mut line = String::new();
        match tokio::time::timeout(LINE_PATIENCE, reader.read_line(&mut line)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => continue,
        }
        if let Some((verb, node)) = line.trim_end().split_once(' ') {
            let stream = reader.into_inner().into_inner();
            return Said { verb: verb.to_owned(), node: node.to_owned(), stream };
        }
    }
}

impl Said {
    /// Answers.
    pub(super) async fn answer(mut self, answer: &str) {
        // Who has gone away wants no answer.
        let _ = self.stream.write_all(format!("{answer}\n").as_bytes()).await;
    }
}
