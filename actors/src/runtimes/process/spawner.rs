//! The thread on which all programs of a node are started.
//!
//! One thread of its own, for two reasons. Linux sends the parent-death signal when the spawning *thread* ends
//! ([`super::kernel`]), and threads of an async runtime may end early: a worker that once ran `block_in_place`
//! becomes a pool thread and is retired when idle, which would kill every agent it had started. And fork, exec
//! and the wait for exec's outcome block, which a worker should not.
//!
//! Promises: a started program is registered with the reaper before anybody hears of it; if whoever asked is
//! gone by then, it is killed. The thread ends when the node's last handle is dropped, and closes the reaper.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::Pid;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::group::Group;
use super::kernel::{Announcement, Foreign, Role, detach};
use super::reaper::Reaper;

/// How many starts may wait for the thread; a start takes about a millisecond, and more callers wait in turn.
const STARTS_WAITING_MAX: usize = 64;

/// The descriptor on which a program may report and ask.
const REPORTS_FD: i32 = 3;

/// The descriptor on which it reads the answers.
const ANSWERS_FD: i32 = 4;

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Spawner(mpsc::Sender<Request>);

/// A program that runs.
#[derive(Debug)]
pub(super) struct Started {
    /// Declared first: on a drop the group is killed before the runtime is left to collect its leader.
    pub(super) group: Group,
    /// The leader of the group.
    pub(super) child: Child,
}

/// A program's ends of the pipes beside its standard ones.
#[derive(Debug)]
pub(super) struct Ends {
    /// Where it reports and asks.
    pub(super) reports: OwnedFd,
    /// Where it reads the answers.
    pub(super) answers: OwnedFd,
}

struct Request {
    command: Command,
    ends: Ends,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Started>>,
}

impl Spawner {
    /// Starts the reaper and the thread.
    pub(super) fn start() -> io::Result<Self> {
        let foreign = Foreign::list();
        let reaper = Arc::new(Reaper::start(foreign.clone())?);
        let (births, birth) = io::pipe()?;
        rustix::io::ioctl_fionbio(&births, true)?;
        let nursery = Nursery { reaper, foreign, births, birth };
        let (sender, requests) = mpsc::channel(STARTS_WAITING_MAX);
        thread::Builder::new().name("synod-spawner".to_owned()).spawn(move || serve(requests, nursery))?;
        Ok(Self(sender))
    }

    /// Starts a program as leader of its own group, with `ends` as its descriptors 3 and 4.
    pub(super) async fn spawn(&self, command: Command, ends: Ends) -> io::Result<Started> {
        let (reply, outcome) = oneshot::channel();
        let request = Request { command, ends, runtime: Handle::current(), reply };
        let ended = || io::Error::other("the thread that starts programs has ended");
        self.0.send(request).await.map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }
}

/// What the thread works with.
struct Nursery {
    reaper: Arc<Reaper>,
    foreign: Foreign,
    /// Where each program says its process id before exec.
    births: PipeReader,
    birth: PipeWriter,
}

fn serve(mut requests: mpsc::Receiver<Request>, mut nursery: Nursery) {
    while let Some(Request { command, ends, runtime, reply }) = requests.blocking_recv() {
        if reply.is_closed() {
            continue;
        }
        let _context = runtime.enter();
        // If the asker is gone, the program comes back and is killed as it is dropped.
        let _ = reply.send(nursery.start(command, ends));
    }
    nursery.reaper.close();
}

impl Nursery {
    /// Consumes the command, which holds our copies of the program's ends: while we have that of fd 3, there is no
    /// end-of-file.
    fn start(&mut self, mut command: Command, ends: Ends) -> io::Result<Started> {
        let announcement = Announcement { reaper: self.reaper.pipe()?, parent: self.birth.try_clone()? };
        // First, because descriptors 3 and 4 may be among those the announcement needs.
        detach(command.as_std_mut(), Role::Program(announcement), &self.foreign);
        let reports = FdMapping { parent_fd: ends.reports, child_fd: REPORTS_FD };
        let answers = FdMapping { parent_fd: ends.answers, child_fd: ANSWERS_FD };
        command.fd_mappings(vec![reports, answers]).map_err(io::Error::other)?;
        let spawned = command.spawn();
        let born = self.last_birth();
        let child = spawned.inspect_err(|_| {
            if let Some(stillborn) = born {
                self.reaper.unregister(stillborn);
            }
        })?;
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the program has no process id"))?;
        let group = Group::new(leader, Arc::clone(&self.reaper));
        self.reaper.register(leader)?;
        Ok(Started { group, child })
    }

    /// Reads what the last process announced; starts are one after the other, so there is one at most.
    fn last_birth(&mut self) -> Option<Pid> {
        let mut number = [0; size_of::<i32>()];
        self.births.read_exact(&mut number).ok()?;
        Pid::from_raw(i32::from_ne_bytes(number))
    }
}
