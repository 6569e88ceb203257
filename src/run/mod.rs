//! Runs a fleet file to its end, across interruptions.
//!
//! ```text
//!  plan ─► open run (new, or the one that was interrupted) ─► govern ─► submit entries as they become ready
//!                                                       ─► wait for their ends ─► close the run
//! ```
//!
//! Everything that must survive is in the log: the run with its plan, and one task for each item under
//! an idempotency key. So a continued run submits everything again and gets the tasks of before; what
//! was completed is not redone. What is shown to people is left to [`Progress`].

mod done;
mod drive;
mod entry;
mod governing;
mod hooks;
mod open;
mod outcome;
mod pools;
mod remote;
mod scope;
mod webhooks;
mod work;

pub use drive::Progress;
pub use open::{Continued, Run};
pub use outcome::{EntryOutcome, Outcome, TaskOutcome};
pub use remote::RemoteRun;

use synod_domain::name::Name;

/// Why a run could not be brought to its end. What was done is kept; the same run can be continued.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node did not do its part.
    #[error(transparent)]
    Node(#[from] crate::node::Error),
    /// The nodes of a cluster did not do their part, for as long as one waits for that.
    #[error(transparent)]
    Client(#[from] crate::client::Error),
    /// A pool of the fleet cannot work on this machine.
    #[error("pool {pool} cannot work: {reason}")]
    Pool {
        /// Which pool.
        pool: Name,
        /// Why, and what to do.
        reason: String,
    },
    /// The work of a plan hangs on hooks, and the node that is asked keeps none.
    #[error(
        "hooks of a fleet file are hung by the node that has the repository, and the one that is asked keeps none: it needs \
         a data folder, and git; or name another one with --server"
    )]
    Hooks,
    /// The stored plan of an interrupted run cannot be read.
    #[error("the interrupted run {run} cannot be continued: {reason}; start anew with --fresh")]
    Plan {
        /// Which run.
        run: synod_domain::id::RunId,
        /// Why.
        reason: String,
    },
}
