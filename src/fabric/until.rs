//! Waiting for something that is agreed, by the events that may have brought it about.

use synod_actors::events::Heard;
use synod_domain::state::State;

use crate::node::{self, Node};

/// Looks at the state, and again whenever something happened, until there is something to see.
pub(super) async fn until<T>(
    node: &Node,
    mut look: impl FnMut(&State) -> Option<T>,
) -> Result<T, node::Error> {
    // Before the first look, so that nothing falls between.
    let mut events = node.events();
    loop {
        if let Some(seen) = node.read(&mut look) {
            return Ok(seen);
        }
        let heard = tokio::select! {
            biased;
            heard = events.next() => heard,
            reason = node.failed() => return Err(node::Error::Failed(reason)),
        };
        match heard {
            Heard::Happening(_) | Heard::Missed(_) => {}
            Heard::Closed => return Err(node::Error::Failed("the node has stopped".to_owned())),
        }
    }
}
