//! An embedder's own actor, reached by name: from this node, and from any other of its cluster.
//!
//! `cargo run --example embedded_courier -- FOLDER`

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use synod::courier::{Address, Guest, Keeping, Letter};
use synod::node::Node;
use synod::node::domain::name::Name;

/// Votes for somebody, and asks how many have.
#[derive(Serialize, Deserialize)]
struct Vote {
    candidate: String,
}

impl Letter for Vote {
    const KIND: &'static str = "example/vote";
    const VERSION: u16 = 1;
    type Reply = u32;
}

/// Counts votes. What it counted is gone when it fails or the node stops: what must not be lost is a task.
#[derive(Default)]
struct Ballot(BTreeMap<String, u32>);

impl Guest for Ballot {
    type Letter = Vote;
    type Reply = u32;

    async fn handle(&mut self, vote: Vote) -> u32 {
        let votes = self.0.entry(vote.candidate).or_default();
        *votes += 1;
        *votes
    }
}

async fn serve(data: &Path) -> Result<(), Box<dyn Error>> {
    let node = Node::builder().data(data).start().await?;
    let courier = node.courier();
    courier.register("ballot", Keeping::default(), Ballot::default).await?;

    let ballot = Address::anywhere(Name::new("ballot")?);
    for candidate in ["ada", "bob", "ada"] {
        let vote = Vote { candidate: candidate.to_owned() };
        let votes = courier.ask(&ballot, &vote, Duration::from_secs(5)).await?;
        println!("{candidate} has {votes}");
    }

    // Nobody is called so: the error says it, and the letter is counted as dead.
    let nobody = Address::anywhere(Name::new("nobody")?);
    if let Err(error) = courier.tell(&nobody, &Vote { candidate: "eve".to_owned() }).await {
        println!("{error}; dead letters: {}", courier.dead_letters().total);
    }
    node.stop().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("give a folder to keep the data in")?;
    serve(Path::new(&folder)).await
}
