//! A small model of submit, claim, complete and cancel, checked in every order of events.
//!
//! ```text
//!   submitter ─┐                      replicate            commit
//!   worker 1 ──┼─► the leader's log ────────────► follower ───────► State::apply ─► an answer, or none
//!   worker 2 ──┘         │ crash: what was not replicated is gone
//!                        └──────────────────────► the follower leads, in a new term
//! ```
//!
//! The simulator draws some orders of many events; this looks at all orders of a few. The rules are the real ones:
//! every step that changes something goes through `synod_domain::state::State::apply` with real commands. What is
//! modelled here is only what stands around them: a leader and a follower, clients that wait, give up and ask again
//! under the same request id, and one crash.
//!
//! Promises to visit every reachable state within [`Bounds`](protocol::Bounds) and to name the shortest way to a
//! broken property. Leaves to others: elections themselves and terms of the log (openraft, the simulator), disks, time
//! that runs by itself.
//!
//! In reading order: [`protocol`] says what may happen, [`replica`] holds the real state, [`outside`] remembers what was
//! seen of it, [`properties`] says what must hold.

pub mod outside;
pub mod properties;
pub mod protocol;
pub mod replica;
mod setting;
