//! Who is in a world: the ordinary clients, those of a scenario, and what its nodes are built with.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use synod::node::{Builder, Error, Node};
use tokio::task::JoinSet;

use crate::history::{Fact, History};
use crate::machine::Machine;
use crate::scenario::seat::Seat;

type Act = Arc<dyn Fn(Seat) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync>;
type Equips = Arc<dyn Fn(Builder, Notes) -> Result<Builder, Error> + Send + Sync>;

#[derive(Clone)]
struct Client {
    name: Arc<str>,
    node: u64,
    act: Act,
}

/// Who is in a world.
#[derive(Clone)]
pub(crate) struct Cast {
    /// Whether the ordinary clients are.
    pub(crate) ordinary: bool,
    clients: Vec<Client>,
    equips: Vec<Equips>,
}

impl Default for Cast {
    fn default() -> Self {
        Self { ordinary: true, clients: Vec::new(), equips: Vec::new() }
    }
}

impl fmt::Debug for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cast of {:?}", self.clients.iter().map(|client| &client.name).collect::<Vec<_>>())
    }
}

impl Cast {
    pub(super) fn client<F, Fut>(&mut self, name: &str, node: u64, act: F)
    where
        F: Fn(Seat) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let act: Act = Arc::new(move |seat| Box::pin(act(seat)));
        self.clients.push(Client { name: name.into(), node, act });
    }

    pub(super) fn also(
        &mut self,
        with: impl Fn(Builder, Notes) -> Result<Builder, Error> + Send + Sync + 'static,
    ) {
        self.equips.push(Arc::new(with));
    }

    /// Tells whether agents may be others than those of the world.
    pub(crate) const fn has_own_agents(&self) -> bool {
        !self.equips.is_empty()
    }

    /// Gives a node what it is to be built with.
    pub(crate) fn equip(&self, builder: Builder, machine: &Machine) -> Result<Builder, Error> {
        let notes = Notes { history: machine.history.clone(), node: machine.node };
        self.equips.iter().try_fold(builder, |builder, equips| equips(builder, notes.clone()))
    }

    /// Lets those work who work with this node.
    pub(crate) async fn start(&self, node: Arc<Node>, machine: Arc<Machine>, life: u32) {
        let mut tasks = JoinSet::new();
        for client in self.clients.iter().filter(|client| client.node == machine.node) {
            let seat = Seat::new(client.name.clone(), node.clone(), machine.clone(), life);
            let (act, ended) = (Arc::clone(&client.act), seat.clone());
            tasks.spawn(async move {
                if let Err(error) = act(seat).await {
                    ended.note(&format!("gave up: {error}"));
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    }
}

/// Where agents of an embedder write down what their judges shall see. Clones write the same.
#[derive(Debug, Clone)]
pub struct Notes {
    history: History,
    /// The number of the machine, from 1.
    pub node: u64,
}

impl Notes {
    /// Notes something: [`Fact::Noted`].
    pub fn note(&self, by: &str, what: &impl Serialize) {
        note(&self.history, by.into(), what);
    }
}

pub(super) fn note(history: &History, by: Arc<str>, what: &impl Serialize) {
    let what = serde_json::to_value(what).unwrap_or_else(|error| error.to_string().into());
    history.note(Fact::Noted { by, what });
}
