//! The behaviour of synod: every agent, pool, scheduler and supervisor is an actor in a tree.
//!
//! ```text
//! node
//! ├── router             takes events to the actors they concern
//! ├── agents             one supervisor
//! │   └── pool ...           one actor for each pool with a share here, its agents below it
//! │       └── agent ...      one actor for each agent hosted on this node
//! ├── steward            tries agents of this node again that failed for good
//! ├── relaying           takes signs of life of agents that run elsewhere to the leader
//! └── leader             only where this node leads
//!     ├── scheduler          hands waiting tasks to agents; proposes, never decides alone
//!     ├── clockwork          lets time pass in the log when something is due
//!     ├── census             turns rumours about nodes into what is agreed of them
//!     ├── liveness           takes agents that run elsewhere and are silent for offline
//!     ├── envoy              brings tasks that are kept for other regions there
//!     ├── foreman            scales pools by their rule, renews their agents, moves rollouts on
//!     └── herald             tells webhooks what is noted for them
//! ```
//!
//! Beside the tree stands the [`desk`], at which agents that run elsewhere wait for work; the router keeps it
//! going. The table itself is in [`system`]. Actors propose commands to the journal and act on events; what
//! is agreed they read from the state, so a restarted actor finds everything it needs there.
//! Deliberately absent: Raft, networks, disks and HTTP; they come in through [`ports`].

pub mod ports;
pub mod runtimes;

pub mod address;
pub mod desk;
pub mod events;
pub mod farewell;
pub mod guest;
pub mod ids;
pub mod liveness;
pub mod supervisor;
pub mod system;
pub mod tools;

mod agent;
mod agents;
mod attempt;
mod census;
mod clockwork;
mod directory;
mod envoy;
mod foreman;
mod free;
mod gate;
mod handover;
mod herald;
mod hosted;
mod names;
mod pool;
mod propose;
mod relaying;
mod router;
mod scheduler;
mod steward;
mod tether;
