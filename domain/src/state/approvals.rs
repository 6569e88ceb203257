//! Approvals: asking for them, voting, and what comes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::approval::{Approval, ApprovalStatus, DECIDED_MAX, PENDING_MAX, Vote, Voter, bounded_content};
use crate::event::{Event, Governing};
use crate::id::{ApprovalId, TaskId};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::policy::{Ask, Ruling, Verdict};
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::policies::shown;
use crate::state::wakes::Wake;
use crate::state::{State, Step};
use crate::task::{Outcome, Task, bounded_reason};
use crate::time::Timestamp;

/// All approvals, in the orders in which they are asked for.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    all: BTreeMap<ApprovalId, Arc<Approval>>,
    /// The pending ones, by the end of their time.
    pending: BTreeSet<(Timestamp, ApprovalId)>,
    /// The others, by the time at which they were decided.
    decided: BTreeSet<(Timestamp, ApprovalId)>,
    by_task: BTreeMap<TaskId, BTreeSet<ApprovalId>>,
    /// Those that were asked for by somebody, by a digest of the question.
    by_question: BTreeMap<u64, BTreeSet<ApprovalId>>,
}

impl Approvals {
    pub(super) fn insert(&mut self, approval: Arc<Approval>) {
        let id = approval.id;
        self.remove(id);
        match approval.decided_at {
            Some(at) => self.decided.insert((at, id)),
            None => self.pending.insert((approval.expires_at, id)),
        };
        if let Some(task) = approval.task {
            self.by_task.entry(task).or_default().insert(id);
        }
        self.by_question.entry(digest(&approval.action, &approval)).or_default().insert(id);
        self.all.insert(id, approval);
    }

    fn remove(&mut self, id: ApprovalId) {
        let Some(before) = self.all.remove(&id) else { return };
        self.pending.remove(&(before.expires_at, id));
        if let Some(at) = before.decided_at {
            self.decided.remove(&(at, id));
        }
        if let Some(task) = before.task {
            forget(&mut self.by_task, &task, id);
        }
        forget(&mut self.by_question, &digest(&before.action, &before), id);
    }

