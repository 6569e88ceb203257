//! What a workspace has of its quota, and what that lets it have.
//!
//! Submits and agents beyond it are refused. A workspace that has as many tasks in hand as it may *rests*: mailboxes pass
//! it over as if it were paused, so its tasks keep their places and their turns, rise in their lanes, and cost nothing
//! meanwhile. With the first attempt that ends it takes part again, at the place in the turns that it had.
//!
//! ```text
//!   granted ─► in hand + 1 ─► as many as it may? ─► resting ◄─► passed over by claims
//!                                                     │
//!   closed, quota raised ─► room again ───────────────┴─► its mailboxes are looked at once
//! ```
//!
//! Counts are derived from tasks and agents; only the pace of submits is kept. Cost: O(log n) for each command; a claim
//! looks once at each resting workspace that has work in its mailboxes.

mod agents;

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{AccessKey, AccessRow};
use crate::event::{Event, Governing};
use crate::mailbox::Mailbox;
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::pause::Pausable;
use crate::quota::{Pace, Quota, QuotaOf};
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::gates::Closed;
use crate::state::retiring::Idle;
use crate::state::{State, Step};
use crate::task::{MailboxId, Task, TaskSpec};
use crate::time::Timestamp;
use crate::why::Why;

/// The most workspaces with a quota; each takes some hundred bytes.
const QUOTAS_MAX: usize = 10_000;

/// Quotas, and what is counted for them.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    all: BTreeMap<Name, Quota>,
    paces: BTreeMap<Name, Pace>,
    /// How many tasks of a workspace agents have.
    in_hand: BTreeMap<Name, u64>,
    /// Whether one of them bounds agents.
    bounds_agents: bool,
}

impl Quotas {
    pub(super) fn keys(&self) -> impl Iterator<Item = AccessKey> + '_ {
        let quotas = self.all.keys().cloned().map(AccessKey::Quota);
        quotas.chain(self.paces.keys().cloned().map(AccessKey::Pace))
    }

    pub(super) fn row(&self, key: &AccessKey) -> Option<AccessRow> {
        match key {
            AccessKey::Quota(workspace) => {
                Some(AccessRow::Quota(workspace.clone(), self.all.get(workspace)?.clone()))
            }
            AccessKey::Pace(workspace) => {
                Some(AccessRow::Pace(workspace.clone(), *self.paces.get(workspace)?))
            }
            AccessKey::Role(_) | AccessKey::Binding(_) | AccessKey::Workspace(_) | AccessKey::Owner(_) => {
                None
            }
        }
    }

    pub(super) fn restore_quota(&mut self, workspace: Name, quota: Quota) {
        self.bounds_agents |= quota.agents.is_some();
        self.all.insert(workspace, quota);
    }

    pub(super) fn restore_pace(&mut self, workspace: Name, pace: Pace) {
        self.paces.insert(workspace, pace);
    }

    /// Counts a task that an agent has, after a restore.
    pub(super) fn restore_task(&mut self, task: &Task) {
        if task.lease().is_some() {
            self.count(&task.spec.workspace, true);
        }
    }

    fn count(&mut self, workspace: &Name, more: bool) {
        let count = self.in_hand.get(workspace).copied().unwrap_or(0);
        match if more { count + 1 } else { count.saturating_sub(1) } {
            0 => drop(self.in_hand.remove(workspace)),
            count => drop(self.in_hand.insert(workspace.clone(), count)),
        }
    }

    fn in_hand(&self, workspace: &Name) -> u64 {
        self.in_hand.get(workspace).copied().unwrap_or(0)
    }

    /// Returns how many more tasks of a workspace agents may have; `None` without a bound.
    fn room(&self, workspace: &Name) -> Option<u64> {
        let most = self.all.get(workspace)?.concurrency.filter(|_| !mutant(Mutant::PassTheQuota))?;
        Some(most.saturating_sub(self.in_hand(workspace)))
    }
}

