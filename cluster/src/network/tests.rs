//! What a member takes in while its disk is full.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use synod_domain::event::Event;
use synod_domain::sources::{Clock, Entropy};
use synod_storage::MemoryDisk;

use super::answering::IN_CORE_MAX;
use super::*;
use crate::checkpointer::Policy;
use crate::consensus::{Consensus, Formation, Options, Timing};
use crate::machine::EventSink;
use crate::transport::hello::{Caller, Hello, PROTOCOL};

/// Time that stands, chance that is none, and nobody who listens.
struct Nothing;

impl Clock for Nothing {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO
    }
}

impl Entropy for Nothing {
    fn draw(&self) -> u64 {
        1
    }
}

impl EventSink for Nothing {
    fn publish(&self, _: u64, _: Timestamp, _: Vec<Event>) {}
}

#[tokio::test]
async fn what_waits_for_a_full_disk_is_bounded_and_the_rest_answered_at_once() {
    let disk = MemoryDisk::new();
    let options = Options {
        number: 2,
        me: NodeId::from_raw(2),
        storage: disk.open(),
        clock: Arc::new(Nothing),
        entropy: Arc::new(Nothing),
        events: Arc::new(Nothing),
        timing: Timing::default(),
        policy: Policy::default(),
        inline: true,
        formation: Formation::Join,
        links: None,
    };
    let node = Consensus::start(options).await.unwrap();
    disk.limit_space(Some(0));
    let handler = node.handler();
    let node = NodeId::from_raw(1);
    let hello = Hello { protocol: PROTOCOL, cluster: "test".to_owned(), node, generation: 1 };
    let caller = Caller::member(hello);
    let append = || {
        let vote = Vote::new_committed(1, 1);
        let rpc = AppendEntriesRequest { vote, prev_log_id: None, entries: Vec::new(), leader_commit: None };
        handler.answer(&caller, encode(&Question::Append(rpc)).unwrap().into())
    };
    let mut asked: FuturesUnordered<_> = (0..3 * IN_CORE_MAX).map(|_| append()).collect();
    let all = async {
        for _ in 0..2 * IN_CORE_MAX {
            let answer = asked.next().await.unwrap().unwrap();
            assert!(matches!(decode::<Reply>(&answer).unwrap(), Reply::Busy));
        }
        disk.limit_space(None);
        while let Some(answer) = asked.next().await {
            assert!(matches!(decode::<Reply>(&answer.unwrap()).unwrap(), Reply::Append(Ok(_))));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
}
