//! Nodes: how they start, come to be counted on or not, drain, change their role and leave.
//!
//! A node that starts, goes down or leaves hosts nothing any more: the leases of its agents end, and their work
//! is redelivered under the next attempt.

use std::sync::Arc;

use crate::agent::{Host, Standing};
use crate::event::Event;
use crate::id::{AgentId, NodeId};
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::node::{Node, NodeRole, NodeSpec, NodeStanding};
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::task::{MailboxId, bounded_reason};

/// Why the agents of a node that starts are offline.
const RESTARTED: &str = "its node restarted";

impl State {
    /// The first node of all founds the cluster; every other was admitted before.
    pub(super) fn start_node(&mut self, step: &mut Step, spec: &Arc<NodeSpec>, generation: u64) -> Answer {
        let mut node = match self.nodes.get(&spec.id) {
            Some(node) if node.generation >= generation => {
                let (node, known) = (spec.id, node.generation);
                return Err(Refusal::NodeForgot { node, generation, known });
            }
            Some(node) => Node::clone(node),
            None if self.nodes.is_empty() => self.new_node(step, spec, NodeRole::Voter),
            None => return Err(Refusal::NodeUnknown(spec.id)),
        };
        self.check_node_name(spec)?;
        node.spec = spec.clone();
        node.generation = generation;
        node.started_at = step.now;
        // A worker never leads: its start takes nobody's ears away, however often it starts.
        if node.role == NodeRole::Voter {
            self.give_grace(step);
        }
        self.stand(step, node, NodeStanding::Up, "it has started");
        self.end_hosted(step, spec.id, RESTARTED);
        self.forgive_node(spec.id);
        let (node, name) = (spec.id, spec.name.clone());
        step.events.push(Event::NodeStarted { node, name, generation });
        self.respread_all(step);
        Ok(Reply::Done)
    }

    /// Returns a node that is to be admitted, under a number of its own.
    pub(super) fn new_node(&mut self, step: &Step, spec: &Arc<NodeSpec>, role: NodeRole) -> Node {
        self.meta.last_node += 1;
        Node {
            spec: spec.clone(),
            number: self.meta.last_node,
            role,
            generation: 0,
            standing: NodeStanding::Joining,
            reason: "it has been admitted".into(),
            since: step.now,
            draining: None,
            started_at: step.now,
            admitted_at: step.now,
        }
    }

    pub(super) fn check_node_name(&self, spec: &NodeSpec) -> Result<(), Refusal> {
        let taken =
            self.nodes.values().find(|other| other.spec.id != spec.id && other.spec.name == spec.name);
        match taken {
            Some(other) => Err(Refusal::NodeNameTaken { name: spec.name.clone(), node: other.spec.id }),
            None => Ok(()),
        }
    }

    pub(super) fn keep_node(&mut self, node: Node) {
        self.changes.touch(RowKey::Node(node.spec.id));
        self.nodes.insert(node.spec.id, Arc::new(node));
    }

    fn stand(&mut self, step: &Step, mut node: Node, standing: NodeStanding, reason: &str) {
        node.standing = standing;
        node.reason = bounded_reason(reason);
        node.since = step.now;
        self.keep_node(node);
    }

    fn give_grace(&mut self, step: &Step) {
        if mutant(Mutant::SkipTheGrace) {
            return; // nobody is forgiven
        }
        // Timers rely on it that grace, once given, is not taken back.
        let grace_until = step.now.after(self.meta.limits.grace);
        self.meta.grace_until = self.meta.grace_until.max(grace_until);
        self.meta.grace_since = step.now;
    }

    pub(super) fn begin_term(&mut self, step: &mut Step, node: NodeId, term: u64) -> Answer {
        if term > self.meta.term {
            self.meta.term = term;
            self.give_grace(step);
            step.events.push(Event::TermBegun { node, term });
        }
        Ok(Reply::Done)
    }

    pub(super) fn mark_node(
        &mut self,
        step: &mut Step,
        id: NodeId,
        standing: NodeStanding,
        reason: &str,
    ) -> Answer {
        let node = Node::clone(self.known_node(id)?);
        if node.standing == standing {
            return Ok(Reply::Done);
        }
        if standing == NodeStanding::Joining {
            let (field, why) =
                ("standing".to_owned(), "a node that has started does not join again".to_owned());
            return Err(Refusal::Invalid { field, why });
        }
        // It is counted on from its first start, and that is for itself to say.
        if node.standing == NodeStanding::Joining && standing == NodeStanding::Up {
            return Err(Refusal::NodeAway { node: id, standing: node.standing });
        }
        self.stand(step, node, standing, reason);
        let reason = bounded_reason(reason);
        if standing == NodeStanding::Down {
            self.end_hosted(step, id, &reason);
            step.events.push(Event::NodeDown { node: id, reason });
        } else {
            step.events.push(Event::NodeUp { node: id, reason });
        }
        self.respread_all(step);
        self.forget_displaced(step, id);
        Ok(Reply::Done)
    }

    pub(super) fn drain_node(&mut self, step: &mut Step, id: NodeId, drain: bool, reason: &str) -> Answer {
        let mut node = Node::clone(self.known_node(id)?);
        if node.draining.is_some() != drain {
            node.draining = drain.then_some(step.now);
            node.reason = bounded_reason(reason);
            let reason = node.reason.clone();
            self.keep_node(node);
            step.events.push(Event::NodeDraining { node: id, draining: drain, reason });
            self.respread_all(step);
            self.forget_displaced(step, id);
        }
        Ok(Reply::Done)
    }

