//! One question to the node, and its answer, both noted.

use std::sync::Arc;

use synod::node::{Error, JournalError};

use crate::history::{Answer, Fact, Request};
use crate::machine::Machine;

/// Asks, notes both sides, and returns what the node gave. A crash while it waits leaves no answer. What the world does
/// without is not asked, and fails as on a node that stops.
pub(crate) async fn ask<T>(
    shared: &Machine,
    client: &Arc<str>,
    request: Request,
    call: impl Future<Output = Result<T, Error>>,
    answer: impl FnOnce(&T) -> Answer,
) -> Result<T, Error> {
    if shared.leaves_out(client) {
        return Err(Error::Journal(JournalError::Stopped));
    }
    let question = shared.next_question();
    shared.note(Fact::Asked { question, client: Arc::clone(client), request });
    let outcome = call.await;
    let answer = match &outcome {
        Ok(given) => answer(given),
        Err(Error::Refused(refusal)) => Answer::Refused { code: refusal.code(), text: refusal.to_string() },
        Err(error) => Answer::Failed(error.to_string()),
    };
    shared.note(Fact::Answered { question, answer });
    outcome
}