    pub(super) fn get(&self, id: ApprovalId) -> Option<&Arc<Approval>> {
        self.all.get(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ApprovalId> {
        self.all.keys().copied()
    }

    fn first_end(&self) -> Option<Timestamp> {
        self.pending.first().map(|(at, _)| *at)
    }

    /// Returns the approval of the same question that still counts: pending, or decided and not older than it was waited
    /// for. One that is of a task counts for the task alone, and as long as that is here.
    pub(super) fn answer_to(&self, ask: &Ask, now: Timestamp) -> Option<(ApprovalId, ApprovalStatus)> {
        let same = |approval: &&Arc<Approval>| {
            *approval.action == *ask.action.as_str()
                && approval.task == ask.task
                && (ask.task.is_some() || approval.agent == ask.agent)
                && approval.attributes == ask.attributes
        };
        let counts = |approval: &&Arc<Approval>| match (approval.status, approval.decided_at) {
            (ApprovalStatus::Withdrawn, _) => false,
            (ApprovalStatus::Pending, _) | (_, None) => true,
            (ApprovalStatus::Approved, Some(_)) if approval.task.is_some() => true,
            (_, Some(at)) => now < at.after(approval.demand.timeout),
        };
        let key = digest_of(ask.action.as_str(), ask.task, ask.agent);
        let found = self.by_question.get(&key)?.iter().rev().filter_map(|id| self.all.get(id));
        found.filter(same).find(counts).map(|approval| (approval.id, approval.status))
    }
}

fn forget<K: Ord>(index: &mut BTreeMap<K, BTreeSet<ApprovalId>>, key: &K, id: ApprovalId) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

fn digest(action: &str, approval: &Approval) -> u64 {
    digest_of(action, approval.task, approval.agent)
}

/// Digests who asks for what; what else is said is compared. FNV-1a: it need not resist anybody.
fn digest_of(action: &str, task: Option<TaskId>, agent: Option<crate::id::AgentId>) -> u64 {
    let who = task.map_or_else(|| agent.map_or(0, crate::id::AgentId::raw), TaskId::raw);
    let bytes = action.bytes().chain(who.to_be_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl State {
    /// Asks for an approval in the name of somebody.
    pub(super) fn request(
        &mut self,
        step: &mut Step,
        id: ApprovalId,
        ask: &Ask,
        verdict: &Verdict,
    ) -> Answer {
        if self.approvals.pending.len() >= PENDING_MAX {
            return Err(Refusal::Full { bound: Bound::Approvals, limit: PENDING_MAX as u64 });
        }
        let task = ask.task.and_then(|task| self.tasks.get(&task));
        let workspace = task.map(|task| task.spec.workspace.clone()).or_else(|| ask.workspace.clone());
        let (Ruling::RequireApproval(demand), Some(by)) = (&verdict.ruling, &verdict.by) else {
            return Ok(Reply::Done);
        };
        let approval = Approval {
            id,
            action: ask.action.as_str().into(),
            workspace,
            task: ask.task,
            agent: ask.agent,
            attributes: ask.attributes.clone(),
            content: ask.content.as_deref().map(bounded_content),
            demand: demand.clone(),
            by: by.clone(),
            why: verdict.why.clone(),
            requested_at: step.now,
            expires_at: step.now.after(demand.timeout),
            votes: Vec::new(),
            status: ApprovalStatus::Pending,
            decided_at: None,
        };
        self.put_approval(step, approval, Governing::ApprovalRequested, "");
        Ok(Reply::Done)
    }

    /// Asks for the approval of a task. It is not bounded apart: tasks are.
    pub(super) fn request_for_task(
        &mut self,
        step: &mut Step,
        id: ApprovalId,
        task: &Task,
        action: &str,
        verdict: &Verdict,
    ) {
        let (Ruling::RequireApproval(demand), Some(by)) = (&verdict.ruling, &verdict.by) else { return };
        let approval = Approval {
            id,
            action: action.into(),
            workspace: Some(task.spec.workspace.clone()),
            task: Some(task.spec.id),
            agent: None,
            attributes: about(task),
            content: shown(&task.spec.payload),
            demand: demand.clone(),
            by: by.clone(),
            why: verdict.why.clone(),
            requested_at: step.now,
            expires_at: step.now.after(demand.timeout),
            votes: Vec::new(),
            status: ApprovalStatus::Pending,
            decided_at: None,
        };
        self.put_approval(step, approval, Governing::ApprovalRequested, "");
    }

    fn put_approval(&mut self, step: &mut Step, approval: Approval, what: Governing, detail: &str) {
        let id = approval.id;
        let (workspace, task, agent) = (approval.workspace.clone(), approval.task, approval.agent);
        let detail = if detail.is_empty() { approval.waits_for().into() } else { detail.into() };
        self.approvals.insert(Arc::new(approval));
        self.changes.touch(RowKey::Approval(id));
        let subject = id.to_string().into();
        step.events.push(Event::Governed { what, subject, workspace, task, agent, detail });
        while self.approvals.decided.len() > DECIDED_MAX {
            let Some((_, oldest)) = self.approvals.decided.first().copied() else { break };
            self.approvals.remove(oldest);
            self.changes.touch(RowKey::Approval(oldest));
        }
        self.set_approvals_wake();
    }

    /// Sets the time at which the next approval expires.
    pub(super) fn set_approvals_wake(&mut self) {
        self.wakes.set(Wake::Approvals, self.approvals.first_end());
    }

    /// Says yes or no to an approval.
    pub(super) fn vote(
        &mut self,
        step: &mut Step,
        id: ApprovalId,
        voter: &Voter,
        approve: bool,
        reason: &str,
    ) -> Answer {
        let known = self.approvals.get(id).ok_or(Refusal::ApprovalUnknown(id))?;
        let same = |vote: &&Vote| match voter.token {
            Some(_) => vote.voter.token == voter.token,
            None => vote.voter == *voter,
        };
        let earlier = known.votes.iter().find(same);
        if earlier.is_some_and(|vote| vote.approve == approve) {
            return Ok(Reply::Done);
        }
        if known.status != ApprovalStatus::Pending {
            return Err(Refusal::ApprovalClosed { approval: id, status: known.status });
        }
        let (name, roles) = self.voter(voter)?;
        let voter = Voter { token: voter.token, name };
        if !known.is_for(&voter, &roles) || !self.shares_workspace(&voter, known) {
            return Err(Refusal::NotAnApprover { approval: id, name: voter.name });
        }
        // Nobody is counted twice; who changes their mind from yes to no may say so.
        if earlier.is_some() && approve {
            return Err(Refusal::ApprovalClosed { approval: id, status: known.status });
        }
        let mut approval = Approval::clone(known);
        let reason = bounded_reason(reason);
        let said = if approve { "yes" } else { "no" };
        let detail = match &*reason {
            "" => format!("{} says {said}", voter.name),
            reason => format!("{} says {said}: {reason}", voter.name),
        };
        approval.votes.retain(|vote| vote.voter.token != voter.token || vote.voter.name != voter.name);
        approval.votes.push(Vote { voter, approve, reason, at: step.now });
        let status = match approve {
            false => ApprovalStatus::Denied,
            true if approval.agreed() >= approval.demand.quorum as usize => ApprovalStatus::Approved,
            true => ApprovalStatus::Pending,
        };
        if status == ApprovalStatus::Pending {
            self.put_approval(step, approval, Governing::ApprovalVoted, &detail);
        } else {
            self.decide_approval(step, approval, status, &detail);
        }
        Ok(Reply::Done)
    }

    /// Returns the name and the roles of a voter, by the token as it is agreed on.
    fn voter(&self, voter: &Voter) -> Result<(Name, BTreeSet<Name>), Refusal> {
        // Whoever runs the node needs none.
        let Some(id) = voter.token else { return Ok((voter.name.clone(), BTreeSet::new())) };
        let token = self.tokens.get(id).ok_or(Refusal::TokenUnknown(id))?;
        Ok((token.spec.name.clone(), self.roles_of(&token.spec)))
    }

    /// Tells whether somebody of a workspace is asked for something of that workspace.
    fn shares_workspace(&self, voter: &Voter, approval: &Approval) -> bool {
        let own = voter.token.and_then(|token| self.workspace_of_token(token));
        own.is_none_or(|own| approval.workspace.as_ref() == Some(own))
    }

    /// Ends an approval, and lets go or ends what waited for it.
    fn decide_approval(
        &mut self,
        step: &mut Step,
        mut approval: Approval,
        status: ApprovalStatus,
        detail: &str,
    ) {
        let (id, task) = (approval.id, approval.task);
        approval.status = status;
        approval.decided_at = Some(step.now);
        let what = match status {
            ApprovalStatus::Approved => Governing::ApprovalGranted,
            ApprovalStatus::Pending | ApprovalStatus::Denied | ApprovalStatus::Withdrawn => {
                Governing::ApprovalDenied
            }
            ApprovalStatus::Expired => Governing::ApprovalExpired,
        };
        let action = approval.action.clone();
        self.put_approval(step, approval, what, detail);
        let on = ParkedOn::Approval(id.to_string().into());
        if status == ApprovalStatus::Approved {
            self.let_go(step, &on, usize::MAX);
            return;
        }
        let waits = task.filter(|task| {
            self.tasks.get(task).and_then(|task| task.parking()).is_some_and(|parking| parking.on == on)
        });
        let Some(task) = waits else { return };
        let outcome = match status {
            ApprovalStatus::Expired => {
                Outcome::TimedOut { reason: format!("{action} was not approved in time: {detail}").into() }
            }
            ApprovalStatus::Pending
            | ApprovalStatus::Approved
            | ApprovalStatus::Denied
            | ApprovalStatus::Withdrawn => {
                Outcome::Cancelled { reason: format!("{action} was not approved: {detail}").into() }
            }
        };
        self.stop(step, task, outcome);
    }

    /// Ends the approvals whose time has passed.
    pub(super) fn expire_approvals(&mut self, step: &mut Step) {
        while let Some((at, id)) = self.approvals.pending.first().copied() {
            if at > step.now {
                break;
            }
            let Some(approval) = self.approvals.get(id) else { break };
            let detail = format!("it waited for {}", approval.waits_for());
            let approval = Approval::clone(approval);
            self.decide_approval(step, approval, ApprovalStatus::Expired, &detail);
        }
        self.set_approvals_wake();
    }

    /// Withdraws what was asked for a task that is over.
    pub(super) fn withdraw_approvals(&mut self, step: &mut Step, task: TaskId) {
        let Some(ids) = self.approvals.by_task.get(&task).cloned() else { return };
        for id in ids {
            let pending = self.approvals.get(id).filter(|one| one.status == ApprovalStatus::Pending);
            if let Some(approval) = pending.map(|approval| Approval::clone(approval)) {
                self.decide_approval(step, approval, ApprovalStatus::Withdrawn, "what it was for is over");
            }
        }
    }

    /// Says what a task waits for, and what to do.
    pub(super) fn approval_hint(&self, named: &str) -> Arc<str> {
        let approval = named.parse().ok().and_then(|id| self.approvals.get(id));
        match approval {
            Some(approval) => format!(
                "{}; it waits for {}; do: synod approval approve {named}",
                approval.why,
                approval.waits_for()
            )
            .into(),
            None => "somebody has to approve it".into(),
        }
    }

    /// Returns until when an approval is waited for.
    pub(super) fn approval_ends(&self, named: &str) -> Option<Timestamp> {
        Some(self.approvals.get(named.parse().ok()?)?.expires_at)
    }

    /// Walks the approvals, oldest first.
    pub fn approvals(&self) -> impl DoubleEndedIterator<Item = &Arc<Approval>> {
        self.approvals.all.values()
    }

    /// Returns an approval.
    pub fn approval(&self, id: ApprovalId) -> Option<&Arc<Approval>> {
        self.approvals.get(id)
    }

    /// Tells whether somebody may say something to an approval.
    pub fn may_vote(&self, approval: &Approval, voter: &Voter) -> bool {
        self.shares_workspace(voter, approval)
            && self
                .voter(voter)
                .is_ok_and(|(name, roles)| approval.is_for(&Voter { token: voter.token, name }, &roles))
    }
}

/// Returns what approvers are told of a task.
fn about(task: &Task) -> crate::policy::Attributes {
    let spec = &task.spec;
    let mut about: crate::policy::Attributes = [
        ("task_type".into(), spec.kind.as_str().into()),
        ("mailbox".into(), spec.mailbox.path().as_str().into()),
        ("lane".into(), spec.lane.as_str().into()),
    ]
    .into_iter()
    .collect();
    if !spec.demand.is_empty() {
        about.insert("capabilities".into(), spec.demand.to_string().as_str().into());
    }
    about
}
