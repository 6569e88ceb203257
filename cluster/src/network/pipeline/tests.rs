//! What leaves for a member before openraft asks, and what openraft is told, with a member that answers when it is told to.
//!
//! Time stands while anything can be done: when a test has slept, whatever could happen has happened.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use openraft::error::RPCError;
use openraft::network::{RPCOption, RaftNetwork as _, RaftNetworkFactory as _};
use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};
use openraft::{CommittedLeaderId, Entry, EntryPayload, RaftLogReader as _};
use synod_domain::command::{Command, Entry as Commands, Request};
use synod_domain::id::RequestId;
use synod_domain::name::Name;
use synod_domain::sources::{Clock, Entropy};
use synod_domain::time::Timestamp;
use synod_storage::{MemoryDisk, decode, encode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::ClusterClock;
use crate::consensus::Timing;
use crate::forgetting::Memory;
use crate::group::{Group, LogEntry, Peer as Member, Proposal};
use crate::hearing::Hearing;
use crate::network::{BATCHES_MAX, Question, RaftPeer, RaftPeers, RpcError};
use crate::offload::Offload;
use crate::transport::Network as _;
use crate::transport::hello::{Caller, Hello, OpenDoor, PROTOCOL};
use crate::transport::links::{Links, Service, Switchboard};
use crate::transport::memory::MemoryNetwork;
use crate::transport::serve::{Handler, serve};

const PATIENCE: Duration = Duration::from_secs(600);
/// Long enough for whatever can happen, and too short for a deadline.
const A_WHILE: Duration = Duration::from_secs(1);

type Append = AppendEntriesRequest<Group>;
type Told = AppendEntriesResponse<u64>;
type RaftError = openraft::error::RaftError<u64>;

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

/// A member whose answers the test gives.
struct Slow(mpsc::UnboundedSender<(Append, oneshot::Sender<Reply>)>);

#[async_trait]
impl Handler for Slow {
    async fn answer(&self, _: &Caller, request: Bytes) -> Option<Bytes> {
        let Question::Append(rpc) = decode(&request).unwrap() else { return None };
        let (sender, answer) = oneshot::channel();
        self.0.send((rpc, sender)).unwrap();
        encode(&answer.await.ok()?).ok().map(Bytes::from)
    }

    fn keeps_order(&self, _: &[u8]) -> bool {
        true
    }
}

fn vote() -> Vote<u64> {
    Vote::new_committed(1, 1)
}

fn id(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(1, 1), index)
}

fn blank(index: u64) -> LogEntry {
    Entry { log_id: id(index), payload: EntryPayload::Blank }
}

/// An entry of about so many bytes.
fn large(index: u64, bytes: usize) -> LogEntry {
    let reason = "x".repeat(bytes).into();
    let command = Command::RemoveRegion { region: Name::default(), reason };
    let request = Request { id: RequestId::from_raw(u128::from(index)), command };
    let entry = Commands { at: Timestamp::ZERO, seed: 0, commands: vec![request] };
    Entry { log_id: id(index), payload: EntryPayload::Normal(Proposal::of(entry)) }
}

/// A leader, and one member.
struct Pair {
    disk: MemoryDisk,
    log: LogStore,
    here: Arc<Here>,
    peer: RaftPeer,
    heard: mpsc::UnboundedReceiver<(Append, oneshot::Sender<Reply>)>,
    network: MemoryNetwork,
}

