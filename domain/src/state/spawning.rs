//! Asking policies whether somebody may start agents: `agent.spawn`.
//!
//! It is asked at the door, of people and programs: who registers an agent, makes a pool with agents of its own or allows
//! it more of them, and who scales one up. What nodes do by themselves follows from that and is not asked again: they
//! start the agents of a pool, and scale it between the bounds that somebody set.
//!
//! Nothing waits here. Where people have to agree, the same question is asked of the policies first, and whoever got a yes
//! comes again.

use crate::agent::RuntimeSpec;
use crate::audit::{Actor, ActorKind};
use crate::command::Command;
use crate::name::Name;
use crate::policy::set::SPAWN;
use crate::policy::{Ask, Attributes, Ruling, Value};
use crate::refusal::Refusal;
use crate::state::State;
use crate::time::Timestamp;

impl State {
    /// Holds that policies let somebody start the agents that a command brings, if it brings any.
    pub(super) fn check_spawn(
        &self,
        actor: Option<&Actor>,
        command: &Command,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.policies.set().is_silent_about(SPAWN) || actor.is_none_or(|one| one.kind == ActorKind::Node) {
            return Ok(());
        }
        let Some(ask) = self.spawns(command) else { return Ok(()) };
        let ruled = self.rule(&ask, now)?;
        if ruled.allows() {
            return Ok(());
        }
        let mut why = ruled.verdict.why.to_string();
        if matches!(ruled.verdict.ruling, Ruling::RequireApproval(_)) {
            why = format!(
                "{why}; evaluate {SPAWN} with the same attributes, and come again when that is approved"
            );
        }
        Err(Refusal::PolicyDenied { action: SPAWN.to_owned(), by: ruled.verdict.by, why })
    }

    /// Returns what policies are asked about a command that brings agents which are not there.
    fn spawns(&self, command: &Command) -> Option<Ask> {
        let (workspace, said) = match command {
            Command::RegisterAgent { spec } if !self.agents.contains_key(&spec.id) => {
                let pool = spec.pool.iter().map(|pool| ("pool", Value::Text(pool.as_str().into())));
                let name = [("name", Value::Text(spec.name.as_str().into()))];
                (self.workspace_of_agent(spec), name.into_iter().chain(pool).collect())
            }
            Command::PutPool { spec } => {
                let known = self.pools.get(&spec.name).map_or(0, |known| known.spec.max);
                let more = spec.runtime != RuntimeSpec::External && spec.max > known;
                more.then(|| (self.workspace_of_pool(&spec.name), of_pool(&spec.name, spec.max)))?
            }
            Command::ScalePool { pool, target } => {
                let more = self.pools.get(pool).is_some_and(|known| *target > known.target);
                more.then(|| (self.workspace_of_pool(pool), of_pool(pool, *target)))?
            }
            _ => return None,
        };
        let said: Vec<(&str, Value)> = said;
        let attributes: Attributes = said.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let (workspace, action) = (Some(workspace), Name::new(SPAWN).unwrap_or_default());
        Some(Ask { action, workspace, task: None, task_type: None, agent: None, attributes, content: None })
    }
}

fn of_pool(pool: &Name, agents: u32) -> Vec<(&'static str, Value)> {
    vec![("pool", Value::Text(pool.as_str().into())), ("agents", Value::Whole(agents.into()))]
}
