//! The seat of a guest at the courier: reads letters, posts them, writes answers.
//!
//! A letter that asks for nothing counts as delivered once the mailbox has it; one that dies there afterwards is a
//! dead letter of this node, because nobody waits who could be told.

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use synod_actors::guest::{Answered, Guest, Handle, Refused};
use synod_cluster::courier::{Address, Courier as Post, Envelope, Recipient, Undelivered};
use synod_domain::name::Name;

use crate::courier::Letter;

pub(super) struct Seat<G: Guest> {
    pub(super) name: Name,
    pub(super) handle: Handle<G>,
    pub(super) post: Post,
}

#[async_trait]
impl<G> Recipient for Seat<G>
where
    G: Guest<Reply: Serialize>,
    G::Letter: Letter<Reply = G::Reply>,
{
    async fn deliver(&self, envelope: Envelope) -> Result<Option<Bytes>, Undelivered> {
        let (kind, version) = (<G::Letter as Letter>::KIND, <G::Letter as Letter>::VERSION);
        if (envelope.kind.as_str(), envelope.version) != (kind, version) {
            return Err(Undelivered::WrongKind {
                name: self.name.clone(),
                reads: format!("{kind} {version}"),
                sent: format!("{} {}", envelope.kind, envelope.version),
            });
        }
        let letter = serde_json::from_slice::<G::Letter>(&envelope.body)
            .map_err(|error| Undelivered::Unreadable(error.to_string()))?;
        let posted = self.handle.post(letter, envelope.patience());
        let answered = posted.map_err(|refused| undelivered(&self.name, refused))?;
        if envelope.asks {
            return read(&self.name, answered).await.map(Some);
        }
        let (name, post) = (self.name.clone(), self.post.clone());
        tokio::spawn(async move {
            if let Err(why) = read(&name, answered).await {
                post.bury(Address { node: None, name }, &envelope, why);
            }
        });
        Ok(None)
    }
}

async fn read<R: Serialize>(name: &Name, answered: Answered<R>) -> Result<Bytes, Undelivered> {
    let answer = answered.await.unwrap_or(Err(Refused::Failed));
    let answer = answer.map_err(|refused| undelivered(name, refused))?;
    let written = serde_json::to_vec(&answer);
    written
        .map(Bytes::from)
        .map_err(|error| Undelivered::Failed(format!("its answer cannot be written: {error}")))
}

fn undelivered(name: &Name, refused: Refused) -> Undelivered {
    match refused {
        Refused::Full => Undelivered::Full(name.clone()),
        Refused::Late => Undelivered::TooLate,
        Refused::Failed | Refused::Stopped(_) => Undelivered::Failed(refused.to_string()),
    }
}