impl Pair {
    /// The leader has one entry.
    async fn new(batches_on_the_way: usize) -> Self {
        let network = MemoryNetwork::default();
        let (sender, heard) = mpsc::unbounded_channel();
        let switchboard = Arc::new(Switchboard::default());
        switchboard.plug(Service::Agreement, Arc::new(Slow(sender)));
        let door = network.node("2").listen("2:0").await.unwrap();
        let node = NodeId::from_raw(2);
        let book = BTreeMap::from([(node, door.address())]);
        tokio::spawn(serve(door, Arc::new(OpenDoor), switchboard, CancellationToken::new()));
        let me = NodeId::from_raw(1);
        let hello = Hello { protocol: PROTOCOL, cluster: "test".to_owned(), node: me, generation: 1 };
        let links = Links::new(Arc::new(network.node("1")), hello, Arc::new(book));
        let here = Arc::new(Here {
            number: 1,
            timing: Timing { batches_on_the_way, ..Timing::default() },
            clock: Arc::new(ClusterClock::new(Arc::new(Nothing), Timestamp::ZERO, false)),
            entropy: Arc::new(Nothing),
            hearing: Hearing::default(),
            leading: watch::Sender::new(Some(1)),
            answered: parking_lot::Mutex::default(),
            appointed: AtomicU64::new(0),
            retires: watch::Sender::new(false),
            memory: Memory::default(),
            forgot: watch::Sender::new(None),
            sending: Arc::default(),
        });
        let disk = MemoryDisk::new();
        let mut log = LogStore::open(Arc::clone(&disk.open().log), Offload::Inline).unwrap();
        log.save_vote(&vote()).await.unwrap();
        log.blocking_append([blank(0)]).await.unwrap();
        let mut peers = RaftPeers::new(Colleagues::new(Some(links)), Arc::clone(&here), log.clone());
        let peer = peers.new_client(2, &Member { node }).await;
        Self { disk, log, here, peer, heard, network }
    }

    /// A member that has said to have the first entry.
    async fn begun() -> Self {
        let mut pair = Self::new(BATCHES_MAX).await;
        pair.begin().await;
        pair
    }

    async fn begin(&mut self) {
        let rpc = self.rpc(None, 0).await;
        let (told, ()) = tokio::join!(ask(&mut self.peer, rpc), async {
            answer(&mut self.heard, success()).await;
        });
        assert_eq!(told.unwrap(), AppendEntriesResponse::Success);
    }

    async fn append(&mut self, indexes: std::ops::RangeInclusive<u64>) {
        for index in indexes {
            self.log.blocking_append([blank(index)]).await.unwrap();
        }
    }

    /// What openraft asks for.
    async fn rpc(&mut self, prev: Option<u64>, last: u64) -> Append {
        let from = prev.map_or(0, |prev| prev + 1);
        let entries = self.log.try_get_log_entries(from..=last).await.unwrap();
        Append { vote: vote(), prev_log_id: prev.map(id), entries, leader_commit: Some(id(0)) }
    }

    async fn asks(&mut self, prev: u64, last: u64) -> Result<AppendEntriesResponse<u64>, RpcError> {
        let rpc = self.rpc(Some(prev), last).await;
        ask(&mut self.peer, rpc).await
    }

    /// Waits for what arrives next at the member, other than what only says what is committed.
    async fn arrives(&mut self) -> (Append, oneshot::Sender<Reply>) {
        arrives(&mut self.heard).await
    }

    /// Returns what has arrived at the member and not been answered, when nothing can happen any more.
    async fn unanswered(&mut self) -> Vec<(Append, oneshot::Sender<Reply>)> {
        tokio::time::sleep(A_WHILE).await;
        std::iter::from_fn(|| self.heard.try_recv().ok()).filter(|(rpc, _)| !rpc.entries.is_empty()).collect()
    }
}

async fn ask(peer: &mut RaftPeer, rpc: Append) -> Result<AppendEntriesResponse<u64>, RpcError> {
    let asked = peer.append_entries(rpc, RPCOption::new(PATIENCE));
    tokio::time::timeout(PATIENCE, asked).await.expect("it is told something")
}

async fn arrives(
    heard: &mut mpsc::UnboundedReceiver<(Append, oneshot::Sender<Reply>)>,
) -> (Append, oneshot::Sender<Reply>) {
    loop {
        let (rpc, answer) = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
        if !rpc.entries.is_empty() {
            return (rpc, answer);
        }
    }
}

/// Answers what arrives next, and returns its first and last entry.
async fn answer(
    heard: &mut mpsc::UnboundedReceiver<(Append, oneshot::Sender<Reply>)>,
    told: Told,
) -> (u64, u64) {
    let (rpc, answer) = arrives(heard).await;
    let _ = answer.send(Reply::Append(Ok(told)));
    span(&rpc)
}

fn success() -> Told {
    AppendEntriesResponse::Success
}

fn span(rpc: &Append) -> (u64, u64) {
    (rpc.entries[0].log_id.index, rpc.entries[rpc.entries.len() - 1].log_id.index)
}

