//! What the cluster crate promises, one file for each promise.
//!
//! `support` starts nodes with a clock, chance and a listener that a test controls. Nodes on a memory disk
//! do their disk work on the spot, so that a crash falls where the test puts it.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(clippy::disallowed_methods, reason = "how long a start takes is measured by the system's clock")]
#![allow(clippy::let_and_return, reason = "the lock must be gone before the node is")]

mod cluster {
    mod support;
    mod table;

    mod access_formats;
    mod ahead;
    mod batching;
    mod elections;
    mod faults;
    mod formats;
    mod governing_formats;
    mod group;
    mod history;
    mod limiting_formats;
    mod membership;
    mod mirror;
    mod pipeline;
    mod purge;
    mod restart;
    mod ruling_formats;
    mod snapshots;
    mod suite;
    mod tending_formats;
    mod transfer;
    mod transport;
    mod webhook_formats;
}
