//! What the screen shows: pure, so that it can be tested without one.

use std::collections::VecDeque;

use serde::Serialize;
use synod_domain::time::Timestamp;

use crate::api::{Agent, Event, Mailbox, Node, Stats};
use crate::client::Signal;

/// How many events are kept for the eye.
const EVENTS_KEPT: usize = 200;

/// How many seconds the throughput goes back.
pub(super) const SECONDS_KEPT: usize = 240;

/// What the node told when it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Seen {
    pub(super) stats: Stats,
    pub(super) mailboxes: Vec<Mailbox>,
    pub(super) agents: Vec<Agent>,
    pub(super) nodes: Vec<Node>,
}

/// The parts of the screen that lines can be chosen in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panel {
    Mailboxes,
    Agents,
    Events,
}

/// What a person pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Pause,
    NextPanel,
    Up,
    Down,
}

/// What the screen shows.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) url: String,
    pub(super) colour: bool,
    pub(super) now: Timestamp,
    pub(super) seen: Seen,
    /// Why the node is away, if it is.
    pub(super) away: Option<String>,
    /// Whether the screen stands still.
    pub(super) paused: bool,
    pub(super) panel: Panel,
    /// The chosen line of each panel.
    chosen: [usize; 3],
    /// The latest first.
    pub(super) events: VecDeque<Event>,
    /// Tasks completed in each second, the present one last.
    pub(super) throughput: VecDeque<u64>,
}

impl Model {
    pub(super) fn new(url: &str, colour: bool) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            colour,
            now: Timestamp::ZERO,
            seen: Seen::default(),
            away: None,
            paused: false,
            panel: Panel::Agents,
            chosen: [0; 3],
            events: VecDeque::new(),
            throughput: VecDeque::from([0]),
        }
    }

    /// Takes in how the node was seen.
    pub(super) fn see(&mut self, seen: Seen, now: Timestamp) {
        self.pass(now);
        self.away = None;
        if !self.paused {
            self.seen = seen;
        }
    }

    /// Says that the node cannot be seen.
    pub(super) fn away(&mut self, reason: String) {
        self.away = Some(reason);
    }

    /// Takes in what was told; returns whether the node should be looked at.
    pub(super) fn hear(&mut self, signal: Signal, now: Timestamp) -> bool {
        self.pass(now);
        match signal {
            Signal::Away { reason } => {
                self.away = Some(reason);
                false
            }
            Signal::Connected => {
                self.away = None;
                true
            }
            Signal::Missed(_) => true,
            Signal::Event(event) => {
                if let Some(present) = self.throughput.back_mut().filter(|_| is_completion(&event)) {
                    *present += 1;
                }
                if !self.paused {
                    self.events.push_front(event);
                    self.events.truncate(EVENTS_KEPT);
                }
                true
            }
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, now: Timestamp) {
        let second = |time: Timestamp| time.as_millis() / 1000;
        let passed = second(now).saturating_sub(second(self.now));
        if self.now == Timestamp::ZERO {
            self.now = now;
            return;
        }
        self.now = self.now.max(now);
        for _ in 0..passed.min(u64::try_from(SECONDS_KEPT).unwrap_or(u64::MAX)) {
            self.throughput.push_back(0);
        }
        while self.throughput.len() > SECONDS_KEPT {
            self.throughput.pop_front();
        }
    }

    /// Does what a key asks for; quitting is not its business.
    pub(super) fn press(&mut self, key: Key) {
        match key {
            Key::Quit => {}
            Key::Pause => self.paused = !self.paused,
            Key::NextPanel => {
                self.panel = match self.panel {
                    Panel::Mailboxes => Panel::Agents,
                    Panel::Agents => Panel::Events,
                    Panel::Events => Panel::Mailboxes,
                }
            }
            Key::Up => self.choose(self.chosen(self.panel).saturating_sub(1)),
            Key::Down => self.choose(self.chosen(self.panel) + 1),
        }
    }

    /// Returns the chosen line of a panel, which is there unless the panel is empty.
    pub(super) fn chosen(&self, panel: Panel) -> usize {
        self.chosen[panel.place()].min(self.len(panel).saturating_sub(1))
    }

    fn choose(&mut self, line: usize) {
        let last = self.len(self.panel).saturating_sub(1);
        self.chosen[self.panel.place()] = line.min(last);
    }

    fn len(&self, panel: Panel) -> usize {
        match panel {
            Panel::Mailboxes => self.seen.mailboxes.len(),
            Panel::Agents => self.seen.agents.len(),
            Panel::Events => self.events.len(),
        }
    }
}

