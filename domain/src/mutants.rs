//! Bugs put in on purpose, to see that the judges find them.
//!
//! Each is one line at the place where the mistake would be made: `if mutant(Mutant::X)`. An ordinary build has none of
//! them: there [`mutant`] is `false` before anything runs, and the compiler leaves the line out. A build with
//! `--cfg synod_mutants` has all of them, and a process chooses one at its start. A release build refuses that flag.
//!
//! They stand here because this is the one crate that all others know; what each breaks and who must notice stands in
//! `simulations/src/mutants.rs`, and a test of the tree holds the two together.

#[cfg(all(synod_mutants, not(debug_assertions)))]
compile_error!("`synod_mutants` puts bugs into the node: never in a release build");

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// A bug that can be put in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $($(#[$doc])* $name,)*
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns its name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

mutants! {
    /// The log says that it has written before it has.
    AcknowledgeBeforeSync = "acknowledge-before-sync",
    /// A follower that does not answer counts as one that has the entry.
    AcknowledgeBeforeQuorum = "acknowledge-before-quorum",
    /// Whoever names the task is taken for the holder of its lease.
    IgnoreTheAttempt = "ignore-the-attempt",
    /// Two ids made in one millisecond are one.
    ReuseAnId = "reuse-an-id",
    /// A request that was applied is applied again.
    ForgetRequests = "forget-requests",
    /// A new leader holds the silence before its term against agents.
    SkipTheGrace = "skip-the-grace",
    /// A checkpoint names an index that its rows have not reached.
    CheckpointWithoutItsIndex = "checkpoint-without-its-index",
    /// The log forgets what no snapshot has.
    PurgeTooEarly = "purge-too-early",
    /// A vote is not written down.
    ForgetTheVote = "forget-the-vote",
    /// A retry that is due is let go twice.
    DoubleFire = "double-fire",
    /// One ended attempt gives back all slots of its agent.
    RefundTwice = "refund-twice",
    /// Agents of a node that is gone keep their leases.
    DropTheRequeue = "drop-the-requeue",
    /// A leader answers a read without asking whether it still leads.
    StaleRead = "stale-read",
    /// The second lane comes before the first.
    LaneOffByOne = "lane-off-by-one",
    /// Nothing rises, however long it waits.
    NoAgeing = "no-ageing",
    /// An idempotency key of one workspace counts in every other.
    ForeignWorkspace = "foreign-workspace",
    /// What is paused is given out.
    GiveOutPaused = "give-out-paused",
    /// Tokens do not reach the mirror.
    ForgetTokens = "forget-tokens",
    /// A task that comes back from an agent is in no mailbox.
    ForgetWhatCameBack = "forget-what-came-back",
    /// A task that is given out stays in its mailbox.
    GrantTwice = "grant-twice",
    /// A task that has ended stays among the unfinished ones.
    EndTwice = "end-twice",
    /// What one attempt gives back of a budget is given back twice.
    RefundABudgetTwice = "refund-a-budget-twice",
    /// Nothing is reserved of a budget for what is given out.
    SkipTheReserve = "skip-the-reserve",
    /// A task goes on whose approval is not given.
    IgnoreApprovals = "ignore-approvals",
    /// A policy that denies a submit is not asked.
    TakeTheForbidden = "take-the-forbidden",
    /// What is given out is not counted under the key of a limit set.
    ForgetTheLimit = "forget-the-limit",
    /// What is given out takes nothing of its resources.
    TakeNoResources = "take-no-resources",
    /// A change of what governs is made without its record in the audit log.
    SkipTheRecord = "skip-the-record",
    /// A checkpoint leaves records of the audit log out.
    LoseRecords = "lose-records",
    /// What a webhook did not take counts as told.
    TellOnce = "tell-once",
    /// Of what an entry brings about, webhooks are told the first thing alone.
    NoteOneEvent = "note-one-event",
    /// What somebody of a workspace asks for is not held against that workspace.
    AcceptAForeignWorkspace = "accept-a-foreign-workspace",
    /// However many tasks of a workspace agents have, its quota has room for another.
    PassTheQuota = "pass-the-quota",
    /// A provider that wants a pause is asked for other work of its account.
    DisturbTheProvider = "disturb-the-provider",
    /// An attempt whose provider wants a pause counts as one that failed.
    CountTheRefusal = "count-the-refusal",
    /// The quota of an account does not count what is charged to it.
    ForgetTheAccount = "forget-the-account",
    /// A breaker of a type that lets nothing through is not asked.
    IgnoreTheBreaker = "ignore-the-breaker",
    /// Probes that are on their way are not counted.
    CountNoProbes = "count-no-probes",
    /// A breaker forgets with each failure those that came before it.
    ForgetTheFailures = "forget-the-failures",
    /// An agent that is to begin anew goes on taking work.
    GoOnAsBefore = "go-on-as-before",
    /// An agent that leaves gives back at once what it has.
    LeaveAtOnce = "leave-at-once",
    /// A pool that scales by itself may have any number of agents.
    PassTheMost = "pass-the-most",
    /// A rollout whose agents are all where they shall be is never over.
    LeaveItUnfinished = "leave-it-unfinished",
    /// Whoever writes to a hook is believed, whatever its attempt.
    ForgetTheFence = "forget-the-fence",
    /// A hook that begins anew keeps its attempt.
    KeepTheAttempt = "keep-the-attempt",
    /// A hook is given up for half of the silence that it may have.
    HurryThePatrol = "hurry-the-patrol",
}

/// Says why no bug can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotChosen {
    /// An ordinary build.
    #[error("this build has no mutants in it; `just mutants` makes one that has")]
    NotBuilt,
    /// One process has one bug.
    #[error("a mutant was chosen already")]
    Already,
}

/// Tells whether this process has the bug; `false` in every ordinary build.
#[cfg(not(synod_mutants))]
#[inline(always)]
pub const fn mutant(_: Mutant) -> bool {
    false
}

/// Tells whether this process has the bug.
#[cfg(synod_mutants)]
pub fn mutant(which: Mutant) -> bool {
    chosen::is(which)
}

/// Chooses the bug of this process. Call it before anything else runs.
///
/// # Errors
/// When there is no bug in this build, or another was chosen.
pub fn choose(which: Mutant) -> Result<(), NotChosen> {
    #[cfg(synod_mutants)]
    return chosen::set(which);
    #[cfg(not(synod_mutants))]
    return {
        let _ = which;
        Err(NotChosen::NotBuilt)
    };
}

#[cfg(synod_mutants)]
mod chosen {
    use std::sync::OnceLock;

    use super::{Mutant, NotChosen};

    /// The only static of the rules, and only where bugs are wanted.
    static CHOSEN: OnceLock<Mutant> = OnceLock::new();

    pub(super) fn is(which: Mutant) -> bool {
        CHOSEN.get() == Some(&which)
    }

    pub(super) fn set(which: Mutant) -> Result<(), NotChosen> {
        CHOSEN.set(which).map_err(|_| NotChosen::Already)
    }
}

#[cfg(all(test, not(synod_mutants)))]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_build_has_no_bug_and_lets_none_in() {
        for which in Mutant::ALL {
            assert_eq!(choose(*which), Err(NotChosen::NotBuilt));
            assert!(!mutant(*which), "{}", which.as_str());
        }
    }
}
