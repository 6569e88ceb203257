//! The asking side: finds the leader, asks it, and asks the next one when it is gone.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use synod_domain::command::{Command, Request};
use synod_domain::id::{AgentId, NodeId, RequestId};
use synod_domain::reply::Answer;
use synod_domain::sources::Entropy;
use synod_storage::{decode, encode};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::consensus::{Consensus, ReadError};
use crate::journal::reads::Reads;
use crate::journal::wire::{Question, Word};
use crate::proposer::ProposeError;
use crate::transport;
use crate::transport::links::{Links, Service};
use crate::view::Leader;

/// How long a question may look for a leader and wait for its answer. An election takes about a second; whoever
/// is told so late that nobody leads is in a minority.
pub const PATIENCE: Duration = Duration::from_millis(4500);

/// The first wait before the leader is asked again, doubled up to [`AGAIN_MAX`]. A change of leader ends it early.
const AGAIN_FIRST: Duration = Duration::from_millis(10);

/// The longest wait before the leader is asked again.
const AGAIN_MAX: Duration = Duration::from_millis(250);

/// How long is waited for others to say whether they talk to this node.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(2);

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nothing was written: this node is stopping.
    #[error("the node is stopping")]
    Stopped,
    /// Nothing was written: no leader was found in time. The text says who is missing.
    #[error("no leader is known here: {0}")]
    NoLeader(String),
    /// Nothing was written: too much waits for the leader.
    #[error("too many proposals wait; try again shortly")]
    Overloaded,
    /// Nothing was written: the leader's disk has no room for new work.
    #[error("the leader's disk has no room for new work")]
    NoSpace,
    /// It may have been written or not. Sending it again under the same id is safe.
    #[error("the outcome is not known; send it again under the same request id: {0}")]
    Unknown(String),
    /// The leader says why it did not do it.
    #[error("{0}")]
    Failed(String),
}

/// What a forwarder works with.
pub struct Parts {
    /// This node's part in the group; whoever forwards does not keep it.
    pub consensus: Weak<Consensus>,
    /// The connections to the others.
    pub links: Links,
    /// Where waits draw their chance.
    pub entropy: Arc<dyn Entropy>,
    /// Says who is missing while nobody leads, for a person.
    pub missing: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Asks whoever leads. Cheap to clone.
#[derive(Clone)]
pub struct Forwarder {
    parts: Arc<Parts>,
    reads: Reads,
}

/// How one try ended.
enum Try<T> {
    Answered(T),
    /// Nothing was done, and another may lead.
    NotLeader,
    /// It may have been done.
    Unknown(String),
    Failed(AskError),
}

impl Forwarder {
    /// Makes the forwarder of a node. Needs a running tokio.
    pub fn start(parts: Parts) -> Self {
        let parts = Arc::new(parts);
        let weak = Arc::downgrade(&parts);
        let (reads, rounds) = Reads::start(move || {
            let asking = weak.upgrade().and_then(Asking::of);
            async move {
                match asking {
                    Some(asking) => asking.read_index().await,
                    None => Err(AskError::Stopped),
                }
            }
            .boxed()
        });
        tokio::spawn(rounds);
        Self { parts, reads }
    }

    fn asking(&self) -> Result<Asking, AskError> {
        Asking::of(Arc::clone(&self.parts)).ok_or(AskError::Stopped)
    }

    /// Proposes a command through whoever leads; what it brought about can be seen here on return.
    ///
    /// # Errors
    /// When there is no answer within [`PATIENCE`]; the command itself being refused is an answer.
    pub async fn propose(&self, id: RequestId, command: Command) -> Result<Answer, AskError> {
        let until = Instant::now() + PATIENCE;
        let asking = &self.asking()?;
        let here = || {
            let (proposer, command) = (asking.consensus.proposer(), command.clone());
            async move { tried(proposer.propose(id, command).await.map(|settled| settled.answer)) }.boxed()
        };
        let there = |node| {
            let question = Question::Propose(Request { id, command: command.clone() });
            async move { asking.propose_there(node, question, until).await }.boxed()
        };
        asking.until_answered(until, here, there).await
    }

