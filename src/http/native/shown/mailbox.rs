//! Mailboxes and pauses.

use std::time::Duration;

use synod_domain::mailbox::Mailbox;
use synod_domain::pause::{Pausable, Pause};
use synod_domain::state::State;
use synod_domain::task::{Lane, MailboxId};

use super::time;
use crate::api;

/// Shows a mailbox, one without waiting work included.
pub(crate) fn mailbox(state: &State, id: &MailboxId) -> api::Mailbox {
    let found = state.mailbox(id);
    api::Mailbox {
        name: name(id),
        waiting: found.map_or(0, |found| found.depth() as u64),
        lanes: found.map(lanes).unwrap_or_default(),
        oldest_since: found.and_then(|found| found.next_rise(Duration::ZERO)).map(time),
        paused: pause_of(state, id).map(|pause| pause.reason.to_string()),
    }
}

/// Shows how many tasks wait in each lane.
pub(crate) fn lanes(mailbox: &Mailbox) -> api::LaneDepths {
    let depth = |lane: Lane| mailbox.depth_of(lane) as u64;
    api::LaneDepths {
        critical: depth(Lane::Critical),
        high: depth(Lane::High),
        normal: depth(Lane::Normal),
        low: depth(Lane::Low),
    }
}

/// Shows a pause.
pub(crate) fn pause(pause: &Pause) -> api::Pause {
    let (of, name) = match &pause.what {
        Pausable::Mailbox(mailbox) => ("mailbox", name(mailbox)),
        Pausable::Pool(pool) => ("pool", pool.to_string()),
        Pausable::Workspace(workspace) => ("workspace", workspace.to_string()),
    };
    api::Pause { of: of.to_owned(), name, reason: pause.reason.to_string(), since: time(pause.since) }
}

/// Returns the pause for which a mailbox gives nothing out: its own, or its pool's.
fn pause_of<'a>(state: &'a State, id: &MailboxId) -> Option<&'a Pause> {
    let own = state.pause_of(&Pausable::Mailbox(id.clone()));
    own.or_else(|| match id {
        MailboxId::Pool(pool) => state.pause_of(&Pausable::Pool(pool.clone())),
        MailboxId::Agent(_) | MailboxId::Open => None,
    })
}

fn name(id: &MailboxId) -> String {
    match id {
        MailboxId::Agent(agent) => format!("agent/{agent}"),
        MailboxId::Pool(_) | MailboxId::Open => id.path(),
    }
}
