//! Whose spending a budget counts.
//!
//! As text: `global`, `workspace:w`, `pool:p`, `agent:agent_…`, `run:run_…`, `fleet:f`, `account:a`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, RunId};
use crate::name::Name;

/// Whose spending a budget counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Everybody's.
    Global,
    /// That of a workspace.
    Workspace(Name),
    /// That of the agents of a pool.
    Pool(Name),
    /// That of one agent.
    Agent(AgentId),
    /// That of one run.
    Run(RunId),
    /// That of every run of a fleet: of a workflow, whenever it is run.
    Fleet(Name),
    /// That of the tasks whose terms name an account of a provider.
    Account(Name),
}

impl Scope {
    /// Tells whether it depends on who takes a task, and not on the task alone: then another agent may take what this
    /// one may not.
    pub const fn is_of_claimant(&self) -> bool {
        matches!(self, Self::Pool(_) | Self::Agent(_))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Workspace(name) => write!(f, "workspace:{name}"),
            Self::Pool(name) => write!(f, "pool:{name}"),
            Self::Agent(agent) => write!(f, "agent:{agent}"),
            Self::Run(run) => write!(f, "run:{run}"),
            Self::Fleet(name) => write!(f, "fleet:{name}"),
            Self::Account(name) => write!(f, "account:{name}"),
        }
    }
}

/// Says that a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no scope: {why}; use global, workspace:NAME, pool:NAME, agent:ID, run:ID, fleet:NAME or account:NAME"
)]
pub struct ScopeError {
    text: String,
    why: String,
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let refuse = |why: String| ScopeError { text: text.to_owned(), why };
        if text == "global" {
            return Ok(Self::Global);
        }
        let (kind, rest) = text.split_once(':').ok_or_else(|| refuse("it names nothing".to_owned()))?;
        let name = || Name::new(rest).map_err(|error| refuse(error.to_string()));
        match kind {
            "workspace" => name().map(Self::Workspace),
            "pool" => name().map(Self::Pool),
            "fleet" => name().map(Self::Fleet),
            "account" => name().map(Self::Account),
            "agent" => {
                rest.parse().map(Self::Agent).map_err(|_| refuse("it names no agent by its id".to_owned()))
            }
            "run" => rest.parse().map(Self::Run).map_err(|_| refuse("it names no run by its id".to_owned())),
            _ => Err(refuse(format!("there is no sort {kind:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_as_they_are_written_and_others_are_refused_with_the_reason() {
        let name = |text| Name::new(text).expect("a name");
        for scope in [
            Scope::Global,
            Scope::Workspace(name("w:1")),
            Scope::Pool(name("p")),
            Scope::Agent(AgentId::from_raw(7)),
            Scope::Run(RunId::from_raw(9)),
            Scope::Fleet(name("f")),
            Scope::Account(name("a")),
        ] {
            assert_eq!(scope.to_string().parse::<Scope>(), Ok(scope));
        }
        for wrong in ["", "pool", "pool:", "agent:bob", "team:x"] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
        }
    }
}
