//! The screen: from the model to a frame, and nothing else.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Row, Sparkline, Table, TableState};

use super::model::{Model, Panel};
use crate::cli::agent;
use crate::cli::output::{Cell, Tone, age};
use crate::cli::{event, print};

/// Draws the model.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let [head, figures, throughput, mailboxes, agents, events, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(5),
        Constraint::Fill(2),
        Constraint::Fill(3),
        Constraint::Fill(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(title(model), head);
    frame.render_widget(Line::raw(counts(model)), figures);
    sparkline(model, frame, throughput);
    table(model, Panel::Mailboxes, frame, mailboxes);
    table(model, Panel::Agents, frame, agents);
    table(model, Panel::Events, frame, events);
    frame.render_widget(Line::raw("q quit   tab next panel   ↑↓ choose   p pause the view"), foot);
}

fn title(model: &Model) -> Line<'_> {
    let mut spans =
        vec![Span::styled(format!("synod {}", model.url), Style::new().add_modifier(Modifier::BOLD))];
    // Of a node that stands alone there is nothing to say that the rest does not.
    if model.seen.nodes.len() > 1 {
        for node in &model.seen.nodes {
            let leads = if node.leader { "*" } else { "" };
            let (tone, word) = match (node.standing.as_str(), &node.draining) {
                ("up", None) => (Tone::Good, ""),
                ("up", Some(_)) => (Tone::Busy, " draining"),
                (_, _) => (Tone::Bad, " down"),
            };
            let said = format!("   {}{leads}{word} {}", print::harmless(&node.name), node.agents);
            spans.push(Span::styled(said, style(model, tone)));
        }
    }
    if let Some(reason) = &model.away {
        let said = format!("   away: {}", print::harmless(reason).replace('\n', " "));
        spans.push(Span::styled(said, style(model, Tone::Bad)));
    }
    if model.paused {
        spans.push(Span::styled("   view paused", style(model, Tone::Busy)));
    }
    Line::from(spans)
}

fn counts(model: &Model) -> String {
    let stats = &model.seen.stats;
    format!(
        "waiting {}   backing off {}   in work {}   completed {}   failed {}   dead letters {}   agents {}/{} ({} busy)",
        stats.waiting,
        stats.backing_off,
        stats.leased,
        stats.completed,
        stats.failed + stats.timed_out,
        stats.dead_letters,
        stats.agents_serving,
        stats.agents,
        stats.agents_busy,
    )
}

fn sparkline(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    // Without a border there is a second for each column, the present one last.
    let width = usize::from(area.width.saturating_sub(2));
    let first = model.throughput.len().saturating_sub(width);
    let seconds: Vec<u64> = model.throughput.iter().skip(first).copied().collect();
    let most = seconds.iter().max().copied().unwrap_or(0);
    let recent: u64 = seconds.iter().rev().skip(1).take(10).sum();
    let said = format!(" completed each second: at most {most}, {recent} in the last 10 s ");
    let chart = Sparkline::default()
        .block(Block::new().borders(Borders::ALL).title(said))
        .data(&seconds)
        .style(style(model, Tone::Good));
    frame.render_widget(chart, area);
}

fn table(model: &Model, panel: Panel, frame: &mut Frame<'_>, area: Rect) {
    let (name, heads, widths, lines) = match panel {
        Panel::Mailboxes => mailboxes(model),
        Panel::Agents => agents(model),
        Panel::Events => events(model),
    };
    let has_focus = model.panel == panel;
    let mark = if has_focus { ">" } else { " " };
    let title = format!("{mark}{name} ({}) ", lines.len());
    let is_empty = lines.is_empty();
    let rows = lines.into_iter().map(|cells| {
        Row::new(cells.into_iter().map(|cell| Span::styled(cell.text, style(model, cell.tone))))
    });
    let head = Row::new(heads.iter().copied()).style(style(model, Tone::Faint));
    let chosen = Style::new().add_modifier(if has_focus { Modifier::REVERSED } else { Modifier::empty() });
    let table = Table::new(rows, widths)
        .header(head)
        .row_highlight_style(chosen)
        .block(Block::new().borders(Borders::ALL).title(title));
    let mut state = TableState::new().with_selected((!is_empty).then(|| model.chosen(panel)));
    frame.render_stateful_widget(table, area, &mut state);
}

