//! The lines before the mailboxes, and who of a line is called for the work that waits.
//!
//! Those who can do the same stand together, because among them only the order matters. So finding the next
//! one for whom there is work costs in the number of such groups and not of those who wait.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use synod_domain::capability::Capabilities;
use synod_domain::placement::WaitingWork;
use synod_domain::task::MailboxId;

/// Who waits before each mailbox, by what they can do, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<MailboxId, BTreeMap<Arc<Capabilities>, BTreeSet<u64>>>);

impl Lines {
    pub(super) fn join(&mut self, mailbox: &MailboxId, able: &Arc<Capabilities>, ticket: u64) {
        let line = match self.0.get_mut(mailbox) {
            Some(line) => line,
            None => self.0.entry(mailbox.clone()).or_default(),
        };
        line.entry(able.clone()).or_default().insert(ticket);
    }

    pub(super) fn leave(&mut self, mailbox: &MailboxId, able: &Arc<Capabilities>, ticket: u64) {
        let Some(line) = self.0.get_mut(mailbox) else { return };
        if let Entry::Occupied(mut group) = line.entry(able.clone()) {
            group.get_mut().remove(&ticket);
            if group.get().is_empty() {
                group.remove();
            }
        }
        if line.is_empty() {
            self.0.remove(mailbox);
        }
    }

    /// Returns the tickets of all who wait before a mailbox, first come first.
    pub(super) fn all_before(&self, mailbox: &MailboxId) -> Vec<u64> {
        let mut tickets: Vec<u64> =
            self.0.get(mailbox).into_iter().flat_map(|line| line.values()).flatten().copied().collect();
        tickets.sort_unstable();
        tickets
    }

    /// Returns whoever waits before a mailbox.
    pub(super) fn before(&self, mailbox: &MailboxId) -> Option<Line<'_>> {
        let groups = self.0.get(mailbox)?.iter();
        Some(Line {
            groups: groups.map(|(able, tickets)| Group { able, tickets, after: None, reached: 0 }).collect(),
        })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

struct Group<'a> {
    able: &'a Capabilities,
    tickets: &'a BTreeSet<u64>,
    /// The last one of the group that was looked at.
    after: Option<u64>,
    /// The first demand that may still be for it. Never goes back, because work only gets less.
    reached: usize,
}

/// One line, while it is looked at.
pub(super) struct Line<'a> {
    groups: Vec<Group<'a>>,
}

impl Line<'_> {
    /// Returns the first in line, after those who were returned before, for whom something is left.
    pub(super) fn next(&mut self, work: &Work) -> Option<u64> {
        let (mut first, mut place) = (None, 0);
        for (at, group) in self.groups.iter_mut().enumerate() {
            let from = group.after.map_or(0, |after| after + 1);
            let Some(ticket) = group.tickets.range(from..).next() else { continue };
            if first.is_none_or(|first| *ticket < first) && work.has_for(group.able, &mut group.reached) {
                (first, place) = (Some(*ticket), at);
            }
        }
        if first.is_some() {
            self.groups[place].after = first;
        }
        first
    }
}

/// The work of a mailbox that is not set against anybody yet, hardest first, so that who can do much is set
/// against what few can do.
#[derive(Debug)]
pub(super) struct Work(Vec<(Arc<Capabilities>, usize)>);

impl Work {
    pub(super) fn of(waiting: Vec<WaitingWork>) -> Self {
        let mut left: Vec<_> = waiting.into_iter().map(|work| (work.demand, work.count)).collect();
        left.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        Self(left)
    }

    fn has_for(&self, able: &Capabilities, reached: &mut usize) -> bool {
        while let Some((demand, left)) = self.0.get(*reached) {
            if *left > 0 && able.satisfy(demand) {
                return true;
            }
            *reached += 1;
        }
        false
    }

    /// Sets at most `most` tasks against somebody.
    pub(super) fn set_against(&mut self, able: &Capabilities, most: u32) {
        let mut most = usize::try_from(most).unwrap_or(usize::MAX);
        for (demand, left) in &mut self.0 {
            if most == 0 {
                return;
            }
            if *left > 0 && able.satisfy(demand) {
                let set = most.min(*left);
                *left -= set;
                most -= set;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn able(text: &str) -> Arc<Capabilities> {
        let capabilities: Capabilities = text.split_whitespace().map(|one| one.parse().unwrap()).collect();
        Arc::new(capabilities)
    }

    fn work(waiting: &[(&str, usize)]) -> Work {
        let waiting =
            waiting.iter().map(|(demand, count)| WaitingWork { demand: able(demand), count: *count });
        Work::of(waiting.collect())
    }

    #[test]
    fn next_is_the_first_of_all_groups_for_whom_something_is_left() {
        let mut lines = Lines::default();
        for (ticket, what) in [(1, "b"), (2, ""), (3, "a"), (4, "a b"), (5, "a")] {
            lines.join(&MailboxId::Open, &able(what), ticket);
        }
        let mut line = lines.before(&MailboxId::Open).unwrap();
        let mut left = work(&[("a", 2), ("a b", 1)]);
        let mut called = Vec::new();
        while let Some(ticket) = line.next(&left) {
            called.push(ticket);
            left.set_against(&able(["", "b", "", "a", "a b", "a"][usize::try_from(ticket).unwrap()]), 1);
        }
        assert_eq!(called, [3, 4, 5]);
    }

    #[test]
    fn who_can_do_much_is_set_against_what_few_can_do() {
        let mut left = work(&[("a", 1), ("a b", 1)]);
        left.set_against(&able("a b"), 1);
        assert!(left.has_for(&able("a"), &mut 0));
        left.set_against(&able("a"), 5);
        assert!(!left.has_for(&able("a b"), &mut 0));
    }

    #[test]
    fn lines_that_everybody_has_left_are_gone() {
        let mut lines = Lines::default();
        for ticket in 1..4 {
            lines.join(&MailboxId::Open, &able("a"), ticket);
        }
        for ticket in 1..5 {
            lines.leave(&MailboxId::Open, &able("a"), ticket);
            lines.leave(&MailboxId::Open, &able("b"), ticket);
        }
        assert!(lines.is_empty() && lines.before(&MailboxId::Open).is_none());
    }
}
