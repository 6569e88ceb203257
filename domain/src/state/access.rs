//! Roles, to whom they are bound, the workspaces of tokens, and whose pools and agents are.
//!
//! What somebody of a workspace may ask for follows from it in [`super::reach`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::access::{
    AccessCommand, AccessKey, AccessRow, BINDINGS_MAX, BUILT_IN, Owned, ROLES_MAX, RoleBinding, Subject,
    built_in,
};
use crate::agent::AgentSpec;
use crate::event::{Event, Governing};
use crate::id::{AgentId, TokenId};
use crate::name::Name;
use crate::permission::{Permission, Permissions};
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::task::{MailboxId, Task, TaskSpec};
use crate::time::Timestamp;
use crate::token::TokenSpec;

/// Who may do what, beyond what stands in a token.
#[derive(Debug, Default)]
pub(super) struct Access {
    roles: BTreeMap<Name, Permissions>,
    bindings: BTreeSet<RoleBinding>,
    /// Of tokens that are bound to one.
    workspaces: BTreeMap<TokenId, Name>,
    /// Of what does not belong to the default workspace.
    owners: BTreeMap<Owned, Name>,
    /// The same by workspace. Derived from the above.
    owned: BTreeMap<Name, BTreeSet<Owned>>,
}

impl Access {
    pub(super) fn keys(&self) -> impl Iterator<Item = AccessKey> + '_ {
        let roles = self.roles.keys().cloned().map(AccessKey::Role);
        let bindings = self.bindings.iter().cloned().map(AccessKey::Binding);
        let workspaces = self.workspaces.keys().copied().map(AccessKey::Workspace);
        let owners = self.owners.keys().cloned().map(AccessKey::Owner);
        roles.chain(bindings).chain(workspaces).chain(owners)
    }

    pub(super) fn row(&self, key: &AccessKey) -> Option<AccessRow> {
        Some(match key {
            AccessKey::Role(role) => AccessRow::Role(role.clone(), self.roles.get(role)?.clone()),
            AccessKey::Binding(binding) => AccessRow::Binding(self.bindings.get(binding)?.clone()),
            AccessKey::Workspace(token) => AccessRow::Workspace(*token, self.workspaces.get(token)?.clone()),
            AccessKey::Owner(owned) => AccessRow::Owner(owned.clone(), self.owners.get(owned)?.clone()),
            AccessKey::Quota(_) | AccessKey::Pace(_) => return None,
        })
    }

    fn restore(&mut self, row: AccessRow) {
        match row {
            AccessRow::Role(role, permissions) => drop(self.roles.insert(role, permissions)),
            AccessRow::Binding(binding) => drop(self.bindings.insert(binding)),
            AccessRow::Workspace(token, workspace) => drop(self.workspaces.insert(token, workspace)),
            AccessRow::Owner(owned, workspace) => drop(self.set_owner(owned, Some(workspace))),
            AccessRow::Quota(..) | AccessRow::Pace(..) => {}
        }
    }

    /// Sets whose something is; tells whether that changes anything.
    fn set_owner(&mut self, owned: Owned, workspace: Option<Name>) -> bool {
        let before = match &workspace {
            Some(workspace) => self.owners.insert(owned.clone(), workspace.clone()),
            None => self.owners.remove(&owned),
        };
        if before == workspace {
            return false;
        }
        if let Some(before) = before
            && let Some(others) = self.owned.get_mut(&before)
        {
            others.remove(&owned);
            if others.is_empty() {
                self.owned.remove(&before);
            }
        }
        if let Some(workspace) = workspace {
            self.owned.entry(workspace).or_default().insert(owned);
        }
        true
    }

    /// Walks the workspaces that tokens are bound to.
    fn workspaces(&self) -> impl Iterator<Item = &Name> {
        self.workspaces.values()
    }

    /// Walks the bindings of a subject.
    fn bound_to(&self, subject: Subject) -> impl Iterator<Item = &RoleBinding> {
        let first = RoleBinding { subject: subject.clone(), role: lowest(), workspace: None };
        self.bindings.range(first..).take_while(move |binding| binding.subject == subject)
    }
}

/// A name that sorts before every other one that a role may have: digits come first, and nothing is shorter.
fn lowest() -> Name {
    Name::new("0").unwrap_or_default()
}

impl State {
    pub(super) fn restore_access(&mut self, row: AccessRow) {
        match row {
            AccessRow::Quota(workspace, quota) => self.quotas.restore_quota(workspace, quota),
            AccessRow::Pace(workspace, pace) => self.quotas.restore_pace(workspace, pace),
            row => self.access.restore(row),
        }
    }

    /// Walks the workspaces that tokens are bound to, some of them more than once.
    pub(super) fn token_workspaces(&self) -> impl Iterator<Item = &Name> {
        self.access.workspaces()
    }

