//! Fleet files: agents and the work for them, declared in YAML, JSON or TOML.
//!
//! ```text
//!   text ─► tree (values with places) ─► file types ─► checks ─► Fleet ─► expand(inputs) ─► Plan
//! ```
//!
//! Promises: everything that can be known to be wrong is said before anything starts, with file, line,
//! column and what to do about it; the same file, inputs and folder give the same [`Plan`], down to its
//! digest; a plan lists entries so that each comes after the entries it waits for.
//!
//! Leaves to others: starting pools, submitting tasks, waiting for `after` and handing over results (the
//! runner); storing the plan so that a continued run does what it began. Deliberately absent: clocks,
//! chance, and every change to the disk. Every field is explained in `docs/FLEET.md`.

mod decode;
mod error;
mod source;
mod suggest;
mod toml;
mod tree;
mod yaml;

mod file;
mod governing;
mod schema;
mod telling;
mod template;
mod tending;

mod check;
mod check_pool;
mod check_simulation;
mod check_task;
mod graph;
mod hooks;

mod expand;
mod inputs;
mod items;
mod lines;
mod plan;
mod pools;
mod read;
mod simulation;
mod walk;

pub use error::{Error, Problem};
pub use expand::{PLAN_BYTES_MAX, TASKS_MAX};
pub use governing::Governing;
pub use inputs::Inputs;
pub use lines::LINES_FILE_BYTES_MAX;
pub use plan::{EntryPlan, HookPlan, ItemPlan, Plan, Target};
pub use read::{FLEET_FILE_BYTES_MAX, Fleet, InputInfo};
pub use schema::schema;
pub use simulation::{Behaviour, Length, Simulation};
pub use telling::WebhookPlan;
pub use walk::WALK_ENTRIES_MAX;
