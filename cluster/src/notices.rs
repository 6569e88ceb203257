//! Tells a member what is committed, beside the entries that it is sent.
//!
//! openraft sends one message at a time to a member, and after each commit one without entries that only says how
//! far the commits go. The entries after it would wait for its answer. Here it leaves on its own, and the entries
//! go on. Promises that the newest word goes out, that at most one is on its way, and that entries which carry it
//! make it unnecessary. A word that is lost is said again by openraft's next sign of life, which nobody takes over:
//! this only takes what says something new to a member that has everything it was sent. Whether the member follows
//! yet is told by that sign and by every entry, not here. While entries leave before openraft asks for them
//! (`network/pipeline.rs`) they carry the newest commits, and what they have not said is said here.

use openraft::Vote;
use openraft::raft::AppendEntriesRequest;
use synod_domain::id::NodeId;
use tokio::sync::watch;

use crate::group::{Group, LogId};
use crate::network::Colleagues;

type Word = AppendEntriesRequest<Group>;

/// What one member has, and what it was told.
pub(crate) struct Notices {
    colleagues: Colleagues,
    node: NodeId,
    /// Through where it said to have the log of the leader with that vote.
    has: Option<(Vote<u64>, LogId)>,
    /// How far the commits go, as it was told last.
    told: Option<LogId>,
    words: Option<watch::Sender<Option<Word>>>,
}

impl Notices {
    /// Knows nothing of a member yet, and takes nothing over before it has answered.
    pub(crate) fn to(colleagues: Colleagues, node: NodeId) -> Self {
        Self { colleagues, node, has: None, told: None, words: None }
    }

    /// Takes a message over if it only says what is committed; true when it did.
    pub(crate) fn take_over(&mut self, word: &Word) -> bool {
        let known = word.prev_log_id.is_some_and(|prev| self.has == Some((word.vote, prev)));
        if !word.entries.is_empty() || !known || word.leader_commit <= self.told {
            return false;
        }
        self.say(word.clone());
        true
    }

    /// Tells what a message says is committed, when that is news: its entries have left before, and may have said it too
    /// if they say `said`.
    pub(crate) fn tell_beside(&mut self, word: &Word, said: Option<LogId>) {
        if word.leader_commit <= self.told.max(said) {
            return;
        }
        let &Word { vote, prev_log_id, leader_commit, .. } = word;
        self.say(Word { vote, prev_log_id, leader_commit, entries: Vec::new() });
    }

    fn say(&mut self, word: Word) {
        self.told = word.leader_commit;
        let (colleagues, node) = (&self.colleagues, self.node);
        let words = self.words.get_or_insert_with(|| {
            let (words, newest) = watch::channel(None);
            tokio::spawn(pass_on(colleagues.clone(), node, newest));
            words
        });
        words.send_replace(Some(word));
    }

    /// Notes that a message with this in it leaves: what it says need not be said beside it.
    pub(crate) fn leaves(&mut self, word: &Word) {
        self.has = None;
        if word.leader_commit >= self.told {
            self.told = word.leader_commit;
            if let Some(words) = &self.words {
                words.send_if_modified(|word| {
                    *word = None;
                    false
                });
            }
        }
    }

    /// Notes that the member has the log through there.
    pub(crate) fn has(&mut self, vote: Vote<u64>, last: LogId) {
        self.has = Some((vote, last));
    }
}

/// Sends the newest word, one at a time, until nobody has any more.
async fn pass_on(colleagues: Colleagues, node: NodeId, mut newest: watch::Receiver<Option<Word>>) {
    while newest.changed().await.is_ok() {
        let word = newest.borrow_and_update().clone();
        if let Some(word) = word {
            colleagues.tell_committed(node, word).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, Entry, EntryPayload};

    use super::*;

    fn id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(1, 1), index)
    }

    fn vote() -> Vote<u64> {
        Vote::new_committed(1, 1)
    }

    /// Says to a member that has everything through `prev` that the commits go through `commit`.
    fn word(prev: u64, commit: u64) -> Word {
        Word {
            vote: vote(),
            prev_log_id: Some(id(prev)),
            entries: Vec::new(),
            leader_commit: Some(id(commit)),
        }
    }

    fn member() -> Notices {
        Notices::to(Colleagues::new(None), NodeId::from_raw(2))
    }

    #[tokio::test]
    async fn only_news_to_a_member_that_has_everything_leaves_on_its_own() {
        let mut notices = member();
        assert!(!notices.take_over(&word(5, 5)), "it has not answered yet");
        notices.has(vote(), id(5));
        assert!(!notices.take_over(&word(4, 4)), "it looks for what the member has");
        let entries = vec![Entry { log_id: id(6), payload: EntryPayload::Blank }];
        assert!(!notices.take_over(&Word { entries, ..word(5, 5) }), "it carries entries");
        assert!(!notices.take_over(&Word { vote: Vote::new_committed(2, 1), ..word(5, 5) }), "another lead");
        assert!(notices.take_over(&word(5, 5)));
        assert!(!notices.take_over(&word(5, 5)), "a sign of life, which shall find what was lost");
    }

    #[tokio::test]
    async fn what_entries_that_left_before_have_not_said_is_said_beside_them() {
        let mut notices = member();
        let pending = |notices: &Notices| {
            let words = notices.words.as_ref()?.borrow();
            words.as_ref().map(|word| (word.prev_log_id, word.leader_commit, word.entries.len()))
        };
        let entries = vec![Entry { log_id: id(6), payload: EntryPayload::Blank }];
        notices.tell_beside(&Word { entries: entries.clone(), ..word(5, 4) }, Some(id(4)));
        assert_eq!(pending(&notices), None, "the entries said it");
        notices.tell_beside(&Word { entries: entries.clone(), ..word(5, 5) }, Some(id(4)));
        assert_eq!(pending(&notices), Some((Some(id(5)), Some(id(5)), 0)));
        notices.leaves(&word(5, 5));
        notices.tell_beside(&Word { entries, ..word(5, 5) }, None);
        assert_eq!(pending(&notices), None, "it is said twice");
    }

    #[tokio::test]
    async fn what_leaves_with_entries_is_not_said_beside_them() {
        let mut notices = member();
        notices.has(vote(), id(5));
        assert!(notices.take_over(&word(5, 5)));
        notices.leaves(&word(5, 5));
        let pending = notices.words.as_ref().is_some_and(|words| words.borrow().is_some());
        assert!(!pending, "it is said twice");
        assert!(!notices.take_over(&word(5, 6)), "the entries are not answered yet");
        notices.has(vote(), id(6));
        assert!(!notices.take_over(&word(6, 5)), "the entries said it");
        assert!(notices.take_over(&word(6, 6)));
    }
}