    pub(super) fn judge_access(&mut self, step: &mut Step, command: &AccessCommand) -> Answer {
        match command {
            AccessCommand::PutRole { role, permissions } => self.put_role(step, role, permissions),
            AccessCommand::RemoveRole { role } => self.remove_role(step, role),
            AccessCommand::Bind(binding) => self.bind(step, binding),
            AccessCommand::Unbind(binding) => self.unbind(step, binding),
            AccessCommand::PutToken { spec, workspace } => {
                self.put_token(step, spec)?;
                self.access.workspaces.insert(spec.id, workspace.clone());
                self.touch_access(AccessKey::Workspace(spec.id));
                tell(step, Governing::TokenBound, &spec.id.to_string(), Some(workspace), "");
                Ok(Reply::Done)
            }
            AccessCommand::SetOwner { owned, workspace } => self.hand_to(step, owned, workspace.as_ref()),
            AccessCommand::PutQuota { workspace, quota } => self.put_quota(step, workspace, quota),
        }
    }

    fn put_role(&mut self, step: &mut Step, role: &Name, permissions: &Permissions) -> Answer {
        if built_in(role.as_str()).is_some() {
            return refuse("role", format!("{role} is built in; give yours another name"));
        }
        if permissions.is_empty() {
            return refuse("permissions", "a role must allow something".to_owned());
        }
        if !self.access.roles.contains_key(role) && self.access.roles.len() >= ROLES_MAX {
            return Err(Refusal::Full { bound: Bound::Roles, limit: ROLES_MAX as u64 });
        }
        self.access.roles.insert(role.clone(), permissions.clone());
        self.touch_access(AccessKey::Role(role.clone()));
        let words: Vec<&str> = permissions.iter().map(Permission::as_str).collect();
        tell(step, Governing::RolePut, role.as_str(), None, &words.join(","));
        Ok(Reply::Done)
    }

    fn remove_role(&mut self, step: &mut Step, role: &Name) -> Answer {
        if self.access.roles.remove(role).is_none() {
            return Err(Refusal::RoleUnknown(role.clone()));
        }
        self.touch_access(AccessKey::Role(role.clone()));
        // One that is made later under the name is another role.
        let of_role = self.access.bindings.iter().filter(|binding| binding.role == *role);
        for binding in of_role.cloned().collect::<Vec<_>>() {
            self.drop_binding(&binding);
        }
        tell(step, Governing::RoleRemoved, role.as_str(), None, "");
        Ok(Reply::Done)
    }

    fn bind(&mut self, step: &mut Step, binding: &RoleBinding) -> Answer {
        if self.role(&binding.role).is_none() {
            return Err(Refusal::RoleUnknown(binding.role.clone()));
        }
        if let Subject::Token(token) = &binding.subject {
            let lives = |end: Option<Timestamp>| end.is_none_or(|end| end > step.now);
            if !self.token(*token).is_some_and(|token| lives(token.spec.expires_at)) {
                return Err(Refusal::TokenUnknown(*token));
            }
        }
        if self.access.bindings.contains(binding) {
            return Ok(Reply::Done);
        }
        if self.access.bindings.len() >= BINDINGS_MAX {
            return Err(Refusal::Full { bound: Bound::RoleBindings, limit: BINDINGS_MAX as u64 });
        }
        self.access.bindings.insert(binding.clone());
        self.touch_access(AccessKey::Binding(binding.clone()));
        tell_of(step, Governing::RoleBound, binding);
        Ok(Reply::Done)
    }

    fn unbind(&mut self, step: &mut Step, binding: &RoleBinding) -> Answer {
        if !self.access.bindings.contains(binding) {
            return Err(Refusal::RoleUnknown(binding.role.clone()));
        }
        self.drop_binding(binding);
        tell_of(step, Governing::RoleUnbound, binding);
        Ok(Reply::Done)
    }

    fn drop_binding(&mut self, binding: &RoleBinding) {
        self.access.bindings.remove(binding);
        self.touch_access(AccessKey::Binding(binding.clone()));
    }

    fn hand_to(&mut self, step: &mut Step, owned: &Owned, workspace: Option<&Name>) -> Answer {
        match owned {
            Owned::Pool(pool) if !self.pools.contains_key(pool) => {
                return Err(Refusal::PoolUnknown(pool.clone()));
            }
            Owned::Agent(id) => {
                let agent = self.agents.get(id).ok_or(Refusal::AgentUnknown(*id))?;
                if let Some(pool) = &agent.spec.pool {
                    return refuse("agent", format!("it is of pool {pool}; give the pool"));
                }
            }
            Owned::Pool(_) => {}
        }
        if let Some(workspace) = workspace {
            self.check_rid_of_others(owned, workspace)?;
        }
        self.check_owner_quota(owned, &workspace.cloned().unwrap_or_default())?;
        self.set_owner(owned.clone(), workspace.cloned());
        self.note_fewer_agents(step);
        tell(step, Governing::OwnerSet, &owned.path(), workspace, "");
        Ok(Reply::Done)
    }

