//! Policies through the fabric: which tools its agents may use, and who has to agree.
//!
//! A policy is the node's own and is asked of every agent, whoever made it. What no rule is about is denied, for tools.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use synod_actors::tools;
use synod_domain::approval::{ApprovalStatus, Voter};
use synod_domain::command::Command;
use synod_domain::id::{AgentId, ApprovalId, TaskId};
use synod_domain::name::Name;
use synod_domain::policy::{Ask, PolicyCommand, Ruled, Ruling};
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;

use crate::api;
use crate::fabric::{Error, Fabric};
use crate::http::native::policy_of;

/// A policy: rules about tools, of which the first that matches decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy(api::NewPolicy);

/// A rule of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRule(api::PolicyRule);

/// What policies say to the use of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDecision {
    /// `allow`, `deny` or `require_approval`. An approval that was given makes it `allow`, one that was not `deny`.
    pub action: &'static str,
    /// Why, for a person.
    pub reason: Arc<str>,
    /// The policy that decided; none when a default did.
    pub policy: Option<Name>,
    /// The approval that it waits for, or that was given or not.
    pub approval_id: Option<ApprovalId>,
}

impl PolicyDecision {
    /// Tells whether the tool may be used now.
    pub fn is_allowed(&self) -> bool {
        self.action == "allow"
    }
}

impl Policy {
    /// Describes a policy without rules.
    pub fn new(name: &str) -> Self {
        Self(api::NewPolicy { name: name.to_owned(), ..api::NewPolicy::default() })
    }

    /// Adds a rule behind the others.
    #[must_use]
    pub fn rule(mut self, rule: PolicyRule) -> Self {
        self.0.rules.push(rule.0);
        self
    }

    /// Sets which of several policies is asked first: the one with the greatest priority; 0 if it is not said.
    #[must_use]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.0.priority = priority;
        self
    }
}

impl PolicyRule {
    fn new(tool: &str, effect: &str) -> Self {
        let (action, effect) = (tools::action(tool), effect.to_owned());
        Self(api::PolicyRule { action, effect, ..api::PolicyRule::default() })
    }

    /// Lets a tool be used; `*` in its name stands for anything.
    pub fn allow(tool: &str) -> Self {
        Self::new(tool, "allow")
    }

    /// Lets a tool not be used.
    pub fn deny(tool: &str) -> Self {
        Self::new(tool, "deny")
    }

    /// Lets a tool be used when people have agreed to it.
    pub fn require_approval(tool: &str) -> Self {
        Self::new(tool, "require_approval")
    }

    /// Says what a parameter must be for the rule to match: a value, or a text with `*`, which is a pattern.
    #[must_use]
    pub fn condition(mut self, parameter: &str, value: impl Into<Value>) -> Self {
        self.0.conditions.insert(parameter.to_owned(), value.into());
        self
    }

    /// Says why, for whoever is refused or asked to agree.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.0.reason = Some(reason.to_owned());
        self
    }

    /// Sets how many have to agree, instead of one.
    #[must_use]
    pub const fn quorum(mut self, quorum: u32) -> Self {
        self.0.quorum = Some(quorum);
        self
    }

    /// Sets how long they are waited for, instead of five minutes. Then the answer is no.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout_ms = u64::try_from(timeout.as_millis()).ok();
        self
    }
}

/// The policies for the fabric's agents.
#[derive(Debug, Clone, Copy)]
pub struct Policies<'a>(&'a Fabric);

impl Fabric {
    /// Returns the policies for its agents.
    ///
    /// ```no_run
    /// # async fn example(fabric: &synod::fabric::Fabric, agent: synod::fabric::AgentInfo) -> Result<(), synod::fabric::Error> {
    /// use serde_json::json;
    /// use synod::fabric::{Policy, PolicyRule};
    ///
    /// let engine = fabric.policies();
    /// let policy = Policy::new("code-execution")
    ///     .rule(PolicyRule::require_approval("execute_code").condition("language", "python"))
    ///     .rule(PolicyRule::deny("file_write").condition("path", "/etc/*"));
    /// engine.add_policy(&policy).await?;
    ///
    /// let params = json!({ "language": "python", "code": "..." });
    /// let decision = engine.evaluate(agent.id, "execute_code", &params).await?;
    /// if let Some(approval) = decision.approval_id {
    ///     let approved = engine.wait_for_approval(approval).await;
    ///     println!("{}: {approved}", decision.reason);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub const fn policies(&self) -> Policies<'_> {
        Policies(self)
    }
}

