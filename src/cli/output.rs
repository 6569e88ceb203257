//! How answers are shown: tables for people, envelopes for programs.
//!
//! An envelope is `{"version": 1, "kind": …, "items": […]}` for a list and `{"version": 1, "kind": …, "item": …}`
//! for one thing; a stream is one envelope on each line. Within a version fields are only added.

mod cell;
mod details;
mod watch;

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

pub(super) use cell::{Cell, Tone, age};
pub(super) use watch::list;

use super::{exit, print};
use crate::clock::SystemClock;
use synod_domain::sources::Clock;
use synod_domain::time::Timestamp;

/// The version of the envelopes.
pub(super) const VERSION: u32 = 1;

/// How answers are shown.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct OutputArgs {
    /// Print one JSON document; streams print one on each line.
    #[arg(long, global = true, help_heading = "Output", conflicts_with_all = ["output", "quiet"])]
    json: bool,
    /// The form of the output.
    #[arg(long, short = 'o', global = true, value_name = "FORM", help_heading = "Output")]
    output: Option<Form>,
    /// Print ids only, one on each line.
    #[arg(long, short = 'q', global = true, help_heading = "Output")]
    quiet: bool,
    /// Use no colours; NO_COLOR means the same.
    #[arg(long, global = true, help_heading = "Output")]
    no_color: bool,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

/// How answers are shown.
#[derive(Debug, Clone)]
pub(super) struct Output {
    form: Form,
    quiet: bool,
    colour: bool,
    terminal: bool,
}

/// Something that is a line of a table.
pub(super) trait Row: Serialize {
    /// What one is called in envelopes; a list of them is called so with `_list` behind it.
    const KIND: &'static str;

    /// The heads of the columns.
    const COLUMNS: &'static [&'static str];

    /// Returns what names it.
    fn id(&self) -> &str;

    /// Returns its cells, one for each column.
    fn cells(&self, now: Timestamp) -> Vec<Cell>;
}

impl Output {
    pub(super) fn new(args: &OutputArgs) -> Self {
        let form = if args.json { Form::Json } else { args.output.unwrap_or(Form::Table) };
        let terminal = std::io::stdout().is_terminal();
        let forbidden = args.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { form, quiet: args.quiet, colour: terminal && !forbidden, terminal }
    }

    /// Tells whether a program reads.
    pub(super) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Tells whether a person may be shown more than the answer: what it means, what comes next.
    pub(super) fn is_for_people(&self) -> bool {
        self.form == Form::Table && !self.quiet
    }

    /// Tells whether only ids are wanted.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Tells whether a terminal shows the output.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Tells whether colours are wanted.
    pub(super) fn has_colour(&self) -> bool {
        self.colour
    }

    /// Shows a list; `next` is where the next page begins.
    pub(super) fn list<R: Row>(&self, items: &[R], next: Option<&str>) -> u8 {
        self.list_again(items, next).err().unwrap_or(exit::OK)
    }

    /// Shows a list, perhaps not for the last time. The error is the exit code to stop with.
    pub(super) fn list_again<R: Row>(&self, items: &[R], next: Option<&str>) -> Result<(), u8> {
        if self.quiet {
            return self.lines(items.iter().map(Row::id));
        }
        let kind = format!("{}_list", R::KIND);
        match self.form {
            Form::Table => {
                print::line(&self.table(items))?;
                if next.is_some() {
                    print::note(&"note: there are more; --all shows them");
                }
                Ok(())
            }
            Form::Json | Form::Yaml => {
                let mut envelope = json!({ "version": VERSION, "kind": kind, "items": value(&items) });
                if let Some(next) = next {
                    envelope["next_cursor"] = next.into();
                }
                self.document(&envelope)
            }
        }
    }

    /// Shows one thing.
    pub(super) fn item<R: Row>(&self, item: &R) -> u8 {
        self.one(R::KIND, item.id(), item)
    }

    /// Shows one thing that is no line of a table.
    pub(super) fn one(&self, kind: &str, id: &str, item: &impl Serialize) -> u8 {
        self.streamed(kind, id, item, &details::table(&value(item))).err().unwrap_or(exit::OK)
    }

    /// Shows one thing of a stream: an envelope on a line of its own, or `text` for people. The error is the exit
    /// code to stop with.
    pub(super) fn streamed(&self, kind: &str, id: &str, item: &impl Serialize, text: &str) -> Result<(), u8> {
        if self.quiet {
            return self.lines([id].into_iter());
        }
        match self.form {
            Form::Table => print::line(&print::harmless(text)),
            Form::Json | Form::Yaml => {
                self.document(&json!({ "version": VERSION, "kind": kind, "item": value(item) }))
            }
        }
    }

    /// Says what was done to something, when there is nothing else to show.
    pub(super) fn done(&self, kind: &str, id: &str, said: &str) -> u8 {
        self.streamed(kind, id, &json!({ "id": id, "done": said }), said).err().unwrap_or(exit::OK)
    }

    /// Returns a table.
    pub(super) fn table<R: Row>(&self, items: &[R]) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        if !self.terminal {
            // Whoever cuts lines into columns wants each line whole.
            table.force_no_tty();
        }
        if self.colour {
            table.enforce_styling();
        }
        table.set_header(R::COLUMNS.iter().map(|column| column.to_uppercase()));
        let now = SystemClock.now();
        for item in items {
            table.add_row(item.cells(now).into_iter().map(|cell| cell.shown(self.colour)));
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    fn lines<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Result<(), u8> {
        let ids: Vec<String> = ids.map(print::harmless).collect();
        if ids.is_empty() { Ok(()) } else { print::line(&ids.join("\n")) }
    }

    fn document(&self, envelope: &Value) -> Result<(), u8> {
        if self.form == Form::Json {
            return print::line(envelope);
        }
        let text = serde_saphyr::to_string(envelope).map_err(|error| {
            print::complain(&error);
            exit::OUTPUT
        })?;
        print::line(&format!("---\n{}", text.trim_end()))
    }
}

fn value(item: &impl Serialize) -> Value {
    // What came as JSON goes as JSON.
    serde_json::to_value(item).unwrap_or_default()
}
