//! Policies: putting and removing them, and asking them about tasks and tools.
//!
//! A submit is judged when it is accepted here, `task.submit`, and the task once more for each agent that it would be
//! given to, `task.dispatch`. A submit that is denied is refused, and a refusal changes nothing: that it was a violation
//! is noted by a command of its own ([`PolicyCommand::Note`]). A task that an agent may not have waits, parked, for an
//! agent that may ([`super::barred`]); one that nobody may have waits until the policies change or somebody cancels it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::Agent;
use crate::approval::ApprovalStatus;
use crate::event::{Event, Governing};
use crate::id::{ApprovalId, ViolationId};
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::payload::Payload;
use crate::policy::set::DISPATCH;
use crate::policy::{
    Ask, Attributes, Context, Decision, Defaults, Enforcement, POLICIES_MAX, Policy, PolicyCommand,
    PolicyError, PolicySet, PolicySpec, Question, Ruled, Verdict,
};
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::gates::Gate;
use crate::state::{State, Step};
use crate::task::{Outcome, Task, TaskSpec};
use crate::time::Timestamp;

/// The action of a submit.
pub(super) const SUBMIT: &str = "task.submit";

/// All policies, and how they are asked.
#[derive(Debug, Default)]
pub(super) struct Policies {
    all: BTreeMap<Name, Arc<Policy>>,
    defaults: Option<Defaults>,
    set: PolicySet,
}

impl Policies {
    pub(super) fn get(&self, name: &Name) -> Option<&Arc<Policy>> {
        self.all.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.all.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.all.values()
    }

    pub(super) const fn defaults(&self) -> Option<Defaults> {
        self.defaults
    }

    /// Returns the set that is asked.
    pub(super) const fn set(&self) -> &PolicySet {
        &self.set
    }

    /// Puts a row back; [`Policies::rebuild`] makes it count.
    pub(super) fn restore(&mut self, policy: Arc<Policy>) {
        self.all.insert(policy.spec.name.clone(), policy);
    }

    pub(super) fn restore_defaults(&mut self, defaults: Defaults) {
        self.defaults = Some(defaults);
    }

    /// Makes the set that is asked from what there is.
    pub(super) fn rebuild(&mut self) -> Result<(), PolicyError> {
        self.set = PolicySet::build(self.all.values(), self.defaults.unwrap_or_default(), &self.set)?;
        Ok(())
    }

    /// Changes the policies, or leaves them as they were when what came of it cannot be asked.
    fn change(&mut self, name: &Name, policy: Option<Arc<Policy>>) -> Result<(), PolicyError> {
        let before = match policy {
            Some(policy) => self.all.insert(name.clone(), policy),
            None => self.all.remove(name),
        };
        let outcome = self.rebuild();
        if outcome.is_err() {
            match before {
                Some(before) => self.all.insert(name.clone(), before),
                None => self.all.remove(name),
            };
        }
        outcome
    }
}

fn invalid(error: PolicyError) -> Refusal {
    Refusal::Invalid { field: error.field, why: error.why }
}

impl State {
    /// Everything that may be asked about policies, violations and approvals, and who judges it.
    pub(super) fn judge_policy(&mut self, step: &mut Step, command: &PolicyCommand) -> Answer {
        match command {
            PolicyCommand::Put { spec } => self.put_policy(step, spec),
            PolicyCommand::Enable { policy, enabled } => self.enable_policy(step, policy, *enabled),
            PolicyCommand::Remove { policy } => self.remove_policy(step, policy),
            PolicyCommand::SetDefaults { defaults } => self.set_policy_defaults(*defaults),
            PolicyCommand::Ask { id, ask } => self.ask_policies(step, *id, ask),
            PolicyCommand::Note { id, ask, verdict } => {
                self.note_violation(step, *id, ask, verdict);
                Ok(Reply::Done)
            }
            PolicyCommand::Settle { violation, status, by, note } => {
                self.settle_violation(step, *violation, *status, by, note)
            }
            PolicyCommand::Vote { approval, voter, approve, reason } => {
                self.vote(step, *approval, voter, *approve, reason)
            }
        }
    }