    /// Lets time pass in the log.
    ///
    /// # Errors
    /// When it is not known to have passed.
    pub async fn tick(&self) -> Result<(), AskError> {
        let until = Instant::now() + PATIENCE;
        let asking = &self.asking()?;
        let here = || async { tried(asking.consensus.proposer().tick().await) }.boxed();
        let there = |node| async move { done(asking.ask(node, &Question::Tick, until).await) }.boxed();
        asking.until_answered(until, here, there).await
    }

    /// Waits until this node has applied everything that was acknowledged anywhere before this call.
    ///
    /// # Errors
    /// When no leader vouches for that within [`PATIENCE`].
    pub async fn linearize(&self) -> Result<(), AskError> {
        let until = Instant::now() + PATIENCE;
        let Some(index) = self.reads.index(until).await else {
            return Err(self.asking()?.nobody(None));
        };
        let index = index?;
        self.asking()?.seen_here(index, until).await.map_err(AskError::Failed)
    }

    /// Tells the leader that these agents were heard.
    ///
    /// # Errors
    /// When it was not told within [`PATIENCE`].
    pub async fn heard(
        &self,
        agents: Vec<AgentId>,
        ear: impl Fn(&[AgentId]) + Send + Sync,
    ) -> Result<(), AskError> {
        let until = Instant::now() + PATIENCE;
        let asking = &self.asking()?;
        let here = || {
            ear(&agents);
            futures::future::ready(Try::Answered(())).boxed()
        };
        let there = |node| {
            let question = Question::Heard(agents.clone());
            async move { done(asking.ask(node, &question, until).await) }.boxed()
        };
        asking.until_answered(until, here, there).await
    }

    /// Returns why other nodes do not talk to this one, if some say so and none talks to it.
    pub async fn refusals(&self) -> Option<String> {
        let (asking, until) = (&self.asking().ok()?, Instant::now() + REFUSAL_PATIENCE);
        let me = asking.consensus.me().1;
        let mut nodes: BTreeSet<NodeId> =
            asking.consensus.group().members.iter().map(|member| member.node).collect();
        nodes.extend(asking.consensus.state().read().nodes().map(|node| node.spec.id));
        nodes.remove(&me);
        let asked = nodes.into_iter().map(|node| async move {
            let deadline = until.saturating_duration_since(Instant::now());
            let body = encode(&Question::ReadIndex).map(Bytes::from).unwrap_or_default();
            asking.parts.links.ask(node, Service::Journal, body, deadline).await
        });
        let mut refused = None;
        for answer in futures::future::join_all(asked).await {
            match answer {
                Ok(_) => return None,
                Err(transport::Error::Refused { why, .. }) => refused = Some(why),
                Err(_) => {}
            }
        }
        refused
    }

    /// Lets another voter lead: the named one, or the one that is least behind.
    ///
    /// # Errors
    /// When none could, or it did not come to lead in time.
    pub async fn transfer(&self, to: Option<NodeId>) -> Result<NodeId, AskError> {
        let until = Instant::now() + PATIENCE;
        let asking = self.asking()?;
        let mut leader = asking.consensus.leader();
        // Asked once: asked again, it might be given away by whoever got it the first time.
        let asked = match tokio::time::timeout_at(until, known(&mut leader)).await {
            Ok(Some(asked)) => asked,
            Ok(None) => return Err(AskError::Stopped),
            Err(_) => return Err(asking.nobody(None)),
        };
        if asked.node == asking.consensus.me().1 {
            let given = asking.consensus.transfer(to).await;
            return given.map_err(|error| AskError::Failed(error.to_string()));
        }
        match asking.ask(asked.node, &Question::Transfer(to), until).await {
            Try::Answered(Word::Leads(node)) => Ok(node),
            Try::NotLeader => {
                Err(AskError::Failed("the leader changed meanwhile; look who leads".to_owned()))
            }
            Try::Answered(Word::Failed(why)) => Err(AskError::Failed(why)),
            Try::Answered(word) => Err(AskError::Unknown(format!("the leader answered {word:?}"))),
            Try::Unknown(why) => Err(AskError::Unknown(why)),
            Try::Failed(error) => Err(error),
        }
    }
}

/// One question, while the group is there.
struct Asking {
    parts: Arc<Parts>,
    consensus: Arc<Consensus>,
}

impl Asking {
    fn of(parts: Arc<Parts>) -> Option<Self> {
        let consensus = parts.consensus.upgrade()?;
        Some(Self { parts, consensus })
    }

