//! Progress for people: a bar for each pool on a terminal, lines for what went wrong everywhere.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use synod_domain::task::Phase;

use crate::cli::print;
use crate::run::Progress;

/// What the bars of a run show. Draws only on a terminal.
pub(super) struct Bars {
    all: MultiProgress,
    by_pool: BTreeMap<String, Bar>,
    resumed: usize,
    notices: usize,
}

struct Bar {
    bar: ProgressBar,
    failed: usize,
}

/// How many notices are shown as they come; the table at the end has them all.
const NOTICES_MAX: usize = 20;

/// How much of a notice is shown.
const NOTICE_CHARS_MAX: usize = 200;

impl Bars {
    pub(super) fn new() -> Self {
        Self { all: MultiProgress::new(), by_pool: BTreeMap::new(), resumed: 0, notices: 0 }
    }

    /// Clears the bars, and says what a continued run found done.
    pub(super) fn finish(&self, continued: bool) {
        for bar in self.by_pool.values() {
            bar.bar.finish();
        }
        if continued {
            let ended = self.resumed;
            print::note(&format!("{ended} tasks had ended before this run was continued; none was redone"));
        }
    }

    fn bar(&mut self, pool: &str) -> &mut Bar {
        let all = &self.all;
        self.by_pool.entry(pool.to_owned()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(0));
            let style = ProgressStyle::with_template("{prefix:>14} [{bar:40}] {pos}/{len} {msg} {elapsed}");
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(pool.to_owned());
            Bar { bar, failed: 0 }
        })
    }
}

impl Progress for Bars {
    fn submitted(&mut self, pool: &str, _: &str, tasks: usize) {
        self.bar(pool).bar.inc_length(tasks as u64);
    }

    fn ended(&mut self, pool: &str, _: &str, phase: Phase, resumed: bool) {
        if resumed {
            self.resumed += 1;
        }
        let bar = self.bar(pool);
        bar.bar.inc(1);
        if phase != Phase::Completed {
            bar.failed += 1;
            bar.bar.set_message(format!("{} failed", bar.failed));
        }
    }

    fn notice(&mut self, text: &str) {
        self.notices += 1;
        if self.notices <= NOTICES_MAX {
            let line = print::first_line(&print::harmless(text), NOTICE_CHARS_MAX);
            self.all.suspend(|| print::note(&line));
        }
    }
}
