//! Requests that other regions answer, and requests that they hand over.
//!
//! ```text
//!  ?region=NAME  ─► handed to that region, whole                    answer ─► client
//!  ?region=*     ─► handler here, and every region within reach ─► one list
//!  otherwise     ─► handler here ─► "the task is in region NAME" ─► handed to that region
//! ```
//!
//! The one place where requests leave for other regions; handlers know nothing of it, and never see the parameter. It
//! concerns the native API, and of the older one the ids of tasks. A request that was handed over is never handed on. Promises that whoever asks needs
//! no token but the one of the region that they ask. Leaves the way to [`Elsewhere`](crate::node::elsewhere::Elsewhere).

mod escape;
mod far;
mod gather;
mod serving;
mod wish;

pub(super) use far::{About, ask, follow, located};
pub(super) use gather::{gather, refused};
pub(super) use serving::{HandedOver, Served};
pub(super) use wish::Wish;

/// Where the routes are that other regions answer.
const NATIVE: &str = "/api/v1/";

/// The header that says which region answered, when it was another one.
const REGION: &str = "synod-region";
