//! The laws of the state machine, and examples of each of its promises.
//!
//! `world` builds commands, `histories` draws random ones. More cases than the default:
//! `PROPTEST_CASES=5000 cargo test -p synod-domain --test laws`. What one life of a task costs:
//! `cargo test --release -p synod-domain --test laws cost -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers drawn are small")]

mod laws {
    mod control;
    mod governing;
    mod histories;
    mod hooks;
    mod nodes;
    mod regions;
    mod spending;
    mod tending;
    mod world;

    mod life;
    mod lists;
    mod mirror;
    mod order;
    mod pauses;
    mod policies;
    mod replay;
    mod retiring;
    mod shapes;
    mod time;
    mod tokens;
    mod whys;

    mod access;
    mod after;
    mod agents;
    mod apart;
    mod arriving;
    mod audit;
    mod beyond;
    mod breakers;
    mod budgets;
    mod cost;
    mod endings;
    mod fabrics;
    mod federation;
    mod limit_sets;
    mod membership;
    mod quotas;
    mod recovering;
    mod removed;
    mod resources;
    mod shares;
    mod strict;
    mod submits;
    mod timeouts;
    mod webhooks;
}