    /// Holds that no work of another workspace waits or is done where something is given to one. O(unfinished tasks): it
    /// is asked for rarely, and an index would be kept up by every submit.
    fn check_rid_of_others(&self, owned: &Owned, workspace: &Name) -> Result<(), Refusal> {
        let is_of = |agent: AgentId| match owned {
            Owned::Agent(id) => *id == agent,
            Owned::Pool(pool) => {
                self.agents.get(&agent).is_some_and(|one| one.spec.pool.as_ref() == Some(pool))
            }
        };
        let is_there = |task: &Task| match (&task.spec.mailbox, owned) {
            (MailboxId::Pool(pool), Owned::Pool(given)) if pool == given => true,
            (MailboxId::Agent(agent), _) if is_of(*agent) => true,
            _ => task.lease().is_some_and(|lease| is_of(lease.agent)),
        };
        let others = self.tasks.values().find(|task| task.spec.workspace != *workspace && is_there(task));
        match others {
            Some(task) => {
                let (task, of) = (task.spec.id, &task.spec.workspace);
                let why = format!("{task} of workspace {of} is not done there; let such work end first");
                refuse("workspace", why).map(drop)
            }
            None => Ok(()),
        }
    }

    /// Holds that an agent that comes to a pool of a workspace brings no work of another.
    pub(super) fn check_change_of_owner(&self, spec: &AgentSpec) -> Result<(), Refusal> {
        let known = self.agents.get(&spec.id);
        match (known, self.serves_only(spec)) {
            (Some(known), Some(owner)) if self.serves_only(&known.spec) != Some(owner) => {
                self.check_rid_of_others(&Owned::Agent(spec.id), owner)
            }
            _ => Ok(()),
        }
    }

    /// Sets whose something is; tells whether that changes anything.
    pub(super) fn set_owner(&mut self, owned: Owned, workspace: Option<Name>) -> bool {
        let changes = self.access.set_owner(owned.clone(), workspace);
        if changes {
            self.touch_access(AccessKey::Owner(owned));
        }
        changes
    }

    /// Forgets whose something was that is gone.
    pub(super) fn forget_owner(&mut self, owned: Owned) {
        self.set_owner(owned, None);
    }

    /// Forgets what was bound to a token that is gone.
    pub(super) fn forget_access(&mut self, token: TokenId) {
        if self.access.workspaces.remove(&token).is_some() {
            self.touch_access(AccessKey::Workspace(token));
        }
        let bound: Vec<RoleBinding> = self.access.bound_to(Subject::Token(token)).cloned().collect();
        for binding in bound {
            self.drop_binding(&binding);
        }
    }

    fn touch_access(&mut self, key: AccessKey) {
        self.changes.touch(RowKey::Access(key));
    }

