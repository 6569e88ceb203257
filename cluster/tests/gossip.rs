//! What gossip promises, over a network in memory with time that the test moves, and over UDP.
//!
//! `support` starts members with chance from a seed; nobody sleeps to wait, a test waits for what it expects to be
//! known.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod gossip {
    mod air;
    mod measure;
    mod support;

    mod joining;
    mod keys;
    mod many;
    mod missing;
    mod rumours;
}
