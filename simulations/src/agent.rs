//! The native agent of the simulations: does what the task's script says.

use std::time::Duration;

use serde_json::{Value, json};
use synod::native::{AgentError, Context, NativeAgent};

use crate::history::{Fact, History};
use crate::script::{Act, Script};

/// The words with which scripted panics begin, so that they are told from real ones.
pub(crate) const SCRIPTED_PANIC: &str = "scripted: ";

/// How often a working agent says that it lives; tasks allow two seconds of silence.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Follows the script and notes each attempt.
pub(crate) struct ScriptedAgent(pub(crate) History);

impl NativeAgent for ScriptedAgent {
    type Input = Script;
    type Output = Value;

    #[expect(clippy::panic, reason = "some scripts ask for a panic")]
    async fn run(&self, context: Context, script: Script) -> Result<Value, AgentError> {
        let (task, attempt) = (context.task, context.attempt);
        let step = script.step(attempt);
        self.0.note(Fact::Acts { task, attempt, act: step.act });
        let mut left = step.time();
        while !left.is_zero() {
            let part = left.min(HEARTBEAT);
            tokio::time::sleep(part).await;
            context.heartbeat();
            left -= part;
        }
        match step.act {
            Act::Succeed => Ok(result(attempt)),
            Act::Fail => Err(AgentError::retry("the script says so")),
            Act::Refuse => Err(AgentError::fail("the script says for good")),
            Act::Hang => {
                context.cancelled().await;
                Err(AgentError::retry("it hung"))
            }
            Act::HangDeaf => std::future::pending().await,
            Act::Panic => panic!("{SCRIPTED_PANIC}attempt {attempt}"),
        }
    }
}

/// Makes the result of an attempt: it says whose it is, so that a judge can tell.
pub(crate) fn result(attempt: u32) -> Value {
    json!({ "attempt": attempt })
}
