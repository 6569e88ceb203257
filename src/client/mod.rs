//! A typed client of a node's API, `/api/v1`.
//!
//! ```no_run
//! use synod::api::NewTask;
//! use synod::client::{Client, Token};
//!
//! # async fn example() -> Result<(), synod::client::Error> {
//! let client = Client::new("http://127.0.0.1:7400", Token::from("synod_client_...".to_owned()))?;
//! let submitted = client.submit(&NewTask { kind: "review".into(), ..NewTask::default() }).await?;
//! println!("{:?}", submitted.task_id);
//! # Ok(())
//! # }
//! ```
//!
//! Promises: a verb takes and gives the types of [`crate::api`]; what is safe to repeat is repeated when the node
//! is away, overloaded or changes its leader, with jittered waits and for a bounded time ([`Client::patient`]);
//! a change carries a key of its own, so that it counts once, and the few that cannot say so and are not repeated; the token is never shown, not even by `Debug`, and never follows a redirect.
//!
//! Leaves to others: where the address and the token come from, and what to do about an [`Error`].

mod ask;
mod budgets;
mod certificates;
mod connection;
mod error;
mod retry;
mod stale;

mod access;
mod agents;
mod audit;
mod breakers;
mod claims;
mod cluster;
mod events;
mod hooks;
mod letters;
mod limits;
mod mailboxes;
mod nodes;
mod policies;
mod pools;
mod resources;
mod runs;
mod sse;
mod tasks;
mod tokens;
mod webhooks;
mod workspaces;

#[cfg(unix)]
pub mod worker;

pub(crate) use certificates::roots;
pub(crate) use connection::chain;
pub use connection::{Client, Token};
pub use error::Error;
pub use events::Signal;
pub use retry::backoff;
pub use tasks::TaskQuery;
