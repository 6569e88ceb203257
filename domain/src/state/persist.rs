//! The state to rows and back.
//!
//! Restoring all rows that were ever taken gives an equal state: counts, timers, mailboxes, names and the
//! members of pools and runs follow from the rows and are rebuilt.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::Host;
use crate::audit::AuditHead;
use crate::federation::Federation;
use crate::id::TaskId;
use crate::mailbox::Turns;
use crate::mutants::{Mutant, mutant};
use crate::node::Keyring;
use crate::payload::Payload;
use crate::region::Verdict;
use crate::row::{Changes, Meta, Row, RowKey};
use crate::state::changes::{ChangeLog, Origin};
use crate::state::keys::KeyUse;
use crate::state::{State, submit};
use crate::task::{End, MailboxId, Outcome, Task, TaskStatus};

/// Says why rows do not make a state; the mirror they came from is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A row of history stood among the rows of the state.
    #[error("{0} has ended, yet it stands among the unfinished tasks")]
    Ended(TaskId),
    /// A record of the audit log stood among the rows of the state.
    #[error("record {0} of the audit log stands among the rows of the state")]
    Audited(u64),
    /// There are rows, but not the one that every state has.
    #[error("the row of counters is missing")]
    NoMeta,
    /// Policies cannot be asked that were asked before.
    #[error("the policies cannot be read: {0}")]
    Policies(String),
}

impl State {
    /// Returns the rows that changed since the last call; what is returned must reach the disk in one
    /// batch. Until [`State::changes_stored`] is called, ended tasks stay readable and the next call
    /// returns these rows again, as they are then: a batch that failed may be dropped.
    pub fn take_changes(&mut self) -> Changes {
        self.changes.write_again();
        let log = std::mem::take(&mut self.changes);
        let ChangeLog { tasks, rows, mut archiving, ended, strict, audit, mut audit_writing, mut writing } =
            log;
        archiving.extend(ended);
        audit_writing.extend(audit);
        let mut taken = Changes::default();
        taken.rows.reserve(rows.len() + tasks.len() + archiving.len() + audit_writing.len());
        for key in rows {
            let row = self.row(&key);
            taken.rows.push((key, row));
        }
        for (task, origin) in tasks {
            let row = self.tasks.get(&task).cloned().map(Row::Task);
            if row.is_some() || origin == Origin::Stored {
                taken.rows.push((RowKey::Task(task), row));
            }
        }
        writing.extend(taken.rows.iter().map(|(key, _)| key.clone()));
        for (task, ended) in &archiving {
            let row = if strict.contains(task) { Row::StrictTask } else { Row::Task };
            taken.rows.push((RowKey::History(*task), Some(row(ended.clone()))));
        }
        let kept = |seq: &u64| !(mutant(Mutant::LoseRecords) && seq.is_multiple_of(7));
        for (seq, record) in audit_writing.iter().filter(|(seq, _)| kept(seq)) {
            taken.rows.push((RowKey::Audit(*seq), record.clone().map(Row::Audit)));
        }
        taken.payload_bytes = taken.rows.iter().map(|(_, row)| payload_bytes(row.as_ref())).sum();
        taken.rows.sort_by(|(left, _), (right, _)| left.cmp(right));
        self.changes.archiving = archiving;
        self.changes.strict = strict;
        self.changes.audit_writing = audit_writing;
        self.changes.writing = writing;
        taken
    }

    /// Counts the rows that changed since they were last taken: what the next batch will hold, about.
    pub fn changed_rows(&self) -> usize {
        self.changes.len()
    }

    /// Says that all changes taken so far are durable: ended tasks are read from history from here on.
    pub fn changes_stored(&mut self) {
        self.changes.archiving = BTreeMap::new();
        let ChangeLog { strict, ended, .. } = &mut self.changes;
        strict.retain(|task| ended.contains_key(task));
        self.changes.audit_writing = BTreeMap::new();
        self.changes.writing.clear();
    }

