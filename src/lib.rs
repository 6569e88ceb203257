//! synod: a distributed actor runtime for fleets of agents.
//!
//! Work waits in durable priority mailboxes and is persisted before it is acknowledged; agents are
//! actors in a supervision tree; what was completed is never redone. Used as a library, a service
//! starts a [`node::Node`] in its own process, declares its agents as Rust types and submits tasks:
//!
//! ```no_run
//! use synod::node::{Node, NewTask, Pool};
//! use synod::native::{AgentError, Context, NativeAgent};
//!
//! struct Shout;
//!
//! impl NativeAgent for Shout {
//!     type Input = String;
//!     type Output = String;
//!
//!     async fn run(&self, _: Context, input: String) -> Result<String, AgentError> {
//!         Ok(input.to_uppercase())
//!     }
//! }
//!
//! # async fn example() -> Result<(), synod::node::Error> {
//! let node = Node::builder().data("data").native("shout", Shout)?.start().await?;
//! node.put_pool(Pool::native("shouters", "shout")?.size(4)).await?;
//! let task = node.submit(NewTask::to_pool("shouters", "shout", &"hello")?).await?;
//! let ended = node.wait(task).await?;
//! println!("{:?}", node.result(&ended).await?);
//! node.stop().await;
//! # Ok(())
//! # }
//! ```

pub mod audit;
pub mod courier;
pub mod fabric;
pub mod fleet;
pub mod hooks;
pub mod node;
pub mod run;

pub mod api;
pub mod client;
pub mod http;

pub mod cli;
pub mod clock;
pub mod doctor;
pub mod period;
pub mod recording;
pub mod settings;
pub mod telemetry;
pub mod webhooks;

/// Agents that are Rust types.
pub use synod_actors::runtimes::native;
