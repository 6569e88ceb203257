//! Where a policy holds: which work it is about, and which agents it lets do that work.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::policy::question::Context;

/// The most names of one list.
pub const SCOPE_NAMES_MAX: usize = 1024;

/// Which questions a policy is about. An empty list leaves nothing out; one that names something leaves out what is
/// of something else, and what is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Whose work.
    pub workspaces: BTreeSet<Name>,
    /// Where the agent is.
    pub regions: BTreeSet<Name>,
    /// What sort of work.
    pub task_types: BTreeSet<Name>,
    /// Work that asks for one of these capabilities.
    pub capabilities: BTreeSet<Name>,
}

/// Which agents may do the work that a policy is about. They are looked at when work is given out (`task.dispatch`),
/// before the rules of the policy. Agents are named by name or id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLists {
    /// None but these; everybody when it is empty.
    pub allowed: BTreeSet<Name>,
    /// None of these.
    pub blocked: BTreeSet<Name>,
}

impl Scope {
    /// Tells whether a policy of this scope is about a question.
    pub(super) fn covers(&self, context: &Context<'_>) -> bool {
        let one = |list: &BTreeSet<Name>, known: Option<&str>| {
            list.is_empty() || known.is_some_and(|known| list.contains(known))
        };
        one(&self.workspaces, context.workspace)
            && one(&self.regions, context.region)
            && one(&self.task_types, context.task_type)
            && (self.capabilities.is_empty()
                || context
                    .capabilities
                    .is_some_and(|asked| asked.names().any(|name| self.capabilities.contains(name))))
    }

    /// Returns the narrowest word for it, as control planes have them.
    pub fn kind(&self) -> &'static str {
        match () {
            () if !self.workspaces.is_empty() => "workspace",
            () if !self.regions.is_empty() => "region",
            () if !self.task_types.is_empty() => "task_type",
            () if !self.capabilities.is_empty() => "capability",
            () => "global",
        }
    }

    pub(super) fn names(&self) -> usize {
        self.workspaces.len() + self.regions.len() + self.task_types.len() + self.capabilities.len()
    }
}

impl AgentLists {
    /// Tells whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.blocked.is_empty()
    }

    /// Tells whether the agent of a question may do the work. Of nobody it is not asked.
    pub(super) fn admit(&self, context: &Context<'_>) -> bool {
        if context.agent.is_none() && context.agent_id.is_none() {
            return true;
        }
        let named = |list: &BTreeSet<Name>| {
            let by_name = context.agent.is_some_and(|agent| list.contains(agent));
            by_name
                || context
                    .agent_id
                    .is_some_and(|id| !list.is_empty() && list.contains(id.to_string().as_str()))
        };
        !named(&self.blocked) && (self.allowed.is_empty() || named(&self.allowed))
    }

    pub(super) fn names(&self) -> usize {
        self.allowed.len() + self.blocked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AgentId;

    fn names(names: &[&str]) -> BTreeSet<Name> {
        names.iter().map(|name| Name::new(name).unwrap()).collect()
    }

    #[test]
    fn a_scope_leaves_out_what_is_of_something_else_and_what_is_not_known() {
        let scope = Scope { workspaces: names(&["a", "b"]), ..Scope::default() };
        let of = |workspace| Context { workspace, ..Context::default() };
        assert!(scope.covers(&of(Some("b"))) && !scope.covers(&of(Some("c"))) && !scope.covers(&of(None)));
        assert!(Scope::default().covers(&of(None)));
        let demand = "gpu rust".split(' ').map(|one| one.parse().unwrap()).collect();
        let gpu = Scope { capabilities: names(&["gpu"]), ..Scope::default() };
        assert!(gpu.covers(&Context { capabilities: Some(&demand), ..Context::default() }));
        assert!(!gpu.covers(&of(Some("a"))));
    }

    #[test]
    fn agents_are_named_by_name_or_id_and_blocked_ones_stay_out() {
        let id = AgentId::from_raw(7);
        let of = |agent| Context { agent: Some(agent), agent_id: Some(id), ..Context::default() };
        let allowed = AgentLists { allowed: names(&["ann", &id.to_string()]), blocked: names(&["ben"]) };
        assert!(allowed.admit(&of("ann")) && allowed.admit(&of("cid")) && !allowed.admit(&of("ben")));
        let only = AgentLists { allowed: names(&["ann"]), ..AgentLists::default() };
        assert!(!only.admit(&of("cid")) && only.admit(&Context::default()));
    }
}
