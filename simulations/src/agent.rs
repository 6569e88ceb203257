//! The native agent of the simulations: does what the task's script says.

use std::time::Duration;

use serde_json::{Value, json};
use synod::native::{AgentError, Context, NativeAgent};
use synod::node::domain::task::Usage;

use crate::chance::Streams;
use crate::history::{Fact, History};
use crate::script::Act;
use crate::spending;
use crate::workload::Work;

/// The words with which scripted panics begin, so that they are told from real ones.
pub(crate) const SCRIPTED_PANIC: &str = "scripted: ";

/// Why scripted failures fail.
pub(crate) const SCRIPTED_FAILURE: &str = "the script says so";

/// How often a working agent says that it lives; tasks allow two seconds of silence.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Bytes of a result that is large: more than stands in the log itself.
const LARGE: usize = 80 * 1024;

/// Follows the script and notes each attempt.
pub(crate) struct ScriptedAgent(pub(crate) History, pub(crate) Streams);

impl NativeAgent for ScriptedAgent {
    type Input = Work;
    type Output = Value;

    #[expect(clippy::panic, reason = "some scripts ask for a panic")]
    async fn run(&self, context: Context, work: Work) -> Result<Value, AgentError> {
        let (task, attempt) = (context.task, context.attempt);
        let (script, said) = match work {
            Work::Errand(errand) => (errand.script, Some(errand.spends)),
            Work::Script(script) => (script, None),
        };
        let mut spends = said.clone().unwrap_or_default().into_iter();
        let step = script.step(attempt);
        self.0.note(Fact::Acts { task, attempt, act: step.act });
        let mut left = step.time();
        while !left.is_zero() {
            let part = left.min(HEARTBEAT);
            tokio::time::sleep(part).await;
            context.heartbeat();
            spends.next().into_iter().for_each(|tokens| self.spend(&context, tokens));
            left -= part;
        }
        if matches!(step.act, Act::Succeed | Act::Fail | Act::Refuse) {
            let used = match &said {
                Some(spends) => spends.iter().copied().map(tokens).collect(),
                None => spending::drawn(self.1, task, attempt, 0),
            };
            self.0.note(Fact::Uses { task, attempt, usage: spending::sum(&used) });
            match said {
                Some(_) => spends.for_each(|tokens| self.spend(&context, tokens)),
                None => used.into_iter().for_each(|usage| context.usage(usage, None)),
            }
        }
        match step.act {
            Act::Succeed => Ok(result(attempt, script.is_long())),
            Act::Fail => Err(AgentError::retry(SCRIPTED_FAILURE)),
            Act::Refuse => Err(AgentError::fail("the script says for good")),
            Act::Hang => {
                context.cancelled().await;
                Err(AgentError::retry("it hung"))
            }
            // Whoever kills its machine has told so, and does not live to do anything else.
            Act::HangDeaf | Act::Kill => std::future::pending().await,
            Act::Panic => panic!("{SCRIPTED_PANIC}attempt {attempt}"),
        }
    }
}

impl ScriptedAgent {
    fn spend(&self, context: &Context, tokens: u64) {
        self.0.note(Fact::Spends { task: context.task, attempt: context.attempt, tokens });
        context.usage(self::tokens(tokens), None);
    }
}

const fn tokens(tokens_out: u64) -> Usage {
    Usage { tokens_in: 0, tokens_out, cost_microusd: 0 }
}

/// Makes the result of an attempt: it says whose it is, so that a judge can tell. A large one is a blob.
pub(crate) fn result(attempt: u32, large: bool) -> Value {
    if large {
        json!({ "attempt": attempt, "padding": "x".repeat(LARGE) })
    } else {
        json!({ "attempt": attempt })
    }
}