type Contents = (&'static str, &'static [&'static str], Vec<Constraint>, Vec<Vec<Cell>>);

fn mailboxes(model: &Model) -> Contents {
    let lines = model.seen.mailboxes.iter().map(|mailbox| {
        let lanes = &mailbox.lanes;
        let mut cells: Vec<Cell> = vec![mailbox.name.as_str().into()];
        let counts = [mailbox.waiting, lanes.critical, lanes.high, lanes.normal, lanes.low];
        cells.extend(counts.map(|count| Cell::from(count.to_string())));
        cells.push(age(model.now, mailbox.oldest_since.as_deref()).into());
        cells.push(mailbox.paused.as_ref().map_or_else(|| "".into(), |why| Cell::toned(why, Tone::Bad)));
        cells
    });
    let mut widths = vec![Constraint::Length(32)];
    widths.extend([Constraint::Length(9); 6]);
    widths.push(Constraint::Fill(1));
    let heads = &["mailbox", "waiting", "critical", "high", "normal", "low", "oldest", "paused"];
    ("mailboxes", heads, widths, lines.collect())
}

fn agents(model: &Model) -> Contents {
    let lines = model.seen.agents.iter().map(|agent| {
        let task = match agent.held.as_slice() {
            [] => "-".to_owned(),
            [one] => one.clone(),
            [one, rest @ ..] => format!("{one} and {} more", rest.len()),
        };
        vec![
            agent.name.as_str().into(),
            Cell::toned(&agent.status, agent::tone(&agent.status)),
            agent.pool.as_deref().unwrap_or("-").into(),
            format!("{}/{}", agent.held.len(), agent.concurrency).into(),
            agent.completed.to_string().into(),
            agent.failed.to_string().into(),
            age(model.now, Some(&agent.since)).into(),
            task.into(),
        ]
    });
    let widths = [24, 9, 16, 7, 10, 7, 6].map(Constraint::Length).into_iter().chain([Constraint::Fill(1)]);
    let heads = &["agent", "status", "pool", "held", "completed", "failed", "since", "task"];
    ("agents", heads, widths.collect(), lines.collect())
}

fn events(model: &Model) -> Contents {
    let lines = model.events.iter().map(|told| vec![Cell::from(event::line(told))]);
    ("events", &["latest first"], vec![Constraint::Fill(1)], lines.collect())
}

fn style(model: &Model, tone: Tone) -> Style {
    if !model.colour {
        return Style::new();
    }
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Busy => Style::new().fg(Color::Cyan),
        Tone::Bad => Style::new().fg(Color::Red),
        Tone::Faint => Style::new().fg(Color::DarkGray),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use synod_domain::time::Timestamp;

    use super::super::model::{Key, Seen};
    use super::super::text;
    use super::*;
    use crate::api::{Agent, Event, Json, LaneDepths, Mailbox, Stats};
    use crate::client::Signal;

    fn model() -> Model {
        let mut model = Model::new("http://127.0.0.1:7400/", false);
        let now = Timestamp::from_millis(1_767_225_600_000);
        let since = "2025-12-31T23:59:30.000Z".to_owned();
        let lanes = LaneDepths { high: 3, normal: 4, ..LaneDepths::default() };
        let mailbox = Mailbox {
            name: "pool/builders".to_owned(),
            waiting: 7,
            lanes,
            oldest_since: Some(since.clone()),
            paused: None,
        };
        let agent = serde_json::json!({
            "id": "agent_1", "name": "evil\u{1b}[2J", "status": "BUSY", "reason": "", "since": since,
            "host": "external", "capabilities": [], "labels": {}, "concurrency": 2, "held": ["task_1", "task_2"],
            "registered_at": since, "completed": 11, "failed": 1, "restarts": 0,
        });
        let agents: Vec<Agent> = vec![serde_json::from_value(agent).expect("an agent")];
        let stats = Stats {
            waiting: 7,
            completed: 11,
            agents: 1,
            agents_serving: 1,
            agents_busy: 1,
            ..Stats::default()
        };
        model.see(Seen { stats, mailboxes: vec![mailbox], agents, nodes: Vec::new() }, now);
        let event = Event {
            id: "5.0".to_owned(),
            at: "2026-01-01T00:00:00.000Z".to_owned(),
            kind: "task_ended".to_owned(),
            workspace: None,
            data: Json::from_text(r#"{"phase":"completed"}"#.to_owned()).expect("JSON"),
        };
        model.hear(Signal::Event(event), now);
        model
    }

    fn shown(model: &Model, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
        terminal.draw(|frame| draw(model, frame)).expect("drawn");
        text(&terminal)
    }

    #[test]
    fn a_frame_shows_figures_mailboxes_by_lane_agents_with_their_tasks_and_events() {
        let frame = shown(&model(), 120, 40);
        for words in [
            "synod http://127.0.0.1:7400",
            "waiting 7   backing off 0   in work 0   completed 11",
            "at most 1,",
            "mailboxes (1)",
            "pool/builders",
            "30s",
            ">agents (1)",
            "BUSY",
            "task_1 and 1 more",
            "events (1)",
            "task_ended",
            "q quit",
        ] {
            assert!(frame.contains(words), "{words:?}: {frame}");
        }
        assert!(frame.contains("evil\\u{1b}[2J"), "control characters are shown and not obeyed: {frame}");
    }

    #[test]
    fn the_node_being_away_and_a_paused_view_are_said_at_the_top() {
        let mut model = model();
        model.away("connection refused".to_owned());
        model.press(Key::Pause);
        let frame = shown(&model, 120, 40);
        let first = frame.lines().next().expect("a line");
        assert!(first.contains("away: connection refused") && first.contains("view paused"), "{first}");
    }

    #[test]
    fn no_terminal_is_too_small() {
        for (width, height) in [(1, 1), (10, 3), (40, 10), (300, 100)] {
            shown(&model(), width, height);
        }
    }
}
