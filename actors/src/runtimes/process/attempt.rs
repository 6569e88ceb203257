//! One attempt of a program, from its start to the last process of its group.
//!
//! ```text
//!   start ─► run ──► exits ─────► drain what it wrote ─┐
//!             │                                        ├─► end the group ─► drain ─► verdict
//!             └────► told to stop, or too much output ─┘
//! ```
//!
//! The pumps (standard input, output, error, fd 3, fd 4) run beside every step, so that a program never blocks on a
//! full pipe while we wait for it. Dropping the future at any point kills the group: [`Started`] sees to that.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures::FutureExt;
use futures::future::FusedFuture;
use synod_domain::agent::ProcessSpec;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::answers::{ANSWERS_WAITING_MAX, give};
use super::environment::{of_attempt, of_pool};
use super::input::Input;
use super::log::Log;
use super::messages::{NOTES_WAITING_MAX, relay};
use super::node::ProcessNode;
use super::output::Output;
use super::program::Program;
use super::spawner::{Ends, Started};
use super::verdict::{failed, judge, too_large};
use crate::ports::{Finish, Work};

/// How long an ended program's pipes may stay open. What its children still write in that time counts; a child
/// left in the background must not hold the attempt.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// How long children that their ended parent left behind have between SIGTERM and SIGKILL.
const LEFT_BEHIND_GRACE: Duration = Duration::from_millis(500);

/// Why the program is over.
enum Over {
    Exited(io::Result<ExitStatus>),
    Stopped,
    TooLarge,
}

/// Does one attempt.
pub(super) async fn attempt(node: &ProcessNode, spec: &ProcessSpec, work: Work) -> Finish {
    if work.stop.is_cancelled() {
        return Finish::Stopped;
    }
    let settings = node.settings();
    let of = (work.spec.id, work.attempt);
    let mut log = Log::new(&settings.logs, of, settings.log_bytes_max, node.growth().clone());
    let finish = match start(node, spec, &work).await {
        Ok(begun) => see_through(node, begun, &work, &mut log).await,
        Err(reason) => {
            log.note(&reason).await;
            failed(reason)
        }
    };
    log.finish().await;
    finish
}

/// A program that runs, and our ends of its pipes beside the standard ones.
struct Begun {
    started: Started,
    input: Input,
    reports: pipe::Receiver,
    answers: pipe::Sender,
}

/// Starts the program. The error is for people.
async fn start(node: &ProcessNode, spec: &ProcessSpec, work: &Work) -> Result<Begun, String> {
    let environment = of_pool(node.inherited(), spec);
    let program = Program::find(spec, &environment)?;
    let input = Input::new(work).map_err(|error| format!("the task cannot be written as JSON: {error}"))?;
    let no_pipe = |error: io::Error| format!("cannot make a pipe for its reports: {error}");
    let (theirs, reports) = pipe::pipe().map_err(no_pipe)?;
    let theirs_of_reports = theirs.into_blocking_fd().map_err(no_pipe)?;
    let (answers, theirs) = pipe::pipe().map_err(no_pipe)?;
    let theirs_of_answers = theirs.into_blocking_fd().map_err(no_pipe)?;
    let ends = Ends { reports: theirs_of_reports, answers: theirs_of_answers };

    let mut command = program.command();
    command
        .envs(of_attempt(environment, &node.settings().node, work))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let started = node.spawner().spawn(command, ends).await.map_err(|error| program.explain(&error))?;
    Ok(Begun { started, input, reports, answers })
}

/// Stays with the program until nothing of it is left.
async fn see_through(node: &ProcessNode, begun: Begun, work: &Work, log: &mut Log) -> Finish {
    let Begun { started, input, reports, answers } = begun;
    let Started { mut group, mut child } = started;
    let _metered = node.meter().enter(work.agent, group.id());
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return failed("the program was started without its pipes".to_owned());
    };
    let mut output = Output::default();
    let overflow = output.too_large();
    let over = {
        let (notes, noted) = mpsc::channel(NOTES_WAITING_MAX);
        let (asked, asking) = mpsc::channel(ANSWERS_WAITING_MAX);
        let listens = CancellationToken::new();
        let pumps = async {
            tokio::join!(
                input.feed(stdin),
                output.fill(stdout),
                log.fill(stderr, noted),
                relay(reports, work, asked, notes),
                give(answers, asking, &listens),
            );
        };
        // On the heap: the buffers of four pumps would make every future above this one large.
        let mut pumps = pumps.boxed().fuse();
        let over = beside(&mut pumps, async {
            tokio::select! {
                biased;
                () = work.stop.cancelled() => Over::Stopped,
                () = overflow.cancelled() => Over::TooLarge,
                status = child.wait() => Over::Exited(status),
            }
        })
        .await;
        // It hears no answers any more; what it still asked must not hold its pipes open.
        listens.cancel();
        let grace = match &over {
            Over::Stopped => node.settings().grace,
            Over::TooLarge => Duration::ZERO,
            Over::Exited(_) => {
                drain(&mut pumps).await;
                LEFT_BEHIND_GRACE
            }
        };
        beside(&mut pumps, group.end(&mut child, grace)).await;
        // Nobody of the group writes any more; this takes what still stands in the pipes.
        drain(&mut pumps).await;
        over
    };
    match over {
        Over::Stopped => Finish::Stopped,
        Over::TooLarge => too_large(),
        Over::Exited(Ok(status)) => judge(status, output, log).await,
        Over::Exited(Err(error)) => failed(format!("the program's end could not be seen: {error}")),
    }
}

/// Waits for `main` while the pumps run.
async fn beside<T>(pumps: &mut (impl FusedFuture<Output = ()> + Unpin), main: impl Future<Output = T>) -> T {
    tokio::pin!(main);
    tokio::select! {
        biased;
        value = &mut main => value,
        () = &mut *pumps, if !pumps.is_terminated() => main.await,
    }
}

/// Lets the pumps run dry, for a bounded time.
async fn drain(pumps: &mut (impl FusedFuture<Output = ()> + Unpin)) {
    if !pumps.is_terminated() {
        let _ = timeout(DRAIN_MAX, pumps).await;
    }
}