    pub(super) fn set_node_role(&mut self, step: &mut Step, id: NodeId, role: NodeRole) -> Answer {
        let mut node = Node::clone(self.known_node(id)?);
        if role == NodeRole::Worker {
            self.check_another_voter(id)?;
        }
        if node.role != role {
            node.role = role;
            self.keep_node(node);
            step.events.push(Event::NodeRoleChanged { node: id, role });
        }
        Ok(Reply::Done)
    }

    pub(super) fn remove_node(&mut self, step: &mut Step, id: NodeId, reason: &str) -> Answer {
        self.known_node(id)?;
        self.check_another_voter(id)?;
        self.end_hosted(step, id, reason);
        self.nodes.remove(&id);
        self.forgive_node(id);
        self.changes.touch(RowKey::Node(id));
        step.events.push(Event::NodeRemoved { node: id, reason: bounded_reason(reason) });
        self.respread_all(step);
        self.forget_displaced(step, id);
        Ok(Reply::Done)
    }

    fn check_another_voter(&self, id: NodeId) -> Result<(), Refusal> {
        // One that was admitted and never came has nothing of the log: it could not go on alone.
        let another = |node: &Arc<Node>| {
            node.spec.id != id && node.role == NodeRole::Voter && node.standing != NodeStanding::Joining
        };
        if self.nodes.values().any(another) { Ok(()) } else { Err(Refusal::LastVoter(id)) }
    }

    fn known_node(&self, id: NodeId) -> Result<&Arc<Node>, Refusal> {
        self.nodes.get(&id).ok_or(Refusal::NodeUnknown(id))
    }

    /// Ends what a node hosted: its agents are offline, and their leases are lost.
    pub(super) fn end_hosted(&mut self, step: &mut Step, node: NodeId, reason: &str) {
        let hosted: Vec<AgentId> = self
            .agents
            .values()
            .filter(|agent| agent.spec.host == Host::Node(node))
            .map(|agent| agent.spec.id)
            .collect();
        for id in hosted {
            if !mutant(Mutant::DropTheRequeue) {
                self.lose_all(step, id, reason);
            }
            if let Some(agent) = self.agents.get_mut(&id).map(Arc::make_mut) {
                agent.standing = Standing::Offline;
                agent.reason = bounded_reason(reason);
                agent.since = step.now;
            }
            let pool = self.agents.get(&id).and_then(|agent| agent.spec.pool.clone());
            self.forget_given_up(pool.as_ref(), id);
            self.changes.touch(RowKey::Agent(id));
            self.forget_renewal(id);
            self.tell_standing(step, id);
        }
    }

    /// Removes the agents of a node that is not counted on, if nobody waits for them: their pools have them
    /// elsewhere, or will have. What waited for one of them alone waits for its pool from here on.
    pub(super) fn forget_displaced(&mut self, step: &mut Step, node: NodeId) {
        if self.nodes.get(&node).is_some_and(|node| node.standing == NodeStanding::Up) {
            return;
        }
        let mut displaced: Vec<AgentId> = Vec::new();
        for agent in self.agents_on(node) {
            let waits = agent.spec.pool.as_ref().map(|pool| self.kept_on(pool, node) > 0);
            // Without a pool it has no other place, and stays known as long as its node.
            if !waits.unwrap_or(self.nodes.contains_key(&node)) {
                displaced.push(agent.spec.id);
            }
        }
        for id in displaced {
            self.leave_work_to_pool(step, id);
            self.forget_agent(step, id);
        }
    }

    /// Tells whether an agent leaves because of its node and not because of its pool.
    pub(super) fn is_displaced(&self, id: AgentId) -> bool {
        let Some(agent) = self.agents.get(&id).filter(|agent| !agent.retiring) else { return false };
        let Host::Node(node) = agent.spec.host else { return false };
        if self.nodes.is_empty() {
            return false;
        }
        !self.nodes.get(&node).is_some_and(|node| node.takes_agents())
            || agent.spec.pool.as_ref().is_some_and(|pool| self.has_moved(pool, node))
    }

    /// Tells whether a node runs more agents of a pool than it should while others run some too: then one that
    /// leaves it makes room for one elsewhere.
    fn has_moved(&self, pool: &Name, node: NodeId) -> bool {
        let here = Host::Node(node);
        let running = self.agents_of(pool).filter(|agent| agent.spec.host == here && !agent.retiring).count();
        let elsewhere = self.nodes.keys().any(|other| *other != node && self.kept_on(pool, *other) > 0);
        elsewhere && running > self.kept_on(pool, node) as usize
    }

    /// Addresses what only this agent could take to its pool, whose agents are all alike.
    pub(super) fn leave_work_to_pool(&mut self, step: &mut Step, id: AgentId) {
        let pool = self.agents.get(&id).and_then(|agent| agent.spec.pool.clone());
        let stays = |pool: &Name| self.pools.get(pool).is_some_and(|pool| pool.retiring.is_none());
        let Some(pool) = pool.filter(stays) else { return };
        for task in self.groups.of_agent(id) {
            self.readdress(step, task, MailboxId::Pool(pool.clone()));
        }
    }

    /// Returns a node of the cluster.
    pub fn node(&self, node: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&node)
    }

    /// Returns the highest number that a node was ever given. One of a higher number was admitted after this state.
    pub fn last_node_number(&self) -> u64 {
        self.meta.last_node
    }

    /// Walks the nodes of the cluster in order of id.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }
}
