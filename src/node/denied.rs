//! A node's word about what a policy denied.

use std::sync::Arc;

use synod_domain::command::Command;
use synod_domain::id::ViolationId;
use synod_domain::policy::{Ask, PolicyCommand, Ruling, Verdict};
use synod_domain::refusal::Refusal;
use synod_domain::task::TaskSpec;

use crate::node::{Error, Node};

impl Node {
    /// Notes that a submit was refused because of a policy: a refusal leaves the state as it was, so somebody has to.
    ///
    /// The refusal stands whatever becomes of the note; a node that dies in between leaves it without one.
    pub(super) async fn note_denied(&self, spec: &TaskSpec, error: &Error) {
        let Error::Refused(Refusal::PolicyDenied { by, why, .. }) = error else { return };
        let verdict =
            Verdict { ruling: Ruling::Deny, by: by.clone(), warned: false, why: why.as_str().into() };
        let id = ViolationId::from_raw(spec.id.raw());
        let ask = Arc::new(Ask { task: None, ..Ask::of_submit(spec) });
        let note = PolicyCommand::Note { id, ask, verdict: verdict.into() };
        if let Err(error) = self.propose(Command::Policy(note)).await {
            tracing::warn!(%error, "a violation was not noted");
        }
    }
}