    fn put_policy(&mut self, step: &mut Step, spec: &Arc<PolicySpec>) -> Answer {
        spec.check().map_err(invalid)?;
        let known = self.policies.get(&spec.name).cloned();
        if known.as_ref().is_some_and(|known| known.spec == *spec) {
            return Ok(Reply::Done);
        }
        if known.is_none() && self.policies.all.len() >= POLICIES_MAX {
            return Err(Refusal::Full { bound: Bound::Policies, limit: POLICIES_MAX as u64 });
        }
        let policy = Policy {
            spec: spec.clone(),
            version: known.as_ref().map_or(1, |known| known.version + 1),
            created_at: known.map_or(step.now, |known| known.created_at),
            changed_at: step.now,
        };
        let detail = format!("version {}", policy.version);
        self.policies.change(&spec.name, Some(Arc::new(policy))).map_err(invalid)?;
        self.policy_changed(step, &spec.name, Governing::PolicyPut, &detail);
        Ok(Reply::Done)
    }

    fn enable_policy(&mut self, step: &mut Step, name: &Name, enabled: bool) -> Answer {
        let known = self.policies.get(name).ok_or_else(|| Refusal::PolicyUnknown(name.clone()))?;
        let spec = PolicySpec { enabled, ..PolicySpec::clone(&known.spec) };
        self.put_policy(step, &Arc::new(spec))
    }

    fn remove_policy(&mut self, step: &mut Step, name: &Name) -> Answer {
        if self.policies.get(name).is_none() {
            return Err(Refusal::PolicyUnknown(name.clone()));
        }
        self.policies.change(name, None).map_err(invalid)?;
        self.policy_changed(step, name, Governing::PolicyRemoved, "");
        Ok(Reply::Done)
    }

    fn policy_changed(&mut self, step: &mut Step, name: &Name, what: Governing, detail: &str) {
        self.changes.touch(RowKey::Policy(name.clone()));
        let subject = name.as_str().into();
        let detail = detail.into();
        step.events.push(Event::Governed { what, subject, workspace: None, task: None, agent: None, detail });
        // Any of them may decide what another decided before.
        self.ask_policies_again(step);
    }

    fn set_policy_defaults(&mut self, defaults: Defaults) -> Answer {
        self.policies.defaults = Some(defaults);
        self.policies.rebuild().map_err(invalid)?;
        self.changes.touch(RowKey::PolicyDefaults);
        Ok(Reply::Done)
    }

    /// Judges a submit: refuses what is denied.
    pub(super) fn check_policies(&self, spec: &TaskSpec, now: Timestamp) -> Result<(), Refusal> {
        if self.policies.set.is_silent_about(SUBMIT) || mutant(Mutant::TakeTheForbidden) {
            return Ok(());
        }
        let nothing = Attributes::new();
        let context = Context::of_task(spec);
        let decision = self.policies.set.decide(&Question { action: SUBMIT, context, attributes: &nothing });
        if decision.allows() || decision.approval().is_some() {
            return Ok(());
        }
        let verdict = decision.verdict(SUBMIT);
        let ask = Ask::of_submit(spec);
        if self.is_overridden(&ask, &verdict, now) {
            return Ok(());
        }
        Err(Refusal::PolicyDenied { action: SUBMIT.into(), by: verdict.by, why: verdict.why.to_string() })
    }