fn is_completion(event: &Event) -> bool {
    let says = |data: serde_json::Value| data["phase"] == "completed";
    event.kind == "task_ended" && serde_json::from_str(event.data.text()).is_ok_and(says)
}

impl Panel {
    const fn place(self) -> usize {
        match self {
            Self::Mailboxes => 0,
            Self::Agents => 1,
            Self::Events => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Json, Missed};

    fn event(kind: &str, data: &str) -> Signal {
        Signal::Event(Event {
            id: "1.0".to_owned(),
            at: "2026-01-01T00:00:00.000Z".to_owned(),
            kind: kind.to_owned(),
            workspace: None,
            data: Json::from_text(data.to_owned()).expect("JSON"),
        })
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1000)
    }

    #[test]
    fn completions_are_counted_in_the_second_in_which_they_are_told() {
        let mut model = Model::new("http://a/", false);
        let ended = || event("task_ended", r#"{"phase":"completed"}"#);
        for (signal, second) in [(ended(), 0), (ended(), 0), (ended(), 2), (event("task_started", "{}"), 2)] {
            assert!(model.hear(signal, at(second)), "an event is a reason to look");
        }
        assert_eq!(model.throughput, [2, 0, 1]);
        model.pass(at(100_000));
        assert_eq!((model.throughput.len(), model.throughput.iter().sum::<u64>()), (SECONDS_KEPT, 0));
        model.pass(at(1));
        assert_eq!(model.now, at(100_000), "a clock that goes back does not move anything");
    }

    #[test]
    fn a_node_that_is_away_is_said_and_no_reason_to_look_until_it_is_back() {
        let mut model = Model::new("http://a/", false);
        assert!(!model.hear(Signal::Away { reason: "gone".to_owned() }, at(0)));
        assert_eq!(model.away.as_deref(), Some("gone"));
        assert!(model.hear(Signal::Connected, at(1)));
        assert_eq!(model.away, None);
        assert!(model.hear(Signal::Missed(Missed { resumed_at: None, entries: None }), at(1)));
    }

    #[test]
    fn a_paused_screen_stands_still() {
        let mut model = Model::new("http://a/", false);
        model.press(Key::Pause);
        model.hear(event("task_started", "{}"), at(0));
        model.see(Seen { stats: Stats { waiting: 7, ..Stats::default() }, ..Seen::default() }, at(0));
        assert_eq!((model.events.len(), model.seen.stats.waiting), (0, 0));
        model.press(Key::Pause);
        model.see(Seen { stats: Stats { waiting: 7, ..Stats::default() }, ..Seen::default() }, at(0));
        assert_eq!(model.seen.stats.waiting, 7);
    }

    #[test]
    fn a_chosen_line_stays_within_its_panel() {
        let mut model = Model::new("http://a/", false);
        for _ in 0..3 {
            model.hear(event("task_started", "{}"), at(0));
        }
        model.press(Key::NextPanel);
        assert_eq!(model.panel, Panel::Events);
        for expected in [1, 2, 2] {
            model.press(Key::Down);
            assert_eq!(model.chosen(Panel::Events), expected);
        }
        model.events.truncate(1);
        assert_eq!(model.chosen(Panel::Events), 0);
        model.press(Key::Up);
        assert_eq!(model.chosen(Panel::Events), 0);
    }
}
