//! Networks that break: whole, in one direction, between two of three, again and again.
//!
//! Source: reliability plan T14 to T17. Clients reach every node at all times, also the one that is cut off.

use std::time::Duration;

use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
use crate::cluster::Shape;
use crate::cluster::namespaces::Namespaces;
use crate::report::Goals;

/// How long a cut lasts: some elections, and the timeout of gossip.
const CUT: Duration = Duration::from_secs(8);

/// How long the cluster works between two cuts.
const QUIET: Duration = Duration::from_secs(2);

/// How long another node may take to lead.
const LEAD_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn full(order: &Order) -> Result<Ended, String> {
    in_namespaces(order, "partition", Goals::LOOSE, async |stage, round| {
        let leader = stage.cluster.leader(LEAD_WITHIN).await?;
        let alone = (leader + round % 3) % 3;
        let others = (0..3).filter(|node| *node != alone);
        let cuts: Vec<_> = others.flat_map(|other| [(alone, other), (other, alone)]).collect();
        cut(stage, "partition", alone, &cuts).await
    })
    .await
}

pub(super) async fn one_way(order: &Order) -> Result<Ended, String> {
    in_namespaces(order, "one-way", Goals::LOOSE, async |stage, round| {
        let directions = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
        let (from, to) = directions[round % directions.len()];
        cut(stage, "one-way", from, &[(from, to)]).await
    })
    .await
}

pub(super) async fn bridge(order: &Order) -> Result<Ended, String> {
    in_namespaces(order, "bridge", Goals::LOOSE, async |stage, round| {
        let pairs = [(0, 1), (0, 2), (1, 2)];
        let (a, b) = pairs[round % pairs.len()];
        cut(stage, "bridge", a, &[(a, b), (b, a)]).await
    })
    .await
}

pub(super) async fn flapping(order: &Order) -> Result<Ended, String> {
    in_namespaces(order, "flapping", Goals::LOOSE, async |stage, _| {
        let network = network_of(stage)?;
        network.cut(0, 1)?;
        network.cut(1, 0)?;
        stage.injected("flapping", None);
        sleep(Duration::from_secs(1)).await;
        network_of(stage)?.heal()?;
        stage.healed("flapping", None);
        Ok(())
    })
    .await
}

/// Runs a scenario in a network of its own, or says why that cannot be.
async fn in_namespaces(
    order: &Order,
    name: &str,
    goals: Goals,
    round: impl AsyncFn(&mut Stage, usize) -> Result<(), String>,
) -> Result<Ended, String> {
    if let Err(why) = Namespaces::make(1) {
        return Ok(Ended::Skipped(why));
    }
    let mut stage = Stage::begin(order, name, |shape| Ok(Shape { namespaces: true, ..shape })).await?;
    let ran = async {
        for number in 0..order.times {
            sleep(if name == "flapping" { Duration::from_secs(1) } else { QUIET }).await;
            eprintln!("{name}: {} of {}", number + 1, order.times);
            round(&mut stage, number).await?;
        }
        Ok(())
    }
    .await;
    stage.end(ran, goals).await.map(ended)
}

async fn cut(stage: &mut Stage, name: &str, node: usize, cuts: &[(usize, usize)]) -> Result<(), String> {
    stage.injected(name, Some(node));
    let network = network_of(stage)?;
    for (from, to) in cuts {
        network.cut(*from, *to)?;
    }
    sleep(CUT).await;
    network_of(stage)?.heal()?;
    stage.healed(name, Some(node));
    Ok(())
}

pub(super) fn network_of(stage: &mut Stage) -> Result<&mut Namespaces, String> {
    stage.cluster.namespaces.as_mut().ok_or_else(|| "the nodes have no network of their own".to_owned())
}
