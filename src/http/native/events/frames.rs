//! A subscriber's stream, apart from how it travels.

use super::wanted::Wanted;
use crate::api;
use crate::http::native::{read, shown};
use crate::http::{Caller, Context, Problem, StreamPermit};
use crate::node::feed::{Place, Read, Reader};

/// What a subscriber is told.
#[derive(Debug)]
pub(super) enum Frame {
    /// Something happened.
    Event(api::Event),
    /// Some of what it asked for is gone.
    Missed(api::Missed),
}

/// A subscriber's place in the feed, its filter, and its right to be there.
#[derive(Debug)]
pub(super) struct Frames {
    context: Context,
    reader: Reader,
    wanted: Wanted,
    caller: Caller,
    /// Gives back what one token may hold open.
    _permit: StreamPermit,
}

impl Frames {
    /// Subscribes behind `after`, or from here on.
    pub(super) fn subscribe(
        context: &Context,
        caller: &Caller,
        filter: &api::EventFilter,
        after: Option<&str>,
    ) -> Result<Self, Problem> {
        let after = after.map(|after| read::id::<Place>("the last event's id", after)).transpose()?;
        Ok(Self {
            context: context.clone(),
            wanted: Wanted::read(caller.workspace(), filter)?,
            reader: context.node().feed().reader(after),
            caller: caller.clone(),
            _permit: context.stream_permit(caller)?,
        })
    }

    /// Waits for what comes next, at least one frame; `None` when the stream is over.
    pub(super) async fn next(&mut self) -> Option<Vec<Frame>> {
        loop {
            let read = tokio::select! {
                biased;
                () = self.context.stopping() => return None,
                () = self.caller.expired(self.context.node()) => return None,
                read = self.reader.next() => read,
            };
            // Whatever took the right to listen away is an event itself, or has a time and was waited for; asked
            // here, it counts for one that was missed and for what comes from before it as well.
            if !self.caller.is_valid(self.context.node()) {
                return None;
            }
            let told = match read {
                Read::Events(told) => told,
                Read::Missed { resumed_at, entries } => {
                    let resumed_at = resumed_at.map(|place| place.to_string());
                    return Some(vec![Frame::Missed(api::Missed { resumed_at, entries })]);
                }
                Read::Closed => return None,
            };
            let frames: Vec<Frame> = told
                .iter()
                .filter_map(|one| Some((one, one.event()?)))
                .filter(|(one, event)| self.wanted.meets(event, one.workspace()))
                .map(|(one, event)| Frame::Event(shown::event(one.place, one.at, event, one.workspace())))
                .collect();
            if !frames.is_empty() {
                return Some(frames);
            }
        }
    }
}
