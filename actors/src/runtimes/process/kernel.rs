//! The one place where code runs between fork and exec, and the only unsafe code of this crate.

use std::io::{self, PipeWriter};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, setsid};

/// The first descriptor that a program does not get: it has its input, output, error, reports and answers.
const FOREIGN_FD_MIN: RawFd = 5;

/// The descriptors that are open when the node starts.
///
/// Rust opens everything close-on-exec; but what the node itself got from whoever started it (a service manager, a
/// careless shell) may not be so, and would pass through the node into every agent.
#[derive(Debug, Clone)]
pub(super) struct Foreign(Arc<[RawFd]>);

impl Foreign {
    /// Takes the list. Descriptors that are ours and end up in it do no harm: programs must not get them either.
    pub(super) fn list() -> Self {
        let entries = std::fs::read_dir("/dev/fd").into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self(numbers.filter(|number| *number >= FOREIGN_FD_MIN).collect())
    }
}

/// What the new process is.
#[derive(Debug)]
pub(super) enum Role {
    /// An agent's program. It announces its group before it runs a single instruction of the program, and on Linux
    /// dies by SIGKILL with the thread that spawned it.
    Program(Announcement),
    /// The reaper: it is there to notice a death.
    Reaper,
}

/// Where a program's group is announced between fork and exec.
///
/// The parent learns the number only after exec; if it is killed before, nobody else would know the group.
#[derive(Debug)]
pub(super) struct Announcement {
    /// The reaper's pipe.
    pub(super) reaper: PipeWriter,
    /// A pipe back to the parent, which must take the announcement back when exec fails.
    pub(super) parent: PipeWriter,
}

const DIGITS: &[u8; 10] = b"0123456789";

impl Announcement {
    /// Runs after fork: no allocation, no locks, no panics.
    fn make(&self, group: Pid) -> io::Result<()> {
        let mut number = group.as_raw_pid();
        rustix::io::write(&self.parent, &number.to_ne_bytes())?;
        // `+2147483647` and a line break are 12 bytes; written from the end.
        let mut line = [b'\n'; 12];
        let mut start = line.len() - 1;
        while number > 0 && start > 1 {
            start -= 1;
            line[start] = DIGITS[(number % 10).unsigned_abs() as usize];
            number /= 10;
        }
        start -= 1;
        line[start] = b'+';
        rustix::io::write(&self.reaper, &line[start..])?;
        Ok(())
    }
}

/// Puts the process into its own session, and so into its own process group, without foreign descriptors.
///
/// A session and not only a group: without a controlling terminal, a program that asks for a password fails
/// at once; in a background group of the operator's terminal it would be stopped and hang.
///
/// The kernel sends the parent-death signal when the spawning *thread* ends, not the process. So the spawn
/// must happen on a thread that lives as long as the node: see [`super::spawner`].
#[allow(unsafe_code, reason = "std has no safe way to run code between fork and exec")]
pub(super) fn detach(command: &mut Command, role: Role, foreign: &Foreign) {
    let foreign = Foreign::clone(foreign);
    #[cfg(target_os = "linux")]
    let parent = rustix::process::getpid();
    let prepare = move || {
        let group = setsid()?;
        for number in foreign.0.iter() {
            // SAFETY: the descriptor is used for this one call and not closed; if the number is not open any more,
            // the call says so and changes nothing. Nobody else runs in this process.
            let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
            let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
        }
        let Role::Program(announcement) = &role else { return Ok(()) };
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Signal, getppid, set_parent_process_death_signal};
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // A parent that died before the line above sends no signal any more.
            if getppid() != Some(parent) {
                return Err(rustix::io::Errno::SRCH.into());
            }
        }
        announcement.make(group)
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes system
    // calls through rustix, which neither allocates nor locks, and reads what was made before the fork.
    unsafe {
        command.pre_exec(prepare);
    }
}