impl State {
    pub(super) fn put_quota(&mut self, step: &mut Step, workspace: &Name, quota: &Quota) -> Answer {
        if let Some((field, why)) = quota.fault() {
            return Err(Refusal::Invalid { field: field.to_owned(), why });
        }
        let known = self.quotas.all.get(workspace);
        if known.is_none() && self.quotas.all.len() >= QUOTAS_MAX {
            return Err(Refusal::Full { bound: Bound::Quotas, limit: QUOTAS_MAX as u64 });
        }
        if known.unwrap_or(&Quota::default()) == quota {
            return Ok(Reply::Done);
        }
        if *quota == Quota::default() {
            self.quotas.all.remove(workspace);
        } else {
            self.quotas.all.insert(workspace.clone(), quota.clone());
        }
        self.quotas.bounds_agents = self.quotas.all.values().any(|quota| quota.agents.is_some());
        self.changes.touch(RowKey::Access(AccessKey::Quota(workspace.clone())));
        if quota.submits_per_second.is_none() && self.quotas.paces.remove(workspace).is_some() {
            self.changes.touch(RowKey::Access(AccessKey::Pace(workspace.clone())));
        }
        step.events.push(Event::Governed {
            what: Governing::QuotaPut,
            subject: workspace.as_str().into(),
            workspace: Some(workspace.clone()),
            task: None,
            agent: None,
            detail: quota.to_string().into(),
        });
        self.note_rest(step, workspace);
        step.idle.push(Idle::Room);
        Ok(Reply::Done)
    }

    /// Refuses a submit beyond the quota of its workspace.
    pub(super) fn check_quota(&self, step: &Step, spec: &TaskSpec) -> Result<(), Refusal> {
        let workspace = &spec.workspace;
        let Some(quota) = self.quotas.all.get(workspace) else { return Ok(()) };
        let full = |of: QuotaOf, limit: u64| {
            Err(Refusal::Full { bound: Bound::Quota { workspace: workspace.clone(), of }, limit })
        };
        if let Some(most) = quota.waiting
            && self.waiting_of(workspace) >= most
        {
            return full(QuotaOf::Waiting, most);
        }
        if let Some(most) = quota.storage_bytes
            && self.counts.bytes_of(workspace) + spec.weight() as u64 > most
        {
            return full(QuotaOf::Storage, most);
        }
        if let Some(most) = quota.submits_per_second
            && self.pace_of(workspace).take(most, step.now).is_none()
        {
            return full(QuotaOf::Submits, u64::from(most));
        }
        Ok(())
    }

    /// Counts a submit that is taken.
    pub(super) fn note_pace(&mut self, step: &Step, workspace: &Name) {
        let most = self.quotas.all.get(workspace).and_then(|quota| quota.submits_per_second);
        let Some(next) = most.and_then(|most| self.pace_of(workspace).take(most, step.now)) else { return };
        self.quotas.paces.insert(workspace.clone(), next);
        self.changes.touch(RowKey::Access(AccessKey::Pace(workspace.clone())));
    }

    fn pace_of(&self, workspace: &Name) -> Pace {
        self.quotas.paces.get(workspace).copied().unwrap_or_default()
    }

    /// Counts a task that is given out.
    pub(super) fn quota_granted(&mut self, step: &mut Step, task: &Task) {
        self.count_in_hand(step, &task.spec.workspace, true);
    }

    /// Gives back the place of a task whose attempt is over.
    pub(super) fn quota_closed(&mut self, step: &mut Step, closed: &Closed<'_>) {
        self.count_in_hand(step, &closed.task.spec.workspace, false);
    }

    fn count_in_hand(&mut self, step: &mut Step, workspace: &Name, more: bool) {
        self.quotas.count(workspace, more);
        if !self.quotas.all.is_empty() {
            self.note_rest(step, workspace);
        }
    }

    /// Notes whether something that is paused, or is not any more, rests.
    pub(super) fn note_rest_of(&mut self, step: &mut Step, what: &Pausable) {
        if let Pausable::Workspace(workspace) = what {
            self.note_rest(step, workspace);
        }
    }

    /// Notes whether mailboxes pass a workspace over.
    fn note_rest(&mut self, step: &mut Step, workspace: &Name) {
        let rests = self.rests(workspace);
        if rests == self.resting.contains(workspace) {
            return;
        }
        if rests {
            self.resting.insert(workspace.clone());
        } else {
            self.resting.remove(workspace);
        }
        self.note_stir(step);
    }

    fn rests(&self, workspace: &Name) -> bool {
        self.quotas.room(workspace) == Some(0)
            || self.pauses.get(&Pausable::Workspace(workspace.clone())).is_some()
    }

    /// Finds out who rests, after a restore.
    pub(super) fn restore_resting(&mut self) {
        let paused = self.pauses.iter().filter_map(|pause| match &pause.what {
            Pausable::Workspace(workspace) => Some(workspace),
            Pausable::Mailbox(_) | Pausable::Pool(_) => None,
        });
        let known = paused.chain(self.quotas.all.keys());
        self.resting = known.filter(|workspace| self.rests(workspace)).cloned().collect();
    }

