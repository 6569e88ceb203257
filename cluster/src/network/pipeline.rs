//! Sends a member entries before openraft asks for them.
//!
//! ```text
//!   openraft:  "through 5" ─► own request, success ─► "through 6"? has 6 ─► "through 9"? has 7, the rest later
//!   stream:                        └─► sends 6 ─► 7 ─► 8 ─► 9 without waiting    ▲
//!                                      answers, in order ────────────────────────┘
//! ```
//!
//! openraft 0.9 asks for the next append to a member when the last is answered. Once a member has said through where it has
//! the log of the leader with a vote, a [`Stream`] reads on in that log and sends what openraft is free to send by now, a
//! [`Window`] full at a time. What the member answers are facts; openraft is handed them when it asks, and nothing else.
//! Promises that every request is one that a leader by that vote may make: its entries and what it says is committed
//! are read while the vote stands, and none is sent that failed to be written. Whatever is not a success (a conflict, a later
//! vote, a lost connection, a purged entry, another vote of this node's) ends the stream and means nothing else: openraft's own
//! request goes then, and what comes of that one is judged. Leaves the order on the way to the
//! [transport](crate::transport::serve), and what a fact is good for to [`RaftPeer`](super::RaftPeer).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use openraft::Vote;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use synod_domain::id::NodeId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::window::{BATCH_BYTES_MAX, Window};
use super::{Colleagues, Error, Reply, forgetful, odd};
use crate::group::LogId;
use crate::hearing::Here;
use crate::log_store::{End, Led, LogStore};

/// What is known of a member by what it was sent.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// Through where it was sent the log.
    sent: LogId,
    /// Through where it said that it has it.
    has: LogId,
    /// How far the commits go, as it was told with that.
    told: Option<LogId>,
}

/// What a stream is made of.
pub(super) struct Course {
    pub(super) colleagues: Colleagues,
    pub(super) here: Arc<Here>,
    pub(super) log: LogStore,
    pub(super) node: NodeId,
    /// The vote by which this node leads.
    pub(super) vote: Vote<u64>,
}

/// The entries on their way to one member. It ends when it is dropped.
pub(super) struct Stream {
    vote: Vote<u64>,
    facts: watch::Receiver<Facts>,
    task: JoinHandle<()>,
}

impl Stream {
    /// Begins to send what comes after `has`, which the member has said to have.
    pub(super) fn begin(course: Course, has: LogId, batches_max: usize) -> Self {
        let (told, facts) = watch::channel(Facts { sent: has, has, told: None });
        let (vote, end) = (course.vote, course.log.end());
        let window = Window::behind(has, batches_max);
        let sender = Sender { course, window, end, open: VecDeque::new(), facts: told };
        Self { vote, facts, task: tokio::spawn(sender.run()) }
    }

    /// Tells whether it sends for the leader with that vote, and was sent everything through there.
    pub(super) fn goes_on(&self, vote: Vote<u64>, from: LogId) -> bool {
        self.vote == vote && self.is_alive() && from <= self.facts.borrow().sent
    }

    /// Tells whether it sends still.
    pub(super) fn is_alive(&self) -> bool {
        self.facts.has_changed().is_ok()
    }

    /// Returns how far the commits go, as the member was told with the entries.
    pub(super) fn told(&self) -> Option<LogId> {
        self.facts.borrow().told
    }

    /// Waits until the member has more than this, and returns through where; `None` when the stream has ended before.
    pub(super) async fn has_more_than(&mut self, prev: LogId) -> Option<LogId> {
        self.facts.wait_for(|facts| facts.has > prev).await.ok().map(|facts| facts.has)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Answer = BoxFuture<'static, Result<Reply, Error>>;

struct Sender {
    course: Course,
    window: Window,
    /// The end of what openraft may send.
    end: watch::Receiver<End>,
    /// The answers that are waited for, the oldest first.
    open: VecDeque<Answer>,
    facts: watch::Sender<Facts>,
}

impl Sender {
    async fn run(mut self) {
        let Err(why) = self.send_on().await;
        tracing::debug!(node = %self.course.node, %why, "entries are sent ahead no more");
    }

    async fn send_on(&mut self) -> Result<std::convert::Infallible, Error> {
        loop {
            // Seen before it is read, so that what comes meanwhile is news.
            self.end.mark_unchanged();
            while self.window.has_room() && self.send_one()? {}
            tokio::select! {
                biased;
                answer = oldest(&mut self.open) => self.take(answer)?,
                changed = self.end.changed() => changed.map_err(|_| odd())?,
            }
        }
    }

    /// Sends the next batch; false when there is none.
    fn send_one(&mut self) -> Result<bool, Error> {
        let Course { colleagues, here, log, node, vote } = &self.course;
        if here.memory.lost(*node, *vote).is_some() {
            return Err(forgetful());
        }
        let prev = self.window.sent();
        let (entries, committed) = match log.led_after(vote, prev, BATCH_BYTES_MAX) {
            Ok(Led::Entries(entries, committed)) => (entries, committed),
            Ok(Led::Nothing) => return Ok(false),
            Ok(Led::Over) => return Err(Error::Lost("its log is not this leader's any more".to_owned())),
            Err(error) => return Err(Error::Lost(error.to_string())),
        };
        let Some(last) = entries.last().map(|entry| entry.log_id) else { return Ok(false) };
        let rpc =
            AppendEntriesRequest { vote: *vote, prev_log_id: Some(prev), leader_commit: committed, entries };
        let (bytes, answer) = colleagues.append(*node, rpc)?;
        let mut answer: Answer = answer.boxed();
        // It takes its place in the line now, behind the one before it.
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(early) = answer.poll_unpin(&mut context) {
            answer = ready(early).boxed();
        }
        self.open.push_back(answer);
        self.window.sends(last, bytes);
        self.facts.send_modify(|facts| {
            facts.sent = last;
            facts.told = facts.told.max(committed);
        });
        Ok(true)
    }

    /// Takes the answer to the oldest batch: anything but a success ends the stream.
    fn take(&mut self, answer: Result<Reply, Error>) -> Result<(), Error> {
        match answer? {
            Reply::Append(Ok(AppendEntriesResponse::Success)) => {
                let has = self.window.answered();
                // Whoever said so and lacks it later has lost it, whether openraft has asked by then or not.
                self.course.here.memory.has(self.course.node, self.course.vote, has);
                self.facts.send_modify(|facts| facts.has = has);
                Ok(())
            }
            Reply::Append(Ok(answer)) => Err(Error::Lost(answer.to_string())),
            Reply::Append(Err(error)) => Err(Error::Lost(error.to_string())),
            Reply::Busy => Err(super::busy()),
            Reply::Vote(_)
            | Reply::Snapshot(_)
            | Reply::Canvass(_)
            | Reply::Pulse { .. }
            | Reply::TakeOver(_)
            | Reply::Forgot(_) => Err(odd()),
        }
    }
}

/// Waits for the answer to the oldest batch; for ever while there is none. Dropping it loses nothing.
async fn oldest(open: &mut VecDeque<Answer>) -> Result<Reply, Error> {
    match open.front_mut() {
        Some(answer) => {
            let answer = answer.await;
            open.pop_front();
            answer
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
