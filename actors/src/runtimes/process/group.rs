//! One attempt's process group: how it is told to end, and how it is known to be gone.
//!
//! Promises: after [`Group::end`] the group has no living member; a group that is dropped before is killed.
//! A group's number cannot be given to anybody else while it has a member, dead or alive, so signals reach the
//! right ones until the group is known to be empty; after that none is sent.

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;
use tokio::time::{sleep, timeout};
use tracing::error;

use super::reaper::Reaper;

/// How long SIGKILL may take. Only a process stuck in the kernel (a dead network disk) needs longer; waiting
/// longer would hold the agent's slot for nothing.
const KILL_WAIT_MAX: Duration = Duration::from_secs(10);

/// The first pause between two looks at the group; most groups are gone with their leader.
const POLL_MIN: Duration = Duration::from_millis(1);

/// The longest pause between two looks; it bounds how late an end is seen.
const POLL_MAX: Duration = Duration::from_millis(32);

/// From this pause on a look also asks whether only zombies are left, which costs a walk through `/proc`.
const POLL_CLOSER: Duration = Duration::from_millis(8);

/// A process group that ends with this value.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    reaper: Arc<Reaper>,
    empty: bool,
}

impl Group {
    /// Takes charge of the group whose leader was just started.
    pub(super) fn new(leader: Pid, reaper: Arc<Reaper>) -> Self {
        Self { id: leader, reaper, empty: false }
    }

    /// Returns its number.
    pub(super) const fn id(&self) -> Pid {
        self.id
    }

    /// Asks the group to end, and kills what is left after `grace`. Returns when it is gone.
    pub(super) async fn end(&mut self, leader: &mut Child, grace: Duration) {
        if !grace.is_zero() {
            self.signal(Signal::TERM);
            // A stopped process takes SIGTERM only once it runs again.
            self.signal(Signal::CONT);
            if timeout(grace, self.gone(leader)).await.is_ok() {
                self.empty = true;
                return;
            }
        }
        self.signal(Signal::KILL);
        match timeout(KILL_WAIT_MAX, self.gone(leader)).await {
            Ok(()) => self.empty = true,
            Err(_) => error!(group = self.id.as_raw_pid(), "processes of an attempt survive SIGKILL"),
        }
    }

    /// Waits until the leader is reaped and nobody else is left.
    async fn gone(&self, leader: &mut Child) {
        // Until it is reaped the leader is a zombie, and a zombie is a member.
        let _ = leader.wait().await;
        let mut pause = POLL_MIN;
        while !self.is_empty(pause >= POLL_CLOSER) {
            sleep(pause).await;
            pause = (pause * 2).min(POLL_MAX);
        }
    }

    fn is_empty(&self, closer: bool) -> bool {
        match test_kill_process_group(self.id) {
            Err(Errno::SRCH) => true,
            Ok(()) | Err(_) => closer && only_zombies(self.id),
        }
    }

    fn signal(&self, signal: Signal) {
        // Fails when nobody is left, which is what the caller wants.
        let _ = kill_process_group(self.id, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.empty {
            self.signal(Signal::KILL);
        }
        self.reaper.unregister(self.id);
    }
}

/// Tells whether the group's members are all dead and only not yet collected by their parent, which happens
/// under a first process that does not collect orphans, as in many containers.
#[cfg(target_os = "linux")]
fn only_zombies(group: Pid) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else { return false };
    let group = group.as_raw_pid().to_string();
    entries.flatten().all(|entry| {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { return true };
        // `pid (name) state ppid pgrp ...`; the name may hold anything, so count from its last bracket.
        let Some((_, rest)) = stat.rsplit_once(')') else { return true };
        let mut fields = rest.split_whitespace();
        let state = fields.next();
        fields.nth(1) != Some(group.as_str()) || matches!(state, Some("Z" | "X"))
    })
}

#[cfg(not(target_os = "linux"))]
fn only_zombies(_group: Pid) -> bool {
    false
}
