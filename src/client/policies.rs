//! Verbs about policies, violations and approvals.

use reqwest::Method;

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{
    Approval, ApprovalFilter, DryRun, DryRunReport, Evaluate, Evaluated, NewPolicy, Page, PageQuery, Policy,
    PolicyDefaults, SayToApproval, SettleViolation, TogglePolicy, Violation, ViolationFilter,
};

impl Client {
    /// Lists policies, by name.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn policies(&self, page: &PageQuery) -> Result<Page<Policy>, Error> {
        self.send(Ask::get(["policies"]).with_fields(page)?).await
    }

    /// Reads a policy.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn policy(&self, name: &str) -> Result<Policy, Error> {
        self.send(Ask::get(["policies", name])).await
    }

    /// Makes a policy, or changes it.
    ///
    /// # Errors
    /// When it cannot be read, or the node cannot be asked or refuses.
    pub async fn put_policy(&self, policy: &NewPolicy) -> Result<Policy, Error> {
        self.send(self.post(["policies"]).body(policy)?).await
    }

    /// Removes a policy.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn remove_policy(&self, name: &str) -> Result<(), Error> {
        self.tell(self.delete(["policies", name])).await
    }

    /// Lets a policy be asked, or not.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn toggle_policy(&self, name: &str, enabled: bool) -> Result<Policy, Error> {
        self.send(self.post(["policies", name, "toggle"]).body(&TogglePolicy { enabled })?).await
    }

    /// Reads what holds where no rule matches.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn policy_defaults(&self) -> Result<PolicyDefaults, Error> {
        self.send(Ask::get(["policies", "defaults"])).await
    }

    /// Sets what holds where no rule matches.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn set_policy_defaults(&self, defaults: &PolicyDefaults) -> Result<PolicyDefaults, Error> {
        self.send(self.put(["policies", "defaults"]).body(defaults)?).await
    }

    /// Asks whether something may be done; waits for an approval as long as the question says.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn evaluate(&self, question: &Evaluate) -> Result<Evaluated, Error> {
        let wait = std::time::Duration::from_millis(question.wait_ms.unwrap_or(0));
        self.send(self.post(["policy", "evaluate"]).body(question)?.long_poll(wait)).await
    }

    /// Tries policies on what is on record; nothing is changed.
    ///
    /// # Errors
    /// When one cannot be read, or the node cannot be asked or refuses.
    pub async fn dry_run_policies(&self, trial: &DryRun) -> Result<DryRunReport, Error> {
        self.send(Ask::new(Method::POST, ["policies", "dry-run"]).body(trial)?).await
    }

    /// Lists violations, oldest first.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn violations(
        &self,
        filter: &ViolationFilter,
        page: &PageQuery,
    ) -> Result<Page<Violation>, Error> {
        self.send(Ask::get(["policies", "violations"]).with_fields(filter)?.with_fields(page)?).await
    }

    /// Says what becomes of a violation.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn settle_violation(&self, id: &str, settle: &SettleViolation) -> Result<Violation, Error> {
        let ask = Ask::new(Method::PATCH, ["policies", "violations", id]);
        self.send(ask.keyed(self.new_key()).body(settle)?).await
    }

    /// Lists approvals, oldest first.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn approvals(
        &self,
        filter: &ApprovalFilter,
        page: &PageQuery,
    ) -> Result<Page<Approval>, Error> {
        self.send(Ask::get(["approvals"]).with_fields(filter)?.with_fields(page)?).await
    }

    /// Reads an approval.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn approval(&self, id: &str) -> Result<Approval, Error> {
        self.send(Ask::get(["approvals", id])).await
    }

    /// Says yes or no to an approval.
    ///
    /// # Errors
    /// When there is none, it is for others, or the node cannot be asked or refuses.
    pub async fn say_to_approval(
        &self,
        id: &str,
        yes: bool,
        reason: Option<String>,
    ) -> Result<Approval, Error> {
        let word = if yes { "approve" } else { "deny" };
        self.send(self.post(["approvals", id, word]).body(&SayToApproval { reason })?).await
    }
}
