//! Tasks that another region offers to a node: copies of an offer come late, and all of them are answered alike.

use std::sync::Arc;

use synod::node::domain::id::RequestId;
use synod::node::domain::name::Name;
use synod::node::domain::refusal::Refusal;
use synod::node::domain::region::{Outcome, outcome, request_for};
use synod::node::domain::reply::Answer;
use synod::node::domain::task::TaskSpec;
use synod::node::{Node, Pool};

use crate::support::{Script, completed, folder, scripted, task};

/// A task that another region offers, over and over.
struct Offer {
    spec: TaskSpec,
    request: RequestId,
}

impl Offer {
    /// Made for the pool `p`.
    async fn make(node: &Node) -> Self {
        let spec = node.spec_of(task("p", &Script::Echo(1.into()))).await.unwrap();
        let request = request_for(spec.id);
        Self { spec, request }
    }

    /// A copy of it arrives.
    async fn arrives(&self, node: &Node) -> Answer {
        let payload = node.fetch(&self.spec.payload).await.unwrap();
        let from = Name::new("us").unwrap();
        node.take_arrival(Some(&from), self.request, self.spec.clone(), payload).await.unwrap()
    }
}

async fn pool(node: &Node) {
    node.put_pool(Pool::native("p", "script").unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn late_copies_of_an_offer_that_was_refused_are_refused_when_what_was_missing_is_there() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    let offer = Offer::make(&node).await;
    assert!(matches!(offer.arrives(&node).await, Err(Refusal::PoolUnknown(_))));
    pool(&node).await;
    let declined = offer.arrives(&node).await.unwrap_err();
    assert!(
        matches!(&declined, Refusal::OfferDeclined { why, .. } if why.contains("no pool p")),
        "{declined}"
    );
    // Nor is it forgotten with what the node had in memory.
    node.stop().await;
    let node = scripted(folder.path()).start().await.unwrap();
    assert_eq!(offer.arrives(&node).await, Err(declined));
    assert!(node.task(offer.spec.id).is_err());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_copies_of_an_offer_that_was_taken_are_taken_when_what_it_needs_is_gone() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    pool(&node).await;
    let offer = Offer::make(&node).await;
    let taken = Outcome::Taken { known_as: offer.spec.id };
    assert_eq!(outcome(offer.spec.id, &offer.arrives(&node).await), taken);
    completed(&node, offer.spec.id).await;
    node.retire_pool(&Name::new("p").unwrap(), false).await.unwrap();
    assert_eq!(outcome(offer.spec.id, &offer.arrives(&node).await), taken);
    assert_eq!(node.task(offer.spec.id).unwrap().attempts.len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_come_while_what_was_missing_comes_are_all_answered_alike() {
    let folder = folder();
    let node = Arc::new(scripted(folder.path()).start().await.unwrap());
    let (mut taken, mut refused) = (0, 0);
    for round in 0..12 {
        let name = format!("p{round}");
        let spec = node.spec_of(task(&name, &Script::Echo(round.into()))).await.unwrap();
        let offer = Arc::new(Offer { request: request_for(spec.id), spec });
        let copies = (0..8).map(|_| {
            let (node, offer) = (node.clone(), offer.clone());
            tokio::spawn(async move { offer.arrives(&node).await })
        });
        let copies: Vec<_> = copies.collect();
        node.put_pool(Pool::native(&name, "script").unwrap()).await.unwrap();
        let late = offer.arrives(&node).await;
        let answers = futures::future::try_join_all(copies).await.unwrap().into_iter().chain([late]);
        let outcomes: Vec<bool> = answers
            .map(|answer| match outcome(offer.spec.id, &answer) {
                Outcome::Taken { .. } => true,
                Outcome::Refused(_) => false,
                Outcome::Later => panic!("{answer:?}"),
            })
            .collect();
        assert!(outcomes.iter().all(|one| *one == outcomes[0]), "{outcomes:?}");
        assert_eq!(node.task(offer.spec.id).is_ok(), outcomes[0]);
        if outcomes[0] { taken += 1 } else { refused += 1 }
    }
    assert_eq!(taken + refused, 12);
    Arc::into_inner(node).unwrap().stop().await;
}
