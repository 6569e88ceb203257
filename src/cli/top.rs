//! `synod top`: what goes on, live.
//!
//! ```text
//!  events ─► Model ─► due in a moment ─► look at the node ─► Model ─► draw
//!  keys ───► Model ─────────────────────────────────────────────────► draw
//! ```
//!
//! It looks at the node when something happens, at most four times a second, and not at all while nothing does.

mod draw;
mod model;

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use crossterm::event::{Event as Input, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use ratatui::backend::TestBackend;
use ratatui::{DefaultTerminal, Terminal};
use synod_domain::sources::Clock;
use tokio::time::Instant;

use self::model::{Key, Model, Seen};
use super::remote::{self, ClientArgs, Failure, Session};
use super::signals::Signals;
use super::{Common, exit, print};
use crate::api::{AgentFilter, EventFilter, PageQuery};
use crate::client::{Client, Error, Signal};
use crate::clock::SystemClock;

/// How often the node is looked at, at most; a person reads no faster.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often ages are drawn anew while nothing happens.
const CLOCK: Duration = Duration::from_secs(5);

/// How many mailboxes and agents are looked at; more than a terminal has lines.
const SHOWN_MAX: u32 = 200;

/// The size of a frame that no terminal shows.
const FRAME: (u16, u16) = (120, 40);

#[derive(Debug, Args)]
pub(super) struct TopArgs {
    /// Print one frame as text and end.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) fn main(common: &Common, args: &TopArgs) -> u8 {
    remote::run(common, &args.client, async |session| {
        if args.once || session.output.is_json() {
            return once(&session).await;
        }
        if !std::io::stdout().is_terminal() {
            return Err(Failure::Usage("this is no terminal; --once prints one frame as text".to_owned()));
        }
        live(&session).await
    })
}

/// Prints one frame.
async fn once(session: &Session) -> Result<u8, Failure> {
    let mut model = Model::new(session.client.url(), session.output.has_colour());
    model.see(look(&session.client).await?, SystemClock.now());
    if session.output.is_json() {
        return Ok(session.output.one("top", "top", &model.seen));
    }
    let mut terminal = match Terminal::new(TestBackend::new(FRAME.0, FRAME.1)) {
        Ok(terminal) => terminal,
        // Drawing into memory cannot fail.
        Err(never) => match never {},
    };
    match terminal.draw(|frame| draw::draw(&model, frame)) {
        Ok(_) => {}
        Err(never) => match never {},
    }
    Ok(print::result(&text(&terminal), exit::OK))
}

/// Returns what a frame shows, without what lines end in.
fn text(terminal: &Terminal<TestBackend>) -> String {
    let buffer = terminal.backend().buffer();
    let width = usize::from(buffer.area.width).max(1);
    let lines = buffer.content.chunks(width).map(|line| {
        let line: String = line.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

async fn live(session: &Session) -> Result<u8, Failure> {
    // Before the screen is taken: what is wrong with address and token is said on the screen as it was.
    let first = look(&session.client).await?;
    let mut model = Model::new(session.client.url(), session.output.has_colour());
    model.see(first, SystemClock.now());
    let wrong = |error: std::io::Error| Failure::Usage(format!("the terminal cannot be used: {error}"));
    let signals = Signals::listen().map_err(wrong)?;
    // Puts a hook before panics that gives the terminal back.
    let mut terminal = ratatui::try_init().map_err(wrong)?;
    let ended = follow(&session.client, &mut model, &mut terminal, signals).await;
    ratatui::restore();
    ended.map(|()| exit::OK)
}

/// What comes next.
enum Next {
    Key(Option<std::io::Result<Input>>),
    Seen(Result<Seen, Error>),
    Look,
    Told(Option<Result<Signal, Error>>),
    Clock,
    Stop,
}

async fn follow(
    client: &Client,
    model: &mut Model,
    terminal: &mut DefaultTerminal,
    mut stop: Signals,
) -> Result<(), Failure> {
    let mut keys = EventStream::new();
    let mut told = Box::pin(client.events(EventFilter::default()));
    let mut looking: Option<BoxFuture<'_, Result<Seen, Error>>> = None;
    // When the node is looked at again, if something happened.
    let mut due: Option<Instant> = None;
    let mut looked = Instant::now();
    loop {
        model.pass(SystemClock.now());
        terminal
            .draw(|frame| draw::draw(model, frame))
            .map_err(|error| Failure::Usage(format!("the terminal cannot be drawn on: {error}")))?;
        // Takes in what is only noted, and comes back when there is something to draw.
        loop {
            let next = tokio::select! {
                biased;
                _ = stop.next() => Next::Stop,
                key = keys.next() => Next::Key(key),
                () = wait_until(due), if looking.is_none() => Next::Look,
                seen = landed(&mut looking) => Next::Seen(seen),
                signal = told.next() => Next::Told(signal),
                () = tokio::time::sleep(CLOCK) => Next::Clock,
            };
            match next {
                Next::Stop | Next::Key(None | Some(Err(_))) | Next::Told(None) => return Ok(()),
                Next::Key(Some(Ok(input))) => {
                    let Some(key) = key(&input) else {
                        if matches!(input, Input::Resize(..)) { break } else { continue }
                    };
                    if key == Key::Quit {
                        return Ok(());
                    }
                    model.press(key);
                    break;
                }
                Next::Look => {
                    due = None;
                    looked = Instant::now();
                    looking = Some(look(client).boxed());
                }
                Next::Seen(seen) => {
                    looking = None;
                    match seen {
                        Ok(seen) => model.see(seen, SystemClock.now()),
                        // The stream notices too, and says when the node is back.
                        Err(error) if error.is_passing() => model.away(error.to_string()),
                        Err(error) => return Err(error.into()),
                    }
                    break;
                }
                Next::Told(Some(signal)) => {
                    if model.hear(signal?, SystemClock.now()) {
                        due.get_or_insert((looked + LOOK_EVERY).max(Instant::now()));
                    } else {
                        break;
                    }
                }
                Next::Clock => break,
            }
        }
    }
}

/// Waits for the answer of a look; for ever when there is none on its way. Dropping the future loses nothing.
async fn landed(looking: &mut Option<BoxFuture<'_, Result<Seen, Error>>>) -> Result<Seen, Error> {
    match looking {
        Some(looking) => looking.await,
        None => std::future::pending().await,
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Reads what is shown.
async fn look(client: &Client) -> Result<Seen, Error> {
    let page = PageQuery { limit: Some(SHOWN_MAX), ..PageQuery::default() };
    let all = AgentFilter::default();
    let (stats, mailboxes, agents, nodes) = futures::try_join!(
        client.stats(),
        client.mailboxes(&page),
        client.agents(&all, &page),
        client.nodes(&page)
    )?;
    Ok(Seen { stats, mailboxes: mailboxes.items, agents: agents.items, nodes: nodes.items })
}

/// Tells what a key means here.
fn key(input: &Input) -> Option<Key> {
    let Input::Key(pressed) = input else { return None };
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    match pressed.code {
        KeyCode::Char('c') if pressed.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char('p') => Some(Key::Pause),
        KeyCode::Tab => Some(Key::NextPanel),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Down),
        _ => None,
    }
}
