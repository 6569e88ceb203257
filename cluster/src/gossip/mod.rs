//! Who is there: rumours between nodes, by SWIM, over sealed datagrams.
//!
//! ```text
//!   Datagrams ─► Sealer ─► Windows ─► Task ─► foca ─► Book ─► members(), changes()
//!       ▲                               │
//!       └──────── Sealer ◄──────────────┘ ◄── timers, tell(), seeds
//! ```
//!
//! Every node probes the others in turn, asks some to probe for it, suspects who stays silent and takes it for dead
//! when nobody heard it deny that. Beside who is alive it spreads one [`Rumour`] for each node: where it is, what it
//! does, how much it has to do. Promises that a dead node is known to be dead within seconds (see [`Profile`]), that
//! parts of a cluster that were apart find each other again, that of two starts of a node the later wins, and that
//! only datagrams sealed with a key of the ring count, each once. Leaves to others what follows from it: a rumour
//! decides nothing, and a member of the cluster is who is agreed to be one.

mod book;
mod codec;
mod counters;
mod datagram;
mod handle;
mod presence;
mod profile;
mod replay;
mod rumour;
mod runtime;
mod seal;
mod task;
mod timers;

pub use counters::Counters;
pub use handle::{Error, Gossip, Options};
pub use profile::Profile;
pub use rumour::{Health, Load, Member, Rumour};
