//! The tables, as Markdown.

use std::collections::{BTreeMap, BTreeSet};

use crate::Args;
use crate::peer::{KINDS, Kind};

/// What a figure tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Cycles,
    SubmitMedian,
    SubmitTail,
    Batched,
    WakeMedian,
    WakeTail,
}

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: BTreeMap<(Table, usize, Kind), Vec<f64>>,
    left_out: BTreeSet<String>,
}

impl Report {
    pub(crate) fn add(&mut self, table: Table, kind: Kind, in_flight: usize, figure: f64) {
        self.figures.entry((table, in_flight, kind)).or_default().push(figure);
    }

    pub(crate) fn left_out(&mut self, kind: Kind, why: String) {
        self.left_out.insert(format!("{} was left out: {why}", kind.name()));
    }

    pub(crate) fn print(&self, args: &Args) {
        for note in &self.left_out {
            println!("{note}\n");
        }
        self.table(
            args,
            Table::Cycles,
            "Whole cycles (submit, claim, complete) a second, one task a request",
            true,
        );
        self.table(args, Table::SubmitMedian, "Submit, p50 in ms", false);
        self.table(args, Table::SubmitTail, "Submit, p99 in ms", false);
        let title = format!("Whole cycles a second, {} tasks a request", args.batch);
        self.table(args, Table::Batched, &title, true);
        let wake = |table| self.median(table, 1, Kind::Synod);
        if let (Some(median), Some(tail)) = (wake(Table::WakeMedian), wake(Table::WakeTail)) {
            println!(
                "From submit to the claim of a worker that waits: p50 {median:.2} ms, p99 {tail:.2} ms\n"
            );
        }
    }

    fn table(&self, args: &Args, table: Table, title: &str, more_is_better: bool) {
        println!("{title}\n");
        println!("| in flight | synod | Redis | PostgreSQL | synod ahead of the better peer |");
        println!("|---:|---:|---:|---:|---:|");
        for in_flight in &args.in_flight {
            let figures = KINDS.map(|kind| self.median(table, *in_flight, kind));
            let [ours, peers @ ..] = figures;
            let peers = peers.into_iter().flatten();
            let better =
                if more_is_better { peers.max_by(f64::total_cmp) } else { peers.min_by(f64::total_cmp) };
            let ahead = match (ours, better) {
                (Some(ours), Some(better)) if more_is_better => format!("{:.2}", ours / better),
                (Some(ours), Some(better)) => format!("{:.2}", better / ours),
                _ => "-".to_owned(),
            };
            let digits = usize::from(!more_is_better) * 2;
            let [ours, redis, postgres] =
                figures.map(|figure| figure.map_or("-".to_owned(), |figure| format!("{figure:.digits$}")));
            println!("| {in_flight} | {ours} | {redis} | {postgres} | {ahead} |");
        }
        println!();
    }

    fn median(&self, table: Table, in_flight: usize, kind: Kind) -> Option<f64> {
        let mut figures = self.figures.get(&(table, in_flight, kind))?.clone();
        figures.sort_by(f64::total_cmp);
        Some(figures[figures.len() / 2])
    }
}
