//! A small shell process that outlives the node for a moment, to kill what the node left behind.
//!
//! It reads `+group` and `-group` lines from a pipe whose other end only the node holds. When the node ends,
//! however it ends, the kernel closes that end; the shell reads end-of-file and kills the groups that are still
//! registered. A program registers itself between fork and exec (`kernel.rs`), the node confirms it. A shell and not our own binary, because synod may be a library inside somebody else's; `/bin/sh`
//! is on every Unix.
//!
//! Promises: from [`Reaper::register`] to [`Reaper::unregister`] a group does not outlive the node by more than
//! about [`GRACE_SECONDS`]. A reaper that was killed is replaced at the next line.

use std::collections::BTreeSet;
use std::io::{self, PipeWriter, Write};
use std::process::{Child, Command, Stdio};

use parking_lot::Mutex;
use rustix::process::Pid;
use tracing::warn;

use super::kernel::{Foreign, Role, detach};

/// How long orphans have between SIGTERM and SIGKILL, in whole seconds because `sleep` in POSIX takes no others.
/// Shorter than an ordinary grace: nobody will take their results any more.
const GRACE_SECONDS: u32 = 1;

/// What the shell does. A group may be named twice, first by itself and then by the node. Signals that a terminal or a service manager sends to everybody are ignored: it must be
/// the last to go.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
groups=' '
while read -r line; do
  case $line in
    +*) case $groups in *" ${line#+} "*) ;; *) groups="$groups${line#+} " ;; esac ;;
    -*) gone=" ${line#-} "
        case $groups in *"$gone"*) groups="${groups%%"$gone"*} ${groups#*"$gone"}" ;; esac ;;
  esac
done
[ "$groups" = ' ' ] && exit 0
for group in $groups; do kill -TERM "-$group"; done
sleep "$1"
for group in $groups; do kill -KILL "-$group"; done
"#;

/// The node's end of the reaper.
#[derive(Debug)]
pub(super) struct Reaper(Mutex<State>);

#[derive(Debug)]
struct State {
    shell: Option<Shell>,
    /// What a replacement must be told.
    groups: BTreeSet<i32>,
    foreign: Foreign,
}

#[derive(Debug)]
struct Shell {
    child: Child,
    lines: PipeWriter,
}

impl Reaper {
    /// Starts the shell.
    pub(super) fn start(foreign: Foreign) -> io::Result<Self> {
        let shell = Some(Shell::start(&foreign)?);
        Ok(Self(Mutex::new(State { shell, groups: BTreeSet::new(), foreign })))
    }

    /// Returns the pipe, for a program that registers itself before the node can. The shell was there a moment ago.
    pub(super) fn pipe(&self) -> io::Result<PipeWriter> {
        let mut state = self.0.lock();
        // An empty line says nothing; it shows whether somebody reads.
        state.tell("\n").or_else(|_| state.replace())?;
        let shell = state.shell.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        shell.lines.try_clone()
    }

    /// From here on the group dies with the node. Starts the shell again if it has died.
    pub(super) fn register(&self, group: Pid) -> io::Result<()> {
        let mut state = self.0.lock();
        let group = group.as_raw_pid();
        state.groups.insert(group);
        let told = state.tell(&format!("+{group}\n")).or_else(|_| state.replace());
        if told.is_err() {
            state.groups.remove(&group);
        }
        told
    }

    /// The group is gone, its number may come to mean somebody else.
    pub(super) fn unregister(&self, group: Pid) {
        let mut state = self.0.lock();
        let group = group.as_raw_pid();
        state.groups.remove(&group);
        let told = state.tell(&format!("-{group}\n")).or_else(|_| state.replace());
        if let Err(error) = told {
            warn!(%error, "the reaper of agent processes could not be started again");
        }
    }

    /// Lets the shell do its work and end, and waits for it. Blocks for up to [`GRACE_SECONDS`] if groups are left.
    pub(super) fn close(&self) {
        let shell = self.0.lock().shell.take();
        if let Some(Shell { mut child, lines }) = shell {
            drop(lines);
            let _ = child.wait();
        }
    }
}