    /// Tells whether mailboxes pass a workspace over: it is paused, or has as much in hand as it may.
    pub(super) fn is_at_rest(&self, workspace: &Name) -> bool {
        self.resting.contains(workspace)
    }

    /// Returns of which workspaces of a mailbox not everything may be given out, and how much may be. It walks the fewer:
    /// those that have work there, or those that are bounded.
    pub(super) fn rooms_in<'a>(&'a self, mailbox: &'a Mailbox) -> Vec<(&'a Name, usize)> {
        let most = |room: u64| usize::try_from(room).unwrap_or(usize::MAX);
        let (resting, bounded) = (&self.resting, &self.quotas.all);
        if resting.len() + bounded.len() <= mailbox.workspaces().len() {
            let others = bounded.keys().filter(|name| !resting.contains(*name));
            let others = others.filter_map(|name| Some((name, most(self.quotas.room(name)?))));
            return resting.iter().map(|name| (name, 0)).chain(others).collect();
        }
        let room_of = |name: &Name| if resting.contains(name) { Some(0) } else { self.quotas.room(name) };
        mailbox.workspaces().filter_map(|(name, _)| Some((name, most(room_of(name)?)))).collect()
    }

    /// Says that the quota of its workspace holds a waiting task back, if that is so.
    pub(super) fn why_beyond_quota(&self, task: &Task, since: Timestamp) -> Option<Why> {
        let workspace = &task.spec.workspace;
        let most = self.quotas.all.get(workspace)?.concurrency.filter(|_| self.is_beyond_quota(workspace))?;
        let has = self.quotas.in_hand(workspace);
        let hint = format!(
            "workspace {workspace} has {has} tasks in hand, of {most} that its concurrency allows; wait until one ends, or raise it: synod workspace set {workspace} --concurrency N"
        );
        Some(Why::HeldBack { on: ParkedOn::Quota(workspace.clone()), since, until: None, hint: hint.into() })
    }

    /// Tells whether a workspace has as many tasks in hand as its quota allows, or more.
    pub fn is_beyond_quota(&self, workspace: &Name) -> bool {
        self.quotas.room(workspace) == Some(0)
    }

    /// Returns the mailboxes where work waits that may be given out once the workspace has less in hand; none of a
    /// workspace without such a bound.
    pub fn bounded_mailboxes_of(&self, workspace: &Name) -> Vec<MailboxId> {
        match self.quotas.room(workspace) {
            Some(_) => self.whereabouts.of(workspace).cloned().collect(),
            None => Vec::new(),
        }
    }

    /// Returns how many tasks wait in mailboxes and are held back by the concurrency of their workspace.
    pub fn held_back_by_quota(&self, workspace: &Name) -> u64 {
        if !self.is_beyond_quota(workspace) {
            return 0;
        }
        let mailboxes = self.whereabouts.of(workspace).filter_map(|id| self.mailboxes.get(id));
        mailboxes.map(|mailbox| mailbox.depth_of_workspace(workspace) as u64).sum()
    }

    /// Returns the quota of a workspace, if it has one.
    pub fn quota(&self, workspace: &Name) -> Option<&Quota> {
        self.quotas.all.get(workspace)
    }

    /// Walks the quotas in order of workspace.
    pub fn quotas(&self) -> impl Iterator<Item = (&Name, &Quota)> {
        self.quotas.all.iter()
    }

    /// Returns how many tasks of a workspace agents have.
    pub fn in_hand_of(&self, workspace: &Name) -> u64 {
        self.quotas.in_hand(workspace)
    }

    /// Returns how many unfinished tasks of a workspace no agent has.
    pub fn waiting_of(&self, workspace: &Name) -> u64 {
        self.counts.of_workspace(workspace).saturating_sub(self.quotas.in_hand(workspace))
    }

    /// Returns how many bytes of payload the unfinished tasks of a workspace hold.
    pub fn payload_bytes_of(&self, workspace: &Name) -> u64 {
        self.counts.bytes_of(workspace)
    }

    /// Returns how many tasks a workspace takes in a turn.
    pub fn weight_of(&self, workspace: &Name) -> u32 {
        self.weights.of(workspace)
    }

    /// Returns the workspaces that something is known of, in order of name.
    pub fn workspaces(&self) -> BTreeSet<Name> {
        let mut all: BTreeSet<Name> = self.counts.workspaces().cloned().collect();
        all.insert(Name::default());
        all.extend(self.weights.iter().map(|(workspace, _)| workspace.clone()));
        all.extend(self.quotas.all.keys().cloned());
        all.extend(self.owners().map(|(_, owner)| owner.clone()));
        all.extend(self.token_workspaces().cloned());
        all
    }
}