impl Policies<'_> {
    /// Makes a policy, or changes the one of that name.
    ///
    /// # Errors
    /// When something of it cannot be read.
    pub async fn add_policy(&self, policy: &Policy) -> Result<(), Error> {
        let spec = policy_of(&policy.0).map_err(|problem| invalid("policy", problem.detail()))?;
        self.propose(PolicyCommand::Put { spec: spec.into() }).await.map(drop)
    }

    /// Removes a policy.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn remove_policy(&self, name: &str) -> Result<(), Error> {
        self.propose(PolicyCommand::Remove { policy: Name::new(name)? }).await.map(drop)
    }

    /// Asks whether an agent may use a tool with these parameters. What is denied is noted; what people have to agree to
    /// is asked of them, once for the same question.
    ///
    /// An agent at work on a task asks by its [`Context`](crate::native::Context::may_use) instead, which waits for the
    /// answer as well.
    ///
    /// # Errors
    /// When there is no such agent, or the parameters are no JSON object.
    pub async fn evaluate(
        &self,
        agent: AgentId,
        tool: &str,
        params: &impl Serialize,
    ) -> Result<PolicyDecision, Error> {
        self.0.agent_info(agent)?;
        let said = match serde_json::to_value(params) {
            Ok(Value::Object(said)) => said,
            Ok(_) => return Err(invalid("params", "they are no object")),
            Err(error) => return Err(invalid("params", &error.to_string())),
        };
        let ask = Ask {
            action: Name::new(&tools::action(tool))?,
            workspace: Some(self.0.workspace.clone()),
            task: None::<TaskId>,
            task_type: None,
            agent: Some(agent),
            attributes: tools::attributes(&said).map_err(|why| invalid("params", &why))?,
            content: None,
        };
        let id = ApprovalId::from_raw(self.0.node().new_task_id().raw());
        match self.propose(PolicyCommand::Ask { id, ask: ask.into() }).await? {
            Reply::Ruled(ruled) => Ok(decision(*ruled)),
            _ => Err(invalid("params", "the question was not understood")),
        }
    }

    /// Waits until an approval is decided; tells whether it was given. One that is not in time is not.
    pub async fn wait_for_approval(&self, approval: ApprovalId) -> bool {
        let node = self.0.node();
        let look = || node.read(|state| state.approval(approval).map(|approval| approval.status));
        tools::decided(node.events(), approval, look).await == ApprovalStatus::Approved
    }

    /// Says yes to an approval, in the name of whoever runs the node.
    ///
    /// # Errors
    /// When there is no such approval, or it is decided.
    pub async fn approve(&self, approval: ApprovalId, name: &str, reason: &str) -> Result<(), Error> {
        self.vote(approval, name, reason, true).await
    }

    /// Says no to an approval, in the name of whoever runs the node.
    ///
    /// # Errors
    /// When there is no such approval, or it is decided.
    pub async fn deny(&self, approval: ApprovalId, name: &str, reason: &str) -> Result<(), Error> {
        self.vote(approval, name, reason, false).await
    }

    async fn vote(&self, approval: ApprovalId, name: &str, reason: &str, approve: bool) -> Result<(), Error> {
        let voter = Voter { token: None, name: Name::new(name)? };
        let vote = PolicyCommand::Vote { approval, voter, approve, reason: reason.into() };
        self.propose(vote).await.map(drop)
    }

    async fn propose(&self, command: PolicyCommand) -> Result<Reply, Error> {
        Ok(self.0.node().propose(Command::Policy(command)).await?)
    }
}

fn decision(ruled: Ruled) -> PolicyDecision {
    let action = match (&ruled.verdict.ruling, ruled.approval) {
        (Ruling::RequireApproval(_), Some((_, ApprovalStatus::Approved))) => "allow",
        (Ruling::RequireApproval(_), Some((_, ApprovalStatus::Pending)) | None) => "require_approval",
        (Ruling::RequireApproval(_), Some(_)) => "deny",
        (ruling, _) => ruling.as_str(),
    };
    PolicyDecision {
        action,
        reason: ruled.verdict.why,
        policy: ruled.verdict.by.map(|by| by.policy),
        approval_id: ruled.approval.map(|(id, _)| id),
    }
}

fn invalid(field: &str, why: &str) -> Error {
    Refusal::Invalid { field: field.to_owned(), why: why.to_owned() }.into()
}
