//! What identity promises: nobody is talked to who has not proven to be a node, nodes join with a token and in no
//! other way, certificates are renewed while work goes on, and no secret is ever shown.
//!
//! `support` runs nodes over real sockets or in memory; the state they agree on follows the real rules.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod identity {
    mod support;

    mod door;
    mod folder;
    mod handshakes;
    mod joining;
    mod raw;
    mod regions;
    mod renewal;
    mod secrets;
}