    async fn read_index(&self) -> Result<u64, AskError> {
        let until = Instant::now() + PATIENCE;
        let here = || {
            async {
                match self.consensus.read_index().await {
                    Ok(index) => Try::Answered(index),
                    // A read changes nothing: it may as well be asked again.
                    Err(ReadError::NotLeader | ReadError::Unconfirmed(_)) => Try::NotLeader,
                }
            }
            .boxed()
        };
        let there = |node| {
            async move {
                match self.ask(node, &Question::ReadIndex, until).await {
                    Try::Answered(Word::Index(index)) => Try::Answered(index),
                    Try::Answered(Word::Failed(_)) | Try::Unknown(_) => Try::NotLeader,
                    other => unexpected(other),
                }
            }
            .boxed()
        };
        match self.until_answered(until, here, there).await {
            Err(AskError::Unknown(_)) => Err(self.nobody(None)),
            other => other,
        }
    }

    async fn propose_there(&self, node: NodeId, question: Question, until: Instant) -> Try<Answer> {
        let (answer, index) = match self.ask(node, &question, until).await {
            Try::Answered(Word::Settled { answer, index }) => (answer, index),
            other => return unexpected(other),
        };
        match self.seen_here(index, until).await {
            Ok(()) => {
                let state = self.consensus.state();
                Try::Answered(answer.map(|applied| state.read().answer_again(applied)))
            }
            Err(why) => Try::Unknown(why),
        }
    }