    /// Looks at a submit that was accepted: what people have to agree to waits for them.
    pub(super) fn policies_on_submit(&mut self, step: &mut Step, task: &Task) -> Option<ParkedOn> {
        if self.policies.set.is_silent_about(SUBMIT) {
            return None;
        }
        let nothing = Attributes::new();
        let context = Context::of_task(&task.spec);
        let decision = self.policies.set.decide(&Question { action: SUBMIT, context, attributes: &nothing });
        if decision.is_plain_allow() {
            return None;
        }
        let verdict = decision.verdict(SUBMIT);
        if decision.warns() {
            let id = ViolationId::from_raw(task.spec.id.raw());
            self.note_violation(step, id, &Ask::of_submit(&task.spec), &verdict);
            return None;
        }
        decision.approval()?;
        let id = ApprovalId::from_raw(task.spec.id.raw());
        self.request_for_task(step, id, task, SUBMIT, &verdict);
        if mutant(Mutant::IgnoreApprovals) {
            return None;
        }
        Some(ParkedOn::Approval(id.to_string().into()))
    }

    /// Asks whether an agent may have a task.
    pub(super) fn policy_gate(&self, task: &Task, claimant: &Agent) -> Gate {
        let submit = ApprovalId::from_raw(task.spec.id.raw());
        let waits = self.approvals.get(submit).is_some_and(|one| one.status == ApprovalStatus::Pending);
        if waits && !mutant(Mutant::IgnoreApprovals) {
            return Gate::Shut(ParkedOn::Approval(submit.to_string().into()));
        }
        if self.policies.set.is_silent_about(DISPATCH) {
            return Gate::Open;
        }
        let nothing = Attributes::new();
        let context = Context::of_task(&task.spec).with_agent(claimant);
        let decision =
            self.policies.set.decide(&Question { action: DISPATCH, context, attributes: &nothing });
        if decision.allows() {
            return Gate::Open;
        }
        if decision.approval().is_none() {
            let policy = decision.by().map(|(policy, _)| policy.spec.name.clone());
            return Gate::Shut(ParkedOn::Policy(policy.unwrap_or_default()));
        }
        let id = dispatch_approval(task);
        match self.approvals.get(id).map(|approval| approval.status) {
            Some(ApprovalStatus::Approved) => Gate::Open,
            Some(ApprovalStatus::Denied | ApprovalStatus::Withdrawn) => {
                let reason = format!("{id} of giving it out was not given").into();
                Gate::End(Outcome::Cancelled { reason })
            }
            Some(ApprovalStatus::Expired) => {
                let reason = format!("{id} of giving it out was not given in time").into();
                Gate::End(Outcome::TimedOut { reason })
            }
            Some(ApprovalStatus::Pending) | None => Gate::Shut(ParkedOn::Approval(id.to_string().into())),
        }
    }

    /// Asks for the approval that a task waits for whose turn had come, if it was not asked for.
    pub(super) fn request_on_dispatch(
        &mut self,
        step: &mut Step,
        task: &Task,
        claimant: &Agent,
        on: &ParkedOn,
    ) {
        let id = dispatch_approval(task);
        let ParkedOn::Approval(named) = on else { return };
        if **named != *id.to_string() || self.approvals.get(id).is_some() {
            return;
        }
        let nothing = Attributes::new();
        let context = Context::of_task(&task.spec).with_agent(claimant);
        let question = Question { action: DISPATCH, context, attributes: &nothing };
        let verdict = self.policies.set.decide(&question).verdict(DISPATCH);
        self.request_for_task(step, id, task, DISPATCH, &verdict);
    }

    /// Answers a question, and notes what comes of it.
    fn ask_policies(&mut self, step: &mut Step, id: ApprovalId, ask: &Arc<Ask>) -> Answer {
        let ruled = self.rule(ask, step.now)?;
        let Verdict { ruling, warned, .. } = &ruled.verdict;
        let asks = matches!(ruling, crate::policy::Ruling::RequireApproval(_));
        if *warned || *ruling == crate::policy::Ruling::Deny {
            self.note_violation(step, ViolationId::from_raw(id.raw()), ask, &ruled.verdict);
        }
        if !asks || ruled.approval.is_some() {
            return Ok(Reply::Ruled(Box::new(ruled)));
        }
        self.request(step, id, ask, &ruled.verdict)?;
        let approval = Some((id, ApprovalStatus::Pending));
        Ok(Reply::Ruled(Box::new(Ruled { approval, ..ruled })))
    }

