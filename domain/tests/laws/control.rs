//! The part of random histories that governs: pauses, retirement, tokens, and agents that come back.

use synod_domain::command::Command;
use synod_domain::pause::Pausable;
use synod_domain::permission::Permissions;
use synod_domain::state::State;
use synod_domain::task::MailboxId;
use synod_domain::token::{TokenKind, TokenSpec};

use super::histories::{Draw, spec_of};
use super::tending;
use super::world::{agent, at, hash, name, register as registration, token};
use super::{access, breakers, limit_sets, webhooks};

/// Draws a command; an agent that is gone mostly comes back, or there would soon be none.
pub(super) fn command(state: &State, now: u64, draw: &mut Draw, who: u128) -> Command {
    if state.agent(agent(who)).is_none() && !draw.one_in(3) {
        return register(draw, who);
    }
    if draw.one_in(6) {
        return if draw.one_in(2) { breakers::command(draw) } else { limit_sets::command(draw) };
    }
    if draw.one_in(8) {
        return access::command(draw);
    }
    if draw.one_in(4) {
        return tending::command(state, draw);
    }
    if draw.one_in(4) {
        return webhooks::command(state, draw);
    }
    match draw.below(18) {
        0..4 => Command::Pause { what: pausable(draw), reason: draw.pick(&["moving", "broken"]).into() },
        4..9 => resume(state, draw),
        9..11 => Command::RetireAgent { agent: agent(who) },
        11 => Command::RetirePool { pool: name(draw.pick(&["a", "b", "c"])) },
        12..15 => put_token(now, draw),
        15 | 16 => Command::RotateToken {
            token: token(draw.below(6)),
            hash: hash(draw.below(12)),
            keep_old_until: draw.one_in(2).then(|| at(now + draw.below(900))),
        },
        _ => Command::RevokeToken { token: token(draw.below(6)), reason: "lost".into() },
    }
}

/// Sometimes under the name of another.
pub(super) fn register(draw: &mut Draw, number: u128) -> Command {
    let mut spec = spec_of(number);
    if draw.one_in(3) {
        spec.name = name("worker-5");
    }
    registration(spec)
}

/// Mostly of what is paused, so that histories go on.
fn resume(state: &State, draw: &mut Draw) -> Command {
    let paused: Vec<_> = state.pauses().map(|pause| pause.what.clone()).collect();
    let what = if paused.is_empty() { pausable(draw) } else { draw.pick(&paused) };
    Command::Resume { what }
}

fn pausable(draw: &mut Draw) -> Pausable {
    match draw.below(8) {
        0 => Pausable::Mailbox(MailboxId::Open),
        1 => Pausable::Mailbox(MailboxId::Pool(name(draw.pick(&["a", "b"])))),
        2 => Pausable::Mailbox(MailboxId::Agent(agent(u128::from(draw.below(7))))),
        3 | 4 => Pausable::Pool(name(draw.pick(&["a", "b", "nowhere"]))),
        _ => Pausable::Workspace(draw.workspace()),
    }
}

fn put_token(now: u64, draw: &mut Draw) -> Command {
    let spec = TokenSpec {
        id: token(draw.below(6)),
        name: name("token"),
        kind: TokenKind::Client,
        hash: hash(draw.below(12)),
        permissions: if draw.one_in(20) { Permissions::default() } else { Permissions::of_reader() },
        expires_at: draw.one_in(2).then(|| at((now + draw.below(2000)).saturating_sub(100))),
        created_by: None,
    };
    Command::PutToken { spec: spec.into() }
}
