//! Answers other nodes: who is here, and delivers what they bring.

use async_trait::async_trait;
use bytes::Bytes;
use synod_storage::{decode, encode};

use crate::courier::envelope::{Answer, Question};
use crate::courier::post::Courier;
use crate::transport::hello::Caller;
use crate::transport::serve::Handler;

/// The other side of [`Courier::send`].
pub(super) struct Desk(pub(super) Courier);

#[async_trait]
impl Handler for Desk {
    async fn answer(&self, caller: &Caller, request: Bytes) -> Option<Bytes> {
        let answer = match decode::<Question>(&request).ok()? {
            Question::Find(name) => Answer::Found(self.0.names().contains(&name)),
            Question::Deliver(mut letter) => {
                // Who sent it is who is there, whatever it says.
                letter.from = caller.hello.node;
                match self.0.deliver_here(letter).await {
                    Ok(answer) => Answer::Delivered(answer),
                    Err(why) => Answer::Undelivered(why),
                }
            }
        };
        encode(&answer).ok().map(Bytes::from)
    }
}
