//! Finds processes of an earlier life of this node, by the mark in their environment, and kills them.
//!
//! The last of three nets: the reaper and the parent-death signal catch nearly everything; this one catches what
//! left its process group, and what lived on because the reaper was killed too. Linux only: elsewhere
//! there is no portable way to read a stranger's environment.
//!
//! The mark is `SYNOD_NODE=<node>` as it was at exec. A process that wipes its environment is not found.

/// The variable that marks every process of a node.
pub(super) const MARK: &str = "SYNOD_NODE";

/// Kills every process that carries this node's mark. Returns how many it found.
///
/// This process and its ancestors are spared: a node may be started from a shell of its own agent.
#[cfg(target_os = "linux")]
pub(super) async fn sweep(node: &str) -> usize {
    let mut found = std::collections::BTreeSet::new();
    for _ in 0..linux::ROUNDS_MAX {
        let marked = linux::kill_marked(node);
        if marked.is_empty() {
            break;
        }
        for (pid, name) in marked {
            if found.insert(pid) {
                tracing::warn!(
                    pid,
                    program = name,
                    node,
                    "killed a process left over from an earlier life of this node"
                );
            }
        }
        tokio::time::sleep(linux::PAUSE).await;
    }
    found.len()
}

/// There is no way to look on this system.
#[cfg(not(target_os = "linux"))]
pub(super) async fn sweep(_node: &str) -> usize {
    0
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::fs;
    use std::time::Duration;

    use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal};

    /// How often the processes are walked: a killed one may have forked meanwhile. With the pause below at most
    /// a second.
    pub(super) const ROUNDS_MAX: u32 = 50;

    /// Between two walks; a killed process is gone well within it.
    pub(super) const PAUSE: Duration = Duration::from_millis(20);

    /// Sends SIGKILL to each marked process. Returns their ids and names.
    pub(super) fn kill_marked(node: &str) -> Vec<(i32, String)> {
        let mark = format!("{}={node}", super::MARK);
        let spared = ancestors();
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| !spared.contains(pid))
            .filter(|pid| kill_if_marked(*pid, mark.as_bytes()))
            .map(|pid| (pid, name(pid)))
            .collect()
    }

    fn kill_if_marked(raw: i32, mark: &[u8]) -> bool {
        let Some(pid) = Pid::from_raw(raw) else { return false };
        // Taken before the look, so that the signal reaches who was looked at and not a later owner of the number.
        let handle = pidfd_open(pid, PidfdFlags::empty());
        let Ok(environment) = fs::read(format!("/proc/{raw}/environ")) else { return false };
        if !environment.split(|byte| *byte == 0).any(|entry| entry == mark) {
            return false;
        }
        match handle {
            Ok(handle) => pidfd_send_signal(handle, Signal::KILL).is_ok(),
            // Before Linux 5.3.
            Err(rustix::io::Errno::NOSYS) => kill_process(pid, Signal::KILL).is_ok(),
            Err(_) => false,
        }
    }

    fn name(pid: i32) -> String {
        fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
    }

    fn ancestors() -> BTreeSet<i32> {
        let mut line = BTreeSet::new();
        let mut pid = getpid().as_raw_pid();
        while pid > 0 && line.insert(pid) {
            pid = parent(pid).unwrap_or(0);
        }
        line
    }

    fn parent(pid: i32) -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    }
}
