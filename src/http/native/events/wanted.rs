//! Which events a subscriber wants.

use std::collections::BTreeSet;

use synod_domain::event::Event;
use synod_domain::name::Name;

use crate::api;
use crate::http::Problem;
use crate::http::native::read;

/// A filter that is ready to be asked.
#[derive(Debug)]
pub(super) struct Wanted {
    kinds: Option<BTreeSet<String>>,
    workspace: Option<Name>,
    resources: Option<BTreeSet<String>>,
}

impl Wanted {
    /// Reads a filter; whoever is bound to a workspace wants what happens there, whatever else they say.
    pub(super) fn read(own: Option<&Name>, filter: &api::EventFilter) -> Result<Self, Problem> {
        let set = |text: &str| read::parts(text).map(str::to_owned).collect::<BTreeSet<_>>();
        let kinds = filter.kind.as_deref().map(set);
        if let Some(wrong) = kinds.iter().flatten().find(|kind| !Event::KINDS.contains(&kind.as_str())) {
            let why = format!("{wrong:?} is none of {}", Event::KINDS.join(", "));
            return Err(Problem::bad_request("type", why));
        }
        Ok(Self {
            kinds,
            workspace: read::workspace_of(own.cloned(), filter.workspace.as_deref())?,
            resources: filter.resource.as_deref().map(set),
        })
    }

    /// Tells whether an event is wanted that is of a workspace, if of any.
    pub(super) fn meets(&self, event: &Event, whose: Option<&Name>) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(event.kind()))
            && self.workspace.as_ref().is_none_or(|workspace| whose == Some(workspace))
            && self.resources.as_ref().is_none_or(|wanted| about(event).any(|one| wanted.contains(&one)))
    }
}

/// What an event is about: ids, that of a node among them, and the name of a pool.
fn about(event: &Event) -> impl Iterator<Item = String> {
    let run = match event {
        Event::RunStarted { run, .. } | Event::RunEnded { run } => Some(*run),
        Event::TaskSubmitted { run, .. } | Event::TaskEnded { run, .. } => *run,
        Event::TaskLeased { .. }
        | Event::TaskStarted { .. }
        | Event::TaskProgressed { .. }
        | Event::TaskReturned { .. }
        | Event::TaskReady { .. }
        | Event::TaskRose { .. }
        | Event::DeadLetterRemoved { .. }
        | Event::AgentRegistered { .. }
        | Event::AgentChanged { .. }
        | Event::AgentRemoved { .. }
        | Event::PoolChanged { .. }
        | Event::PoolRemoved { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::TokenCreated { .. }
        | Event::TokenRotated { .. }
        | Event::TokenRevoked { .. }
        | Event::NodeAdmitted { .. }
        | Event::NodeStarted { .. }
        | Event::NodeDown { .. }
        | Event::NodeUp { .. }
        | Event::NodeDraining { .. }
        | Event::NodeRoleChanged { .. }
        | Event::NodeRemoved { .. }
        | Event::TermBegun { .. }
        | Event::TaskKept { .. }
        | Event::TaskOffered { .. }
        | Event::TaskRefusedThere { .. }
        | Event::TaskForwarded { .. }
        | Event::TaskParked { .. }
        | Event::Governed { .. } => None,
    };
    let names = [
        event.task().map(|task| task.to_string()),
        event.agent().map(|agent| agent.to_string()),
        event.pool().map(ToString::to_string),
        run.map(|run| run.to_string()),
        event.node().map(|node| node.to_string()),
    ];
    names.into_iter().flatten()
}
