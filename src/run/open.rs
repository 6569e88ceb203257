//! Opens a run: a new one, or the one of this fleet that was interrupted.

use synod_domain::command::Command;
use synod_domain::id::RunId;

use crate::fleet::Plan;
use crate::node::Node;
use crate::run::Error;
use crate::run::pools::check_pools;

/// A run that is open on a node.
#[derive(Debug)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What it does.
    pub plan: Plan,
    /// How it continues an earlier one, if it does.
    pub continued: Option<Continued>,
}

/// What a continued run finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continued {
    /// Whether the fleet file, its inputs or the folders it looks into would give another plan today.
    pub plan_changed: bool,
}

impl Run {
    /// Opens the run: the interrupted one of the same fleet unless `fresh`, else a new one with `plan`.
    ///
    /// # Errors
    /// When the node does not take it, a pool of a new run cannot work on this machine, or the plan of the
    /// interrupted run cannot be read.
    pub async fn open(node: &Node, plan: Plan, fresh: bool) -> Result<Self, Error> {
        let open = node.read(|state| state.open_run_of(&plan.name).cloned());
        if let Some(open) = open.as_ref().filter(|_| !fresh) {
            let stored = node.fetch(&open.plan).await?;
            let stored: Plan = serde_json::from_slice(&stored)
                .map_err(|error| Error::Plan { run: open.id, reason: error.to_string() })?;
            let plan_changed = stored.digest != plan.digest;
            return Ok(Self { id: open.id, plan: stored, continued: Some(Continued { plan_changed }) });
        }
        // Before the plan is recorded: whoever corrects the fleet file wants the corrected plan.
        check_pools(node, &plan).await?;
        if let Some(open) = open {
            let summary = "started anew".into();
            node.propose(Command::EndRun { run: open.id, summary }).await?;
        }
        let bytes =
            serde_json::to_vec(&plan).map_err(|error| crate::node::Error::Json { what: "plan", error })?;
        let stored = node.store(&bytes).await?;
        let id = node.new_run_id();
        node.propose(Command::StartRun { run: id, fleet: plan.name.clone(), plan: stored }).await?;
        Ok(Self { id, plan, continued: None })
    }
}