    /// Returns all rows of the state, in order of key. History and the records of the audit log are not part of it.
    pub fn rows(&self) -> Vec<(RowKey, Row)> {
        let mut keys = vec![RowKey::Meta];
        keys.extend(self.tasks.keys().copied().map(RowKey::Task));
        keys.extend(self.dead_letters.keys().copied().map(RowKey::DeadLetter));
        keys.extend(self.agents.keys().copied().map(RowKey::Agent));
        keys.extend(self.pools.keys().cloned().map(RowKey::Pool));
        keys.extend(self.weights.iter().map(|(workspace, _)| RowKey::Workspace(workspace.clone())));
        keys.extend(self.mailboxes.keys().cloned().map(RowKey::Turns));
        keys.extend(self.keys.iter().map(|(workspace, key)| RowKey::Key(workspace.clone(), key.clone())));
        keys.extend(self.requests.pages().map(|(number, _)| RowKey::Requests(number)));
        keys.extend(self.endings.pages().map(|(number, _)| RowKey::Endings(number)));
        keys.extend(self.runs.keys().copied().map(RowKey::Run));
        keys.extend(self.tokens.iter().map(|token| RowKey::Token(token.spec.id)));
        keys.extend(self.pauses.iter().map(|pause| RowKey::Pause(pause.what.clone())));
        keys.extend(self.nodes.keys().copied().map(RowKey::Node));
        keys.extend(self.join_tokens.keys().copied().map(RowKey::JoinToken));
        keys.extend((self.keyring != Keyring::default()).then_some(RowKey::Keyring));
        keys.extend((self.federation != Federation::default()).then_some(RowKey::Federation));
        keys.extend((!self.federation.clusters.is_empty()).then_some(RowKey::Clusters));
        keys.extend(self.pointers.tasks().map(RowKey::Pointer));
        keys.extend(self.arrivals.tasks().map(RowKey::Arrival));
        keys.extend(self.routes.keys().copied().map(RowKey::Route));
        keys.extend(self.strict.iter().copied().map(RowKey::Strict));
        keys.extend(self.terms.keys().copied().map(RowKey::Terms));
        keys.extend(self.hooks.ids().map(RowKey::Hook));
        keys.extend(self.hooks.with_terms().map(RowKey::HookTerms));
        keys.extend(self.after.tasks().map(RowKey::After));
        keys.extend(self.fabric.keys());
        keys.extend(self.budgets.keys().map(RowKey::Budget));
        keys.extend(self.breakers.iter().map(|breaker| RowKey::Breaker(breaker.spec.of.clone())));
        keys.extend(self.limit_sets.row_keys());
        keys.extend(self.resources.keys());
        keys.extend((self.trail.head != AuditHead::default()).then_some(RowKey::AuditHead));
        keys.extend(self.trail.marks.keys().copied().map(RowKey::AuditMark));
        keys.extend(self.tending.keys());
        keys.extend(self.policies.names().cloned().map(RowKey::Policy));
        keys.extend(self.policies.defaults().map(|_| RowKey::PolicyDefaults));
        keys.extend(self.approvals.ids().map(RowKey::Approval));
        keys.extend(self.violations.ids().map(RowKey::Violation));
        keys.extend(self.access.keys().chain(self.quotas.keys()).map(RowKey::Access));
        keys.extend(self.webhooks.keys().map(RowKey::Webhook));
        keys.sort();
        keys.into_iter().filter_map(|key| Some((key.clone(), self.row(&key)?))).collect()
    }

