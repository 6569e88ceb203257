//! What a rule says about an action it matches.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// The most approvers that a rule may list.
pub const APPROVERS_MAX: usize = 64;

/// The longest time that an approval may be waited for.
const TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long an approval is waited for when a rule does not say.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// It may be done.
    Allow,
    /// It may not be done.
    Deny,
    /// It may be done when people have agreed to it.
    RequireApproval(ApprovalDemand),
}

/// Who has to agree, how many of them, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalDemand {
    /// Those who may agree, by the names or ids of their tokens.
    pub approvers: BTreeSet<Name>,
    /// Roles whose holders may agree as well. With neither approvers nor a role, everybody may who has the permission.
    pub roles: BTreeSet<Name>,
    /// How many of them have to.
    pub quorum: u32,
    /// How long they are waited for. When it has passed, the answer is no.
    pub timeout: Duration,
}

impl Default for ApprovalDemand {
    /// One yes, of anybody who may give it, within the usual time.
    fn default() -> Self {
        Self { approvers: BTreeSet::new(), roles: BTreeSet::new(), quorum: 1, timeout: TIMEOUT_DEFAULT }
    }
}

impl Effect {
    /// Returns the word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::RequireApproval(_) => "require_approval",
        }
    }

    /// Checks that it can be met at all.
    ///
    /// # Errors
    /// With what is wrong, for a person.
    pub fn check(&self) -> Result<(), String> {
        let Self::RequireApproval(demand) = self else { return Ok(()) };
        let listed = demand.approvers.len();
        if listed > APPROVERS_MAX || demand.roles.len() > APPROVERS_MAX {
            return Err(format!("at most {APPROVERS_MAX} approvers and roles are allowed"));
        }
        if demand.quorum == 0 {
            return Err("the quorum must be at least 1".to_owned());
        }
        if demand.roles.is_empty() && listed > 0 && demand.quorum as usize > listed {
            return Err(format!("the quorum of {} is more than the {listed} approvers", demand.quorum));
        }
        if demand.timeout < Duration::from_secs(1) || demand.timeout > TIMEOUT_MAX {
            return Err("the timeout must be from a second to 30 days".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_that_nobody_could_give_is_refused() {
        let name = |text: &str| Name::new(text).unwrap();
        let of = |demand: ApprovalDemand| Effect::RequireApproval(demand).check();
        let two = [name("ann"), name("ben")].into_iter().collect::<BTreeSet<_>>();
        assert_eq!(
            of(ApprovalDemand { approvers: two.clone(), quorum: 2, ..ApprovalDemand::default() }),
            Ok(())
        );
        assert!(
            of(ApprovalDemand { approvers: two.clone(), quorum: 3, ..ApprovalDemand::default() }).is_err()
        );
        let with_role = [name("approver")].into_iter().collect();
        let demand = ApprovalDemand { approvers: two, roles: with_role, quorum: 3, timeout: TIMEOUT_DEFAULT };
        assert_eq!(of(demand), Ok(()));
        assert!(of(ApprovalDemand { quorum: 0, ..ApprovalDemand::default() }).is_err());
        assert!(of(ApprovalDemand { timeout: Duration::ZERO, ..ApprovalDemand::default() }).is_err());
    }
}
