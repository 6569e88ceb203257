//! What two nodes say first: who they are, and whether they talk to each other.
//!
//! The side that connects says hello in the first frame; the other welcomes it or says why not. Promises that
//! nothing else is read of a stream before its hello was judged. Leaves judging to a [`Doorkeeper`], and proof to
//! the network under it.

use serde::{Deserialize, Serialize};
use synod_domain::id::NodeId;
use synod_domain::name::Name;

use crate::transport::Proven;

/// The protocol between nodes. A node talks to those of the same number and of the one before.
pub const PROTOCOL: u16 = 1;

/// Who connects. A format: fields are only appended, with a new number of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol it speaks.
    pub protocol: u16,
    /// The cluster it belongs to; empty for one that wants to join.
    pub cluster: String,
    /// Its id.
    pub node: NodeId,
    /// The number of its start. A lower one than is known comes from a disk that has forgotten something.
    pub generation: u64,
}

/// What the other side answers: nothing, or why it does not talk to that node.
pub type Welcome = Result<(), String>;

/// Who is at the other end of a stream, after its hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What it said of itself.
    pub hello: Hello,
    /// Whether it is a member of the cluster, as far as the doorkeeper knows. Others may only ask to join.
    pub member: bool,
    /// The other region that it is a voter of; such a caller is no member, and may only talk as a region does.
    pub region: Option<Name>,
}

impl Caller {
    /// Is a member of this node's cluster.
    pub const fn member(hello: Hello) -> Self {
        Self { hello, member: true, region: None }
    }

    /// Has proven nothing, and may ask to join.
    pub const fn stranger(hello: Hello) -> Self {
        Self { hello, member: false, region: None }
    }
}

/// Decides who may talk to this node.
pub trait Doorkeeper: Send + Sync + 'static {
    /// Judges a hello. `proven` is who the network has proven to be there, and `proves` whether it can.
    ///
    /// # Errors
    /// With a text for the other side's log: why not.
    fn judge(&self, hello: &Hello, proven: Option<&Proven>, proves: bool) -> Result<Caller, String>;
}

/// Lets everybody in who speaks the protocol: for tests, and for networks that are closed by themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenDoor;

impl Doorkeeper for OpenDoor {
    fn judge(&self, hello: &Hello, _: Option<&Proven>, _: bool) -> Result<Caller, String> {
        speaks(hello)?;
        Ok(Caller::member(hello.clone()))
    }
}

/// Refuses a hello whose protocol this node does not speak.
///
/// # Errors
/// With a text that names both protocols.
pub fn speaks(hello: &Hello) -> Result<(), String> {
    if hello.protocol == PROTOCOL {
        return Ok(());
    }
    Err(format!(
        "{} speaks protocol {}, this node speaks {PROTOCOL}; upgrade the older of the two",
        hello.node, hello.protocol
    ))
}
