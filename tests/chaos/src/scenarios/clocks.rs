//! Wall clocks that are days apart, under leaders that change.
//!
//! Source: reliability plan T23. The library libfaketime moves the wall clock of a process and leaves the steady one
//! alone, as a wrongly set machine does.

use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::{Ended, Order, Stage, ended};
use crate::cluster::{FAKETIME, Shape};
use crate::report::Goals;

/// How long a node may take until it answers again.
const BACK_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn days_apart(order: &Order) -> Result<Ended, String> {
    if !Path::new(FAKETIME).exists() {
        return Ok(Ended::Skipped(format!("there is no {FAKETIME} (package libfaketime)")));
    }
    let clocks = vec![(1, "+1d".to_owned()), (2, "-1d".to_owned())];
    let mut stage = Stage::begin(order, "clocks", |shape| Ok(Shape { clocks, ..shape })).await?;
    let ran = async {
        for round in 0..order.times {
            // Longer than the silence of a lease: one that ended early would show here.
            sleep(Duration::from_secs(6)).await;
            let leader = stage.cluster.leader(BACK_WITHIN).await?;
            eprintln!("clocks: {} of {}, node {leader}", round + 1, order.times);
            stage.injected("kill -9", Some(leader));
            stage.cluster.nodes[leader].kill().await;
            stage.cluster.leader(BACK_WITHIN).await?;
            sleep(Duration::from_secs(6)).await;
            stage.cluster.nodes[leader].start(None)?;
            stage.cluster.nodes[leader].answers(BACK_WITHIN).await?;
            stage.healed("kill -9", Some(leader));
        }
        Ok(())
    }
    .await;
    stage.end(ran, Goals::FAILOVER).await.map(ended)
}
