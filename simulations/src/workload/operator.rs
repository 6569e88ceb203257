//! Somebody who governs: pauses and resumes, and makes, rotates and revokes tokens.
//!
//! At the end of new work everything is resumed, through every crash, or what is paused would never end.

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::command::Command;
use synod::node::domain::id::TokenId;
use synod::node::domain::name::Name;
use synod::node::domain::pause::Pausable;
use synod::node::domain::permission::Permissions;
use synod::node::domain::task::MailboxId;
use synod::node::domain::token::{TokenHash, TokenKind, TokenSpec};
use synod::node::{Error, Node};

use crate::chance::Stream;
use crate::history::{Answer, Fact, Request};
use crate::machine::Machine;
use crate::shared::Phase;
use crate::workload::question::ask;
use crate::workload::{CLIENTS, INSIDE, OPERATOR, OUTSIDE, Workload, client_name};

/// The pause between two tries to resume what is left.
const AGAIN: Duration = Duration::from_millis(500);

/// Lots from which one is drawn for each thing that is done, and the first of those that are about tokens.
const LOTS: u64 = 100;
const TOKENS_FROM: u64 = 65;

struct Operator {
    node: Arc<Node>,
    shared: Arc<Machine>,
    name: Arc<str>,
    stream: Stream,
}

/// Governs until the world settles, then resumes everything.
pub(super) async fn run(node: Arc<Node>, shared: Arc<Machine>, life: u32) {
    let stream = shared.streams.open(&format!("{OPERATOR} life {life}"));
    let mut operator = Operator { node, shared, name: OPERATOR.into(), stream };
    while operator.shared.phase() == Phase::Busy {
        match operator.draw() {
            0..30 => operator.pause().await,
            30..65 => operator.resume().await,
            65..85 => operator.put_token().await,
            _ if !operator.has_tokens() => operator.put_token().await,
            85..95 => operator.rotate_token().await,
            _ => operator.revoke_token().await,
        }
        let pause = operator.stream.millis(100, 1_500);
        tokio::time::sleep(pause).await;
    }
    operator.make_up().await;
    while operator.resume_everything().await {
        tokio::time::sleep(AGAIN).await;
    }
}

/// Notes of every token whose making was acknowledged whether its text opens the node.
pub(crate) fn look(shared: &Machine, node: &Node) {
    let tokens = shared.memory(&OPERATOR.into(), |memory| memory.tokens.clone());
    for (token, hash) in tokens {
        let opens = node.read(|state| {
            let found = state.token_by_hash(&hash);
            found.is_some_and(|found| found.spec.id == token && found.is_valid(&hash, state.now()))
        });
        shared.note(Fact::Token { token, opens });
    }
}

impl Operator {
    /// Draws among what this world's operator does.
    fn draw(&mut self) -> u64 {
        let first = if self.shared.has(Workload::Pauses) { 0 } else { TOKENS_FROM };
        let last = if self.shared.has(Workload::Tokens) { LOTS - 1 } else { TOKENS_FROM - 1 };
        self.stream.between(first, last)
    }

    /// Does once what chance has left out of a world in which little could be done.
    async fn make_up(&mut self) {
        let history = self.shared.history.clone();
        let asked = |is: fn(&Request) -> bool| {
            let mut found = false;
            history.look(0, |record| {
                found |= matches!(&record.fact, Fact::Asked { request, .. } if is(request));
            });
            found
        };
        if self.shared.has(Workload::Pauses)
            && !asked(|request| matches!(request, Request::Pause { .. } | Request::Resume { .. }))
        {
            self.pause().await;
        }
        if self.shared.has(Workload::Tokens) && !asked(|request| matches!(request, Request::PutToken { .. }))
        {
            self.put_token().await;
        }
    }

    fn has_tokens(&self) -> bool {
        self.shared.memory(&self.name, |memory| !memory.tokens.is_empty())
    }

    async fn pause(&mut self) {
        let pool = if self.stream.happens(50) { INSIDE } else { OUTSIDE };
        let client = usize::try_from(self.stream.between(0, CLIENTS as u64 - 1)).unwrap_or(0);
        let (Ok(pool), Ok(workspace)) = (Name::new(pool), Name::new(&client_name(client))) else { return };
        let what = match self.stream.between(0, 3) {
            0 => Pausable::Pool(pool),
            1 => Pausable::Mailbox(MailboxId::Pool(pool)),
            _ => Pausable::Workspace(workspace),
        };
        let command = Command::Pause { what: what.clone(), reason: "the operator wants it still".into() };
        // What it could not do is noted with its answer.
        let _ = self.ask(Request::Pause { what }, command).await;
    }

    async fn resume(&mut self) {
        let paused = self.paused();
        if let Some(what) = self.stream.pick(&paused).cloned() {
            let _ = self.ask(Request::Resume { what: what.clone() }, Command::Resume { what }).await;
        }
    }

    /// Tells whether something was paused.
    async fn resume_everything(&mut self) -> bool {
        let paused = self.paused();
        for what in &paused {
            let _ = self
                .ask(Request::Resume { what: what.clone() }, Command::Resume { what: what.clone() })
                .await;
        }
        !paused.is_empty()
    }

    fn paused(&self) -> Vec<Pausable> {
        self.node.read(|state| state.pauses().map(|pause| pause.what.clone()).collect())
    }

    async fn put_token(&mut self) {
        let (token, hash) = (TokenId::from_raw(self.wide()), self.hash());
        let Ok(name) = Name::new("simulated") else { return };
        let spec = TokenSpec {
            id: token,
            name,
            kind: TokenKind::Worker,
            hash,
            permissions: Permissions::of_worker(),
            expires_at: None,
            created_by: None,
        };
        if self.ask(Request::PutToken { token }, Command::PutToken { spec: spec.into() }).await.is_ok() {
            self.remember(token, hash);
        }
    }

    async fn rotate_token(&mut self) {
        let Some(token) = self.forget_one() else { return };
        let hash = self.hash();
        let command = Command::RotateToken { token, hash, keep_old_until: None };
        if self.ask(Request::RotateToken { token }, command).await.is_ok() {
            self.remember(token, hash);
        }
    }

    async fn revoke_token(&mut self) {
        let Some(token) = self.forget_one() else { return };
        let command = Command::RevokeToken { token, reason: "the operator has lost it".into() };
        let _ = self.ask(Request::RevokeToken { token }, command).await;
    }

    fn remember(&self, token: TokenId, hash: TokenHash) {
        self.shared.memory(&self.name, |memory| memory.tokens.push((token, hash)));
    }

    /// Takes a token out of memory before it is changed: without an answer, nobody knows what became of it.
    fn forget_one(&mut self) -> Option<TokenId> {
        let known = self.shared.memory(&self.name, |memory| memory.tokens.clone());
        let (token, _) = *self.stream.pick(&known)?;
        self.shared.memory(&self.name, |memory| memory.tokens.retain(|(other, _)| *other != token));
        Some(token)
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.stream.draw()) << 64 | u128::from(self.stream.draw())
    }

    fn hash(&mut self) -> TokenHash {
        let mut hash = TokenHash::default();
        hash[..16].copy_from_slice(&self.wide().to_be_bytes());
        hash
    }

    async fn ask(&self, request: Request, command: Command) -> Result<(), Error> {
        let call = async { self.node.propose(command).await.map(drop) };
        ask(&self.shared, &self.name, request, call, |()| Answer::Done).await
    }
}
