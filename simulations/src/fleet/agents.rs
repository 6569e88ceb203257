//! The agents that nodes run: in place of each pool's program, somebody who does what the fleet file says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use synod::native::{AgentError, Context, NativeAgent};
use synod::node::domain::name::Name;

use super::draw::{self, Doing};
use super::stage::{ITEM_LABEL, Stage};
use crate::chance::Streams;
use crate::history::{Fact, History};
use crate::machine::Machine;
use crate::script::Act;

/// In how many parts the silence that a task allows is divided by signs of life.
const BEATS_PER_SILENCE: u32 = 3;

/// What a failed attempt says.
pub(super) const FAILED: &str = "the simulated agent failed";

/// An agent of one pool.
pub(crate) struct Performer {
    stage: Arc<Stage>,
    pool: Name,
    streams: Streams,
    history: History,
}

/// An attempt that will end by itself counts as work; dropped with its node, it does so no more.
struct Working(Arc<Stage>);

impl Working {
    fn begin(stage: &Arc<Stage>) -> Self {
        stage.working.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(stage))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Performer {
    pub(super) fn new(stage: Arc<Stage>, pool: Name, machine: &Machine) -> Self {
        Self { stage, pool, streams: machine.streams, history: machine.history.clone() }
    }
}

/// Draws what an attempt does, by the entry and the item.
pub(super) fn doing(
    stage: &Stage,
    streams: Streams,
    (pool, kind): (&Name, &Name),
    labels: &BTreeMap<Name, Arc<str>>,
    attempt: u32,
) -> Doing {
    let item = labels.iter().find(|(name, _)| name.as_str() == ITEM_LABEL).map_or("", |(_, item)| item);
    let behaviour = stage.play.simulation.behaviour(kind, pool);
    draw::draw(&behaviour, &mut streams.open(&format!("work {kind} {item} attempt {attempt}")))
}

impl NativeAgent for Performer {
    type Input = Value;
    type Output = Value;

    async fn run(&self, context: Context, _: Value) -> Result<Value, AgentError> {
        let who = (&self.pool, &context.kind);
        let doing = doing(&self.stage, self.streams, who, &context.labels, context.attempt);
        self.history.note(Fact::Acts { task: context.task, attempt: context.attempt, act: doing.act });
        self.stage.moved(self.history.elapsed());
        let behaviour = self.stage.play.simulation.behaviour(&context.kind, &self.pool);
        if doing.act == Act::Hang {
            context.usage(behaviour.usage, None);
            context.cancelled().await;
            self.stage.moved(self.history.elapsed());
            return Err(AgentError::retry("the simulated agent hung"));
        }
        let working = Working::begin(&self.stage);
        let silence = self.stage.entry(&context.kind).and_then(|entry| entry.timeouts.silence);
        let beat =
            silence.filter(|_| !doing.late).map_or(Duration::MAX, |silence| silence / BEATS_PER_SILENCE);
        let mut left = doing.length;
        while !left.is_zero() {
            let part = left.min(beat.max(Duration::from_millis(1)));
            tokio::time::sleep(part).await;
            left -= part;
            if !left.is_zero() {
                context.heartbeat();
            }
        }
        drop(working);
        self.stage.moved(self.history.elapsed());
        context.usage(behaviour.usage, None);
        match doing.act {
            Act::Succeed => Ok(behaviour.result),
            Act::Fail | Act::Refuse | Act::Hang | Act::HangDeaf | Act::Panic | Act::Kill => {
                Err(AgentError::retry(FAILED))
            }
        }
    }
}