    /// Tries here or there, wherever the leader is, until one answers.
    async fn until_answered<'a, T: Send>(
        &'a self,
        until: Instant,
        here: impl Fn() -> BoxFuture<'a, Try<T>> + Send,
        there: impl Fn(NodeId) -> BoxFuture<'a, Try<T>> + Send,
    ) -> Result<T, AskError> {
        let me = self.consensus.me().1;
        let mut leader = self.consensus.leader();
        let mut again = AGAIN_FIRST;
        let mut unknown = None;
        loop {
            let asked = tokio::time::timeout_at(until, known(&mut leader)).await;
            let asked = match asked {
                Ok(Some(asked)) => asked,
                Ok(None) => return Err(unknown.map_or(AskError::Stopped, AskError::Unknown)),
                Err(_) => return Err(self.nobody(unknown)),
            };
            let trying = async { if asked.node == me { here().await } else { there(asked.node).await } };
            let mut next = leader.clone();
            let deposed = async {
                let gone = next.wait_for(|now| now.is_none_or(|now| now != asked)).await.is_err();
                if gone { "the group has stopped" } else { "the leader is another one now" }
            };
            let tried = tokio::select! {
                biased;
                tried = trying => tried,
                // Whatever was on its way to the old leader may be in the log or not.
                why = deposed => Try::Unknown(why.to_owned()),
                () = tokio::time::sleep_until(until) => Try::Unknown("no answer came in time".to_owned()),
            };
            match tried {
                Try::Answered(answer) => return Ok(answer),
                Try::Failed(error) => {
                    return Err(unknown.map_or(error, AskError::Unknown));
                }
                Try::Unknown(why) => unknown = Some(why),
                Try::NotLeader => {}
            }
            if Instant::now() >= until {
                return Err(self.nobody(unknown));
            }
            // Up to twice as long, so that those who lost the same leader do not come back together.
            let pause = again + again * u32::try_from(self.parts.entropy.draw() % 256).unwrap_or(0) / 256;
            again = (again * 2).min(AGAIN_MAX);
            tokio::select! {
                biased;
                _ = leader.wait_for(|now| *now != Some(asked)) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn nobody(&self, unknown: Option<String>) -> AskError {
        match unknown {
            Some(why) => AskError::Unknown(why),
            None => AskError::NoLeader((self.parts.missing)()),
        }
    }

    /// Asks one node, and takes apart what keeps it from answering.
    async fn ask(&self, node: NodeId, question: &Question, until: Instant) -> Try<Word> {
        let body = match encode(question) {
            Ok(body) => Bytes::from(body),
            Err(error) => return Try::Failed(AskError::Failed(error.to_string())),
        };
        let deadline = until.saturating_duration_since(Instant::now());
        let heard = match self.parts.links.ask(node, Service::Journal, body, deadline).await {
            Ok(heard) => heard,
            Err(
                transport::Error::Unreachable { .. }
                | transport::Error::Refused { .. }
                | transport::Error::Another { .. },
            ) => {
                return Try::NotLeader;
            }
            Err(transport::Error::Overloaded(_)) => return Try::Failed(AskError::Overloaded),
            Err(error @ transport::Error::TooLarge { .. }) => {
                return Try::Failed(AskError::Failed(error.to_string()));
            }
            Err(error @ (transport::Error::Lost(_) | transport::Error::Late)) => {
                return Try::Unknown(error.to_string());
            }
        };
        match decode::<Word>(&heard) {
            Ok(Word::NotLeader(_)) => Try::NotLeader,
            Ok(Word::Overloaded) => Try::Failed(AskError::Overloaded),
            Ok(Word::NoSpace) => Try::Failed(AskError::NoSpace),
            Ok(Word::Unknown(why)) => Try::Unknown(why),
            Ok(word) => Try::Answered(word),
            Err(error) => Try::Unknown(format!("the leader's answer is not understood: {error}")),
        }
    }

    /// Waits until this node has applied what the leader spoke of.
    async fn seen_here(&self, index: u64, until: Instant) -> Result<(), String> {
        let patience = until.saturating_duration_since(Instant::now());
        if self.consensus.wait_applied(index, patience).await {
            return Ok(());
        }
        let applied = self.consensus.applied();
        Err(format!("the leader is at entry {index} of the log, this node at {applied}; it catches up"))
    }
}

/// Waits until a leader is known; nothing when the group has stopped.
async fn known(leader: &mut watch::Receiver<Option<Leader>>) -> Option<Leader> {
    leader.wait_for(Option::is_some).await.ok().and_then(|leader| *leader)
}

fn tried<T>(settled: Result<T, ProposeError>) -> Try<T> {
    match settled {
        Ok(answer) => Try::Answered(answer),
        Err(ProposeError::NotLeader) => Try::NotLeader,
        Err(ProposeError::Unknown(why)) => Try::Unknown(why),
        Err(ProposeError::Stopped) => Try::Failed(AskError::Stopped),
        Err(ProposeError::Overloaded) => Try::Failed(AskError::Overloaded),
        Err(ProposeError::NoSpace) => Try::Failed(AskError::NoSpace),
    }
}

fn done(heard: Try<Word>) -> Try<()> {
    match heard {
        Try::Answered(Word::Done) => Try::Answered(()),
        other => unexpected(other),
    }
}

/// Takes a word that does not answer the question for what it is.
fn unexpected<T>(heard: Try<Word>) -> Try<T> {
    match heard {
        Try::Answered(Word::Failed(why)) => Try::Failed(AskError::Failed(why)),
        Try::Answered(word) => Try::Unknown(format!("the leader answered something else: {word:?}")),
        Try::NotLeader => Try::NotLeader,
        Try::Unknown(why) => Try::Unknown(why),
        Try::Failed(error) => Try::Failed(error),
    }
}
