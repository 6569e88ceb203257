//! The bugs that can be put into a node, what each breaks, and who must notice.
//!
//! A judge that never says no proves nothing. `just mutants` builds the node once with all of these in it (see
//! `synod_domain::mutants`), chooses one for each process, and goes through seeds until somebody notices. Promises that
//! one that survives fails the run, and so does an unmutated node that does not hold.

use synod::node::domain::mutants::{Mutant, choose};

/// Who must notice a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notices {
    /// This judge, in a world of one node from some seed.
    Alone(&'static str),
    /// This judge, in a world of three nodes from some seed.
    AmongThree(&'static str),
    /// The model, by this property: it shows in an order of few events that worlds rarely come to.
    Model(&'static str),
}

/// One bug.
#[derive(Debug, Clone, Copy)]
pub struct Seeded {
    /// Which.
    pub mutant: Mutant,
    /// What goes wrong with it.
    pub breaks: &'static str,
    /// Who must say so.
    pub notices: Notices,
}

impl Seeded {
    /// Returns the only faults of the worlds in which it is looked for, where all kinds together bring it about too
    /// rarely; `None` for all.
    pub const fn faults(&self) -> Option<&'static str> {
        if matches!(self.mutant, Mutant::StaleRead) {
            // It shows between the election of another and the moment in which a leader that was cut off lets go.
            Some("partition")
        } else if matches!(self.mutant, Mutant::PurgeTooEarly) {
            // It shows when the power goes between the purge of what was on its way and the next write of the mirror.
            Some("crash")
        } else {
            None
        }
    }
}

/// All of them.
pub const ALL: [Seeded; 46] = [
    Seeded {
        mutant: Mutant::AcknowledgeBeforeSync,
        breaks: "what was acknowledged is gone after a crash",
        notices: Notices::Alone("acknowledged exists"),
    },
    Seeded {
        mutant: Mutant::AcknowledgeBeforeQuorum,
        breaks: "what a leader acknowledged alone is gone with it",
        notices: Notices::AmongThree("acknowledged exists"),
    },
    Seeded {
        mutant: Mutant::IgnoreTheAttempt,
        breaks: "an agent that lost its lease completes the work of another",
        notices: Notices::Alone("no stale completion"),
    },
    Seeded {
        mutant: Mutant::ReuseAnId,
        breaks: "two submits of one moment become one task",
        notices: Notices::Alone("one submit, one task"),
    },
    Seeded {
        mutant: Mutant::ForgetRequests,
        breaks: "a client that asks again has its request counted twice",
        notices: Notices::Model("a request id counts once"),
    },
    Seeded {
        mutant: Mutant::SkipTheGrace,
        breaks: "agents lose their leases for a silence in which nobody led",
        notices: Notices::Model("silence before a new term is forgiven"),
    },
    Seeded {
        mutant: Mutant::CheckpointWithoutItsIndex,
        breaks: "a restart leaves out entries that the mirror does not have",
        notices: Notices::Alone("acknowledged exists"),
    },
    Seeded {
        mutant: Mutant::PurgeTooEarly,
        breaks: "a restart misses what the log has forgotten and no snapshot has",
        notices: Notices::Alone("stays up"),
    },
    Seeded {
        mutant: Mutant::ForgetTheVote,
        breaks: "a voter that restarts votes twice in a term, and two lead",
        notices: Notices::AmongThree("one leader per term"),
    },
    Seeded {
        mutant: Mutant::DoubleFire,
        breaks: "a retry that is due stands twice in its mailbox",
        notices: Notices::Alone("stays up"),
    },
    Seeded {
        mutant: Mutant::RefundTwice,
        breaks: "an agent gets more work than it has slots for",
        notices: Notices::Alone("slots hold"),
    },
    Seeded {
        mutant: Mutant::DropTheRequeue,
        breaks: "the work of a node that is gone is not given to others",
        notices: Notices::Model("who is gone holds nothing"),
    },
    Seeded {
        mutant: Mutant::StaleRead,
        breaks: "a leader that was deposed answers with what was true before",
        notices: Notices::AmongThree("linearizable per task"),
    },
    Seeded {
        mutant: Mutant::LaneOffByOne,
        breaks: "critical work waits for all other",
        notices: Notices::Alone("lanes in order"),
    },
    Seeded {
        mutant: Mutant::NoAgeing,
        breaks: "low work waits for ever behind a stream of higher",
        notices: Notices::Alone("lanes in order"),
    },
    Seeded {
        mutant: Mutant::ForeignWorkspace,
        breaks: "a key of one workspace is refused or answered with a task of another",
        notices: Notices::Alone("nothing foreign is visible"),
    },
    Seeded {
        mutant: Mutant::GiveOutPaused,
        breaks: "work of a paused workspace is given out",
        notices: Notices::Alone("paused is not given out"),
    },
    Seeded {
        mutant: Mutant::ForgetTokens,
        breaks: "a token does not open after a restart",
        notices: Notices::Alone("acknowledged tokens open"),
    },
    Seeded {
        mutant: Mutant::ForgetWhatCameBack,
        breaks: "a task whose agent was lost is never given out again",
        notices: Notices::Alone("all work ends"),
    },
    Seeded {
        mutant: Mutant::GrantTwice,
        breaks: "two agents have the lease of one task",
        notices: Notices::Alone("one lease"),
    },
    Seeded {
        mutant: Mutant::EndTwice,
        breaks: "a task that completed ends again",
        notices: Notices::Alone("ends once"),
    },
    Seeded {
        mutant: Mutant::RefundABudgetTwice,
        breaks: "an attempt that ends frees what was promised to another",
        notices: Notices::Alone("ledgers add up"),
    },
    Seeded {
        mutant: Mutant::SkipTheReserve,
        breaks: "work is given out that a budget has no room for",
        notices: Notices::Alone("budgets hold"),
    },
    Seeded {
        mutant: Mutant::IgnoreApprovals,
        breaks: "work is given out that nobody has agreed to",
        notices: Notices::Alone("approvals hold"),
    },
    Seeded {
        mutant: Mutant::TakeTheForbidden,
        breaks: "a task is taken that a policy denies",
        notices: Notices::Alone("approvals hold"),
    },
    Seeded {
        mutant: Mutant::ForgetTheLimit,
        breaks: "more of a key begins than its limit set says",
        notices: Notices::Alone("limits hold"),
    },
    Seeded {
        mutant: Mutant::TakeNoResources,
        breaks: "more of a resource is in use than there is",
        notices: Notices::Alone("resources hold"),
    },
    Seeded {
        mutant: Mutant::SkipTheRecord,
        breaks: "a change of a limit set has no record",
        notices: Notices::Alone("audit unbroken"),
    },
    Seeded {
        mutant: Mutant::LoseRecords,
        breaks: "a node has not all records of the audit log",
        notices: Notices::Alone("audit unbroken"),
    },
    Seeded {
        mutant: Mutant::TellOnce,
        breaks: "a message that its receiver refused is never told again",
        notices: Notices::Alone("webhooks are told"),
    },
    Seeded {
        mutant: Mutant::NoteOneEvent,
        breaks: "what happens in one entry with something else is told to nobody",
        notices: Notices::Alone("webhooks are told"),
    },
    Seeded {
        mutant: Mutant::AcceptAForeignWorkspace,
        breaks: "somebody of one workspace changes what is another's",
        notices: Notices::Alone("workspaces are apart"),
    },
    Seeded {
        mutant: Mutant::PassTheQuota,
        breaks: "more of a workspace is given out than its quota allows",
        notices: Notices::Alone("quotas hold"),
    },
    Seeded {
        mutant: Mutant::DisturbTheProvider,
        breaks: "work of an account begins although its provider wants a pause",
        notices: Notices::Alone("accounts hold"),
    },
    Seeded {
        mutant: Mutant::CountTheRefusal,
        breaks: "a task fails because its provider wanted a pause",
        notices: Notices::Alone("accounts hold"),
    },
    Seeded {
        mutant: Mutant::ForgetTheAccount,
        breaks: "more work of an account begins in a window than its quota allows",
        notices: Notices::Alone("accounts hold"),
    },
    Seeded {
        mutant: Mutant::IgnoreTheBreaker,
        breaks: "work of a type begins although its breaker is open",
        notices: Notices::Alone("breakers hold"),
    },
    Seeded {
        mutant: Mutant::CountNoProbes,
        breaks: "a half-open breaker lets more through than its probes",
        notices: Notices::Alone("breakers hold"),
    },
    Seeded {
        mutant: Mutant::ForgetTheFailures,
        breaks: "a breaker stays closed however many attempts fail in a row",
        notices: Notices::Alone("breakers hold"),
    },
    Seeded {
        mutant: Mutant::GoOnAsBefore,
        breaks: "work goes to an agent that is to begin anew first",
        notices: Notices::Alone("tending holds"),
    },
    Seeded {
        mutant: Mutant::LeaveAtOnce,
        breaks: "work is cut off by an agent that had the time to end it",
        notices: Notices::Alone("tending holds"),
    },
    Seeded {
        mutant: Mutant::PassTheMost,
        breaks: "a pool scales itself past its bounds",
        notices: Notices::Alone("tending holds"),
    },
    Seeded {
        mutant: Mutant::LeaveItUnfinished,
        breaks: "a rollout never ends",
        notices: Notices::Alone("tending holds"),
    },
    Seeded {
        mutant: Mutant::ForgetTheFence,
        breaks: "an agent that lost a hook goes on writing to it",
        notices: Notices::Alone("hooks hold"),
    },
    Seeded {
        mutant: Mutant::KeepTheAttempt,
        breaks: "two agents have a hook under one attempt",
        notices: Notices::Alone("hooks hold"),
    },
    Seeded {
        mutant: Mutant::HurryThePatrol,
        breaks: "a hook is taken from an agent that was not silent for long",
        notices: Notices::Alone("hooks hold"),
    },
];

/// Finds a bug by its name.
pub fn named(name: &str) -> Option<&'static Seeded> {
    ALL.iter().find(|seeded| seeded.mutant.as_str() == name)
}

/// Puts a bug into every node of this process.
///
/// # Errors
/// When there is none of that name, or none in this build.
pub fn put_in(name: &str) -> Result<(), String> {
    let seeded = named(name).ok_or_else(|| format!("there is no mutant {name:?}"))?;
    choose(seeded.mutant).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::judges;

    use super::*;

    #[test]
    fn every_bug_is_listed_once_and_its_judge_is_one() {
        let listed: BTreeSet<Mutant> = ALL.iter().map(|seeded| seeded.mutant).collect();
        assert_eq!(listed, Mutant::ALL.iter().copied().collect());
        assert_eq!(listed.len(), ALL.len());
        for Seeded { notices, mutant, .. } in ALL {
            if let Notices::Alone(name) | Notices::AmongThree(name) = notices {
                assert!(judges::ALL.iter().any(|judge| judge.name == name), "{}: {name}", mutant.as_str());
            }
        }
    }
}