    pub(super) fn row(&self, key: &RowKey) -> Option<Row> {
        match key {
            RowKey::Meta => Some(Row::Meta(self.meta.clone())),
            RowKey::Task(task) => self.tasks.get(task).cloned().map(Row::Task),
            RowKey::DeadLetter(task) => self.dead_letters.get(task).cloned().map(Row::DeadLetter),
            RowKey::Agent(agent) => self.agents.get(agent).cloned().map(Row::Agent),
            RowKey::Pool(pool) => self.pools.get(pool).cloned().map(Row::Pool),
            RowKey::Workspace(workspace) => {
                Some(Row::Workspace(workspace.clone(), self.weights.of(workspace)))
            }
            RowKey::Turns(mailbox) => {
                let turns = self.mailboxes.get(mailbox)?.turns();
                Some(Row::Turns(mailbox.clone(), turns))
            }
            RowKey::Key(workspace, key) => self.keys.row(workspace, key),
            RowKey::Requests(page) => Some(Row::Requests(*page, self.requests.page(*page)?.clone())),
            RowKey::Endings(page) => Some(Row::Endings(*page, self.endings.page(*page)?.clone())),
            RowKey::Run(run) => self.runs.get(run).cloned().map(Row::Run),
            RowKey::Token(_) if mutant(Mutant::ForgetTokens) => None,
            RowKey::Token(token) => self.tokens.get(*token).cloned().map(Row::Token),
            RowKey::Pause(what) => self.pauses.get(what).cloned().map(Row::Pause),
            RowKey::Node(node) => self.nodes.get(node).cloned().map(Row::Node),
            RowKey::JoinToken(token) => self.join_tokens.get(token).cloned().map(Row::JoinToken),
            RowKey::Keyring => Some(Row::Keyring(self.keyring.clone())),
            RowKey::Federation => Some(Row::Federation(self.federation.clone())),
            RowKey::Clusters => Some(Row::Clusters(self.federation.clusters.clone())),
            RowKey::Pointer(task) => Some(Row::Pointer(*task, self.pointers.get(*task)?.clone())),
            RowKey::Arrival(task) => Some(match self.arrivals.get(*task)?.clone() {
                Verdict::Taken(arrival) => Row::Arrival(*task, arrival),
                Verdict::Declined(declined) => Row::Declined(*task, declined),
            }),
            RowKey::Route(task) => Some(Row::Route(*task, self.routes.get(task)?.clone())),
            RowKey::Strict(task) => self.strict.contains(task).then_some(Row::Strict(*task)),
            RowKey::Policy(policy) => self.policies.get(policy).cloned().map(Row::Policy),
            RowKey::PolicyDefaults => self.policies.defaults().map(Row::PolicyDefaults),
            RowKey::Approval(approval) => self.approvals.get(*approval).cloned().map(Row::Approval),
            RowKey::Violation(violation) => self.violations.get(*violation).cloned().map(Row::Violation),
            RowKey::Terms(task) => Some(Row::Terms(*task, self.terms.get(task)?.clone())),
            RowKey::Hook(hook) => self.hooks.get(*hook).cloned().map(Row::Hook),
            RowKey::HookTerms(hook) => Some(Row::HookTerms(*hook, self.hooks.terms(*hook)?.clone())),
            RowKey::After(task) => Some(Row::After(*task, self.after.get(*task)?.clone())),
            RowKey::Fabric(key) => self.fabric.row(key).map(Row::Fabric),
            RowKey::Budget(key) => self.budgets.row(key).map(Row::Budget),
            RowKey::Breaker(of) => self.breakers.get(of).cloned().map(Row::Breaker),
            RowKey::LimitSet(_) | RowKey::LimitKeys(_) | RowKey::LimitFlows(..) => self.limit_sets.row(key),
            RowKey::Resource(key) => self.resources.row(key).map(Row::Resource),
            RowKey::AuditHead => Some(Row::AuditHead(self.trail.head)),
            RowKey::Access(key) => self.access.row(key).or_else(|| self.quotas.row(key)).map(Row::Access),
            RowKey::AuditMark(seq) => self.trail.marks.get(seq).copied().map(Row::AuditMark),
            RowKey::Tending(key) => self.tending.row(key).map(Row::Tending),
            RowKey::Webhook(key) => self.webhooks.row(key).map(Row::Webhook),
            RowKey::History(_) | RowKey::Audit(_) => None,
        }
    }

