//! The answering side: what a node says to others that take it for the leader.
//!
//! Promises an answer for as long as this node leads, and "unknown" to whoever waits when it does not any more.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use synod_domain::command::Request;
use synod_domain::id::{AgentId, NodeId};
use synod_domain::reply::Applied;
use synod_storage::{decode, encode};

use crate::consensus::{Consensus, ReadError, TransferError};
use crate::journal::wire::{Question, Word};
use crate::proposer::{ProposeError, Settled};
use crate::transport::hello::Caller;
use crate::transport::serve::Handler;

/// Takes note of agents that were heard on another node.
pub type Ear = Arc<dyn Fn(&[AgentId]) + Send + Sync>;

/// Answers [`Service::Journal`](crate::transport::links::Service::Journal).
pub struct Answering {
    consensus: Arc<Consensus>,
    ear: Ear,
}

impl Answering {
    /// Answers for this part in the group; `ear` is told of agents that were heard elsewhere.
    pub fn new(consensus: Arc<Consensus>, ear: Ear) -> Self {
        Self { consensus, ear }
    }

    async fn say(&self, question: Question) -> Word {
        let me = self.consensus.me().1;
        let mut leader = self.consensus.leader();
        if leader.borrow_and_update().map(|leader| leader.node) != Some(me) {
            return Word::NotLeader(leader.borrow().map(|leader| leader.node));
        }
        if let Question::Transfer(to) = question {
            return self.transfer(to).await;
        }
        let deposed = async {
            // An error means that the group has stopped.
            let _ = leader.wait_for(|leader| leader.map(|leader| leader.node) != Some(me)).await;
        };
        tokio::select! {
            biased;
            word = self.do_it(question) => word,
            () = deposed => Word::Unknown("the leader stepped down meanwhile".to_owned()),
        }
    }

    async fn do_it(&self, question: Question) -> Word {
        match question {
            Question::Propose(Request { id, command }) => {
                said(self.consensus.proposer().propose(id, command).await)
            }
            Question::Tick => match self.consensus.proposer().tick().await {
                Ok(()) => Word::Done,
                Err(error) => why(error),
            },
            Question::ReadIndex => match self.consensus.read_index().await {
                Ok(index) => Word::Index(index),
                Err(ReadError::NotLeader) => Word::NotLeader(None),
                Err(error @ ReadError::Unconfirmed(_)) => Word::Failed(error.to_string()),
            },
            Question::Heard(agents) => {
                (self.ear)(&agents);
                Word::Done
            }
            Question::Transfer(to) => self.transfer(to).await,
        }
    }

    async fn transfer(&self, to: Option<NodeId>) -> Word {
        match self.consensus.transfer(to).await {
            Ok(node) => Word::Leads(node),
            Err(TransferError::NotLeader) => Word::NotLeader(None),
            Err(error) => Word::Failed(error.to_string()),
        }
    }
}

fn said(settled: Result<Settled, ProposeError>) -> Word {
    match settled {
        Ok(Settled { answer, index }) => {
            Word::Settled { answer: answer.map(|reply| Applied::of(&reply)), index }
        }
        Err(error) => why(error),
    }
}

fn why(error: ProposeError) -> Word {
    match error {
        ProposeError::NotLeader => Word::NotLeader(None),
        ProposeError::Overloaded => Word::Overloaded,
        ProposeError::NoSpace => Word::NoSpace,
        // It is on its way out and nothing was written: another node leads soon.
        ProposeError::Stopped => Word::NotLeader(None),
        ProposeError::Unknown(why) => Word::Unknown(why),
    }
}

#[async_trait]
impl Handler for Answering {
    async fn answer(&self, _: &Caller, request: Bytes) -> Option<Bytes> {
        let word = match decode::<Question>(&request) {
            Ok(question) => self.say(question).await,
            Err(error) => Word::Failed(format!("the question is not understood: {error}")),
        };
        encode(&word).ok().map(Bytes::from)
    }
}