    /// Answers a question without noting anything: what policies say, and the approval of the same question if there is
    /// one that still counts.
    ///
    /// # Errors
    /// When the question is out of bounds.
    pub fn rule(&self, ask: &Ask, now: Timestamp) -> Result<Ruled, Refusal> {
        let refuse = |why| Refusal::Invalid { field: "attributes".to_owned(), why };
        crate::policy::value::check(&ask.attributes).map_err(refuse)?;
        let decision = self.decide(ask);
        let mut verdict = decision.verdict(ask.action.as_str());
        let approval = match decision.approval() {
            Some(_) => self.approvals.answer_to(ask, now),
            None => None,
        };
        if verdict.ruling == crate::policy::Ruling::Deny && self.is_overridden(ask, &verdict, now) {
            verdict.ruling = crate::policy::Ruling::Allow;
            verdict.why = format!("{}; overridden", verdict.why).into();
        }
        Ok(Ruled { verdict, approval })
    }

    /// Tells whether a question may simply be answered with yes, without anything to note.
    pub fn is_plainly_allowed(&self, ask: &Ask) -> bool {
        crate::policy::value::check(&ask.attributes).is_ok() && self.decide(ask).is_plain_allow()
    }

    fn decide(&self, ask: &Ask) -> Decision<'_> {
        let task = ask.task.and_then(|task| self.tasks.get(&task));
        let mut context = task.map(|task| Context::of_task(&task.spec)).unwrap_or_default();
        if let Some(agent) = ask.agent.and_then(|agent| self.agents.get(&agent)) {
            context = context.with_agent(agent);
        }
        context.workspace = context.workspace.or(ask.workspace.as_ref().map(Name::as_str));
        context.task_type = context.task_type.or(ask.task_type.as_ref().map(Name::as_str));
        let question = Question { action: ask.action.as_str(), context, attributes: &ask.attributes };
        self.policies.set.decide(&question)
    }

    /// Walks the policies, by name.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.iter()
    }

    /// Returns a policy.
    pub fn policy(&self, name: &Name) -> Option<&Arc<Policy>> {
        self.policies.get(name)
    }

    /// Returns what holds where no rule matches.
    pub fn policy_defaults(&self) -> Defaults {
        self.policies.defaults.unwrap_or_default()
    }
}

/// Names the approval of giving a task out; the one of its submit has the id of the task itself.
fn dispatch_approval(task: &Task) -> ApprovalId {
    ApprovalId::from_raw(task.spec.id.raw() ^ 1)
}

impl Ask {
    /// Returns the question that a submit is.
    pub fn of_submit(spec: &TaskSpec) -> Self {
        // It is a name.
        let action = Name::new(SUBMIT).unwrap_or_default();
        Self {
            action,
            workspace: Some(spec.workspace.clone()),
            task: Some(spec.id),
            task_type: Some(spec.kind.clone()),
            agent: None,
            attributes: Attributes::new(),
            content: None,
        }
    }
}

/// Returns what people are shown of a payload.
pub(super) fn shown(payload: &Payload) -> Option<Arc<str>> {
    match payload {
        Payload::Inline(bytes) if bytes.is_empty() => None,
        Payload::Inline(bytes) => Some(match std::str::from_utf8(bytes) {
            Ok(text) => crate::approval::bounded_content(text),
            Err(_) => format!("{} bytes that are no text", bytes.len()).into(),
        }),
        Payload::Blob { hash, size } => {
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("{size} bytes with SHA-256 {hash}").into())
        }
    }
}

/// Tells whether a verdict may be overridden.
pub(super) fn is_soft(verdict: &Verdict) -> bool {
    verdict.by.as_ref().is_some_and(|by| by.enforcement == Enforcement::Soft)
}
