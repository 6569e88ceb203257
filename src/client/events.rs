//! Following events, over lost connections.
//!
//! ```text
//!  connect ─► frames ─► signals ─┐
//!     ▲                          │ connection lost: go on behind the last event seen
//!     └──────── wait ◄───────────┘
//! ```
//!
//! An event may be told twice when a connection is lost at the wrong moment, and none is left out silently: what
//! the node does not keep any more is told as missed.

use std::collections::VecDeque;
use std::time::Duration;

use futures::Stream;
use reqwest::Response;
use tokio::time::Instant;

use super::ask::Ask;
use super::connection::chain;
use super::sse::{Frame, Reader};
use super::{Client, Error, backoff};
use crate::api::{Event, EventFilter, Missed};

/// After this much silence a connection counts as lost: the node sends a sign of life far more often.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long a node may take to answer that it will tell events.
const HEAD_WITHIN: Duration = Duration::from_secs(15);

/// The frame that says that events were missed.
const MISSED: &str = "missed";

/// What a follower hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// It is connected; also after each time that it was not.
    Connected,
    /// Something happened.
    Event(Event),
    /// Something happened that cannot be told any more: look at the resources afresh.
    Missed(Missed),
    /// The connection is lost; it is being made again.
    Away {
        /// Why, for a person.
        reason: String,
    },
}

impl Client {
    /// Follows events, behind the one that the filter names or from this moment; ends with an error only: when
    /// the node cannot be reached at first within the client's patience, or refuses.
    pub fn events(&self, filter: EventFilter) -> impl Stream<Item = Result<Signal, Error>> + Send + 'static {
        let last = filter.after.clone();
        let ask = Ask::look(["events"]).with_fields(&EventFilter { after: None, ..filter });
        let follower = ask.map(|ask| Follower {
            client: self.clone(),
            ask,
            last,
            line: None,
            ready: VecDeque::new(),
            connected_once: false,
            tries: 0,
            wait: None,
        });
        futures::stream::unfold(Some(follower), |follower| async {
            match follower? {
                Err(error) => Some((Err(error), None)),
                Ok(mut follower) => match follower.next().await {
                    Ok(signal) => Some((Ok(signal), Some(Ok(follower)))),
                    Err(error) => Some((Err(error), None)),
                },
            }
        })
    }
}

struct Follower {
    client: Client,
    ask: Ask,
    /// The last event seen.
    last: Option<String>,
    line: Option<(Response, Reader)>,
    ready: VecDeque<Signal>,
    connected_once: bool,
    tries: u32,
    /// What the node asks to wait before a new connection.
    wait: Option<Duration>,
}

impl Follower {
    async fn next(&mut self) -> Result<Signal, Error> {
        loop {
            if let Some(signal) = self.ready.pop_front() {
                return Ok(signal);
            }
            match &mut self.line {
                None => {
                    self.connect().await?;
                    return Ok(Signal::Connected);
                }
                Some((response, reader)) => match read(response, reader).await {
                    Ok(frames) => {
                        for frame in frames {
                            self.take(frame);
                        }
                    }
                    Err(reason) => {
                        self.line = None;
                        return Ok(Signal::Away { reason });
                    }
                },
            }
        }
    }

    fn take(&mut self, frame: Frame) {
        if let Some(millis) = frame.retry_ms {
            self.wait = Some(Duration::from_millis(millis));
        }
        self.last = frame.id.or(self.last.take());
        if frame.event.as_deref() == Some(MISSED) {
            // What exactly was missed is a help and not needed.
            let missed = serde_json::from_str(&frame.data);
            self.ready
                .push_back(Signal::Missed(missed.unwrap_or(Missed { resumed_at: None, entries: None })));
        } else if let Ok(event) = serde_json::from_str::<Event>(&frame.data) {
            self.last = Some(event.id.clone());
            self.ready.push_back(Signal::Event(event));
        }
    }

    /// Connects. The first time within the client's patience; after that for as long as it takes.
    async fn connect(&mut self) -> Result<(), Error> {
        let until = Instant::now() + self.client.patience();
        if self.connected_once {
            tokio::time::sleep(self.pause()).await;
        }
        loop {
            let error = match self.open().await {
                Ok(response) => {
                    self.line = Some((response, Reader::default()));
                    self.connected_once = true;
                    self.tries = 0;
                    return Ok(());
                }
                Err(error) => error,
            };
            let wait = self.pause().max(error.retry_after());
            self.tries = self.tries.saturating_add(1);
            let enough = !self.connected_once && Instant::now() + wait > until;
            if enough || !error.is_passing() {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn pause(&self) -> Duration {
        backoff(self.tries, self.client.draw()).max(self.wait.unwrap_or_default())
    }

    async fn open(&self) -> Result<Response, Error> {
        let opening = self.client.follow(&self.ask, self.last.as_deref());
        match tokio::time::timeout(HEAD_WITHIN, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(Error::Unanswered {
                url: self.client.url().to_owned(),
                reason: format!("no event stream within {} s", HEAD_WITHIN.as_secs()),
            }),
        }
    }
}

/// Reads what comes next. The error says why nothing more will.
async fn read(response: &mut Response, reader: &mut Reader) -> Result<Vec<Frame>, String> {
    match tokio::time::timeout(SILENCE_MAX, response.chunk()).await {
        Ok(Ok(Some(bytes))) => reader.take(&bytes).map_err(|_| "a frame is longer than any event".to_owned()),
        Ok(Ok(None)) => Err("the node ended the stream".to_owned()),
        Ok(Err(error)) => Err(chain(&error.without_url())),
        Err(_) => Err(format!("nothing was heard for {} s", SILENCE_MAX.as_secs())),
    }
}
