//! Every figure that a node shows has a row in the operator's tables.

use crate::repository::{File, Finding, assert_none, files};

/// Where operators read what a figure means.
const TABLES: &str = "docs/OPERATIONS.md";

/// Where figures are shown: a struct whose fields are figures, or JSON that is written on the spot.
const STATS: (&str, &str) = ("src/api/nodes.rs", "pub struct Stats {");
const METRICS: &str = "src/http/compat/control_plane/metrics.rs";

/// Returns the public fields of a struct, and the line of each.
fn fields(text: &str, begins: &str) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate().skip_while(|(_, line)| *line != begins);
    let lines = lines.take_while(|(_, line)| *line != "}");
    let field = |(at, line): (usize, &str)| {
        let name = line.trim().strip_prefix("pub ")?.split_once(": ")?.0;
        Some((at + 1, name.to_owned()))
    };
    lines.filter_map(field).collect()
}

/// Returns the keys of JSON in code: lines such as `"name": value,`.
fn keys(text: &str) -> Vec<(usize, String)> {
    let key = |(at, line): (usize, &str)| {
        let name = line.trim().strip_prefix('"')?.split_once("\":")?.0;
        Some((at + 1, name.to_owned()))
    };
    text.lines().enumerate().filter_map(key).collect()
}

/// Tells whether a row of a table begins with the figure, alone or below or beside others.
fn has_row(tables: &str, figure: &str) -> bool {
    let first = tables.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    first.flat_map(|(cell, _)| cell.split(", ")).any(|named| {
        let named = named.trim_matches('`');
        named == figure || named.split('.').any(|part| part == figure)
    })
}

fn check(file: &File, figures: Vec<(usize, String)>, tables: &str) -> Vec<Finding> {
    let lacking = figures.into_iter().filter(|(_, figure)| !has_row(tables, figure));
    lacking
        .map(|(at, figure)| {
            Finding::new(file, at, format!("{TABLES} has no row that says what `{figure}` is"))
        })
        .collect()
}

#[test]
fn every_figure_of_a_node_is_explained_to_operators() {
    let files = files();
    let named = |path: &str| files.iter().find(|file| file.path == path).unwrap();
    let tables = &named(TABLES).text;
    let stats = fields(&named(STATS.0).text, STATS.1);
    assert!(stats.len() > 10, "the fields are found");
    assert_none(&check(named(STATS.0), stats, tables));
    assert_none(&check(named(METRICS), keys(&named(METRICS).text), tables));
}

#[test]
fn a_figure_without_a_row_is_found() {
    let tables = "| figure | x |\n| `a`, `b.c` | what |\nd is told in prose\n";
    let file =
        File::of("a.rs", "pub struct Stats {\n    /// A.\n    pub a: u64,\n    pub d: u64,\n}\npub c: u8,\n");
    assert_eq!(fields(&file.text, "pub struct Stats {"), [(3, "a".to_owned()), (4, "d".to_owned())]);
    assert_eq!(check(&file, fields(&file.text, "pub struct Stats {"), tables).len(), 1);
    let file = File::of("b.rs", "json!({\n    \"b\": 1,\n    \"c\": 2,\n    \"e\": 3,\n})\n");
    assert_eq!(check(&file, keys(&file.text), tables).len(), 1);
}
