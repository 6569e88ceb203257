//! Letters between actors on different nodes.
//!
//! ```text
//!   send(address, letter) ─► here? ─► Recipient ─► its mailbox
//!                              └─► where? ─► cache, or ask the nodes ─► Links ─► Desk there ─► Recipient
//! ```
//!
//! A recipient has a name on its node; a letter goes to a name on one node, or to a name wherever it is. Promises that
//! a letter is delivered at most once, that it has a deadline, and that whoever sent it learns why it was not
//! delivered; what nobody could be told is counted and the latest of it kept as dead letters. Leaves what bodies mean,
//! and the mailboxes, to the recipients.

mod dead;
mod desk;
mod envelope;
mod post;

pub use dead::{DeadLetter, DeadLetters};
pub use envelope::{Address, Envelope, NAMES_MAX, Undelivered};
pub use post::{Courier, Options, Others, Recipient, Registration};
