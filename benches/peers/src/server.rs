//! Server processes: started on a folder, stopped by their pid.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// How long a server may take to answer after its start, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that ends with this value.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a command whose output goes to `home/log`.
    pub(crate) fn start(command: &mut Command, home: &Path) -> Result<Self, String> {
        let log = std::fs::File::create(home.join("log")).map_err(|error| error.to_string())?;
        let again = log.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(log).stderr(again).kill_on_drop(true);
        command.spawn().map(Self).map_err(|error| format!("it does not start: {error}"))
    }

    /// Waits until somebody listens at `address`.
    pub(crate) async fn listens(&mut self, address: SocketAddr) -> Result<(), String> {
        let waited = tokio::time::timeout(PATIENCE, async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                if let Ok(Some(status)) = self.0.try_wait() {
                    return Err(format!("it ended with {status}"));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        });
        waited.await.unwrap_or_else(|_| Err(format!("nobody listens at {address} after {PATIENCE:?}")))
    }

    /// Ends it with SIGINT, which all of them take for an orderly stop, then by force.
    pub(crate) async fn stop(mut self) {
        if let Some(pid) = self.0.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        if tokio::time::timeout(PATIENCE, self.0.wait()).await.is_err() {
            let _ = self.0.kill().await;
        }
    }
}

/// Returns an address on loopback that is free at the moment.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

/// Looks for a program in the PATH.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