    /// Returns what a role allows, one that is built in or one that was made.
    pub fn role(&self, role: &Name) -> Option<Cow<'_, Permissions>> {
        let made = self.access.roles.get(role).map(Cow::Borrowed);
        made.or_else(|| built_in(role.as_str()).map(Cow::Owned))
    }

    /// Walks the roles that were made, in order of name.
    pub fn roles(&self) -> impl Iterator<Item = (&Name, &Permissions)> {
        self.access.roles.iter()
    }

    /// Walks the bindings, in order of subject.
    pub fn role_bindings(&self) -> impl Iterator<Item = &RoleBinding> {
        self.access.bindings.iter()
    }

    /// Returns the workspace that a token is bound to; none for an operator's.
    pub fn workspace_of_token(&self, token: TokenId) -> Option<&Name> {
        self.access.workspaces.get(&token)
    }

    /// Returns what a token allows, its roles among it, if it is bound to that workspace. It need not exist yet.
    pub fn permissions_of<'a>(&self, spec: &'a TokenSpec, workspace: Option<&Name>) -> Cow<'a, Permissions> {
        let mut held = Cow::Borrowed(&spec.permissions);
        for role in self.bound_roles(spec, workspace) {
            if let Some(given) = self.role(role) {
                held = Cow::Owned(held.iter().chain(given.iter()).collect());
            }
        }
        held
    }

    /// Walks the roles that are bound to a token of that workspace.
    fn bound_roles<'a>(
        &'a self,
        spec: &TokenSpec,
        workspace: Option<&'a Name>,
    ) -> impl Iterator<Item = &'a Name> + use<'a> {
        let of_token = self.access.bound_to(Subject::Token(spec.id));
        let of_name = self.access.bound_to(Subject::Name(spec.name.clone()));
        let counts = move |binding: &&RoleBinding| {
            binding.workspace.is_none() || binding.workspace.as_ref() == workspace
        };
        of_token.chain(of_name).filter(counts).map(|binding| &binding.role)
    }

    /// Returns the roles that a token has: those that are bound to it, and those that are built in whose mark it allows.
    pub(super) fn roles_of(&self, spec: &TokenSpec) -> BTreeSet<Name> {
        let workspace = self.workspace_of_token(spec.id);
        let permissions = self.permissions_of(spec, workspace);
        let built_in = BUILT_IN.into_iter().filter(|role| match *role {
            "operator" => permissions.allow(Permission::TasksWrite),
            "approver" => permissions.allow(Permission::ApprovalsWrite),
            "admin" => permissions.include(&Permissions::all()),
            _ => true,
        });
        let built_in = built_in.filter_map(|role| Name::new(role).ok());
        built_in.chain(self.bound_roles(spec, workspace).cloned()).collect()
    }

    /// Walks what was given to a workspace, in order, with the workspace.
    pub fn owners(&self) -> impl Iterator<Item = (&Owned, &Name)> {
        self.access.owners.iter()
    }

    /// Walks what was given to one workspace, in order.
    pub(super) fn owned_by(&self, workspace: &Name) -> impl Iterator<Item = &Owned> {
        self.access.owned.get(workspace).into_iter().flatten()
    }

    /// Returns whose a pool is.
    pub fn workspace_of_pool(&self, pool: &Name) -> Name {
        self.access.owners.get(&Owned::Pool(pool.clone())).cloned().unwrap_or_default()
    }

    /// Returns whose an agent is.
    pub fn workspace_of_agent(&self, agent: &AgentSpec) -> Name {
        self.serves_only(agent).cloned().unwrap_or_default()
    }

    /// Returns the workspace that an agent was given to, with its pool or by itself.
    fn serves_only(&self, agent: &AgentSpec) -> Option<&Name> {
        if self.access.owners.is_empty() {
            return None;
        }
        let owned = agent.pool.clone().map_or(Owned::Agent(agent.id), Owned::Pool);
        self.access.owners.get(&owned)
    }

    /// Tells whether an agent takes the work of every workspace.
    pub(super) fn serves_everybody(&self, agent: &AgentSpec) -> bool {
        self.serves_only(agent).is_none()
    }

    /// Returns the mailboxes that an agent takes work from, nearest first. One of a workspace takes nothing from the open
    /// one, where everybody's work is.
    pub fn sources_of(&self, agent: &AgentSpec) -> Vec<MailboxId> {
        let mut sources = vec![MailboxId::Agent(agent.id)];
        sources.extend(agent.pool.clone().map(MailboxId::Pool));
        if self.serves_everybody(agent) {
            sources.push(MailboxId::Open);
        }
        sources
    }

    /// Tells whether work of a workspace may come to a pool.
    pub(super) fn may_use_pool(&self, workspace: &Name, pool: &Name) -> bool {
        self.access.owners.is_empty()
            || self.access.owners.get(&Owned::Pool(pool.clone())).is_none_or(|owner| owner == workspace)
    }

    /// Holds that work of a workspace may be given to an agent.
    pub(super) fn check_serves(&self, agent: &AgentSpec, workspace: &Name) -> Result<(), Refusal> {
        match self.serves_only(agent) {
            Some(owner) if owner != workspace => {
                refuse("workspace", format!("agent {} is of workspace {owner}", agent.name)).map(drop)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Holds that work of one workspace is not addressed to agents of another.
    pub(super) fn check_owner(&self, spec: &TaskSpec) -> Result<(), Refusal> {
        if self.access.owners.is_empty() {
            return Ok(());
        }
        let owner = match &spec.mailbox {
            MailboxId::Open => None,
            MailboxId::Pool(pool) => self.access.owners.get(&Owned::Pool(pool.clone())),
            MailboxId::Agent(agent) => self.agents.get(agent).and_then(|agent| self.serves_only(&agent.spec)),
        };
        match owner {
            Some(owner) if *owner != spec.workspace => {
                refuse("workspace", format!("{} is of workspace {owner}", spec.mailbox)).map(drop)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Tells that something about who may do what has changed.
fn tell(step: &mut Step, what: Governing, subject: &str, workspace: Option<&Name>, detail: &str) {
    let (subject, detail, workspace) = (subject.into(), detail.into(), workspace.cloned());
    step.events.push(Event::Governed { what, subject, workspace, task: None, agent: None, detail });
}

fn tell_of(step: &mut Step, what: Governing, binding: &RoleBinding) {
    tell(step, what, binding.role.as_str(), binding.workspace.as_ref(), &binding.subject.path());
}

fn refuse(field: &str, why: String) -> Answer {
    Err(Refusal::Invalid { field: field.to_owned(), why })
}