#[tokio::test(start_paused = true)]
async fn batches_leave_without_an_answer_until_the_window_is_full() {
    let mut pair = Pair::begun().await;
    let mut open = Vec::new();
    for index in 1..=4 {
        pair.append(index..=index).await;
        let (rpc, answer) = pair.arrives().await;
        assert_eq!((rpc.vote, rpc.prev_log_id), (vote(), Some(id(index - 1))));
        assert_eq!(span(&rpc), (index, index));
        open.push(answer);
    }
    assert_eq!(open.len(), BATCHES_MAX);
    pair.append(5..=6).await;
    assert!(pair.unanswered().await.is_empty(), "more is on its way than the window holds");
    assert!(open.remove(0).send(Reply::Append(Ok(success()))).is_ok());
    assert_eq!(span(&pair.arrives().await.0), (5, 6), "what has waited leaves together");
    assert!(pair.unanswered().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_member_that_lags_gets_several_batches_at_once() {
    let mut pair = Pair::new(BATCHES_MAX).await;
    for index in 1..=40 {
        pair.log.blocking_append([large(index, 100_000)]).await.unwrap();
    }
    pair.begin().await;
    let open = pair.unanswered().await;
    assert_eq!(open.len(), BATCHES_MAX);
    let mut next = 1;
    for (rpc, _) in &open {
        assert_eq!((rpc.prev_log_id, span(rpc).0), (Some(id(next - 1)), next), "a gap, or another order");
        next = span(rpc).1 + 1;
        assert!(encode(&rpc.entries).unwrap().len() <= BATCH_BYTES_MAX + 100_000);
    }
    assert!(next > 4, "a batch has several entries");
    assert!(next < 40, "more than the bound is on its way");
}

#[tokio::test(start_paused = true)]
async fn large_entries_go_alone_and_few_of_them_at_once() {
    let mut pair = Pair::new(BATCHES_MAX).await;
    for index in 1..=4 {
        pair.log.blocking_append([large(index, 3 << 20)]).await.unwrap();
    }
    pair.begin().await;
    let open = pair.unanswered().await;
    assert_eq!(open.iter().map(|(rpc, _)| span(rpc)).collect::<Vec<_>>(), [(1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn openraft_is_told_what_the_member_has_answered_and_nothing_else() {
    let mut pair = Pair::begun().await;
    let mut open = Vec::new();
    for index in 1..=3 {
        pair.append(index..=index).await;
        open.push(pair.arrives().await.1);
    }
    let rpc = pair.rpc(Some(0), 3).await;
    let mut open = open.into_iter();
    {
        let mut asked = std::pin::pin!(ask(&mut pair.peer, rpc));
        assert!(futures::poll!(&mut asked).is_pending());
        tokio::time::sleep(A_WHILE).await;
        assert!(futures::poll!(&mut asked).is_pending(), "told of what nobody has answered for");
        assert!(open.next().unwrap().send(Reply::Append(Ok(success()))).is_ok());
        assert_eq!(asked.await.unwrap(), AppendEntriesResponse::PartialSuccess(Some(id(1))));
    }
    let node = NodeId::from_raw(2);
    assert_eq!(pair.here.memory.said(node, vote()), Some(id(1)));
    // The last is answered first: what it has is taken in order.
    let (second, third) = (open.next().unwrap(), open.next().unwrap());
    assert!(third.send(Reply::Append(Ok(success()))).is_ok());
    let rpc = pair.rpc(Some(1), 3).await;
    {
        let mut asked = std::pin::pin!(ask(&mut pair.peer, rpc));
        tokio::time::sleep(A_WHILE).await;
        assert!(futures::poll!(&mut asked).is_pending());
        assert!(second.send(Reply::Append(Ok(success()))).is_ok());
        let told = asked.await.unwrap();
        assert!(matches!(told, AppendEntriesResponse::PartialSuccess(_) | AppendEntriesResponse::Success));
    }
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(pair.asks(2, 3).await.unwrap(), AppendEntriesResponse::Success);
    assert_eq!(pair.here.memory.said(node, vote()), Some(id(3)));
    assert!(pair.unanswered().await.is_empty(), "something was sent twice");
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_when_this_nodes_own_disk_has_it_too() {
    let mut pair = Pair::new(BATCHES_MAX).await;
    pair.log.note_lead(&vote(), true);
    pair.begin().await;
    pair.disk.hold_syncs();
    pair.append(1..=1).await;
    assert_eq!(answer(&mut pair.heard, success()).await, (1, 1), "the member waits for the leader's disk");
    let rpc = pair.rpc(Some(0), 1).await;
    let mut asked = std::pin::pin!(ask(&mut pair.peer, rpc));
    assert!(futures::poll!(&mut asked).is_pending());
    tokio::time::sleep(A_WHILE).await;
    assert!(futures::poll!(&mut asked).is_pending(), "counted before the leader's own sync");
    pair.disk.release();
    assert_eq!(asked.await.unwrap(), AppendEntriesResponse::Success);
}

#[tokio::test(start_paused = true)]
async fn what_failed_to_be_written_is_not_sent() {
    let mut pair = Pair::new(BATCHES_MAX).await;
    pair.log.note_lead(&vote(), true);
    pair.begin().await;
    pair.disk.hold_syncs();
    let mut open = Vec::new();
    pair.append(1..=1).await;
    open.push(pair.arrives().await);
    let mut other = pair.log.clone();
    let next = tokio::spawn(async move { other.blocking_append([blank(2)]).await });
    assert!(pair.unanswered().await.is_empty(), "openraft has not been told of it");
    pair.disk.fail_next_sync();
    pair.disk.release();
    assert!(next.await.unwrap().is_err());
    assert!(pair.unanswered().await.is_empty(), "it is sent and will never be on the disk");
    let (_, answer) = open.remove(0);
    assert!(answer.send(Reply::Append(Ok(success()))).is_ok());
    let rpc = Append { vote: vote(), prev_log_id: Some(id(0)), entries: vec![blank(1)], leader_commit: None };
    let told = ask(&mut pair.peer, rpc).await;
    assert!(matches!(told, Err(RPCError::Unreachable(_))), "{told:?}");
}

/// What a member may say that is no success.
fn refusals() -> Vec<Reply> {
    vec![
        Reply::Append(Ok(AppendEntriesResponse::Conflict)),
        Reply::Append(Ok(AppendEntriesResponse::HigherVote(Vote::new(9, 3)))),
        Reply::Append(Ok(AppendEntriesResponse::PartialSuccess(Some(id(1))))),
        Reply::Append(Err(RaftError::Fatal(openraft::error::Fatal::Stopped))),
        Reply::Busy,
        Reply::Forgot(false),
    ]
}

#[tokio::test(start_paused = true)]
async fn whatever_is_no_success_ends_the_stream_and_openrafts_own_request_decides() {
    for refusal in refusals() {
        let mut pair = Pair::begun().await;
        pair.append(1..=1).await;
        let first = pair.arrives().await.1;
        pair.append(2..=2).await;
        let second = pair.arrives().await.1;
        let rpc = pair.rpc(Some(0), 2).await;
        let Pair { peer, heard, .. } = &mut pair;
        let (told, ()) = tokio::join!(ask(peer, rpc), async {
            assert!(first.send(refusal).is_ok());
            let _ = second.send(Reply::Append(Ok(success())));
            // It asks for all that was not answered for.
            assert_eq!(answer(heard, success()).await, (1, 2));
        });
        assert_eq!(told.unwrap(), AppendEntriesResponse::Success);
        assert_eq!(pair.here.memory.all_lost(), BTreeMap::new(), "a stream has judged a member");
        pair.append(3..=3).await;
        assert_eq!(answer(&mut pair.heard, success()).await, (3, 3), "no stream goes on behind it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_lacks_what_it_had_is_found_by_openrafts_own_request() {
    let mut pair = Pair::begun().await;
    pair.append(1..=1).await;
    let conflict = || AppendEntriesResponse::Conflict;
    assert_eq!(answer(&mut pair.heard, conflict()).await, (1, 1));
    assert!(pair.unanswered().await.is_empty());
    assert_eq!(pair.here.memory.all_lost(), BTreeMap::new());
    let rpc = pair.rpc(Some(0), 1).await;
    let Pair { peer, heard, .. } = &mut pair;
    let (told, _) = tokio::join!(ask(peer, rpc), answer(heard, conflict()));
    assert_eq!(told.unwrap(), AppendEntriesResponse::Conflict);
    assert_eq!(pair.here.memory.all_lost(), BTreeMap::from([(NodeId::from_raw(2), 0)]));
    pair.append(2..=2).await;
    assert!(pair.unanswered().await.is_empty(), "it is sent more than the question what it has");
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_noticed_and_nothing_is_taken_for_answered() {
    let mut pair = Pair::begun().await;
    pair.append(1..=1).await;
    let lost = pair.arrives().await.1;
    pair.network.cut("1", "2");
    let told = pair.asks(0, 1).await;
    assert!(matches!(told, Err(RPCError::Unreachable(_))), "{told:?}");
    drop(lost);
    pair.network.heal("1", "2");
    let rpc = pair.rpc(Some(0), 1).await;
    let Pair { peer, heard, .. } = &mut pair;
    let (told, sent) = tokio::join!(ask(peer, rpc), answer(heard, success()));
    assert_eq!((told.unwrap(), sent), (AppendEntriesResponse::Success, (1, 1)));
}

#[tokio::test(start_paused = true)]
async fn another_vote_ends_the_stream_before_another_leaders_entries_can_leave_under_it() {
    let mut pair = Pair::begun().await;
    pair.append(1..=1).await;
    assert_eq!(answer(&mut pair.heard, success()).await, (1, 1));
    // It follows another now, who replaces what only this node has.
    pair.log.save_vote(&Vote::new_committed(2, 3)).await.unwrap();
    pair.log.truncate(id(1)).await.unwrap();
    let theirs = |index| LogId::new(CommittedLeaderId::new(2, 3), index);
    let entries = (1..4).map(|index| Entry { log_id: theirs(index), payload: EntryPayload::Blank });
    pair.log.blocking_append(entries).await.unwrap();
    pair.log.save_committed(Some(theirs(3))).await.unwrap();
    assert!(pair.unanswered().await.is_empty(), "it speaks in the name of a vote that is over");
    assert!(matches!(pair.log.led_after(&vote(), id(0), BATCH_BYTES_MAX), Ok(Led::Over)));
}

#[tokio::test(start_paused = true)]
async fn what_is_purged_ends_the_stream() {
    let mut pair = Pair::begun().await;
    let mut open = Vec::new();
    for index in 1..=4 {
        pair.append(index..=index).await;
        open.push(pair.arrives().await.1);
    }
    pair.append(5..=9).await;
    pair.log.purge(id(7)).await.unwrap();
    for answer in open {
        let _ = answer.send(Reply::Append(Ok(success())));
    }
    assert!(pair.unanswered().await.is_empty(), "a gap was sent");
    assert!(matches!(pair.log.led_after(&vote(), id(4), BATCH_BYTES_MAX), Ok(Led::Over)));
}

#[tokio::test(start_paused = true)]
async fn entries_tell_how_far_the_commits_go_when_they_leave() {
    let mut pair = Pair::begun().await;
    pair.append(1..=1).await;
    assert_eq!(pair.arrives().await.0.leader_commit, None);
    pair.log.save_committed(Some(id(0))).await.unwrap();
    pair.append(2..=2).await;
    assert_eq!(pair.arrives().await.0.leader_commit, Some(id(0)));
}

#[tokio::test(start_paused = true)]
async fn with_one_batch_on_the_way_nothing_leaves_before_openraft_asks() {
    let mut pair = Pair::new(1).await;
    pair.begin().await;
    pair.append(1..=2).await;
    assert!(pair.unanswered().await.is_empty());
    let rpc = pair.rpc(Some(0), 2).await;
    let Pair { peer, heard, .. } = &mut pair;
    let (told, sent) = tokio::join!(ask(peer, rpc), answer(heard, success()));
    assert_eq!((told.unwrap(), sent), (AppendEntriesResponse::Success, (1, 2)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_whoever_sends_for_openraft() {
    let pair = Pair::begun().await;
    let Pair { mut log, peer, mut heard, .. } = pair;
    drop(peer);
    log.blocking_append([blank(1)]).await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    assert!(heard.try_recv().is_err());
}