impl State {
    fn tell(&mut self, line: &str) -> io::Result<()> {
        let shell = self.shell.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        // A child of ours that is about to become another program still holds the end that a dead shell read from.
        if shell.child.try_wait()?.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // Lines are far shorter than PIPE_BUF, so a line is written whole or not at all.
        shell.lines.write_all(line.as_bytes())
    }

    fn replace(&mut self) -> io::Result<()> {
        if let Some(mut old) = self.shell.take() {
            warn!("the reaper of agent processes died or hangs, starting another");
            let _ = old.child.kill();
            let _ = old.child.wait();
        }
        self.shell = Some(Shell::start(&self.foreign)?);
        for group in self.groups.clone() {
            self.tell(&format!("+{group}\n"))?;
        }
        Ok(())
    }
}

impl Shell {
    fn start(foreign: &Foreign) -> io::Result<Self> {
        let (reader, lines) = io::pipe()?;
        // A shell that hangs must not hang the node: 64 KiB of lines wait, then a write fails and it is replaced.
        rustix::io::ioctl_fionbio(&lines, true)?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "synod-reaper", &GRACE_SECONDS.to_string()])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::from(reader))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        detach(&mut command, Role::Reaper, foreign);
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start the reaper /bin/sh: {error}"))
        })?;
        Ok(Self { child, lines })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    use super::super::kernel::Announcement;
    use super::*;

    fn program() -> (Child, Pid) {
        let child = Command::new("sleep").arg("20").process_group(0).spawn().expect("sleep starts");
        let group = Pid::from_child(&child);
        (child, group)
    }

    fn signal_that_ended(mut child: Child) -> Option<i32> {
        child.wait().expect("it ends").signal()
    }

    #[test]
    fn registered_groups_end_with_the_pipe_and_unregistered_ones_live_on() {
        let reaper = Reaper::start(Foreign::list()).expect("a reaper");
        let ((orphan, orphans), (mut other, others)) = (program(), program());
        reaper.register(others).expect("registered");
        reaper.register(orphans).expect("registered");
        reaper.unregister(others);
        reaper.close();
        assert_eq!(signal_that_ended(orphan), Some(15));
        assert_eq!(other.try_wait().expect("a look"), None);
        other.kill().expect("killed");
        other.wait().expect("it ends");
    }

    #[test]
    fn a_program_is_registered_before_it_runs_and_before_its_parent_knows() {
        let reaper = Reaper::start(Foreign::list()).expect("a reaper");
        let (mut births, parent) = io::pipe().expect("a pipe");
        let announcement = Announcement { reaper: reaper.pipe().expect("a pipe"), parent };
        let mut command = Command::new("sleep");
        command.arg("20");
        detach(&mut command, Role::Program(announcement), &Foreign::list());
        let child = command.spawn().expect("sleep starts");
        drop(command);
        let mut number = [0; 4];
        births.read_exact(&mut number).expect("a number");
        assert_eq!(u32::from_ne_bytes(number), child.id());
        reaper.close();
        assert_eq!(signal_that_ended(child), Some(15));
    }

    #[test]
    fn a_reaper_that_was_killed_is_replaced_and_the_new_one_knows_all_groups() {
        let reaper = Reaper::start(Foreign::list()).expect("a reaper");
        let ((early, early_group), (late, late_group)) = (program(), program());
        reaper.register(early_group).expect("registered");
        let kill = |state: &mut State| {
            let shell = &mut state.shell.as_mut().expect("a shell").child;
            shell.kill().expect("killed");
            shell.wait().expect("it ends");
        };
        kill(&mut reaper.0.lock());
        reaper.register(late_group).expect("registered with a new one");
        reaper.close();
        assert_eq!(signal_that_ended(early), Some(15));
        assert_eq!(signal_that_ended(late), Some(15));
    }
}
