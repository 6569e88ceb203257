//! What happened on a real node happens again in a simulated cluster of this version.
//!
//! ```text
//!  recording ─► parts: who was submitted when, what each attempt did, who was called off, which node went down
//!            ─► a world: the same submits at the same times, agents that do the same ─► judges, and a comparison
//! ```
//!
//! Attempts take as long as they did and end as they did; an attempt that was lost with its node is none of the
//! agents' doing, so the node goes down instead, where there are enough of them. Left out are what agents were given
//! and gave back, pauses, scaling, regions, and all that governs: [`left_out`] counts them. Work that any agent might take
//! is given to a pool that can do it.

mod compare;
mod left_out;
mod parts;
mod player;

pub use compare::{Comparison, Different, Side};
pub use parts::Score;
pub use player::Heard;
pub(crate) use player::{Reel, start};
