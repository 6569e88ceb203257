//! Puts in force what governs the work of a plan, before the work begins.
//!
//! What is there already and equal stays as it is, so a continued run changes nothing. What a file does not name any more
//! stays too: somebody may have come to rely on it, and `synod policy remove` and its like are at hand. Webhooks are made
//! apart, in [`super::webhooks`].

use std::sync::Arc;

use synod_domain::breaker::BreakerCommand;
use synod_domain::budget::command::BudgetCommand;
use synod_domain::command::Command;
use synod_domain::limit_set::LimitSetCommand;
use synod_domain::policy::PolicyCommand;
use synod_domain::resource::ResourceCommand;

use crate::fleet::Governing;
use crate::http::native::{breaker_of, budget_of, limit_of, policy_of};
use crate::node::Node;
use crate::run::{Error, RemoteRun, Run};

impl Run {
    /// Puts in force what governs the work.
    ///
    /// # Errors
    /// When the node does not take it.
    pub async fn govern(&self, node: &Node) -> Result<(), Error> {
        let governing = &self.plan.governing;
        let Governing { policies, budgets: _, limits, resources, breakers, webhooks: _ } = governing;
        for wanted in policies {
            let spec = Arc::new(policy_of(wanted).map_err(|problem| self.unreadable(problem.detail()))?);
            if !node.read(|state| state.policy(&spec.name).is_some_and(|known| known.spec == spec)) {
                node.propose(Command::Policy(PolicyCommand::Put { spec })).await?;
            }
        }
        for wanted in governing.budgets_of(self.id) {
            let spec = budget_of(&wanted).map_err(|problem| self.unreadable(problem.detail()))?;
            if !node.read(|state| state.budget(&spec.name).is_some_and(|known| *known.spec == spec)) {
                node.propose(Command::Budget(BudgetCommand::Put { spec: Arc::new(spec) })).await?;
            }
        }
        for (name, wanted) in limits {
            let spec = limit_of(name, wanted).map_err(|problem| self.unreadable(problem.detail()))?;
            if !node.read(|state| state.limit_set(name).is_some_and(|known| known.spec == spec)) {
                node.propose(Command::LimitSet(LimitSetCommand::Put { spec: spec.into() })).await?;
            }
        }
        for (name, wanted) in resources {
            let (capacity, about) = (wanted.capacity, Arc::<str>::from(wanted.about.as_str()));
            let equal = node.read(|state| {
                state.resource(name).is_some_and(|known| known.capacity == capacity && known.about == about)
            });
            if !equal {
                let put = ResourceCommand::Put { name: name.clone(), capacity, about };
                node.propose(Command::Resource(put)).await?;
            }
        }
        for (of, wanted) in breakers {
            let spec = breaker_of(of, wanted).map_err(|problem| self.unreadable(problem.detail()))?;
            if !node.read(|state| state.breaker(&spec.of).is_some_and(|known| known.spec == spec)) {
                node.propose(Command::Breaker(BreakerCommand::Put { spec: spec.into() })).await?;
            }
        }
        Ok(())
    }

    fn unreadable(&self, reason: &str) -> Error {
        Error::Plan { run: self.id, reason: reason.to_owned() }
    }
}

impl RemoteRun {
    /// Puts in force what governs the work.
    ///
    /// # Errors
    /// When no node takes it, or the token does not allow it.
    pub async fn govern(&self) -> Result<(), Error> {
        let governing = &self.plan.governing;
        let Governing { policies, budgets: _, limits, resources, breakers, webhooks: _ } = governing;
        for wanted in policies {
            self.client().put_policy(wanted).await?;
        }
        for wanted in governing.budgets_of(self.id) {
            self.client().put_budget(&wanted).await?;
        }
        for (name, wanted) in limits {
            self.client().put_limit(name.as_str(), wanted).await?;
        }
        for (name, wanted) in resources {
            self.client().put_resource(name.as_str(), wanted).await?;
        }
        for (of, wanted) in breakers {
            self.client().put_breaker(of, wanted).await?;
        }
        Ok(())
    }
}
