//! How nodes come into the cluster of a closed network: they apply, and a node that takes work admits them.
//!
//! The commands are those of a real joining. What is left out is the conversation over TLS before it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use synod::node::domain::command::Command;
use synod::node::domain::id::{NodeId, TokenId};
use synod::node::domain::node::{GossipSecret, JoinToken, Keyring, NodeRole, NodeSpec};
use synod::node::domain::refusal::Refusal;
use synod::node::domain::reply::Reply;
use synod::node::{ClosedIdentity, Error, Node};
use tokio::time::sleep;

use crate::history::Fact;
use crate::machine::Machine;
use crate::net::address_of;
use crate::shared::{Phase, name_of};

/// What every world's cluster is called.
const CLUSTER: &str = "simulated";

/// The pause between two looks whether somebody applies, and whether the answer is there.
const AGAIN: Duration = Duration::from_millis(50);

/// How long a permission to join lasts.
const TOKEN_LIFE: Duration = Duration::from_secs(900);

/// Who applies, and who was admitted.
#[derive(Default)]
pub(crate) struct Admissions(Mutex<Desk>);

#[derive(Default)]
struct Desk {
    founded: bool,
    applicants: BTreeMap<u64, Applicant>,
    admitted: BTreeMap<u64, ClosedIdentity>,
    numbers: Arc<Mutex<BTreeMap<NodeId, u64>>>,
}

#[derive(Clone)]
struct Applicant {
    node: NodeId,
    /// The node that it was before it forgot everything.
    was: Option<NodeId>,
}

/// Waits until the node of this machine is admitted, or lets it found the cluster.
pub(crate) async fn come_in(machine: &Machine, node: NodeId) -> ClosedIdentity {
    if let Some(founder) = found(machine, node) {
        return founder;
    }
    let applicant = Applicant { node, was: *machine.was.lock() };
    machine.admissions.0.lock().applicants.insert(machine.node, applicant);
    loop {
        sleep(AGAIN).await;
        let admitted = machine.admissions.0.lock().admitted.remove(&machine.node);
        if let Some(identity) = admitted.filter(|identity| identity.node == node) {
            return identity;
        }
    }
}

/// The first machine founds, once.
fn found(machine: &Machine, node: NodeId) -> Option<ClosedIdentity> {
    let mut desk = machine.admissions.0.lock();
    if machine.node != 1 || desk.founded {
        return None;
    }
    desk.founded = true;
    let mut secret = [0; 32];
    let mut chance = machine.streams.open("first key");
    secret.chunks_mut(8).for_each(|piece| piece.copy_from_slice(&chance.draw().to_be_bytes()));
    let mut identity = desk.identity(node, 1, Keyring::default());
    identity.first_key = Some(GossipSecret(secret));
    Some(identity)
}

impl Desk {
    fn identity(&self, node: NodeId, number: u64, keyring: Keyring) -> ClosedIdentity {
        self.numbers.lock().insert(node, number);
        let numbers = Arc::clone(&self.numbers);
        ClosedIdentity {
            cluster: CLUSTER.to_owned(),
            node,
            number,
            role: NodeRole::Voter,
            first_key: None,
            keyring,
            members: BTreeMap::new(),
            number_of: Arc::new(move |node| numbers.lock().get(&node).copied()),
        }
    }
}

/// Admits whoever applies, as long as the world goes on.
pub(crate) async fn admit(machine: Arc<Machine>, node: Arc<Node>) {
    while machine.phase() != Phase::Closing {
        let next = {
            let mut desk = machine.admissions.0.lock();
            // One at a time, as people do.
            desk.applicants.pop_first()
        };
        let Some((host, applicant)) = next else {
            sleep(AGAIN).await;
            continue;
        };
        // A crash of this node on the way must not lose the applicant.
        let mut back = Back { machine: &machine, host, applicant: Some(applicant.clone()) };
        if let Ok(identity) = admit_one(&machine, &node, host, &applicant).await {
            machine.history.of(host).note(Fact::Admitted { number: identity.number });
            machine.admissions.0.lock().admitted.insert(host, identity);
            back.applicant = None;
        }
        drop(back);
        sleep(AGAIN).await;
    }
}

struct Back<'a> {
    machine: &'a Machine,
    host: u64,
    applicant: Option<Applicant>,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        if let Some(applicant) = self.applicant.take() {
            self.machine.admissions.0.lock().applicants.entry(self.host).or_insert(applicant);
        }
    }
}

async fn admit_one(
    machine: &Machine,
    through: &Node,
    host: u64,
    applicant: &Applicant,
) -> Result<ClosedIdentity, Error> {
    if let Some(was) = applicant.was {
        match through.remove_node(was, "its disk was emptied").await {
            Ok(()) | Err(Error::Refused(Refusal::NodeUnknown(_))) => {}
            Err(error) => return Err(error),
        }
    }
    // The same for every try, so that one whose answer was lost is asked for again and not made twice.
    let raw = applicant.node.raw();
    let id = TokenId::from_raw(raw);
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(&raw.to_be_bytes());
    let member = through.read(|state| state.node(applicant.node).map(|node| node.number));
    if let Some(number) = member {
        // The answer of an earlier try was lost.
        return Ok(welcome(machine, through, applicant.node, number));
    }
    let now = through.now();
    let is_valid = |token: &JoinToken| token.id == id && token.expires_at > now;
    let known = through.read(|state| state.join_tokens().any(is_valid));
    if !known {
        let expires_at = now.after(TOKEN_LIFE);
        let token = JoinToken { id, hash, role: NodeRole::Voter, expires_at, used_by: None };
        through.propose(Command::PutJoinToken { token }).await?;
    }
    let spec = NodeSpec {
        name: name_of(host, applicant.node),
        address: address_of(host),
        ..NodeSpec::alone(applicant.node)
    };
    let command = Command::AdmitNode { spec: Arc::new(spec), role: NodeRole::Voter, token: hash };
    match through.propose(command).await? {
        Reply::Admitted { number } => Ok(welcome(machine, through, applicant.node, number)),
        reply => Err(Error::Cluster(format!("the admission was answered by {reply:?}"))),
    }
}

/// Tells who was admitted what a member needs to know.
fn welcome(machine: &Machine, through: &Node, node: NodeId, number: u64) -> ClosedIdentity {
    let mut identity = machine.admissions.0.lock().identity(node, number, through.keyring());
    let place = |known: &Arc<synod::node::domain::node::Node>| (known.spec.id, known.spec.address.clone());
    identity.members = through.read(|state| state.nodes().map(place).collect());
    identity
}