    /// Builds the state from all its rows, in any order but for pages, which come in order of number.
    ///
    /// # Errors
    /// When the rows cannot be those of a state: the mirror is damaged and must be rebuilt.
    pub fn restore(rows: impl IntoIterator<Item = Row>) -> Result<Self, RestoreError> {
        let mut state = Self::default();
        let mut meta: Option<Meta> = None;
        let mut turns: Vec<(MailboxId, Turns)> = Vec::new();
        let mut empty = true;
        for row in rows {
            empty = false;
            match row {
                Row::Meta(row) => meta = Some(row),
                Row::Task(task) => {
                    state.quotas.restore_task(&task);
                    state.restore_task(task)?;
                }
                Row::DeadLetter(task) => {
                    state.dead_letters.insert(task.spec.id, task);
                }
                Row::Agent(agent) => {
                    if let Some(pool) = &agent.spec.pool {
                        state.pool_agents.entry(pool.clone()).or_default().insert(agent.spec.id);
                    }
                    let names = match agent.spec.host {
                        Host::External => &mut state.names,
                        Host::Node(_) => &mut state.hosted_names,
                    };
                    names.insert(agent.spec.name.clone(), agent.spec.id);
                    state.agents.insert(agent.spec.id, agent);
                }
                Row::Pool(pool) => {
                    state.hosted.add(&pool);
                    state.pools.insert(pool.spec.name.clone(), pool);
                }
                Row::Workspace(workspace, weight) => state.weights.set(workspace, weight),
                Row::Turns(mailbox, row) => turns.push((mailbox, row)),
                Row::Key { workspace, key, task, digest, at, run } => {
                    state.keys.insert(workspace, key, KeyUse { task, digest, at, run });
                }
                Row::Requests(number, page) => state.requests.restore(number, page),
                Row::Endings(number, page) => state.endings.restore(number, page),
                Row::Run(run) => {
                    state.runs.insert(run.id, run);
                }
                Row::Token(token) => state.tokens.insert(token),
                Row::Pause(pause) => state.pauses.insert(pause),
                Row::Node(node) => {
                    state.nodes.insert(node.spec.id, node);
                }
                Row::JoinToken(token) => {
                    state.join_tokens.insert(token.id, token);
                }
                Row::Keyring(keyring) => state.keyring = keyring,
                Row::Federation(federation) => {
                    let clusters = std::mem::take(&mut state.federation.clusters);
                    state.federation = Federation { clusters, ..federation };
                }
                Row::Clusters(clusters) => state.federation.clusters = clusters,
                Row::Pointer(task, pointer) => state.pointers.insert(task, pointer),
                Row::Arrival(task, arrival) => state.arrivals.insert(task, Verdict::Taken(arrival)),
                Row::Declined(task, declined) => state.arrivals.insert(task, Verdict::Declined(declined)),
                Row::Route(task, route) => {
                    state.routes.insert(task, route);
                }
                Row::Policy(policy) => state.policies.restore(policy),
                Row::PolicyDefaults(defaults) => state.policies.restore_defaults(defaults),
                Row::Approval(approval) => state.approvals.insert(approval),
                Row::Violation(violation) => state.violations.insert(violation),
                Row::Terms(task, terms) => {
                    state.terms.insert(task, terms);
                }
                Row::Hook(hook) => state.hooks.put(hook),
                Row::HookTerms(hook, terms) => state.hooks.restore_terms(hook, terms),
                Row::After(task, left) => state.after.insert(task, left),
                Row::Fabric(row) => state.fabric.restore(row),
                Row::Budget(row) => state.budgets.restore(row),
                Row::Breaker(breaker) => state.breakers.insert(breaker),
                Row::LimitSet(set) => state.limit_sets.restore_set(set),
                Row::LimitKeys(task, keys) => state.limit_sets.restore_keys(task, keys),
                Row::LimitFlows(set, key, flows) => state.limit_sets.restore_flows(set, key, flows),
                Row::Resource(row) => state.resources.restore(row),
                Row::AuditHead(head) => state.trail.head = head,
                Row::Access(row) => state.restore_access(row),
                Row::AuditMark(mark) => {
                    state.trail.marks.insert(mark.link.seq, mark);
                }
                Row::Audit(record) => return Err(RestoreError::Audited(record.seq)),
                Row::Tending(row) => state.tending.restore(row),
                Row::Webhook(row) => state.webhooks.restore(row),
                Row::Strict(task) => {
                    state.strict.insert(task);
                }
                Row::StrictTask(task) => return Err(RestoreError::Ended(task.spec.id)),
            }
        }
        state.meta = match meta {
            Some(meta) => meta,
            None if empty => Meta::default(),
            None => return Err(RestoreError::NoMeta),
        };
        state.policies.rebuild().map_err(|error| RestoreError::Policies(error.to_string()))?;
        state.restore_barred();
        state.set_approvals_wake();
        for (mailbox, turns) in turns {
            if let Some(mailbox) = state.mailboxes.get_mut(&mailbox) {
                mailbox.set_turns(&turns);
            }
        }
        state.rearm_breakers();
        state.recount_limits();
        state.restore_resting();
        state.restore_resources();
        state.rearm_all();
        state.rearm_hooks();
        state.rearm_budgets();
        Ok(state)
    }

    fn restore_task(&mut self, task: Arc<Task>) -> Result<(), RestoreError> {
        match &task.status {
            TaskStatus::Ended(_) => return Err(RestoreError::Ended(task.spec.id)),
            TaskStatus::Waiting { since } => {
                self.whereabouts.add(&task.spec.workspace, &task.spec.mailbox);
                let mailbox = self.mailboxes.entry(task.spec.mailbox.clone()).or_default();
                mailbox.enqueue(submit::waiting(&task, *since));
            }
            TaskStatus::BackingOff { .. }
            | TaskStatus::Scheduled { .. }
            | TaskStatus::Running { .. }
            | TaskStatus::Kept { .. }
            | TaskStatus::Parked { .. } => {}
        }
        self.parked.add(&task);
        self.groups.add(&task);
        self.counts.add(&task);
        self.timers.set(&task);
        self.tasks.insert(task.spec.id, task);
        Ok(())
    }
}

impl PartialEq for State {
    /// Compares what is agreed; what is still to be written to disk does not count.
    fn eq(&self, other: &Self) -> bool {
        self.rows() == other.rows()
    }
}

fn payload_bytes(row: Option<&Row>) -> usize {
    match row {
        Some(Row::Task(task) | Row::DeadLetter(task) | Row::StrictTask(task)) => {
            let result = match &task.status {
                TaskStatus::Ended(End { outcome: Outcome::Completed { result }, .. }) => result.weight(),
                _ => 0,
            };
            task.spec.weight() + result
        }
        Some(Row::Run(run)) => run.plan.weight(),
        Some(Row::Hook(hook)) => hook.spec.work.weight() + hook.result().map_or(0, Payload::weight),
        _ => 0,
    }
}
