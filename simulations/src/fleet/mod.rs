//! A person's own fleet in a world: how long it takes, what it costs, what stands in its way, what a death costs.
//!
//! ```text
//!  fleet file ─► plan, with scripted agents in place of programs ─► a world of real nodes
//!                                                                      │ the coordinator of `synod run`
//!                                        answer ◄── what the nodes know at the end, and the history
//! ```
//!
//! The run coordinator is the node's own, so entries, fan-out, retries, continued runs mean here what they mean
//! there. Promises the same answer for the same plan, seed and nodes in any process. Leaves out what programs need of
//! a machine: memory, disks, processors, the network of the models they ask.

mod agents;
mod answer;
mod coordinator;
mod draw;
mod limits;
mod measure;
mod outside;
mod path;
mod seats;
mod show;
mod stage;
mod watch;

pub use answer::{
    AgentAnswer, Answer, AtDeath, Bottleneck, DeadLetter, Death, EntryAnswer, Half, Kill, PoolAnswer, Used,
    Verdict, Wait,
};
pub(crate) use coordinator::start;
pub use measure::quantile;
pub(crate) use measure::{answer, plan};
pub(crate) use seats::Seats;
pub use show::{amount, span};
pub use stage::Play;
pub(crate) use stage::Stage;
