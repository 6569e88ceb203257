//! One question to the node, and its answer, both noted.

use std::sync::Arc;

use synod::node::Error;

use crate::history::{Answer, Fact, Request};
use crate::shared::Shared;

/// Asks, notes both sides, and returns what the node gave. A crash while it waits leaves no answer.
pub(super) async fn ask<T>(
    shared: &Shared,
    client: &Arc<str>,
    request: Request,
    call: impl Future<Output = Result<T, Error>>,
    answer: impl FnOnce(&T) -> Answer,
) -> Result<T, Error> {
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
